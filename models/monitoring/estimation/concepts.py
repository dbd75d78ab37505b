"""Concepts: how labels follow from inputs, learned from some rows, and what the champion costs where they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, softmax

from models.evaluation.metrics import Sample
from models.evaluation.metrics.metric import Task
from models.monitoring.estimation.expected import by_class, expected

if TYPE_CHECKING:
    import lightgbm

NUM_TREES = 40
SMALLEST_CHANCE = 1e-4  # where the concept models begin: a champion that is sure of itself must not hold them back
PARAMETERS = {
    "learning_rate": 0.15,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}


@dataclass(frozen=True)
class Rows:
    """Rows as trees take them.

    Attributes:
        matrix: inputs beside what the champion says, shape (rows, columns).
        sample: labels and the champion's scores.
        categorical: which columns of the matrix are codes.
        jobs: threads; the result does not depend on them.
    """

    matrix: np.ndarray
    sample: Sample
    categorical: Sequence[int]
    jobs: int

    def take(self, places: np.ndarray) -> Rows:
        """Some of the rows, by their places or as a mask."""
        sample = Sample(self.sample.labels[places], self.sample.scores[places])
        return Rows(self.matrix[places], sample, self.categorical, self.jobs)


def of_outcomes(learnt: Rows, asked: Rows) -> dict[str, float]:
    """Expected log loss and AUC of the champion, if labels of 0 and 1 follow the concept of other rows.

    Boosted trees learn the label from inputs and score, beginning at the champion's log odds.
    """
    booster = _trained(learnt, learnt.sample.labels, {"objective": "binary"}, log_odds(learnt.sample.scores))
    scores = asked.sample.scores
    mass = by_class(expit(_raw(booster, asked) + log_odds(scores)))
    return {metric: expected(metric, mass, scores).value for metric in ("log_loss", "auc")}


def of_classes(learnt: Rows, asked: Rows) -> dict[str, float]:
    """Expected log loss and accuracy, if labels of several classes follow the concept of other rows.

    The trees begin at the logarithms of the champion's probabilities, of which none is below one in 10,000, each moved
    by as much as gives its class the share that it has among the labels: trees alone would not lift a class that is
    rare everywhere, and one that the champion does not know is.
    """
    scores, num_classes = learnt.sample.scores, learnt.sample.scores.shape[1]
    offsets = _offsets(learnt.sample.labels, np.exp(log_chances(scores)))
    several = {"objective": "multiclass", "num_class": num_classes}
    booster = _trained(learnt, learnt.sample.labels, several, log_chances(scores) + offsets)
    mass = softmax(_raw(booster, asked) + log_chances(asked.sample.scores) + offsets, axis=1)
    return {metric: expected(metric, mass, asked.sample.scores).value for metric in ("log_loss", "accuracy")}


def of_numbers(learnt: Rows, asked: Rows) -> dict[str, float]:
    """Expected mean absolute error, and root mean squared error, if a number follows the concept of other rows.

    A concept enters an error only by what the champion costs on average at the same inputs, so that is what the trees
    learn: |label - prediction|, and its square, from inputs and prediction (direct loss estimation).
    """
    off = learnt.sample.labels - learnt.sample.scores
    absolute, squared = (
        np.maximum(_raw(_trained(learnt, losses, {"objective": "regression"}), asked), 0)
        for losses in (abs(off), off**2)
    )
    return {"mae": float(absolute.mean()), "rmse": float(np.sqrt(squared.mean()))}


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Of probabilities, cut at one in 10,000 on either side.

    >>> log_odds(np.array([0.5, 0.0])).round(2).tolist()
    [0.0, -9.21]
    """
    chances = np.clip(scores, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    return np.asarray(np.log(chances / (1 - chances)))


def log_chances(scores: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities of classes, none below one in 10,000.

    >>> log_chances(np.array([[1.0, 0.0]])).round(2).tolist()
    [[0.0, -9.21]]
    """
    return np.asarray(np.log(np.clip(scores, SMALLEST_CHANCE, 1)))


def _offsets(labels: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Logarithm of the rows of each class over those that were expected, shape (classes,); no row counts as half."""
    found = np.bincount(labels.astype(np.intp), minlength=chances.shape[1])
    return np.asarray(np.log(np.maximum(found, 0.5) / chances.sum(axis=0)))


def _trained(
    rows: Rows, labels: np.ndarray, objective: dict[str, object], start: np.ndarray | None = None
) -> lightgbm.Booster:
    import lightgbm  # here, as in `domain`

    parameters = PARAMETERS | objective | {"num_threads": rows.jobs}
    data = lightgbm.Dataset(
        rows.matrix, labels, init_score=start, categorical_feature=list(rows.categorical), params=parameters
    )
    return lightgbm.train(parameters, data, num_boost_round=NUM_TREES)


def _raw(booster: lightgbm.Booster, rows: Rows) -> np.ndarray:
    return np.asarray(booster.predict(rows.matrix, raw_score=True, num_threads=rows.jobs))


CONCEPTS: dict[Task, Callable[[Rows, Rows], dict[str, float]]] = {
    "binary": of_outcomes,
    "multiclass": of_classes,
    "regression": of_numbers,
}
SAID: dict[Task, Callable[[np.ndarray], np.ndarray]] = {  # what stands beside the inputs
    "binary": log_odds,
    "multiclass": log_chances,
    "regression": lambda scores: scores,
}
