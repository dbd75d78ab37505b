"""The gate's claims, measured on rows whose truth is known, on spoilt trainings, and with a stopwatch.

    python -m benchmarks.gate [--quick] [--only PART ... [--keep FILE]] [--jobs N] [--output FILE]

The last line on stdout is one JSON object with the headline numbers at its top and a section for each part, which
holds the whole table of cells; `--output` writes it to a file as well, whole or not at all. How it goes is said on
stderr. Each part says in its docstring what is measured: `false_promotions` (challengers no better), `harmful` (worse),
`power`, `guarded` (what guardrails cost), `life` (many decisions in a row), `poison` (real trainings), `speed`. Where a
part was not run, its headline numbers are null. Simulated numbers are the same for every number of jobs; times and
memory are this machine's.
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
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gate.work import rounded

HEADLINE = {
    "false_promotions": ("false_promotion_max", "false_promotion_mean"),
    "harmful": ("harmful_promotion_max",),
    "power": ("power_ratio_min",),
    "guarded": (),
    "life": ("life_false_promotion",),
    "poison": ("poison_promoted",),
    "speed": ("speedup_vs_bootstrap", "seconds_1e6", "extra_gib_1e6"),
}
PARTS = tuple(HEADLINE)


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that were asked for and print the result."""
    options = _parser().parse_args(arguments)
    earlier = json.loads(options.keep.read_text()) if options.keep else {}
    if earlier and earlier["is_quick"] != options.quick:
        raise SystemExit(f"{options.keep} and this run are not both quick, or both full: leave out --keep")
    result = measure(tuple(options.only or PARTS), options.quick, options.jobs, earlier)
    text = json.dumps(result)
    if options.output:
        write(options.output, text + "\n")
    print(text)


def measure(
    parts: tuple[str, ...], is_quick: bool, jobs: int, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Headline numbers, the machine, and the section of each part; those that are not run are as in `earlier`."""
    kept = earlier or {}
    sections = {part: kept[part] for part in PARTS if part in kept}
    for part in (name for name in PARTS if name in parts):
        module = importlib.import_module(f"benchmarks.gate.{part}")  # torch only where a part needs it
        begun = time.monotonic()
        section = module.run(module.QUICK if is_quick else module.FULL, jobs)
        sections[part] = {"seconds": time.monotonic() - begun, **section}
    headline = {key: sections.get(part, {}).get(key) for part, keys in HEADLINE.items() for key in keys}
    return rounded(
        {
            "benchmark": "gate",
            **headline,
            "is_quick": is_quick,
            "seconds": sum(section["seconds"] for section in sections.values()),
            "machine": machine() | {"jobs": jobs},
            **sections,
        }
    )


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="minutes instead of half an hour, and rougher numbers")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--jobs", type=int, default=2, help="processes for simulations and trainings (default 2)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="take the parts that are not run from this result")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
    return parser


if __name__ == "__main__":
    main()
