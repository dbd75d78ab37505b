"""Scores in columns: one of a binary or regression model, one for each class of a multiclass model.

A multiclass model's columns are called `<name>=<class>`, so that a file says by itself whose probabilities it holds.
Two models may know different classes: what a model does not know, it gives the probability 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.evaluation.metrics.metric import Sample, Task
from models.features.target import Target

SCORE = "__score"  # the champion's score beside a user's columns, of which one may well be called "score"


@dataclass(frozen=True)
class Scores:
    """What a model says of rows: shape (rows,) and no classes, or (rows, classes) and the classes."""

    values: np.ndarray
    classes: tuple[str, ...] = ()


def score_columns(frame: pd.DataFrame, name: str = SCORE) -> list[str]:
    """The columns of a frame that hold scores, in order.

    >>> score_columns(pd.DataFrame(columns=["id", "score=a", "score=b", "scores"]), "score")
    ['score=a', 'score=b']
    """
    return [column for column in map(str, frame.columns) if column == name or column.startswith(f"{name}=")]


def put_scores(frame: pd.DataFrame, scores: np.ndarray, target: Target, name: str = SCORE) -> pd.DataFrame:
    """The frame with a model's scores, in place of those that it may have.

    Args:
        frame: rows.
        scores: as `Model.predict` returns them: (rows,) or (rows, classes).
        target: of that model.
        name: of the column, or the first part of the columns' names.

    >>> target = Target("multiclass", ("a", "b"))
    >>> put_scores(pd.DataFrame({"id": [1]}), np.array([[0.25, 0.75]]), target, "score").columns.tolist()
    ['id', 'score=a', 'score=b']
    """
    kept = frame.drop(columns=score_columns(frame, name))
    if target.task != "multiclass":
        return kept.assign(**{name: scores})
    assert scores.shape == (len(frame), len(target.classes)), f"{scores.shape} is no score of {target.classes}"
    return kept.assign(**{f"{name}={each}": scores[:, place] for place, each in enumerate(target.classes)})


def scores_in(frame: pd.DataFrame, name: str = SCORE) -> tuple[np.ndarray, tuple[str, ...]]:
    """The scores in a frame as `put_scores` has put them, and their classes.

    Rows of several models in one frame lack the classes that theirs did not know: these have the probability 0.

    Returns:
        Scores of shape (rows,) and no classes, or scores of shape (rows, classes) and the classes. A row that was not
        scored at all is NaN.

    Raises:
        ValueError: when the frame has no scores.
    """
    found = score_columns(frame, name)
    if not found:
        raise ValueError(f"no column is called {name!r} or begins with {name + '='!r}; there are {list(frame.columns)}")
    if found == [name]:
        return frame[name].to_numpy(dtype=float), ()
    if name in found:
        raise ValueError(f"the frame has the column {name!r} and {', '.join(map(repr, found))}; scores are of one kind")
    scores = frame[found].to_numpy(dtype=float)
    is_scored = np.isfinite(scores).any(axis=1)
    scores = np.where(np.isnan(scores) & is_scored[:, None], 0.0, scores)
    return scores, tuple(column.removeprefix(f"{name}=") for column in found)


def union(*known: Iterable[str], labels: pd.Series | None = None) -> tuple[str, ...]:
    """All classes, each once: those that are known in their order, then any other that occurs in `labels`, by its name.

    >>> union(("b", "a"), ("a", "c"), labels=pd.Series(["a", None, "d"]))
    ('b', 'a', 'c', 'd')
    """
    classes = dict.fromkeys(each for some in known for each in some)
    further = [] if labels is None else sorted(set(labels.dropna().unique()) - set(classes))
    return (*classes, *further)


def aligned(scores: np.ndarray, classes: tuple[str, ...], onto: tuple[str, ...]) -> np.ndarray:
    """Scores of `classes` as those of `onto`, shape (rows, onto); 0 for a class that the model does not know.

    >>> aligned(np.array([[0.25, 0.75]]), ("b", "a"), ("a", "b", "c")).tolist()
    [[0.75, 0.25, 0.0]]
    """
    if classes == onto:
        return scores
    lost = [each for each in classes if each not in onto]
    assert not lost, f"the scores of {lost} would be lost"
    moved = np.zeros((len(scores), len(onto)))
    moved[:, [onto.index(each) for each in classes]] = scores
    return moved


def places(labels: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    """The place of each label among the classes as a float, shape (rows,); NaN for a label that is not known (yet).

    >>> places(pd.Series(["b", None, "a"]), ("a", "b")).tolist()
    [1.0, nan, 0.0]
    """
    codes = pd.Categorical(labels, categories=list(classes)).codes
    return np.where(codes < 0, np.nan, codes.astype(float))


def as_sample(
    task: Task,
    labels: pd.Series,
    scores: np.ndarray,
    classes: tuple[str, ...] = (),
    onto: tuple[str, ...] = (),
    columns: Mapping[str, np.ndarray] | None = None,
) -> Sample:
    """Rows as metrics take them.

    Args:
        task: what the label is.
        labels: as `contract.read` returns them: numbers, or text of a multiclass label.
        scores: shape (rows,), or (rows, classes) with the `classes` they are of.
        onto: classes in the order that the sample is to have them, so that two samples have the same. Those of
            `classes`, and then those that occur in `labels`, follow where they are not among them.
        columns: further values that metrics need.
    """
    further = dict(columns or {})
    if task != "multiclass":
        return Sample(labels.to_numpy(dtype=float), scores, further)
    known = union(onto, classes, labels=labels)
    return Sample(places(labels, known), aligned(scores, classes, known), further)
