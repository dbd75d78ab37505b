"""How far off a model is likely to be on each row: its own errors, learned from its inputs and predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.rows import spread_rows

ROW_CAP = 20_000
NUM_TREES = 60
PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}


def expected_errors(
    reference: pd.DataFrame,
    errors: np.ndarray,
    predictions: np.ndarray,
    current: pd.DataFrame,
    current_predictions: np.ndarray,
    numbers: Sequence[str],
    categories: Sequence[str],
    jobs: int = 2,
) -> np.ndarray:
    """The expected absolute error of each current row, in the unit of the label, shape (current rows,).

    Boosted trees fit |label - prediction| on inputs and prediction over the reference, as direct loss estimation does
    (NannyML's `DLE`, which gives the mean of a chunk and no rows).

    Args:
        reference: inputs of labelled rows that the model was not trained on.
        errors: their |label - prediction|, shape (reference rows,).
        predictions: of them.
        current: inputs of the rows in question.
        current_predictions: of them.
        numbers: columns of numbers.
        categories: columns of text.
        jobs: threads; the result does not depend on them.
    """
    import lightgbm  # here, as in `domain`

    rows = spread_rows(len(reference), ROW_CAP)
    vocabulary = Vocabulary.of(reference.iloc[rows], numbers, categories)
    parameters = PARAMETERS | {"num_threads": jobs}
    matrix = np.column_stack((vocabulary.matrix(reference.iloc[rows]), predictions[rows]))
    data = lightgbm.Dataset(
        matrix, errors[rows], categorical_feature=vocabulary.categorical, params=parameters, free_raw_data=False
    )
    booster = lightgbm.train(parameters, data, num_boost_round=NUM_TREES)
    found = booster.predict(np.column_stack((vocabulary.matrix(current), current_predictions)), num_threads=jobs)
    return np.maximum(np.asarray(found), 0.0)
