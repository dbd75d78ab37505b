"""What an estimator has been worth on this project: measured when labels mature, it widens or silences its alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.distributions import t_point
from models.monitoring.estimation.estimate import NOMINAL_LEVEL, Estimate, within_range

# Chosen of 48 on the bundled streams, for 95 % there and for normal errors of any size: benchmarks/watch/estimates.py.
PRIOR_FREEDOM = 1.0
PRIOR_SCALE = 1.0
MEMORY = 0.8  # each older period counts this much of the next: the worst stream was covered in .87, not in .80
FEWEST_PERIODS = 5
BEYOND_SAMPLING = 1.5  # root mean square of error / standard error; 1 is what sampling alone explains
SHARE = 0.9
SMALLEST_ERROR = 1e-12


@dataclass(frozen=True)
class Matured:
    """One period whose labels have come.

    Attributes:
        estimate: what was expected.
        truth: what was realised.
        standard_error: of the estimate, as `Estimate.standard_error`.
        reference: what assuming that nothing changes would have said.
    """

    estimate: float
    truth: float
    standard_error: float
    reference: float

    @classmethod
    def of(cls, estimate: Estimate, truth: float) -> Matured:
        """An estimate and what came of it."""
        return cls(estimate.value, truth, estimate.standard_error, estimate.reference)

    @property
    def error(self) -> float:
        """Estimate less truth."""
        return self.estimate - self.truth

    @property
    def ratio(self) -> float:
        """The error in standard errors."""
        return self.error / max(self.standard_error, SMALLEST_ERROR)


@dataclass(frozen=True)
class Trust:
    """How far an estimator may be believed.

    Attributes:
        num_periods: whose labels have come.
        within: how far it was off at most in `share` of them; None before the first.
        share: of the periods, nine in ten or a little more.
        reach: half-width of an interval of 95 % that has learnt from them, in standard errors.
        is_silenced: whether its alarms should be kept back.
        reason: why, in a sentence; else empty.
    """

    num_periods: int
    within: float | None
    share: float | None
    reach: float
    is_silenced: bool
    reason: str

    @property
    def sentence(self) -> str:
        """For a report."""
        if self.within is None or self.share is None:
            return "on this project no estimate has met its labels yet"
        periods = "1 period" if self.num_periods == 1 else f"{self.num_periods} periods"
        return (
            f"on this project the estimate has been within ±{self.within:.3g} of the truth "
            f"in {self.share:.0%} of {periods}"
        )


def trust(periods: Sequence[Matured]) -> Trust:
    """Learn from past periods, in the order of time, how wide an interval must be and whether to be silent.

    Formula: with r = (estimate - truth) / standard error and weights w = 0.8^(age in periods), the scale is
    s^2 = (nu s0^2 + sum w r^2) / (nu + sum w) with nu = 1 and s0 = 1, and the half-width is t(nu + sum w) * s standard
    errors: the prediction of a normal error of unknown scale, a scaled inverse chi-squared prior, and forgetting (West
    & Harrison 1997, "Bayesian forecasting and dynamic models", chapter 10). It starts at 12.7 standard errors and comes
    down to about 2.5 where the estimator keeps its word. Silence: at least 5 periods in which it was off by 1.5 times
    what sampling explains, and on average by no less than assuming that nothing changed. A quiet past, in which there
    was nothing to foresee, silences nobody. Assumes that errors to come are like recent ones: a first jump is covered
    by the width of the prior alone, and seldom.

    >>> trust(()).sentence
    'on this project no estimate has met its labels yet'
    >>> round(trust(()).reach, 1)
    12.7
    """
    ratios = np.array([period.ratio for period in periods])
    within, share = _within(np.abs([period.error for period in periods])) if periods else (None, None)
    reason = _silence(periods)
    return Trust(len(periods), within, share, _reach(ratios), bool(reason), reason)


def widened(estimate: Estimate, trust: Trust) -> Estimate:
    """The estimate with the interval that its past has earned; a silenced estimator makes it unreliable."""
    lower, upper = within_range(estimate.metric, estimate.value, trust.reach * estimate.standard_error)
    note = estimate.note or trust.reason
    return replace(estimate, lower=lower, upper=upper, is_reliable=not note, note=note)


def _reach(ratios: np.ndarray) -> float:
    weights = MEMORY ** np.arange(len(ratios))[::-1]
    freedom = PRIOR_FREEDOM + float(weights.sum())
    scale = math.sqrt((PRIOR_FREEDOM * PRIOR_SCALE**2 + float(weights @ ratios**2)) / freedom)
    return float(t_point((1 - NOMINAL_LEVEL) / 2, freedom)) * scale


def _within(errors: np.ndarray) -> tuple[float, float]:
    """The smallest distance that held in nine of ten periods, and in which share of them it did."""
    distance = float(np.sort(errors)[math.ceil(SHARE * len(errors)) - 1])
    return distance, float((errors <= distance).mean())


def _silence(periods: Sequence[Matured]) -> str:
    if len(periods) < FEWEST_PERIODS:
        return ""
    own = float(np.mean([abs(period.error) for period in periods]))
    unchanged = float(np.mean([abs(period.reference - period.truth) for period in periods]))
    excess = float(np.sqrt(np.mean([period.ratio**2 for period in periods])))
    if own < unchanged or excess <= BEYOND_SAMPLING:
        return ""
    return (
        f"silenced: over {len(periods)} periods the estimate was off by {own:.3g} on average, "
        f"and assuming that nothing changed by {unchanged:.3g}"
    )
