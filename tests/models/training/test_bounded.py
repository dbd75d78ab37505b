"""A window several times as large as the memory of the process is gathered, frozen, learned and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.training.streaming import FRUGAL, STACK_KIB
from benchmarks.training.tables import in_a_process

pytestmark = pytest.mark.slow
ROWS_A_DAY, NUM_DAYS, BYTES_A_ROW = 5_000, 200, 8 * 13 + 57  # ids, times, numbers and the label; a text as an object
ALLOWED_MIB = 64
AT_ONCE = FRUGAL | {"MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}  # slower, and nothing that was freed counts


def _run(folder: Path, way: str, **changes: int) -> dict[str, Any]:
    given = {"rows_a_day": ROWS_A_DAY, "allowed_mib": ALLOWED_MIB, "memory_mib": 16} | changes
    module = "tests.models.training.bounded"
    return in_a_process(module, {"folder": str(folder), "way": way} | given, AT_ONCE, STACK_KIB)


def test_all_from_the_source_to_the_model_keeps_a_bound_that_a_frame_does_not(tmp_path: Path) -> None:
    assert ROWS_A_DAY * NUM_DAYS * BYTES_A_ROW > 2 * ALLOWED_MIB * 2**20
    found = _run(tmp_path, "streamed")
    assert found["rows"] == ROWS_A_DAY * NUM_DAYS
    assert found["trained_on"] == ROWS_A_DAY * 180
    assert found["loss"] < 0.3
    with pytest.raises(RuntimeError, match=r"(?i)memory|malloc|allocate"):
        _run(tmp_path, "held")
