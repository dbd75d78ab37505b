"""Confidence-based performance estimation, by NannyML: what calibrated scores promise, averaged over the rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.evaluation.metrics import Sample
from models.evaluation.metrics.metric import Undefined
from models.monitoring.estimation.estimate import Estimate, realised_on, second_share, too_few
from models.monitoring.estimation.expected import THRESHOLD, by_class, expected
from models.monitoring.estimation.rows import spread_rows
from models.monitoring.nannyml_boundary import nannyml, numpy_seeded

REFERENCE_CAP = 20_000
CHUNK_CAP = 200_000
THEIR_NAMES = {"auc": "roc_auc", "accuracy": "accuracy", "f1": "f1"}
OURS = ("log_loss", "brier")  # NannyML has neither: from its calibrated probabilities, binary only


def cbpe(
    reference: Sample, scores: np.ndarray, metrics: Sequence[str] = ("auc", "log_loss"), seed: int = 0
) -> dict[str, Estimate]:
    """Calibrate scores on the reference, and average what they promise over the rows in question.

    Formula: with c the calibrated probability of a row, the expected confusion matrix, and so AUC, accuracy and F1,
    come from c and 1 - c in place of labels; the expected log loss is the mean of -(c log s + (1 - c) log(1 - s)), the
    expected Brier score that of c (1 - s)^2 + (1 - c) s^2. Assumes that the chance of 1 at a given score is as on the
    reference: a change of concept is invisible, and inputs may move only where this leaves calibration alone. At most
    20,000 reference rows and 200,000 rows of the chunk are used, evenly spread. The standard error is ours, from
    influence values over c, and has both samples in it: with NannyML's own for AUC an interval of 95 % held 83 % of the
    truths in a census where nothing changed. Reference: NannyML 0.13, `CBPE`; Guillory et al. 2021, "Predicting with
    confidence on unseen distributions".

    Args:
        reference: labelled rows that the model was not trained on; scores of shape (rows,), or (rows, classes).
        scores: of the rows in question, shape (rows,) or (rows, classes).
        metrics: of auc, accuracy, f1, and for a binary label log_loss and brier.
        seed: of the draws inside NannyML.

    Returns:
        An estimate of each metric; none of AUC where every row is sure to be of one class.

    Raises:
        ValueError: for another metric, a reference without every class, or no rows.
    """
    _check(reference, scores, metrics)
    rows = spread_rows(len(scores), CHUNK_CAP)
    used = spread_rows(len(reference.labels), REFERENCE_CAP)
    before = Sample(reference.labels[used], reference.scores[used])
    theirs, calibrated = _by_nannyml(before, scores[rows], [name for name in metrics if name in THEIR_NAMES], seed)
    note, found = _note(calibrated, len(scores)), {}
    for name in metrics:
        known, known_error = realised_on(before, name)
        try:
            promised = expected(name, by_class(calibrated), scores[rows])
        except Undefined:
            continue
        value = theirs.get(name, promised.value)
        found[name] = Estimate.of("cbpe", name, value, (promised.sampling_error, known_error), known, note)
    return found


def _by_nannyml(
    reference: Sample, scores: np.ndarray, metrics: list[str], seed: int
) -> tuple[dict[str, float], np.ndarray]:
    """The value of each metric, and the calibrated probability of 1; of several classes the scores as they are."""
    estimator = _estimator(reference.scores, [THEIR_NAMES[name] for name in metrics] or ["roc_auc"])
    with warnings.catch_warnings(), numpy_seeded(seed):
        warnings.simplefilter("ignore")  # it advises on more chunks than one, whose thresholds are not used here
        estimator.fit(_frame(reference.scores).assign(label=reference.labels.astype(int)))
        result = estimator.estimate(_frame(scores)).filter(period="analysis").to_df().iloc[0]
    values = {name: float(result[THEIR_NAMES[name], "value"]) for name in metrics}
    # It finds none for some odd distributions of scores; the expectation over calibrated scores stands in for it then.
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    if scores.ndim == 1 and estimator.needs_calibration:
        return values, np.asarray(estimator.calibrator.calibrate(scores), dtype=float)
    return values, scores


def _estimator(scores: np.ndarray, their_metrics: list[str]) -> Any:
    several = scores.ndim == 2
    return nannyml().CBPE(
        y_pred_proba={label: f"score_{label}" for label in range(scores.shape[1])} if several else "score",
        y_pred="decision",
        y_true="label",
        problem_type="classification_multiclass" if several else "classification_binary",
        metrics=their_metrics,
        chunk_number=1,
    )


def _frame(scores: np.ndarray) -> pd.DataFrame:
    if scores.ndim == 1:
        return pd.DataFrame({"score": scores, "decision": (scores >= THRESHOLD).astype(int)})
    columns = {f"score_{label}": scores[:, label] for label in range(scores.shape[1])}
    return pd.DataFrame(columns | {"decision": scores.argmax(axis=1)})


def _note(calibrated: np.ndarray, num_rows: int) -> str:
    return too_few(second_share(by_class(calibrated)) * num_rows, num_rows)


def _check(reference: Sample, scores: np.ndarray, metrics: Sequence[str]) -> None:
    valid = (*THEIR_NAMES, *(OURS if scores.ndim == 1 else ()))
    for name in metrics:
        if name not in valid:
            raise ValueError(f"CBPE does not estimate {name!r} here; choose of {', '.join(valid)}")
    num_classes = 2 if scores.ndim == 1 else scores.shape[1]
    seen = len(np.unique(reference.labels))
    if seen < num_classes:
        raise ValueError(f"the reference has {seen} of {num_classes} classes; CBPE needs rows of every class")
    if not len(scores):
        raise ValueError("there are no rows to estimate a performance for; pass at least one")
