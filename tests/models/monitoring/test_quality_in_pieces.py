"""Days that are read a week at a time look as they do in one frame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.data.contract import Columns
from models.data.windows import between
from models.monitoring.quality import Expectations, Layout, profile_days
from models.monitoring.quality.in_pieces import learn_in_pieces, profile_in_pieces

START = datetime(2024, 3, 1, 7, tzinfo=UTC)  # the clocks of New York change on the tenth
END = START + timedelta(days=40, hours=5)
ZONES = ("UTC", "America/New_York")


def columns_of(task: str, timezone: str) -> Columns:
    return Columns("id", "time", "y", ("x",), ("a", "b"), timezone=timezone, task=task)  # type: ignore[arg-type]


def rows(task: str, num_rows: int = 8_000) -> pd.DataFrame:
    random = np.random.default_rng(0)
    times = np.sort(random.integers(0, int((END - START).total_seconds()), num_rows))
    a, x = random.choice(["p", "q", "r", None], num_rows), random.normal(size=num_rows)
    frame = pd.DataFrame(
        {
            "id": np.arange(num_rows),
            "time": pd.Timestamp(START) + pd.to_timedelta(times, unit="s"),
            "x": np.where(random.random(num_rows) < 0.2, np.nan, x),
            "a": a,
            "b": np.where(
                pd.isna(a) | (random.random(num_rows) < 0.1), "u", "v of " + pd.Series(a).fillna("").to_numpy()
            ),
            "y": {
                "binary": random.choice([0.0, 1.0, np.nan], num_rows),
                "regression": x**3,
                "multiclass": random.choice(["late", "on time", None], num_rows),
            }[task],
        }
    )
    again = frame["x"].to_numpy().copy()
    again[4_000:4_200] = again[3_000:3_200]  # sent again five days later
    frame[["a", "b"]] = frame[["a", "b"]].astype(object)
    frame.loc[4_000:4_199, ["a", "b"]] = frame.loc[3_000:3_199, ["a", "b"]].to_numpy()
    return frame.assign(x=again)


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_what_is_learned_a_week_at_a_time_is_what_is_learned_of_the_frame(task: str, timezone: str) -> None:
    frame, columns = rows(task), columns_of(task, timezone)

    def read(start: datetime, end: datetime) -> pd.DataFrame:
        return between(frame, "time", start, end)

    expected = Expectations.learn(frame, columns, START, END)
    assert learn_in_pieces(read, len(frame), columns, START, END, 64 * 2**20) == expected
    assert expected.layout.categories["b"].companion is not None


def test_no_more_than_two_weeks_are_read_at_once_and_rows_of_the_week_before_are_known() -> None:
    frame, columns, longest = rows("binary"), columns_of("binary", "UTC"), timedelta(0)

    def read(start: datetime, end: datetime) -> pd.DataFrame:
        nonlocal longest
        longest = max(longest, end - start)
        return between(frame, "time", start, end)

    layout, since = Layout.learn(frame, columns), START + timedelta(days=19)
    earliest = since - timedelta(days=7)
    found = profile_in_pieces(read, layout, columns, since, END, earliest)
    assert found == profile_days(between(frame, "time", earliest, END), layout, columns, since, END)
    assert sum(day.resent for day in found) >= 150
    assert longest <= timedelta(days=15)


def test_a_sample_has_all_values_the_whole_range_and_nearly_the_same_bins() -> None:
    frame, columns = rows("regression"), columns_of("regression", "UTC")
    frame.loc[4_321, ["x", "a"]] = [50.0, "once"]

    def read(start: datetime, end: datetime) -> pd.DataFrame:
        return between(frame, "time", start, end)

    whole = Layout.learn(frame, columns)
    sampled = learn_in_pieces(read, len(frame), columns, START, END, memory=2_000 * 4 * 64 * 5).layout
    assert [each.values for each in sampled.categories.values()] == [each.values for each in whole.categories.values()]
    number, expected = sampled.numbers["x"], whole.numbers["x"]
    assert (number.low, number.high) == (expected.low, expected.high) == (frame["x"].min(), 50.0)
    assert np.allclose(number.edges[1:-2], expected.edges[1:-2], atol=0.2)
    assert number.edges != expected.edges
