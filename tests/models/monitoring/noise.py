"""Series in which nothing happens."""

from __future__ import annotations

import numpy as np


def random(seed: int = 0) -> np.random.Generator:
    """A generator of one seed."""
    return np.random.default_rng(seed)


def autoregressive(noise: np.ndarray, correlation: float) -> np.ndarray:
    """Values of variance 1 that remember their predecessor, from independent ones; shape (series, values)."""
    values = noise.copy()
    for place in range(1, noise.shape[1]):
        values[:, place] = correlation * values[:, place - 1] + np.sqrt(1 - correlation**2) * noise[:, place]
    return values
