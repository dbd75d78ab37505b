"""Direct loss estimation, by NannyML: a regression of the model's own errors on its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.evaluation.metrics import Sample
from models.monitoring.estimation.estimate import Estimate, realised_on
from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.rows import spread_rows
from models.monitoring.nannyml_boundary import nannyml, numpy_seeded

REFERENCE_CAP = 20_000
CHUNK_CAP = 200_000
METRICS_OF_REGRESSION = ("mae", "rmse")
PREDICTION, LABEL = "prediction", "label"  # the inputs are called by their place: LightGBM refuses [, { and : in names


def dle(
    reference: pd.DataFrame,
    reference_sample: Sample,
    current: pd.DataFrame,
    predictions: np.ndarray,
    numbers: Sequence[str],
    categories: Sequence[str],
    metrics: Sequence[str] = METRICS_OF_REGRESSION,
    jobs: int = 2,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Learn how large the errors are for given inputs, and average what is learnt over the rows in question.

    Formula: LightGBM fits |y - p| (MAE) or (y - p)^2 (RMSE) on inputs and prediction p over the reference; the estimate
    is the mean, or its root, over the chunk. Assumes that errors at given inputs are as on the reference: a change of
    concept is invisible. At most 20,000 reference rows and 200,000 of the chunk are used, evenly spread; the standard
    error has both samples in it. Reference: NannyML 0.13, `DLE`.

    Args:
        reference: inputs of labelled rows that the model was not trained on.
        reference_sample: their labels and predictions.
        current: inputs of the rows in question.
        predictions: of the model for them, shape (rows,).
        numbers: columns of numbers.
        categories: columns of text, handed to NannyML as codes of the reference's vocabulary.
        metrics: of mae and rmse.
        jobs: threads of LightGBM; the result does not depend on them.
        seed: of the draws inside NannyML.

    Raises:
        ValueError: for another metric, or no rows.
    """
    for name in metrics:
        if name not in METRICS_OF_REGRESSION:
            raise ValueError(f"DLE does not estimate {name!r}; choose of {', '.join(METRICS_OF_REGRESSION)}")
    used, rows = spread_rows(len(reference), REFERENCE_CAP), spread_rows(len(current), CHUNK_CAP)
    if not len(rows) or not len(used):
        raise ValueError(f"DLE needs rows; there are {len(used)} in the reference and {len(rows)} in question")
    before = Sample(reference_sample.labels[used], reference_sample.scores[used])
    vocabulary = Vocabulary.of(reference.iloc[used], numbers, categories)
    fitted = _frame(vocabulary, reference.iloc[used], before.scores).assign(**{LABEL: before.labels})
    result = _estimate(fitted, _frame(vocabulary, current.iloc[rows], predictions[rows]), metrics, jobs, seed)
    found = {}
    for name in metrics:
        known, known_error = realised_on(before, name)
        value, error = (float(result[name, part]) for part in ("value", "sampling_error"))
        found[name] = Estimate.of("dle", name, value, (error, known_error), known)
    return found


def _estimate(
    reference: pd.DataFrame, current: pd.DataFrame, metrics: Sequence[str], jobs: int, seed: int
) -> pd.Series:
    estimator = nannyml().DLE(
        feature_column_names=[name for name in current.columns if name != PREDICTION],  # it adds the prediction
        y_pred=PREDICTION,
        y_true=LABEL,
        metrics=list(metrics),
        chunk_number=1,
        hyperparameters={
            "verbose": -1,
            "random_state": seed,
            "deterministic": True,
            "force_row_wise": True,
            "n_jobs": jobs,
        },
    )
    with warnings.catch_warnings(), numpy_seeded(seed):
        warnings.simplefilter("ignore")  # it advises on more chunks than one, and on categories of LightGBM
        estimator.fit(reference)
        return estimator.estimate(current).filter(period="analysis").to_df().iloc[0]


def _frame(vocabulary: Vocabulary, frame: pd.DataFrame, predictions: np.ndarray) -> pd.DataFrame:
    """Numbers as floats and text as integer codes of the type category: text columns make NannyML's DLE fail."""
    inputs = vocabulary.frame(frame)
    return inputs.set_axis([f"input_{place}" for place in range(inputs.shape[1])], axis=1).assign(
        **{PREDICTION: predictions}
    )
