"""Performance without labels, by NannyML's CBPE: early warning, never proof, since it cannot see a concept change."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.evaluation.metrics.ranking import auc
from models.monitoring.nannyml_boundary import nannyml, numpy_seeded


@dataclass(frozen=True)
class Estimate:
    """AUC expected on rows without labels, with NannyML's confidence band of three sampling errors.

    `reference` is the AUC realised on the rows that the estimator was fitted on.
    """

    auc: float
    lower: float
    upper: float
    reference: float


def estimate_auc(
    reference_labels: np.ndarray, reference_scores: np.ndarray, scores: np.ndarray, seed: int = 0
) -> Estimate:
    """Confidence-based performance estimation: calibrate scores on the reference, and average over what they promise.

    Args:
        reference_labels: 0.0 or 1.0 for rows that the model was not trained on, shape (reference rows,).
        reference_scores: the model's probabilities for them.
        scores: its probabilities for the rows in question, shape (rows,).
        seed: of the draws inside NannyML.
    """
    reference = _frame(reference_scores).assign(label=reference_labels.astype(int))
    estimator = nannyml().CBPE(
        y_pred_proba="score",
        y_pred="decision",
        y_true="label",
        problem_type="classification_binary",
        metrics=["roc_auc"],
        chunk_number=1,
    )
    with warnings.catch_warnings(), numpy_seeded(seed):
        warnings.simplefilter("ignore")  # it advises on more chunks than one, whose thresholds are not used here
        estimator.fit(reference)
        result = estimator.estimate(_frame(scores)).filter(period="analysis").to_df()["roc_auc"].iloc[0]
    return Estimate(
        auc=float(result["value"]),
        lower=float(result["lower_confidence_boundary"]),
        upper=float(result["upper_confidence_boundary"]),
        reference=auc(reference_labels, reference_scores).value,
    )


def _frame(scores: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"score": scores, "decision": (scores > 0.5).astype(int)})
