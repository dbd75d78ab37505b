"""Data quality: a broken feed is seen, and a sound one is left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.monitoring.quality import Expectations, Limits, check_quality

LIMITS = Limits(missing_share=0.2, unseen_share=0.2, out_of_range_share=0.2, volume_ratio=3.0)
NUMBERS, CATEGORIES = ("distance", "seats"), ("carrier",)
ROWS_A_DAY = 100


def rows(num_days: int, seed: int = 0, missing: float = 0.1) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    num_rows = num_days * ROWS_A_DAY
    frame = pd.DataFrame(
        {
            "distance": generator.gamma(2, 500, num_rows),
            "seats": generator.integers(50, 300, num_rows).astype(float),
            "carrier": generator.choice(["UA", "B6", "AA"], num_rows),
        }
    )
    frame.loc[generator.random(num_rows) < missing, "seats"] = np.nan
    frame.loc[generator.random(num_rows) < missing, "carrier"] = None
    return frame


EXPECTED = Expectations.learn(rows(60), len(rows(60)) / 60, NUMBERS, CATEGORIES)


def broken(frame: pd.DataFrame, num_days: float = 7, expected: Expectations = EXPECTED) -> list[tuple[str, str | None]]:
    checks = check_quality(frame, len(frame) / num_days, expected, LIMITS)
    return [(check.name, check.column) for check in checks if check.is_broken]


@given(seed=st.integers(1, 100_000), num_days=st.integers(1, 30))
@settings(deadline=None, max_examples=40)
def test_rows_like_those_of_training_are_not_flagged(seed: int, num_days: int) -> None:
    assert broken(rows(num_days, seed), num_days) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda f: f.assign(distance=f["distance"].where(f.index % 2 == 0)), ("missing share", "distance")),
        (lambda f: f.assign(carrier=f["carrier"].where(f.index % 2 == 0, None)), ("missing share", "carrier")),
        (lambda f: f.assign(distance=np.nan), ("missing share", "distance")),
        (lambda f: f.assign(distance=1_000 * f["distance"]), ("share far out of range", "distance")),
        (lambda f: f.assign(distance=-f["distance"] - 20_000), ("share far out of range", "distance")),
        (lambda f: f.assign(carrier=f["carrier"].str.lower()), ("share of unseen values", "carrier")),
        (lambda f: f.assign(carrier="ZZ"), ("share of unseen values", "carrier")),
        (lambda f: pd.concat([f] * 4, ignore_index=True), ("rows a day", None)),
        (lambda f: f.iloc[: len(f) // 4], ("rows a day", None)),
        (lambda f: f.iloc[:0], ("rows a day", None)),
    ],
)
def test_each_fault_is_flagged_in_its_column_alone(
    change: Callable[[pd.DataFrame], pd.DataFrame], found: tuple[str, str | None]
) -> None:
    assert broken(change(rows(7, seed=1))) == [found]


def test_the_check_names_what_was_found_and_its_limit() -> None:
    checks = check_quality(rows(7).assign(carrier="ZZ"), len(rows(7)) / 7, EXPECTED, LIMITS)
    assert [check.sentence for check in checks if check.is_broken] == [
        "share of unseen values of carrier is 1 (limit 0.2)"
    ]
    assert checks[0].sentence == "rows a day is 100 (limit 300)"


def test_a_season_that_moves_a_column_by_less_than_its_range_is_no_fault() -> None:
    frame = rows(7)
    low, high = EXPECTED.ranges["seats"]
    assert broken(frame.assign(seats=frame["seats"] + 0.9 * (high - low))) == []


def test_a_column_that_was_constant_may_move_by_its_size() -> None:
    expected = Expectations.learn(rows(60).assign(seats=100.0), len(rows(60)) / 60, NUMBERS, CATEGORIES)
    assert broken(rows(7).assign(seats=190.0), expected=expected) == []
    assert broken(rows(7).assign(seats=210.0), expected=expected) == [("share far out of range", "seats")]


def test_a_column_that_was_never_there_has_no_range() -> None:
    expected = Expectations.learn(rows(60).assign(seats=np.nan, carrier=None), len(rows(60)) / 60, NUMBERS, CATEGORIES)
    assert broken(rows(7).assign(carrier=None), expected=expected) == []
    assert broken(rows(7), expected=expected) == [("share of unseen values", "carrier")]


@given(seed=st.integers(0, 1_000), num_days=st.integers(1, 10))
@settings(deadline=None, max_examples=20)
def test_expectations_come_back_from_json(seed: int, num_days: int) -> None:
    expected = Expectations.learn(rows(num_days, seed), len(rows(num_days, seed)) / num_days, NUMBERS, CATEGORIES)
    assert Expectations.from_json(expected.to_json()) == expected


def test_a_column_that_the_champion_was_trained_with_may_not_go() -> None:
    with pytest.raises(ValueError, match=r"rows have no column 'seats', .*data\.numbers"):
        check_quality(rows(7).drop(columns="seats"), 100.0, EXPECTED, LIMITS)
