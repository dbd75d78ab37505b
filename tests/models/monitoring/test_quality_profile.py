"""Profiles: a day is counted once, and counts add up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.contract import Columns
from models.monitoring.quality import Layout, Profile, profile_days
from models.monitoring.quality.companions import CALENDAR, Companion
from models.monitoring.quality.distances import jensen_shannon
from models.monitoring.quality.tables import best_relabelling, conditional_distance

COLUMNS = Columns("id", "time", "y", ("x", "z"), ("a", "b"))
START = datetime(2024, 3, 1, tzinfo=UTC)


def rows(num_rows: int, seed: int = 0, num_days: int = 3) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(0, num_days * 86_400, num_rows))
    frame = pd.DataFrame(
        {
            "id": np.arange(num_rows),
            "time": pd.Timestamp(START) + pd.to_timedelta(times, unit="s"),
            "x": generator.normal(size=num_rows),
            "z": generator.integers(0, 4, num_rows).astype(float),
            "a": generator.choice(["p", "q", "r"], num_rows),
            "b": generator.choice(["u", "v"], num_rows),
            "y": generator.choice([0.0, 1.0, np.nan], num_rows),
        }
    )
    frame.loc[generator.random(num_rows) < 0.2, "x"] = np.nan
    frame.loc[generator.random(num_rows) < 0.2, "a"] = None
    return frame.astype({"a": object, "b": object})


LAYOUT = Layout.learn(rows(500), COLUMNS)


def profile(frame: pd.DataFrame, num_days: int = 3, layout: Layout = LAYOUT) -> list[Profile]:
    return profile_days(frame, layout, COLUMNS, START, START + timedelta(days=num_days))


def counts(day: Profile) -> np.ndarray:
    """Everything of a profile that is a count of rows by themselves."""
    whole = [day.rows, day.labelled, day.positives or 0]
    numbers = [value for column in day.numbers.values() for value in (column.missing, column.far_out, *column.counts)]
    categories = [
        value
        for column in day.categories.values()
        for value in (column.missing, column.unseen, column.rare, *(column.counts.get(name, 0) for name in "pqruv"))
    ]
    tables = [cell for column in day.categories.values() for row in column.table for cell in row]
    return np.array(whole + numbers + categories + tables)


@given(seed=st.integers(0, 10_000), split=st.integers(0, 200))
@settings(deadline=None, max_examples=25)
def test_the_counts_of_a_day_are_the_sums_of_those_of_its_parts(seed: int, split: int) -> None:
    frame = rows(200, seed, num_days=1).assign(a=lambda f: f["a"].replace({"r": "new"}), x=lambda f: 5 * f["x"])
    chosen = np.random.default_rng(seed).permutation(200) < split
    (whole,) = profile(frame, 1)
    (one,), (other,) = (profile(frame[part].reset_index(drop=True), 1) for part in (chosen, ~chosen))
    assert (counts(whole) == counts(one) + counts(other)).all()


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_the_order_of_rows_matters_to_runs_and_sequences_alone(seed: int) -> None:
    frame = rows(150, seed, num_days=1)
    frame["time"] = frame["time"].dt.floor("D")
    shuffled = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    (day,), (other) = profile(frame, 1), profile(shuffled, 1)[0]
    assert (counts(day) == counts(other)).all()
    assert (day.repeated, day.seen) == (other.repeated, other.seen)
    assert [c.deciles for c in day.numbers.values()] == [c.deciles for c in other.numbers.values()]
    assert [c.top for c in day.numbers.values()] == [c.top for c in other.numbers.values()]


@given(seed=st.integers(0, 10_000), num_rows=st.integers(0, 300))
@settings(deadline=None, max_examples=25)
def test_profiles_agree_with_pandas_and_come_back_from_json(seed: int, num_rows: int) -> None:
    frame = rows(num_rows, seed)
    days = profile(frame)
    assert [Profile.from_dict(json.loads(json.dumps(day.to_dict(), allow_nan=False))) for day in days] == days
    assert [day.day for day in days] == ["2024-03-01", "2024-03-02", "2024-03-03"]
    for day in days:
        own = frame[frame["time"].dt.date.astype(str) == day.day]
        values = own["x"].dropna()
        x, z, a = day.numbers["x"], day.numbers["z"], day.categories["a"]
        assert (day.rows, day.labelled, day.positives) == (len(own), own["y"].count(), (own["y"] == 1).sum())
        assert (x.missing, x.distinct, sum(x.counts)) == (own["x"].isna().sum(), values.nunique(), len(values))
        assert a.counts == own["a"].value_counts().to_dict()
        if len(values):
            assert x.deciles == pytest.approx(values.quantile(np.linspace(0.1, 0.9, 9)).tolist())
            assert z.top == own["z"].value_counts().max()
            runs = (own["z"] != own["z"].shift()).cumsum()
            assert z.longest_run == runs.value_counts().max()


def test_a_local_day_begins_at_local_midnight_and_is_whole_only_if_it_was_read_whole() -> None:
    columns = Columns("id", "time", "y", ("x", "z"), ("a", "b"), timezone="America/New_York")
    frame = rows(300)
    days = profile_days(frame, LAYOUT, columns, START, START + timedelta(days=3))
    assert [(day.day, day.is_complete) for day in days] == [
        ("2024-02-29", False),
        ("2024-03-01", True),
        ("2024-03-02", True),
        ("2024-03-03", False),
    ]
    assert sum(day.rows for day in days) == 300
    # The day on which clocks are put forward has 23 hours.
    spring = datetime(2024, 3, 10, 5, tzinfo=UTC)
    (day,) = profile_days(frame, LAYOUT, columns, spring, spring + timedelta(hours=23))
    assert (day.day, day.is_complete, day.rows) == ("2024-03-10", True, 0)


def test_a_whole_day_without_rows_has_a_profile_and_rows_outside_the_span_have_none() -> None:
    frame = rows(300)
    days = profile(frame[frame["time"].dt.day != 2])
    assert [day.rows > 0 for day in days] == [True, False, True]
    assert days[2].longest_gap > 86_400
    assert days[1].numbers["x"].deciles is None
    assert sum(day.rows for day in profile(frame, 1)) == (frame["time"].dt.day == 1).sum()


def test_repeated_rows_are_counted_once_less_than_they_come() -> None:
    frame = rows(100, num_days=1).assign(x=np.arange(100.0))
    three = pd.concat([frame] * 3).sort_values("time", kind="stable", ignore_index=True)
    (day,) = profile(three, 1)
    assert (day.rows, day.repeated, day.seen) == (300, 200, 200)
    (sound,) = profile(frame, 1)
    assert (sound.repeated, sound.resent) == (0, 0)


def test_a_sequence_is_recognised_for_a_week_and_not_longer() -> None:
    frame = rows(100, num_days=1).assign(x=np.arange(100.0))
    for days_later, is_seen in ((1, True), (7, True), (8, False)):
        again = frame.assign(time=frame["time"] + pd.Timedelta(days=days_later))
        last = profile(pd.concat([frame, again], ignore_index=True), days_later + 1)[-1]
        assert (last.seen, last.resent) == ((100, 100) if is_seen else (0, 0))


def test_values_at_the_edges_of_training_lie_within_it() -> None:
    frame = rows(500)
    edge = frame["x"].abs().max() * 2
    day = profile(frame.assign(x=np.where(frame.index % 2, frame["x"].max(), frame["x"].min())))[0].numbers["x"]
    assert day.counts[0] == day.counts[-1] == 0
    outside = profile(frame.assign(x=np.where(frame.index % 2, edge, -edge)))[0].numbers["x"]
    assert outside.counts[0] + outside.counts[-1] == sum(outside.counts)


def test_groups_of_a_companion_hold_every_row() -> None:
    frame = rows(200)
    for companion in (Companion("x", cuts=(-1.0, 0.0, 1.0)), Companion("a", groups=("p", "q")), Companion(CALENDAR)):
        codes = companion.codes(frame, COLUMNS)
        assert ((codes >= 0) & (codes < companion.num_groups)).all()
    assert (Companion(CALENDAR).codes(frame, COLUMNS) == frame["time"].dt.dayofweek).all()
    assert (Companion("x", cuts=(0.0,)).codes(frame, COLUMNS)[frame["x"].isna()] == 2).all()


@given(st.permutations(range(5)))
@settings(deadline=None, max_examples=20)
def test_the_best_relabelling_finds_the_permutation(order: list[int]) -> None:
    table = np.random.default_rng(0).integers(50, 500, (5, 6)) * np.eye(5, 6, dtype=int) + 30
    found = best_relabelling(table, table[order])
    assert found.after == pytest.approx(0.0, abs=1e-12)
    assert sorted(found.moved) == [(row, meant) for row, meant in enumerate(order) if row != meant]
    assert conditional_distance(table, table * np.array([[1], [2], [3], [4], [5]])) == pytest.approx(0, abs=1e-12)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.lists(st.integers(0, 50), min_size=4, max_size=4))
@settings(deadline=None)
def test_jensen_shannon_distance_is_that_of_scipy(first: list[int], second: list[int]) -> None:
    from scipy.spatial.distance import jensenshannon

    found = jensen_shannon(first, second)
    if not sum(first) or not sum(second):
        assert found is None
    else:
        assert found == pytest.approx(jensenshannon(first, second, base=2), abs=1e-7)
