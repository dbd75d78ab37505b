"""The rows that a champion got wrong with confidence: which they are, and what is asked about them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.hard_rows import hardest, regression

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40)


def wrong(labels: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    return (scores >= threshold) != (labels == 1)


@given(rows=ROWS, threshold=st.floats(0.05, 0.95), num_rows=st.integers(1, 50))
@settings(deadline=None)
def test_only_rows_that_were_called_wrong_are_kept_those_paid_most_for_and_in_their_order(
    rows: list[tuple[bool, float]], threshold: float, num_rows: int
) -> None:
    labels, scores = (np.array(values, dtype=float) for values in zip(*rows, strict=True))
    frame = pd.DataFrame({"id": np.arange(len(rows))})
    kept = hardest(frame, labels, scores, threshold, num_rows)["id"].to_numpy()
    is_wrong = wrong(labels, scores, threshold)
    assert len(kept) == min(num_rows, is_wrong.sum())
    assert is_wrong[kept].all()
    assert (np.diff(kept) > 0).all()
    left_out = np.setdiff1d(np.flatnonzero(is_wrong), kept)
    distance = np.abs(labels - scores)
    assert not len(kept) or not len(left_out) or distance[kept].min() >= distance[left_out].max()


def test_a_champion_that_is_never_wrong_leaves_no_row() -> None:
    labels = np.array([0.0, 1.0])
    assert hardest(pd.DataFrame({"id": [1, 2]}), labels, np.array([0.1, 0.9]), 0.5, 5).empty


def test_a_row_right_at_the_threshold_is_called_positive() -> None:
    kept = hardest(pd.DataFrame({"id": [1, 2]}), np.array([0.0, 1.0]), np.array([0.5, 0.5]), 0.5, 5)
    assert kept["id"].tolist() == [1]


@given(rows=st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
@settings(deadline=None)
def test_what_may_not_be_lost_is_what_the_champion_now_calls_right(rows: list[tuple[bool, float, float]]) -> None:
    labels, champion, challenger = (np.array(values, dtype=float) for values in zip(*rows, strict=True))
    test = regression(labels, champion, challenger, threshold=0.5, margin=0.05)
    was_right = ~wrong(labels, champion, 0.5)
    lost = wrong(labels, challenger, 0.5)[was_right].mean() if was_right.any() else 0.0
    assert (test.champion, test.challenger, test.margin) == (0.0, lost, 0.05)
    assert (test.verdict == "holds") == (lost <= 0.05)
    assert test.kind == "limit" and test.p_value is None
    assert f"{was_right.sum()} of {len(rows)} rows right" in test.note


def test_a_model_against_itself_holds_without_any_margin() -> None:
    labels, scores = np.array([0.0, 1.0, 1.0]), np.array([0.9, 0.2, 0.7])
    assert regression(labels, scores, scores, 0.5, margin=0.0).verdict == "holds"


@pytest.mark.parametrize(("threshold", "verdict"), [(0.5, "holds"), (0.65, "fails")])
def test_the_threshold_of_the_project_decides_what_is_right(threshold: float, verdict: str) -> None:
    labels = np.ones(10)
    assert regression(labels, np.full(10, 0.7), np.full(10, 0.6), threshold, margin=0.05).verdict == verdict


def test_rows_that_the_champion_still_calls_wrong_ask_nothing() -> None:
    labels = np.ones(10)
    test = regression(labels, np.full(10, 0.2), np.full(10, 0.1), 0.5, margin=0.0)
    assert (test.verdict, test.challenger) == ("holds", 0.0)
    assert "0 of 10 rows right" in test.note


def test_a_relapse_is_a_share_of_what_was_learned_and_not_of_all_rows() -> None:
    champion = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    challenger = np.array([0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    test = regression(np.ones(10), champion, challenger, 0.5, margin=0.4)
    assert (test.verdict, test.challenger) == ("fails", 0.5), "however much it gains elsewhere"
