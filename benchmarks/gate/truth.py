"""What is true in a world: shares, scores and gains by numerical integration, without a draw.

The true log-odds are normal with a mean (the intercept) and a deviation (the signal); a model adds normal noise to
them. Every expectation is a sum over Gauss-Hermite nodes of the log-odds, and of the noise where it does not drop out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import optimize, special

NUM_NODES = 150
WIDEST_NOISE = 5.0  # a model that knows next to nothing


@cache
def nodes() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for the expectation of a function of one standard normal value."""
    places, weights = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    return places, weights / weights.sum()


@cache
def intercept(prevalence: float, signal: float) -> float:
    """Mean log-odds at which the share of positives is `prevalence`."""
    places, weights = nodes()
    return float(
        optimize.brentq(lambda mean: weights @ special.expit(mean + signal * places) - prevalence, -20.0, 20.0)
    )


def threshold(prevalence: float, signal: float, noise: float) -> float:
    """The score that a share `prevalence` of rows reaches."""
    spread = np.hypot(signal, noise)
    return float(special.expit(intercept(prevalence, signal) + spread * special.ndtri(1 - prevalence)))


def accuracy(prevalence: float, signal: float, noise: float, score: float) -> float:
    """Share of rows that a model with this noise calls right when it calls `score` or more positive."""
    places, weights = nodes()
    odds = intercept(prevalence, signal) + signal * places
    chances = special.expit(odds)
    called = special.ndtr((odds - special.logit(score)) / noise)
    return float(weights @ (chances * called + (1 - chances) * (1 - called)))


def auc(prevalence: float, signal: float, noise: float) -> float:
    """Chance that a positive scores above a negative."""
    places, weights = nodes()
    odds = intercept(prevalence, signal) + signal * places
    chances = special.expit(odds)
    positives, negatives = weights * chances / prevalence, weights * (1 - chances) / (1 - prevalence)
    above = special.ndtr((odds[:, None] - odds[None, :]) / (np.sqrt(2) * noise))
    return float(positives @ above @ negatives)


def log_loss(prevalence: float, signal: float, noise: float) -> float:
    """Mean log loss in nats; the cut at tiny probabilities is never reached."""
    places, weights = nodes()
    odds = intercept(prevalence, signal) + signal * places
    chances = special.expit(odds)[:, None]
    said = odds[:, None] + noise * places[None, :]
    losses = chances * np.logaddexp(0, -said) + (1 - chances) * np.logaddexp(0, said)
    return float(weights @ losses @ weights)


def noise_worse_in_accuracy(prevalence: float, signal: float, noise: float, loss: float) -> float:
    """The noise that costs `loss` of accuracy, called at the threshold of the model with `noise`."""
    score = threshold(prevalence, signal, noise)
    wanted = accuracy(prevalence, signal, noise, score) - loss
    return _solve(lambda each: accuracy(prevalence, signal, each, score) - wanted, noise, WIDEST_NOISE)


def noise_worse_in_auc(prevalence: float, signal: float, noise: float, loss: float) -> float:
    """The noise that costs `loss` of AUC."""
    wanted = auc(prevalence, signal, noise) - loss
    return _solve(lambda each: auc(prevalence, signal, each) - wanted, noise, WIDEST_NOISE)


def noise_better_in_log_loss(prevalence: float, signal: float, noise: float, gain: float) -> float:
    """The noise that lowers the log loss by `gain`."""
    wanted = log_loss(prevalence, signal, noise) - gain
    return _solve(lambda each: log_loss(prevalence, signal, each) - wanted, 0.0, noise)


def disagreement(
    prevalence: float, signal: float, noises: tuple[float, float], correlation: float, score: float
) -> float:
    """Share of rows that two models call differently at the threshold `score`."""
    places, weights = nodes()
    # Of the sum of log-odds and one model's noise, what is left of the other's noise is normal, given that sum and
    # the log-odds: one dimension is integrated by the nodes, the other in closed form.
    odds = (intercept(prevalence, signal) + signal * places)[:, None]
    first = noises[0] * places[None, :]
    rest = noises[1] * np.sqrt(1 - correlation**2)
    limit = special.logit(score)
    second_called = special.ndtr((odds + noises[1] * correlation * places[None, :] - limit) / rest)
    differs = np.where(odds + first >= limit, 1 - second_called, second_called)
    return float(weights @ differs @ weights)


def correlation_of(prevalence: float, signal: float, noises: tuple[float, float], score: float, share: float) -> float:
    """The correlation of noises at which two models call a share of rows differently."""
    return _solve(lambda each: share - disagreement(prevalence, signal, noises, each, score), 0.0, 0.999)


def _solve(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-6))
