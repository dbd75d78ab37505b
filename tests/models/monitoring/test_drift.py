"""Drift: none between samples of one distribution, and much where a column has moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.monitoring.drift import ColumnDrift, column_drift

NUMBERS, CATEGORIES = ("distance", "seats"), ("carrier",)


def rows(seed: int = 0, num_rows: int = 4_000) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "distance": generator.normal(1_000, 300, num_rows),
            "seats": generator.integers(50, 300, num_rows).astype(float),
            "carrier": generator.choice(np.array(["UA", "B6", "AA"], dtype=object), num_rows),
        }
    )


def drift(current: pd.DataFrame, reference: pd.DataFrame | None = None) -> dict[str, ColumnDrift]:
    found = column_drift(rows() if reference is None else reference, current, NUMBERS, CATEGORIES, threshold=0.1)
    assert [column.distance for column in found] == sorted((column.distance for column in found), reverse=True)
    return {column.column: column for column in found}


def test_a_sample_against_itself_has_not_moved() -> None:
    found = drift(rows())
    assert set(found) == {*NUMBERS, *CATEGORIES}
    assert all(column.distance == pytest.approx(0, abs=1e-6) and not column.has_moved for column in found.values())


def test_another_sample_of_the_same_distribution_has_not_moved() -> None:
    assert all(column.distance < 0.1 and not column.has_moved for column in drift(rows(seed=1)).values())


def test_what_moved_comes_first_and_alone() -> None:
    found = drift(rows(seed=1).assign(distance=lambda f: f["distance"] + 1_500))
    assert next(iter(found)) == "distance"
    assert found["distance"].distance > 0.8
    assert [name for name, column in found.items() if column.has_moved] == ["distance"]


def test_other_shares_of_a_category_have_moved_it() -> None:
    found = drift(rows(seed=1).assign(carrier=lambda f: f["carrier"].where(f.index % 4 == 0, "UA")))
    assert [name for name, column in found.items() if column.has_moved] == ["carrier"]
    assert drift(rows(seed=1).assign(carrier="ZZ"))["carrier"].distance == pytest.approx(1, abs=1e-6)


def test_gaps_are_left_to_the_quality_checks() -> None:
    gaps = rows(seed=1).assign(
        seats=lambda f: f["seats"].where(f.index % 2 == 0), carrier=lambda f: f["carrier"].where(f.index % 2 == 0, None)
    )
    found = drift(gaps)
    assert not found["seats"].has_moved
    assert "distance" not in drift(rows(seed=1).assign(distance=np.nan))
    assert "distance" not in drift(rows(seed=1), reference=rows().assign(distance=np.nan))


def test_a_batch_without_any_value_has_no_drift_to_tell() -> None:
    assert column_drift(rows(), rows().iloc[:0], NUMBERS, CATEGORIES, threshold=0.1) == []
    assert column_drift(rows(), rows().assign(distance=np.nan), ("distance",), (), threshold=0.1) == []


def test_a_constant_column_has_not_moved() -> None:
    assert not drift(rows(seed=1).assign(seats=5.0), reference=rows().assign(seats=5.0))["seats"].has_moved


def test_samples_are_left_as_they_were() -> None:
    reference, current = rows(), rows(seed=1)
    drift(current, reference)
    pd.testing.assert_frame_equal(reference, rows())
    pd.testing.assert_frame_equal(current, rows(seed=1))
