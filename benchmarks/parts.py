"""A benchmark of several parts: each can be run alone, and one JSON object comes last.

A part is a module `benchmarks.<name>.<part>` with two settings, `QUICK` and `FULL`, and `run(settings, jobs) -> dict`,
which holds its headline numbers and whatever else it found.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.work import rounded


@dataclass(frozen=True)
class Benchmark:
    """Named parts, each with the names of its headline numbers.

    Attributes:
        name: of the package under `benchmarks`.
        headline: for each part the keys of its result that stand at the top.
        says: what is measured, in one line, for `--help`.
    """

    name: str
    headline: Mapping[str, tuple[str, ...]]
    says: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in the order in which they are run."""
        return tuple(self.headline)

    def main(self, arguments: list[str] | None = None) -> None:
        """Run the parts that were asked for and print the result."""
        options = self._parser().parse_args(arguments)
        earlier = json.loads(options.keep.read_text()) if options.keep else {}
        if earlier and earlier["is_quick"] != options.quick:
            raise SystemExit(f"{options.keep} and this run are not both quick, or both full: leave out --keep")
        result = self.measure(tuple(options.only or self.parts), options.quick, options.jobs, earlier)
        text = json.dumps(result)
        if options.output:
            write(options.output, text + "\n")
        print(text)

    def measure(
        self, parts: tuple[str, ...], is_quick: bool, jobs: int, earlier: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Headline numbers, the machine, and the section of each part; those not run are as in `earlier`."""
        kept = earlier or {}
        sections = {part: kept[part] for part in self.parts if part in kept}
        for part in (name for name in self.parts if name in parts):
            module = importlib.import_module(f"benchmarks.{self.name}.{part}")  # heavy imports only where needed
            begun = time.monotonic()
            section = module.run(module.QUICK if is_quick else module.FULL, jobs)
            sections[part] = {"seconds": time.monotonic() - begun, **section}
        headline = {key: sections.get(part, {}).get(key) for part, keys in self.headline.items() for key in keys}
        return rounded(
            {
                "benchmark": self.name,
                **headline,
                "is_quick": is_quick,
                "seconds": sum(section["seconds"] for section in sections.values()),
                "machine": machine() | {"jobs": jobs},
                **sections,
            }
        )

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}", description=self.says)
        parts = ", ".join(self.parts)
        parser.add_argument("--quick", action="store_true", help="minutes instead of half an hour, and rougher numbers")
        parser.add_argument("--only", nargs="+", choices=self.parts, metavar="PART", help=f"some of: {parts}")
        parser.add_argument("--jobs", type=int, default=2, help="processes for simulations and trainings (default 2)")
        parser.add_argument("--keep", type=Path, metavar="FILE", help="take parts that are not run from this result")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
        return parser


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def write(path: Path, text: str) -> None:
    """Write a whole file or none: a run that is killed leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
