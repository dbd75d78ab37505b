"""The benchmarks of streaming and of growth run, on settings that take seconds, and the bound is a real one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.training import growth, streaming, tables

pytestmark = pytest.mark.slow


def test_a_table_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    num_bytes = tables.write(path, 70_000)
    frame = pd.read_parquet(path)
    assert num_bytes == path.stat().st_size
    assert streaming.BYTES_A_ROW <= num_bytes / len(frame) < 1.05 * streaming.BYTES_A_ROW
    assert list(frame) == ["event_time", *tables.NUMBERS, *tables.CATEGORIES, "label"]
    assert frame["event_time"].is_monotonic_increasing
    assert [frame[name].nunique() for name in tables.CATEGORIES] == list(tables.CARDINALITIES)
    assert frame["label"].corr(frame["number_0"]) > 0.2


def test_streaming_compares_a_pass_within_the_bound_with_one_in_memory() -> None:
    size = streaming.Size(64, stream_mib=16, times_larger=1, batch_size=512, rows_in_memory=20_000, num_repeats=1)
    found = streaming.run(size, jobs=1)
    assert found["table_to_memory"] >= 1
    assert 0 < found["peak_mib"] <= 64
    rates = found["rows_per_second"]
    assert found["streaming_ratio"] == pytest.approx(rates["streamed"][0] / (sum(rates["in_memory"]) / 2))
    assert found["loss"]["streamed"] < 0.69


def test_memory_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    tables.write(path, 20_000)
    given = {"kind": "stream", "path": str(path), "allowed_mib": 4, "stream_mib": 16}
    rest = {"times_larger": 1, "batch_size": 512, "rows_in_memory": 0, "num_repeats": 1}
    with pytest.raises(RuntimeError, match=r"(?i)memory|malloc"):
        tables.in_a_process("benchmarks.training.streaming", given | rest, streaming.FRUGAL, streaming.STACK_KIB)


def test_growth_is_measured_in_memory_and_streamed() -> None:
    found = growth.run(growth.Size((2_000, 20_000)), jobs=1)
    assert [(row["rows"], row["way"]) for row in found["table"]] == [
        (2_000, "memory"),
        (2_000, "stream"),
        (20_000, "memory"),
        (20_000, "stream"),
    ]
    assert found["growth"]["rows"] == 10
    assert all(found["growth"][way]["seconds_ratio"] > 0 for way in growth.WAYS)
    memory, stream = found["table"][2:]
    assert memory["loss"] == pytest.approx(stream["loss"], abs=0.05), "both train on the same rows"
