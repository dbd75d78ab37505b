"""Texts and images as they enter: checked, located, and measured for the watch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.data.contract import BrokenContract, Columns, read

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 10, tzinfo=UTC)


def taken(columns: Columns, **features: list[Any]) -> pd.DataFrame:
    num_rows = len(next(iter(features.values())))
    frame = pd.DataFrame(
        {
            "id": range(num_rows),
            "time": pd.date_range(START, periods=num_rows, freq="h"),
            "label": [0, 1, *[None] * (num_rows - 2)][:num_rows],
            **{name: pd.Series(values, dtype=object) for name, values in features.items()},
        }
    )
    return read(lambda start, end: frame, columns, START, END, END)


def columns_with(**kinds: Any) -> Columns:
    return Columns("id", "time", "label", (), (), **kinds)


def test_texts_are_kept_as_they_are_and_their_length_is_measured() -> None:
    columns = columns_with(texts=("body",))
    frame = taken(columns, body=["1.0", "", None, float("nan"), "дом"])
    assert frame["body"].tolist() == ["1.0", "", None, None, "дом"]
    assert np.array_equal(frame["length of body"], [3, 0, np.nan, np.nan, 3], equal_nan=True)
    assert columns.features == ("body",)
    assert columns.measured == ("length of body",)


def test_images_are_paths_below_their_folder_or_bytes() -> None:
    columns = columns_with(images=("photo",), image_folder="photos/2025")
    frame = taken(columns, photo=["a.png", None, b"1234", bytearray(b"12")])
    assert frame["photo"].tolist() == ["photos/2025/a.png", None, b"1234", b"12"]
    assert np.array_equal(frame["length of photo"], [1, np.nan, 4, 2], equal_nan=True)


def test_no_rows_are_taken_too() -> None:
    for columns in (columns_with(texts=("body",)), columns_with(images=("body",))):
        frame = taken(columns, body=[])
        assert frame["length of body"].dtype == float
        assert frame.empty


@pytest.mark.parametrize(("kind", "value"), [("texts", 5), ("texts", b"text"), ("images", 5), ("images", ["a"])])
def test_another_type_is_a_broken_contract_that_shows_the_value(kind: str, value: Any) -> None:
    with pytest.raises(BrokenContract, match=f"column 'body' of {kind} holds .*; mend the feed"):
        taken(columns_with(**{kind: ("body",)}), body=[None, value])
