"""Scores in columns: what is put in comes out, and classes that only one of two models knows have the chance 0."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.logged import LoggedInputs
from models.data.predictions import SCORE_FILED, Batch, Predictions, with_scores
from models.data.scores import SCORE, aligned, as_sample, places, put_scores, score_columns, scores_in, union
from models.evaluation.metrics.check import check
from models.evaluation.metrics.metric import Task
from models.features.target import Target
from models.registry.versions import VersionId
from tests.places import Place

CLASSES = st.lists(st.text(max_size=5), min_size=2, max_size=5, unique=True).map(tuple)
FIRST, SECOND, THIRD = (datetime(2024, 5, day, tzinfo=UTC) for day in (1, 2, 3))


def chances(num_rows: int, num_classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_rows)


@given(classes=CLASSES, num_rows=st.integers(0, 20), seed=st.integers(0, 99), name=st.sampled_from([SCORE, "score"]))
@settings(deadline=None, max_examples=40)
def test_scores_of_classes_come_back_as_they_were_put(
    classes: tuple[str, ...], num_rows: int, seed: int, name: str
) -> None:
    scores = chances(num_rows, len(classes), seed)
    frame = put_scores(pd.DataFrame({"id": range(num_rows)}), scores, Target("multiclass", classes), name)
    found, known = scores_in(frame, name)
    assert known == classes
    np.testing.assert_array_equal(found, scores)
    assert frame["id"].tolist() == list(range(num_rows))


@given(values=st.lists(st.floats(-1e6, 1e6), max_size=20), task=st.sampled_from(["binary", "regression"]))
@settings(deadline=None, max_examples=20)
def test_a_single_score_comes_back_as_it_was_put(values: list[float], task: Task) -> None:
    found, known = scores_in(put_scores(pd.DataFrame({"id": range(len(values))}), np.array(values), Target(task)))
    assert known == ()
    np.testing.assert_array_equal(found, np.array(values))


def test_new_scores_take_the_place_of_those_that_were_there() -> None:
    frame = put_scores(pd.DataFrame({"id": [1]}), chances(1, 2), Target("multiclass", ("a", "b")))
    again = put_scores(frame, chances(1, 2, seed=1), Target("multiclass", ("b", "c")))
    assert score_columns(again) == [f"{SCORE}=b", f"{SCORE}=c"]
    assert score_columns(put_scores(again, np.zeros(1), Target())) == [SCORE]


def test_rows_of_two_models_have_the_classes_of_both() -> None:
    first = put_scores(pd.DataFrame({"id": [1, 2]}), chances(2, 2), Target("multiclass", ("a", "b")))
    second = put_scores(pd.DataFrame({"id": [3]}), chances(1, 2, seed=1), Target("multiclass", ("b", "c")))
    found, known = scores_in(pd.concat([first, second], ignore_index=True))
    assert known == ("a", "b", "c")
    np.testing.assert_array_equal(found[:, [0, 2]][[2, 0], [0, 1]], [0.0, 0.0])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_a_row_that_was_not_scored_has_no_chance_at_all() -> None:
    frame = put_scores(pd.DataFrame({"id": [1]}), chances(1, 2), Target("multiclass", ("a", "b")))
    found, _ = scores_in(pd.concat([frame, pd.DataFrame({"id": [2]})], ignore_index=True))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_a_frame_without_scores_or_with_scores_of_two_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no column is called '__score' or begins with '__score='"):
        scores_in(pd.DataFrame({"id": [1]}))
    with pytest.raises(ValueError, match="has the column 'score' and 'score', 'score=a'; scores are of one kind"):
        scores_in(pd.DataFrame({"score": [0.1], "score=a": [0.2]}), "score")


@given(own=CLASSES, onto=CLASSES, data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_sample_is_sound_whatever_classes_model_and_labels_have(
    own: tuple[str, ...], onto: tuple[str, ...], data: st.DataObject
) -> None:
    texts = st.sampled_from([*own, *onto, "none of them"])
    labels = pd.Series(data.draw(st.lists(texts, min_size=1, max_size=10)), dtype=object)
    scores = chances(len(labels), len(own))
    sample = as_sample("multiclass", labels, scores, own, onto)
    check(sample, "multiclass", "champion")
    known = union(onto, own, labels=labels)
    assert [known[int(place)] for place in sample.labels] == labels.tolist()
    for place, each in enumerate(own):
        np.testing.assert_array_equal(sample.scores[:, known.index(each)], scores[:, place])
    np.testing.assert_allclose(sample.scores.sum(axis=1), 1.0)


def test_a_label_that_is_not_known_yet_has_no_place() -> None:
    np.testing.assert_array_equal(places(pd.Series([None, "b"]), ("a", "b")), [np.nan, 1.0])


def test_numbers_are_taken_as_they_are() -> None:
    columns = {"worth": np.array([1.0, 2.0])}
    sample = as_sample("regression", pd.Series([3.0, -4.0]), np.array([2.5, 0.0]), columns=columns)
    np.testing.assert_array_equal(sample.labels, [3.0, -4.0])
    assert sample.columns == columns


def test_no_chance_is_lost_by_a_change_of_the_order() -> None:
    with pytest.raises(AssertionError, match="would be lost"):
        aligned(chances(2, 2), ("a", "b"), ("a", "c"))


@pytest.fixture
def predictions(place: Place) -> Predictions:
    return Predictions(place.storage(), "cards")


def filed(ids: list[str], target: Target, at: datetime, seed: int = 0) -> pd.DataFrame:
    rows = pd.DataFrame({"id": ids, "event_time": pd.Timestamp(at)})
    scores = chances(len(ids), len(target.classes), seed) if target.classes else np.arange(len(ids)) - 40.5
    return put_scores(rows, scores, target, SCORE_FILED)


def test_batches_of_versions_with_different_classes_join_into_one_frame(predictions: Predictions) -> None:
    first, second = Target("multiclass", ("a", "b")), Target("multiclass", ("b", "c"))
    batches = [
        predictions.add(Batch(FIRST, SECOND, VersionId("one"), 2), filed(["x", "y"], first, FIRST), THIRD),
        predictions.add(Batch(SECOND, THIRD, VersionId("two"), 1), filed(["z"], second, SECOND, seed=1), THIRD),
    ]
    scored = pd.concat(map(predictions.read, batches), ignore_index=True)
    frame = with_scores(pd.DataFrame({"id": ["z", "y", "w"], "score": ["of", "the", "user"]}), "id", scored)
    found, known = scores_in(frame)
    assert (frame["id"].tolist(), known) == (["z", "y"], ("a", "b", "c"))
    np.testing.assert_array_equal(found[0], [0.0, *chances(1, 2, seed=1)[0]])
    np.testing.assert_array_equal(found[1], [*chances(2, 2)[1], 0.0])


def test_of_a_row_in_two_batches_the_later_value_counts(predictions: Predictions) -> None:
    target = Target("regression")
    batches = [
        predictions.add(Batch(FIRST, SECOND, VersionId("one"), 1), filed(["x"], target, FIRST), THIRD),
        predictions.add(Batch(SECOND, THIRD, VersionId("one"), 2), filed(["y", "x"], target, SECOND), THIRD),
    ]
    scored = pd.concat(map(predictions.read, batches), ignore_index=True)
    frame = with_scores(pd.DataFrame({"id": ["x", "y"]}), "id", scored)
    assert frame[SCORE].tolist() == [-39.5, -40.5]


def test_logged_inputs_keep_the_scores_of_their_batch(place: Place) -> None:
    logged, target = LoggedInputs(place.storage(), "cards"), Target("multiclass", ("a", "b"))
    batch = Batch(FIRST, SECOND, VersionId("one"), 100)
    rows = put_scores(pd.DataFrame({"id": range(100), "limit": np.arange(100.0)}), chances(100, 2), target)
    logged.add(batch, rows, num_rows=10)
    found = logged.read([batch])
    assert found is not None
    pd.testing.assert_frame_equal(found, rows.iloc[found["id"]].reset_index(drop=True))
    assert len(found) == 10
