"""Perturbed inputs: the same for the same seed, as many as asked, and the rows themselves left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.evaluation.robustness import with_noise, without_values

NUM_ROWS = 4_000


def rows() -> pd.DataFrame:
    """One column of each kind, some values missing already, under an index that is no range."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "distance": random.normal(1_000, 300, NUM_ROWS),
            "delay": np.where(random.random(NUM_ROWS) < 0.1, np.nan, random.normal(0, 2, NUM_ROWS)),
            "hour": random.integers(0, 24, NUM_ROWS),
            "constant": 3.0,
            "carrier": pd.Categorical(random.choice(["UA", "B6"], NUM_ROWS), categories=["UA", "B6", "DL"]),
            "tail": random.choice(["N1", "N2"], NUM_ROWS),
            "is_late": random.random(NUM_ROWS) < 0.2,
        },
        index=np.arange(NUM_ROWS)[::-1] * 3,
    )


ALL = list(rows().columns)
NUMBERS = ["distance", "delay", "hour", "constant"]


def test_the_same_seed_perturbs_the_same_cells_and_another_others() -> None:
    for perturb in (
        lambda seed: without_values(rows(), ALL, 0.3, seed),
        lambda seed: with_noise(rows(), NUMBERS, 0.1, seed),
    ):
        pd.testing.assert_frame_equal(perturb(1), perturb(1))
        assert not perturb(1).equals(perturb(2))


def test_the_rows_themselves_are_left_alone() -> None:
    given = rows()
    without_values(given, ALL, 0.5, seed=0)
    with_noise(given, NUMBERS, 0.5, seed=0)
    pd.testing.assert_frame_equal(given, rows())


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_of_the_cells_of_each_column_is_emptied(share: float) -> None:
    given, emptied = rows(), without_values(rows(), ALL, share, seed=0)
    assert emptied.index.equals(given.index) and list(emptied) == ALL
    for name in ALL:
        was_there = given[name].notna()
        assert emptied[name][was_there].isna().mean() == pytest.approx(share, abs=0.02)
        kept = emptied[name].notna()
        assert (emptied[name][kept] == given[name][kept]).all()
    assert emptied["carrier"].cat.categories.tolist() == ["UA", "B6", "DL"]


def test_cells_are_emptied_independently_of_one_another() -> None:
    empty = without_values(rows(), ALL, 0.5, seed=0)[["distance", "hour", "tail"]].isna().corr()
    assert np.abs(empty.to_numpy()[~np.eye(3, dtype=bool)]).max() < 0.05


def test_columns_that_are_not_named_stay_as_they_are() -> None:
    given = rows()
    emptied, noisy = without_values(given, ["tail"], 1.0, seed=0), with_noise(given, ["hour"], 1.0, seed=0)
    pd.testing.assert_frame_equal(emptied.drop(columns="tail"), given.drop(columns="tail"))
    pd.testing.assert_frame_equal(noisy.drop(columns="hour"), given.drop(columns="hour"))
    pd.testing.assert_frame_equal(without_values(given, [], 0.5, seed=0), given)


@pytest.mark.parametrize("scale", [0.0, 0.1, 2.0])
def test_noise_is_measured_in_standard_deviations_of_its_column(scale: float) -> None:
    given, noisy = rows(), with_noise(rows(), NUMBERS, scale, seed=0)
    for name in NUMBERS:
        added = noisy[name] - given[name]
        assert added.std() == pytest.approx(scale * given[name].std(), rel=0.05, abs=1e-12)
        assert abs(added.mean()) <= 4 * scale * given[name].std() / np.sqrt(NUM_ROWS) + 1e-12
        assert noisy[name].isna().equals(given[name].isna())
    assert (noisy["constant"] == 3.0).all()
    shaken = noisy[["distance", "hour"]] - given[["distance", "hour"]]
    assert scale == 0 or abs(shaken.corr().to_numpy()[0, 1]) < 0.05
