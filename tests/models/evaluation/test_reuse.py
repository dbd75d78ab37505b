"""How often rows have decided, and which of them a model has seen, whatever their times say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.reuse import overlap, uses

IDS = st.lists(st.integers(0, 12), unique=True, max_size=10)


@given(ids=IDS, earlier=st.lists(IDS, max_size=5))
def test_each_row_counts_the_decisions_it_took_part_in(ids: list[int], earlier: list[list[int]]) -> None:
    found = uses(pd.Index(ids), (pd.Index(rows) for rows in earlier))
    assert found.tolist() == [sum(each in rows for rows in earlier) for each in ids]


@given(ids=IDS, trained_on=st.lists(IDS, max_size=5))
def test_overlap_is_what_any_training_has_seen_in_the_order_of_the_rows(
    ids: list[int], trained_on: list[list[int]]
) -> None:
    found = overlap(pd.Index(ids), (pd.Index(rows) for rows in trained_on))
    assert found.tolist() == [each for each in ids if any(each in rows for rows in trained_on)]


def test_ids_may_be_text() -> None:
    assert uses(pd.Index(["a", "b"]), [pd.Index(["b"]), pd.Index(["b", "c"])]).tolist() == [0, 2]
    assert overlap(pd.Index(["1", "2"]), [pd.Index(["01", "2.5"]), pd.Index([2.5, 11.0])]).empty


KINDS = {
    "integers": pd.Index([1, 2]),
    "small integers": pd.Index(np.array([1, 2], dtype=np.int32)),
    "nullable integers": pd.Index(pd.array([1, 2], dtype="Int64")),
    "floats": pd.Index([1.0, 2.0]),
    "small floats": pd.Index(np.array([1, 2], dtype=np.float32)),
    "text": pd.Index(["1", "2"]),
    "text of pandas": pd.Index(pd.array(["1", "2"], dtype="string")),
    "objects": pd.Index([np.int64(1), 2.0], dtype=object),
    "a category": pd.CategoricalIndex([1, 2]),
}


@pytest.mark.parametrize("now", KINDS)
@pytest.mark.parametrize("before", KINDS)
def test_ids_match_whatever_they_were_stored_as(now: str, before: str) -> None:
    ids, earlier = KINDS[now], KINDS[before]
    assert uses(ids, [earlier[:1], earlier]).tolist() == [2, 1]
    pd.testing.assert_index_equal(overlap(ids, [earlier[1:]]), ids[1:])


def test_a_row_that_was_in_one_decision_twice_took_part_in_it_once() -> None:
    assert uses(pd.Index([1]), [pd.Index([1, 1])]).tolist() == [1]
