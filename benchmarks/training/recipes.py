"""The table of all recipes and histories, the bad ones too, walking as `benchmarks.training.walk` does.

Every arm goes its way beside scratch and static. One seed and two thirds of the rows, since five trainings from scratch
a period take most of the time: two arms whose losses are less than a hundredth apart are not told apart by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.training import walk

QUICK = replace(walk.QUICK, streams=("california",), num_rows=6_000, num_periods=3, epochs=4, only=())
FULL = replace(walk.FULL, seeds=(0,), num_rows=20_000, only=())
KEPT = ("gain_of_scratch", "left_out_of_gain", "table", "loss_by_stream")


def run(size: walk.Size, jobs: int) -> dict[str, Any]:
    """What each arm loses, gains and costs, in the mean and by stream."""
    found = walk.run(size, jobs)
    return {key: found[key] for key in KEPT}
