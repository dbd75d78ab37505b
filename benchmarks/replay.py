"""What a replayed year is worth: the champions' log loss against the first model, had it never been retrained.

    python -m benchmarks.replay [--config configs/flights.yaml] [--seeds 3] [--set schedule.baseline_days=14]

Runs the replay once a seed (of weights and of the order of rows; the data are the same), prints progress to stderr and
one JSON object last. One seed of the flights takes one to two minutes on two idle cores. Training on another processor
rounds differently and then behaves like another seed: look at the spread, not at one number.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from configs.schema import load


def main() -> None:
    """Replay once a seed and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description="what a replayed year is worth")
    parser.add_argument("--config", default="configs/flights.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the YAML")
    arguments = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "disabled")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("PREFECT_HOME", f"{folder}/prefect")
        seeds = range(arguments.seeds)
        runs = [_replay(arguments.config, tuple(arguments.set), seed, Path(folder) / str(seed)) for seed in seeds]
    improvements = [run["improvement"] for run in runs]
    result = {
        "benchmark": "replay",
        "config": arguments.config,
        "overrides": arguments.set,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "runs": runs,
        "improvement_mean": statistics.mean(improvements),
        "improvement_min": min(improvements),
        "improvement_max": max(improvements),
    }
    print(json.dumps(result))


def _replay(config: str, overrides: tuple[str, ...], seed: int, storage: Path) -> dict[str, Any]:
    from flows import embedded  # after PREFECT_HOME is set: Prefect reads it once
    from flows.lines import quieten
    from flows.replay import replay

    quieten()
    embedded.wait()
    started = time.monotonic()
    year = replay(load(config, (*overrides, f"training.seed={seed}", f"storage={storage}")))
    run = {
        "seed": seed,
        "log_loss": year.loss,
        "never_retrained": year.static_loss,
        "improvement": year.improvement,
        "seconds": time.monotonic() - started,
        **{kind: year.count(kind) for kind in ("promoted", "rejected", "inconclusive", "declined")},
    }
    print(json.dumps(run), file=sys.stderr, flush=True)
    return run


if __name__ == "__main__":
    main()
