"""Performance on rows whose inputs have moved, from reference rows weighted to look like them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.evaluation.metrics import METRICS, Sample
from models.evaluation.metrics.metric import Undefined
from models.monitoring.estimation.domain import Domain
from models.monitoring.estimation.estimate import Estimate, realised_on, second_share, too_few
from models.monitoring.estimation.expected import EXPECTED, Expected, by_class, expected, masses
from models.monitoring.estimation.rows import spread_rows

CHUNK_CAP = 200_000
WEIGHTED_MEANS = ("mae", "rmse")


def weighted(
    reference: Sample, scores: np.ndarray, domain: Domain, metrics: Sequence[str] = ("auc", "log_loss")
) -> dict[str, Estimate]:
    """Calibrate scores on reference rows that count as much as current rows are like them, and average over the chunk.

    Formula: with the weights w of a domain classifier, an isotonic regression of label on score, weighted by w, gives
    the probability c of each current row; metrics are expected over c as in `expected`. The standard error joins the
    sampling error of the chunk and sqrt(sum (w psi)^2) / sum w, that of the same metric on the weighted reference: it
    grows as fewer rows carry the weight. For numbers as labels, the weighted mean of the losses on the reference.
    Assumes that the label depends on the inputs as it did (a change of concept is invisible) and that the reference has
    rows like the current ones: where it has not, the estimate is marked unreliable. Range: that of the metric.
    Reference: Bialek et al. 2024, "Estimating model performance under covariate shift without labels" (arXiv
    2401.08348), its calibrated variant with one score.

    Args:
        reference: labels and scores of the rows that `domain` was fitted on as reference, all of them, in their order.
        scores: of the rows in question; at most 200,000 are used, evenly spread.
        domain: from `fit_domain` of the reference and the rows in question.
        metrics: of `expected.EXPECTED`; for numbers as labels of mae and rmse.

    Raises:
        ValueError: for another metric, or a reference without every class.
    """
    before = Sample(reference.labels[domain.reference_rows], reference.scores[domain.reference_rows])
    used = scores[spread_rows(len(scores), CHUNK_CAP)]
    if all(name in WEIGHTED_MEANS for name in metrics):
        return {name: _mean(name, before, len(used), domain) for name in metrics}
    unknown = [name for name in metrics if name not in EXPECTED]
    if unknown:
        raise ValueError(f"no weighted estimate of {', '.join(unknown)}; choose of {', '.join(EXPECTED)}")
    labelled = masses(before.labels, by_class(before.scores[:1]).shape[1], domain.weights)
    if not labelled.any(axis=0).all():
        raise ValueError("the reference lacks a class; a weighted estimate needs rows of every class")
    promised = calibrated(labelled, before.scores, used)
    note = domain.no_overlap or too_few(second_share(promised) * len(scores), len(scores))
    found = {}
    for name in metrics:
        try:
            here, there = expected(name, promised, used), expected(name, labelled, before.scores)
        except Undefined:  # every row is sure to be of one class
            continue
        known, _ = realised_on(before, name)
        found[name] = Estimate.of("weighted", name, here.value, _errors(here, there), known, note)
    return found


def calibrated(labelled: np.ndarray, reference_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Probabilities of each class for `scores`, by isotonic regression of labels on reference scores.

    Args:
        labelled: the weight of each reference row at its class, shape (reference rows, classes).
        reference_scores: shape (reference rows,) or (reference rows, classes).
        scores: shape (rows,) or (rows, classes).

    Returns:
        Shape (rows, classes); rows sum to 1.
    """
    weights = labelled.sum(axis=1)
    if scores.ndim == 1:
        return by_class(_isotonic(labelled[:, 1] / weights, reference_scores, weights, scores))
    columns = [
        _isotonic(labelled[:, label] / weights, reference_scores[:, label], weights, scores[:, label])
        for label in range(scores.shape[1])
    ]
    chances = np.column_stack(columns)
    totals = chances.sum(axis=1, keepdims=True)
    return np.where(totals > 0, chances / np.where(totals > 0, totals, 1), 1 / chances.shape[1])


def _isotonic(labels: np.ndarray, known: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression  # here, as `lightgbm` in `domain`

    fitted = IsotonicRegression(out_of_bounds="clip").fit(known.astype(float), labels, sample_weight=weights)
    return fitted.predict(scores.astype(float))


def _errors(here: Expected, there: Expected) -> tuple[float, float]:
    return here.sampling_error, there.weighted_error


def _mean(name: str, before: Sample, num_rows: int, domain: Domain) -> Estimate:
    """RMSE or MAE: weighted mean of losses, and its errors on the reference and on as many new rows as there are."""
    weights = domain.weights
    residuals = before.labels - before.scores
    losses = np.abs(residuals) if name == "mae" else residuals**2
    mean = float(weights @ losses / weights.sum())
    spread = weights * (losses - mean)
    slope = 1.0 if name == "mae" or mean == 0 else 0.5 / np.sqrt(mean)  # of the root
    reference_error = float(np.sqrt((spread**2).sum()) / weights.sum()) * slope
    chunk_error = float(np.sqrt((weights @ (losses - mean) ** 2) / weights.sum() / num_rows)) * slope
    value = mean if name == "mae" else float(np.sqrt(mean))
    known = METRICS[name].measure(before).value
    return Estimate.of("weighted", name, value, (chunk_error, reference_error), known, domain.no_overlap)
