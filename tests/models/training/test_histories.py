"""Histories: what is used, what counts how much, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.histories import NAMES, history

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "all": {},
    "recent": {"days": 30},
    "fading": {"half_life_days": 30},
    "seasonal": {"days": 30},
    "rare": {"days": 30, "share": 0.1},
}


def weights(name: str, days_ago: list[float], labels: list[Any] | None = None, **changes: Any) -> list[float]:
    times = pd.Series([pd.Timestamp(UNTIL) - pd.Timedelta(days=days) for days in days_ago], dtype="datetime64[ns, UTC]")
    found = pd.Series(labels if labels is not None else [0.0] * len(days_ago))
    return history(name, **ARGUMENTS[name] | changes).weights(times, found, UNTIL).tolist()


def test_every_history_is_named_here() -> None:
    assert set(ARGUMENTS) == set(NAMES)


def test_all_uses_every_row_alike() -> None:
    assert weights("all", [1, 400, 4_000]) == [1, 1, 1]


def test_recent_uses_the_last_days() -> None:
    assert weights("recent", [1, 30, 30.01, 400]) == [1, 1, 0, 0]


def test_fading_halves_with_each_half_life() -> None:
    assert weights("fading", [0, 30, 60, 300]) == pytest.approx([1, 0.5, 0.25, 2**-10])


def test_seasonal_adds_the_same_weeks_of_earlier_years_and_those_that_followed() -> None:
    # 10 days ago; half a year ago; a year and 20 days ago; a year ago but 20 days later; two years ago.
    assert weights("seasonal", [10, 180, 385, 345, 730.5]) == [1, 0, 1, 1, 1]


def test_rare_keeps_old_rows_of_rare_classes() -> None:
    labels = ["b", "a", "b"] + ["a"] * 17
    assert weights("rare", [1, 100, 100] + [100.0] * 17, labels, share=0.2) == [1, 0, 1] + [0] * 17
    assert weights("rare", [1, 100, 100] + [100.0] * 17, labels, share=0.05) == [1] + [0] * 19


def test_rare_takes_zeros_and_ones_for_classes() -> None:
    assert weights("rare", [100.0] * 20, [1.0] + [0.0] * 19) == [1] + [0] * 19


def test_rare_keeps_old_rows_in_both_tails_of_a_number() -> None:
    found = weights("rare", [100.0] * 101, [float(value) for value in range(101)], share=0.1)
    assert found == [1] * 5 + [0] * 91 + [1] * 5


@pytest.mark.parametrize("name", NAMES)
@given(days_ago=st.lists(st.floats(0, 5_000), max_size=30))
def test_weights_are_finite_and_never_negative(name: str, days_ago: list[float]) -> None:
    found = np.array(weights(name, days_ago))
    assert found.shape == (len(days_ago),)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_now_is_used_by_every_history(name: str) -> None:
    assert weights(name, [0.0, 0.5]) == pytest.approx([1, 1], abs=0.02)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("newest", {}, r"no history is called 'newest'; choose one of all, recent, fading, seasonal, rare"),
        ("recent", {}, r"the history recent takes days: missing a required argument: 'days'"),
        ("all", {"days": 3}, r"the history all takes no arguments: got an unexpected keyword argument 'days'"),
        ("recent", {"days": 0}, r"days=0 of the history recent means nothing; give a number above 0"),
        ("recent", {"days": "30"}, r"days='30' of the history recent means nothing; give a number above 0"),
        ("recent", {"days": float("nan")}, r"days=nan of the history recent means nothing"),
        (
            "rare",
            {"days": 3, "share": 1.0},
            r"share=1.0 of the history rare means nothing; give a number between 0",
        ),
    ],
)
def test_what_a_history_does_not_know_is_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        history(name, **arguments)
