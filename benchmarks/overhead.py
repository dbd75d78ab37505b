"""What a retrain takes besides reading rows and training, part by part, on the embedded server and on a running one.

    python -m benchmarks.overhead [--quick] [--output FILE]

A small project has a champion; then retrains of further moments are run as a person runs them, each in a process of its
own, and timed from the start of the process to its end. What is spent in the source and in trainings is taken off. The
rest is interpreter and imports (while which an embedded server starts), what it keeps the command waiting after that,
the start of the run, the steps, and the end of the process, which waits until Prefect has been told everything. The
median run is told. W&B is off: it is optional, and offline it adds its own process. On each server it is measured
twice: in new interpreters, as a person's command begins, and in processes that have imported beforehand, as a run of
`flows.worker` does (`python -m tasks.warm`).

The aims are 10 seconds on the embedded server and 5 on a running one, on two idle cores. One JSON object comes last.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks import small_project
from benchmarks.parts import machine, write
from benchmarks.site import Site
from benchmarks.work import rounded

QUICK, FULL = 1, 5
STEP = timedelta(days=2)
AIMS = {"embedded": 10.0, "embedded_warm": 10.0, "running": 5.0, "running_warm": 5.0}
STEPS = (
    "begin",
    "ingest",
    "inspect",
    "foresee",
    "object_to",
    "choose_arms",
    "train",
    "decide",
    "publish_decision",
    "write_decision",
)


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} run instead of {FULL} in each way")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
    parser.add_argument("--one", nargs=3, metavar=("YAML", "AS_OF", "STARTED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        path, as_of, started = arguments.one
        print(json.dumps(one(path, datetime.fromisoformat(as_of), float(started))))
        return
    result = measure(QUICK if arguments.quick else FULL) | {"is_quick": arguments.quick}
    text = json.dumps(rounded(result))
    if arguments.output:
        write(arguments.output, text + "\n")
    print(text)


def measure(number: int) -> dict[str, Any]:
    """So many retrains in each way."""
    begun = time.monotonic()
    found: dict[str, Any] = {}
    for way in AIMS:
        with tempfile.TemporaryDirectory(prefix="perennial-overhead-") as folder:
            found[way] = _on(way, Path(folder), number)
    return {
        "benchmark": "overhead",
        **{f"{way}_seconds": found[way]["seconds"] for way in AIMS},
        "aims": AIMS,
        **found,
        "seconds": time.monotonic() - begun,
        "machine": machine(),
    }


def one(path: str, as_of: datetime, started: float) -> dict[str, float]:
    """Retrain in this process, which was started at `started` on the clock, and say where the seconds went."""
    from flows import embedded

    embedded.begin()  # first of all, as for a command
    from configs.schema import load
    from flows.lines import quieten
    from flows.retrain import retrain as story
    from models.data.source import Parquet
    from tasks.arms import Bench

    spent: dict[str, float] = defaultdict(float)
    spent["interpreter and imports"] = time.time() - started
    quieten()
    with _clock(spent, "waiting for the embedded server"):
        embedded.wait()
    _time_method(Parquet, "__call__", spent, "reading")
    _time_method(Bench, "train", spent, "training")
    _load_first(Bench, "train", spent)
    module: Any = sys.modules["flows.retrain"]
    for name in STEPS:
        setattr(module, name, _timed(getattr(module, name), spent, name))
    first = _first_call(module, "turn")
    called = time.monotonic()
    story(load(path), as_of)
    spent["begin of the run"] = first[0] - called
    steps = sum(spent[name] for name in STEPS)
    spent["between and after the steps"] = time.monotonic() - first[0] - steps
    spent["train"] -= spent["training"] + spent["loading the trainer"]
    return dict(spent) | {"returned": time.time()}


def _on(way: str, folder: Path, number: int) -> dict[str, Any]:
    small_project.write(folder, (small_project.FIRST - small_project.START).days + (number + 2) * STEP.days)
    site = Site(folder)
    if way.startswith("running"):
        site.start_server()
    try:
        _process(site, way, small_project.FIRST)  # the first champion, and what is made once in a new PREFECT_HOME
        runs = [_process(site, way, small_project.FIRST + (place + 1) * STEP) for place in range(number)]
    finally:
        site.close()
    total = [run["seconds"] for run in runs]
    middle = runs[total.index(statistics.median_low(total))]
    seconds = middle.pop("seconds")
    return {"seconds": seconds, "is_within_aim": seconds <= AIMS[way], "parts": middle, "each": sorted(total)}


def _process(site: Site, way: str, as_of: datetime) -> dict[str, float]:
    """One retrain in a process of its own: each part in seconds, and their sum without reading and training."""
    # A person's command has no heartbeat, whose thread takes a second to end; a worker's run has one.
    left_out = {"PREFECT_API_URL", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"}
    environment = {name: value for name, value in site.environment().items() if name not in left_out}
    if way.startswith("running"):
        environment["PREFECT_API_URL"] = site.api
    started = time.time()
    begin = ["-m", "tasks.warm"] if way.endswith("_warm") else ["-m"]
    command = [sys.executable, *begin, "benchmarks.overhead", "--one", f"{small_project.NAME}.yaml", as_of.isoformat()]
    done = subprocess.run(
        [*command, str(started)], cwd=site.folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    ended = time.time()
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    parts["end of the process"] = ended - parts.pop("returned")
    taken_off = {name: parts.pop(name, 0.0) for name in ("reading", "training")}
    print(f"{way}: {ended - started:.1f} s, of which {taken_off}", file=sys.stderr, flush=True)
    return parts | {"seconds": ended - started - sum(taken_off.values())}


def _timed(function: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    @wraps(getattr(function, "fn", function))
    def timed(*args: Any, **arguments: Any) -> Any:
        with _clock(spent, name):
            return function(*args, **arguments)

    return timed


def _time_method(owner: type[Any], method: str, spent: dict[str, float], name: str) -> None:
    setattr(owner, method, _timed(getattr(owner, method), spent, name))


def _load_first(owner: type[Any], method: str, spent: dict[str, float]) -> None:
    """Load what trains before the method is called, which would do it otherwise: it is no training yet."""
    train = getattr(owner, method)

    @wraps(train)
    def loaded(*args: Any, **arguments: Any) -> Any:
        with _clock(spent, "loading the trainer"):
            importlib.import_module("models.training.fit")
        return train(*args, **arguments)

    setattr(owner, method, loaded)


def _first_call(module: Any, name: str) -> list[float]:
    """When a function of a module is first called: the list is filled by then."""
    moments: list[float] = []
    function = getattr(module, name)

    @wraps(function)
    def noted(*args: Any, **arguments: Any) -> Any:
        moments.append(time.monotonic())
        return function(*args, **arguments)

    setattr(module, name, noted)
    return moments


@contextmanager
def _clock(spent: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        spent[name] += time.monotonic() - started


if __name__ == "__main__":
    main()
