"""Groupings: what belongs together stays together, and a ladder has blocks of every length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.groups import FEWEST_BLOCKS, Grouping, by_key, ladder


@given(keys=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=40))
def test_rows_share_a_group_exactly_when_they_share_a_key(keys: list[str]) -> None:
    grouping = by_key(np.array(keys), "customers")
    (way,) = grouping.ways
    for row, key in enumerate(keys):
        assert ((way == way[row]) == (np.array(keys) == key)).all()
    assert (grouping.num_groups, grouping.num_rows, grouping.unit) == (len(set(keys)), len(keys), "customers")


@pytest.mark.parametrize(
    "keys",
    [
        np.array(["2013-01-02", "2013-01-01", "2013-01-02"], dtype="datetime64[D]"),
        np.array([7.5, np.nan, 7.5]),
        np.array([3, -1, 3]),
        np.array([True, False, True]),
        np.array(["UA", "B6", "UA"], dtype=object),
    ],
)
def test_a_key_may_be_of_any_type(keys: np.ndarray) -> None:
    (way,) = by_key(keys, "keys").ways
    assert way[0] == way[2] != way[1]


def test_rows_without_a_key_are_one_group() -> None:
    assert by_key(np.array([np.nan, 1.0, np.nan]), "keys").num_groups == 2


@given(num_rows=st.integers(10, 3_000))
@settings(max_examples=50)
def test_a_ladder_doubles_its_blocks_until_fewer_than_ten_would_be_left(num_rows: int) -> None:
    grouping = ladder(num_rows)
    lengths = [int(np.bincount(way)[0]) for way in grouping.ways]
    assert lengths == [2**step for step in range(len(lengths))]
    assert FEWEST_BLOCKS <= grouping.num_groups < 2 * FEWEST_BLOCKS
    for way, length in zip(grouping.ways, lengths, strict=True):
        steps = np.diff(way)
        assert way[0] == 0 and ((steps == 0) | (steps == 1)).all()
        sizes = np.bincount(way)
        assert (sizes[:-1] == length).all()
        assert length <= sizes[-1] < 2 * length  # what is left over joins the last whole block


def test_too_few_rows_for_a_ladder_are_groups_of_one_row() -> None:
    assert [way.tolist() for way in ladder(9).ways] == [list(range(9))]
    assert [way.tolist() for way in ladder(19).ways] == [list(range(19))]
    assert ladder(20).num_groups == 10
    assert ladder(0).num_groups == 0
    assert ladder(0).rows_per_group == 0


def test_size_is_told_of_the_coarsest_way() -> None:
    grouping = Grouping((np.arange(7), np.array([0, 0, 0, 0, 1, 2, 2])), "blocks")
    assert (grouping.num_groups, grouping.rows_per_group) == (3, 2.0)
    assert Grouping(tuple(reversed(grouping.ways)), "blocks").num_groups == 3


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_some_of_the_rows_keep_their_groups_and_empty_ones_are_forgotten(seed: int) -> None:
    random = np.random.default_rng(seed)
    grouping = Grouping((random.integers(0, 12, 60), random.integers(0, 5, 60)), "keys")
    mask = random.random(60) < 0.2
    mask[0] = True
    by_mask, by_position = grouping.take(mask), grouping.take(np.flatnonzero(mask))
    for taken, way, other in zip(by_mask.ways, grouping.ways, by_position.ways, strict=True):
        assert taken.tolist() == way[mask].tolist() == other.tolist()
    assert by_mask.num_groups == min(len(np.unique(way[mask])) for way in grouping.ways)
    assert (by_mask.num_rows, by_mask.unit) == (mask.sum(), "keys")
