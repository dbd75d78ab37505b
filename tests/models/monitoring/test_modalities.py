"""What is watched of texts and images: whether they are there, how long they are, and whether rows repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.data.contract import Columns, read
from models.monitoring.memo import Fingerprints
from models.monitoring.quality import Expectations, Limits, QualityCheck, check_days, profile_days
from tests import modalities

START, NUM_DAYS, ROWS_A_DAY = datetime(2025, 1, 1, tzinfo=UTC), 40, 60
LEARNED = START + timedelta(days=30)
END = START + timedelta(days=NUM_DAYS)
TEXTS = Columns("id", "time", "label", (), (), texts=("body",))
IMAGES = Columns("id", "time", "label", (), (), images=("photo",))


def made(columns: Columns) -> pd.DataFrame:
    num_rows = NUM_DAYS * ROWS_A_DAY
    rows = modalities.reviews(num_rows) if columns.texts else modalities.photos(num_rows)
    times = pd.date_range(START, periods=num_rows, freq=timedelta(days=1) / ROWS_A_DAY)
    return rows.assign(id=range(num_rows), time=times, label=np.arange(num_rows) % 2)


def broken(frame: pd.DataFrame, columns: Columns) -> list[QualityCheck]:
    """What is found in the last ten days, when the thirty before were learned from."""
    rows = read(lambda start, end: frame, columns, START, END, END + timedelta(days=1))
    expected = Expectations.learn(rows[rows["time"] < LEARNED], columns, START, LEARNED)
    expected = Expectations.from_json(expected.to_json())
    profiles = profile_days(rows, expected.layout, columns, LEARNED, END)
    return [check for check in check_days(profiles, expected, Limits()) if check.is_broken]


@pytest.mark.parametrize("columns", [TEXTS, IMAGES], ids=["texts", "images"])
def test_calm_days_are_calm(columns: Columns) -> None:
    assert broken(made(columns), columns) == []


@pytest.mark.parametrize("columns", [TEXTS, IMAGES], ids=["texts", "images"])
def test_features_that_stop_coming_are_found(columns: Columns) -> None:
    frame = made(columns)
    (name,) = columns.features
    frame[name] = frame[name].where((frame["time"] < LEARNED) | (frame["id"] % 2 == 0), None)
    assert f"length of {name}" in {check.column for check in broken(frame, columns)}


def test_texts_that_are_cut_off_are_found() -> None:
    frame = made(TEXTS)
    frame["body"] = frame["body"].where(frame["time"] < LEARNED, frame["body"].str[:5])
    assert "length of body" in {check.column for check in broken(frame, TEXTS)}


@pytest.mark.parametrize("columns", [TEXTS, IMAGES], ids=["texts", "images"])
def test_a_day_that_is_sent_again_is_found_and_equal_lengths_are_no_repeats(columns: Columns) -> None:
    frame = made(columns)
    day = frame[(frame["time"] >= LEARNED) & (frame["time"] < LEARNED + timedelta(days=1))]
    again = day.assign(time=day["time"] + timedelta(days=1), id=day["id"] + 1_000_000)
    next_day = (frame["time"] >= LEARNED + timedelta(days=1)) & (frame["time"] < LEARNED + timedelta(days=2))
    frame = pd.concat([frame[~next_day], again]).sort_values("time", kind="stable")
    assert broken(frame, columns)


def test_rows_with_bytes_have_digests() -> None:
    frame = read(lambda start, end: made(IMAGES), IMAGES, START, END, END)
    assert Fingerprints(frame).of(slice(None)) == Fingerprints(frame.copy()).of(slice(None))
    assert Fingerprints(frame).of(slice(0, 5)) != Fingerprints(frame).of(slice(5, 10))
