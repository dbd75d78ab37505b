"""What was computed once is not computed again, in this process or another, and never for other rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from models.monitoring.memo import Fingerprints, HeldMemo, StoredMemo
from tests.places import Place


@dataclass(frozen=True)
class Found:
    values: tuple[float, ...]
    note: str | None = None


ROWS = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "at": pd.date_range("2025-01-01", periods=3, tz="UTC"),
        "age": [1.0, np.nan, 3.0],
        "plan": ["a", None, "b"],
    }
)


def test_a_result_is_computed_once_and_comes_back_equal(place: Place) -> None:
    calls = []

    def compute() -> Found:
        calls.append(1)
        return Found((0.1, 1 / 3))

    for _ in range(3):
        assert StoredMemo(place.storage(), "own").once("drift", "key", Found, compute) == Found((0.1, 1 / 3))
    assert len(calls) == 1
    StoredMemo(place.storage(), "other").once("drift", "key", Found, compute)
    StoredMemo(place.storage(), "own").once("drift", "another", Found, compute)
    assert len(calls) == 3


def test_what_is_held_in_memory_lasts_as_long_as_the_memo() -> None:
    assert [HeldMemo().once("x", "key", int, lambda number=number: number) for number in (1, 2)] == [1, 2]
    one = HeldMemo()
    assert [one.once("x", "key", int, lambda number=number: number) for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize("is_stored", [False, True])
def test_of_several_only_the_missing_ones_are_computed_and_all_at_once(is_stored: bool, place: Place) -> None:
    memo = StoredMemo(place.storage(), "own") if is_stored else HeldMemo()
    asked: list[list[int]] = []

    def compute(places: Sequence[int]) -> list[int]:
        asked.append(list(places))
        return [10 * place for place in places]

    assert memo.each("x", ["a", "b", "c"], int, compute) == [0, 10, 20]
    assert memo.each("x", ["c", "d", "a", "e"], int, compute) == [20, 10, 0, 30]
    assert memo.each("x", ["c"], int, compute) == [20]
    assert asked == [[0, 1, 2], [1, 3]]


def test_equal_rows_have_equal_digests_and_others_have_others() -> None:
    prints = Fingerprints(ROWS)
    assert prints.of(slice(None), 1) == Fingerprints(ROWS.copy()).of(slice(0, 3), 1)
    assert prints.of(slice(None), 1) != prints.of(slice(None), 2)
    assert prints.of(slice(0, 2)) == Fingerprints(ROWS.head(2)).of(slice(None))
    assert prints.of(np.array([True, False, True])) == Fingerprints(ROWS.iloc[[0, 2]]).of(slice(None))


@pytest.mark.parametrize(
    "other",
    [
        ROWS.assign(age=[1.0, np.nan, 3.5]),
        ROWS.assign(plan=["a", "b", None]),
        ROWS.iloc[::-1],
        ROWS.rename(columns={"age": "years"}),
        ROWS.assign(plan=["a", "None", "b"]),
    ],
)
def test_any_other_value_order_or_name_has_another_digest(other: pd.DataFrame) -> None:
    assert Fingerprints(other).of(slice(None)) != Fingerprints(ROWS).of(slice(None))
