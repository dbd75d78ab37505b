"""What kills at random instants leave behind, on a real server with a real worker.

    python -m benchmarks.chaos [--quick] [--rounds N] [--seed N] [--output FILE]

Each round asks for five runs at once (two retrains for one moment, one for another, two of score), sends SIGKILL or
SIGTERM to the worker, to a flow or to the server at a random instant, promotes another version by hand a moment later,
starts again what was killed, and asks again for what nobody works on any more, until everything has its answer. Then it
is checked that the log is unbroken, that every attempt has one answer, decided against the champion of its moment, that
versions are whole and no row was scored twice. In the end no run may be left under way for longer than `STUCK_SECONDS`:
two automations set runs without a process to Crashed.

One JSON object comes last: `lost` and `stuck` are what is to be zero, and `faults` says in words what was found.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import small_project
from benchmarks.chaos import check
from benchmarks.chaos.rounds import STEP, STUCK_SECONDS, Round, begin, kills, play, settle
from benchmarks.chaos.site import BreakableSite
from benchmarks.parts import machine, write
from benchmarks.work import rounded
from models.registry.registry import Registry

QUICK, FULL = 3, 30


def main() -> None:
    """Break a site, and print what was left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds instead of {FULL}")
    parser.add_argument("--rounds", type=int, help="so many rounds")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, how and when")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to a file too")
    arguments = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends the site too
    number = arguments.rounds or (QUICK if arguments.quick else FULL)
    with tempfile.TemporaryDirectory(prefix="perennial-chaos-") as folder:
        result = run(Path(folder), number, arguments.seed) | {"is_quick": arguments.quick}
    text = json.dumps(rounded(result))
    if arguments.output:
        write(arguments.output, text + "\n")
    print(text)


def run(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """So many rounds in a folder, and what they left."""
    draw, started, rounds = random.Random(seed), time.monotonic(), list[Round]()
    site, registry = BreakableSite(folder), Registry.open(folder / ".perennial", small_project.NAME)
    try:
        site.open(num_days=(small_project.FIRST - small_project.START).days + (number + 2) * STEP.days)
        begin(site, registry)
        for place, kill in zip(range(number), kills(draw), strict=False):
            rounds.append(play(site, registry, place, kill, draw))
            print(f"{place + 1} of {number}: {asdict(rounds[-1])}", file=sys.stderr, flush=True)
        stuck = settle(site)
        states = Counter(site.states().values())
    finally:
        site.close()
    faults = [fault for each in rounds for fault in each.faults]
    faults += check.broken(registry) + check.without_a_champion(registry)
    faults += [f"{version} is not whole" for version in check.incomplete(registry)]
    entries = registry.log.read().entries
    return {
        "benchmark": "chaos",
        "rounds": number,
        "lost": len(faults),
        "stuck": stuck,
        "stuck_after_seconds": STUCK_SECONDS,
        "duplicates": check.duplicates(registry),
        "faults": faults,
        "num_hit": sum(each.was_hit for each in rounds),
        "num_overruled": sum(each.was_overruled for each in rounds),
        "num_reruns": sum(each.num_reruns for each in rounds),
        "kills": dict(Counter(f"{each.how} of {each.target}" for each in rounds if each.was_hit)),
        "entries": dict(Counter(entry.kind for entry in entries)),
        "runs": dict(states),
        "unfinished_versions": check.unfinished(registry),
        "seed": seed,
        "seconds": time.monotonic() - started,
        "machine": machine(),
        "each": [asdict(each) for each in rounds],
    }


if __name__ == "__main__":
    main()
