"""Samples that the tests of metrics share: drawn with many ties, or simulated from a seed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from models.evaluation.metrics.metric import Sample

NUM_CLASSES = 3


@st.composite
def binary_samples(draw: st.DrawFn, max_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes, and scores with many ties."""
    num_rows = draw(st.integers(4, max_rows))
    labels = np.array([0.0, 1.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=num_rows, max_size=num_rows))])
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    return labels, np.array(draw(st.lists(score, min_size=len(labels), max_size=len(labels))))


@st.composite
def multiclass_samples(draw: st.DrawFn, max_rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Labels of every class, and probabilities of each with many ties."""
    num_rows = draw(st.integers(4, max_rows)) + NUM_CLASSES
    weights = st.tuples(*[st.integers(0, 4)] * NUM_CLASSES).filter(any)
    scores = np.array(draw(st.lists(weights, min_size=num_rows, max_size=num_rows)), dtype=float)
    further = st.lists(
        st.integers(0, NUM_CLASSES - 1), min_size=num_rows - NUM_CLASSES, max_size=num_rows - NUM_CLASSES
    )
    return np.array([*range(NUM_CLASSES), *draw(further)], dtype=float), scores / scores.sum(axis=1, keepdims=True)


@st.composite
def regression_samples(draw: st.DrawFn, max_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels that differ, and predictions of them."""
    num_rows = draw(st.integers(4, max_rows))
    values = st.lists(st.floats(-100, 100).map(lambda value: round(value, 2)), min_size=num_rows, max_size=num_rows)
    return np.array([*draw(values), 0.0, 1.0]), np.array([*draw(values), 0.5, 0.5])


def binary(num_rows: int, seed: int, decimals: int = 2) -> Sample:
    """Scores that are ties to `decimals`, labels that follow them, and a column of profits."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(2, 2, num_rows).round(decimals)
    labels = (generator.random(num_rows) < 0.2 + 0.4 * scores).astype(float)
    return Sample(labels, scores, {"profit": generator.normal(1, 5, num_rows)})


def multiclass(num_rows: int, seed: int) -> Sample:
    """Probabilities of three classes in steps of 1/20, and labels that follow them half of the time."""
    generator = np.random.default_rng(seed)
    scores = generator.multinomial(20, [0.4, 0.35, 0.25], num_rows) * generator.uniform(0.2, 1, (num_rows, 3)).round(1)
    scores = scores / scores.sum(axis=1, keepdims=True)
    followed = (scores.cumsum(axis=1) < generator.random(num_rows)[:, None]).sum(axis=1)
    labels = np.where(generator.random(num_rows) < 0.5, followed, generator.integers(0, 3, num_rows))
    return Sample(labels.astype(float), scores)


def regression(num_rows: int, seed: int) -> Sample:
    """Labels around their prediction."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(10, 3, num_rows)
    return Sample(scores + generator.normal(0.3, 2, num_rows), scores)
