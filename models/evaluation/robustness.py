"""Inputs as they may come on a bad day: values missing, numbers a little off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def without_values(frame: pd.DataFrame, columns: Sequence[str], share: float, seed: int) -> pd.DataFrame:
    """The rows with a random `share` of the cells of `columns` missing; the same seed empties the same cells.

    >>> without_values(pd.DataFrame({"a": [1.0, 2.0]}), ["a"], share=1.0, seed=0)["a"].isna().all()
    np.True_
    """
    is_empty = np.random.default_rng(seed).random((len(frame), len(columns))) < share
    return frame.assign(**{name: frame[name].mask(is_empty[:, place]) for place, name in enumerate(columns)})


def with_noise(frame: pd.DataFrame, numbers: Sequence[str], scale: float, seed: int) -> pd.DataFrame:
    """The rows with Gaussian noise of `scale` standard deviations added to each number column."""
    noise = np.random.default_rng(seed).normal(0.0, scale, (len(frame), len(numbers)))
    return frame.assign(
        **{name: frame[name] + noise[:, place] * frame[name].std() for place, name in enumerate(numbers)}
    )
