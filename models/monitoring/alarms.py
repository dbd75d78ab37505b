"""Alarms that hold at every look: false ones a year over all series stay within the level, however often one looks.

A series is one value per day or week, such as the log loss of the day. It is looked at after every new value, for
years, and starts anew with each champion. The evidence at look t is a Shiryaev-Roberts sum over every point k at which
a change may have begun (an e-detector: Shin, Ramdas & Rinaldo 2023, arXiv 2203.03532):

    M_t = sum over k <= t of w_k E_t(k),

where w_k is the time that point k covers, in years, and E_t(k) the Bayes factor for "the mean differs from k on". While
nothing changes E_t(k) is a martingale of mean 1, so M_t is on average the years that have passed. By Doob's inequality
M_t >= 1 / (alpha * share) happens at most alpha * share times a year, whatever the number of looks and of restarts, and
over all series, whose shares sum to 1, at most alpha times a year.

That is exact for independent normal values of any mean and spread. Three amendments make it hold roughly elsewhere:

- values further than 3 robust standard deviations from the median are drawn in, for heavy tails and skew;
- E_t(k) is at most C(n, m), the ways to choose the m values since k among all n: what their order alone could show;
- n autocorrelated values count as n (1 - r) / (1 + r), with r the autocorrelation about the change, corrected for
  its bias and half a standard error higher.

`benchmarks.watch.false_alarms` measures what they leave, with champions replaced every 60 days and 20 series sharing an
alpha of 0.05. What they cannot mend is a reference shorter than the series remembers: at an autocorrelation of 0.9 and
14 days of reference a third of all years see a false alarm, with 60 days none of 20 did. Give it a month or more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

Direction = Literal["up", "down", "both"]

PRIOR_VARIANCE = 1.0  # of a change, in variances of single values: the unit information prior
CAUTION = 0.5  # standard errors by which the autocorrelation is taken for higher than it looks
FARTHEST = 3.0  # robust standard deviations from the median at which values are drawn in
QUARTILE_SPREAD = 1.349  # standard deviations between the quartiles of a normal distribution
ROUNDING = 1e-9  # share of the largest value within which values count as equal
FEWEST_IN_REFERENCE = 2
INTERVAL = 0.95
LARGEST_LOG = 600.0  # e^600 is as much evidence as anybody needs, and no overflow


@dataclass(frozen=True)
class Alarm:
    """What one series says at the last look.

    Attributes:
        series: its name.
        evidence: M_t at the last look, in years: a series without change shows as much at most once in so many years.
        threshold: evidence from which the alarm is raised.
        is_raised: whether evidence reached the threshold at any look; it stays raised until the next champion.
        is_current: whether it is raised and evidence has not fallen since to the years that have passed, which is what
            a quiet series shows on average; False when the level has come back.
        since: label of the most likely start of the change; None while no alarm is raised.
        before, after: means of the values before the start and from it on, for a level that has come back up to the
            look with the most evidence; None while no alarm is raised.
        interval: of `after`, by Student's t on the values since the start as if it had been known: it describes, and
            is no test; None for fewer than two values.
    """

    series: str
    evidence: float
    threshold: float
    is_raised: bool
    is_current: bool
    since: str | None
    before: float | None
    after: float | None
    interval: tuple[float, float] | None

    @property
    def sentence(self) -> str:
        """One sentence that an engineer on call can act on."""
        if self.before is None or self.after is None:
            return f"{self.series} shows no change: evidence {self.evidence:,.3g} of {self.threshold:,.0f} years."
        moved = "rose" if self.after > self.before else "fell"
        change = f"{self.series} {moved} to {self.after:.4g} since {self.since} from {self.before:.4g}"
        if not self.is_current:
            return f"{change}, and has come back since the alarm."
        band = f" (95 % interval {self.interval[0]:.4g} to {self.interval[1]:.4g})" if self.interval else ""
        return f"{change}{band}: by chance at most once in {min(self.evidence, 1e6):,.0f} years."


@dataclass(frozen=True)
class Detection:
    """The evidence of one series after every look, and the change that it speaks for.

    Attributes:
        path: M_t in years, shape (looks,).
        threshold: evidence that raises an alarm, in years.
        elapsed: years since the reference at each look: what M_t is on average without a change; shape (looks,).
        start: place in the current values where the change most likely began: seen from the last look while an alarm
            is current, and else from the look with the most evidence; None without values.
        before, after, interval: as in `Alarm`, for `start`.
    """

    path: np.ndarray
    threshold: float
    elapsed: np.ndarray
    start: int | None
    before: float | None
    after: float | None
    interval: tuple[float, float] | None

    @property
    def raised_at(self) -> int | None:
        """The first look at which the alarm was raised."""
        above = np.flatnonzero(self.path >= self.threshold)
        return int(above[0]) if len(above) else None

    @property
    def is_current(self) -> bool:
        """Whether evidence has stayed above what no change would show since it last reached the threshold."""
        return _is_current(self.path, self.threshold, self.elapsed)

    def alarm(self, series: str, labels: Sequence[str] | None = None) -> Alarm:
        """The state at the last look.

        Args:
            series: its name.
            labels: of the current values, such as their days; by default their places, from 0.
        """
        evidence = float(self.path[-1]) if len(self.path) else 0.0
        if self.raised_at is None or self.start is None:
            return Alarm(series, evidence, self.threshold, False, False, None, None, None, None)
        since = str(self.start) if labels is None else labels[self.start]
        change = (since, self.before, self.after, self.interval)
        return Alarm(series, evidence, self.threshold, True, self.is_current, *change)


def detect(
    reference: np.ndarray,
    current: np.ndarray,
    years_a_point: float | np.ndarray,
    alpha: float = 0.05,
    share: float = 1.0,
    direction: Direction = "both",
) -> Detection:
    """Whether the mean of a series has changed since the reference, at every look.

    Every value is given the same weight. The values of days differ mostly for reasons that more rows would not remove,
    so leave out (NaN) the days with too few rows instead of weighting them.

    Args:
        reference: values from when the champion was fresh, oldest first; at least two that are not NaN. It must not be
            the sample on which the champion was chosen for being good: its values would be too good.
        current: the values since, shape (looks,). NaN is a look without a value: it is skipped, its time passes.
        years_a_point: the time that each current value covers, in years; one number or shape (looks,).
        alpha: false alarms a year over all series together.
        share: of `alpha` that this series may use; the shares of all series sum to at most 1.
        direction: in which a change is harm.

    Raises:
        ValueError: for too short a reference, infinite values, and levels that are none.

    >>> quiet, shifted = np.tile([0.0, 1.0, 3.0, 2.0], 10), np.tile([6.0, 8.0], 6)
    >>> found = detect(quiet, np.concatenate([quiet[:8], shifted]), years_a_point=1 / 365, direction="up")
    >>> found.start, found.raised_at
    (8, 11)
    """
    reference, current = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    covered = np.broadcast_to(np.asarray(years_a_point, dtype=float), current.shape)
    _check(reference, current, covered, alpha, share)
    reference = reference[~np.isnan(reference)]
    places = np.flatnonzero(~np.isnan(current))
    elapsed = np.cumsum(covered)
    waited = np.diff(elapsed[places], prepend=0.0)
    values = np.concatenate([reference, current[places]])
    path = _evidence(values, len(reference), waited, direction)
    shown = np.concatenate([[0.0], path])[np.cumsum(~np.isnan(current))]  # a look without a value repeats the last
    threshold = 1 / (alpha * share)
    if not len(path):
        return Detection(shown, threshold, elapsed, None, None, None, None)
    if not _is_current(shown, threshold, elapsed):
        values = values[: len(reference) + int(path.argmax()) + 1]
    start = _start(values, len(reference), direction)
    before, after = values[: len(reference) + start], values[len(reference) + start :]
    return Detection(
        shown, threshold, elapsed, int(places[start]), float(before.mean()), float(after.mean()), _interval(after)
    )


def bayes_factor(
    num_before: np.ndarray, num_since: np.ndarray, difference: np.ndarray, within: np.ndarray, direction: Direction
) -> np.ndarray:
    """How much likelier two normal samples are with means that differ than with one mean; 1 is no evidence.

    The effect, in standard deviations, has the prior N(0, g) with g = 1, cut to its positive half for "up" and to its
    negative half for "down"; mean and standard deviation have the right Haar prior. With n = n1 n2 / (n1 + n2),
    nu = n1 + n2 - 2, h = n g / (1 + n g) and r2 the share of the squares that lies between the samples:

        two-sided:  (1 + n g)^(-1/2) (1 - h r2)^(-(nu + 1) / 2)                 (Gönen et al. 2005)
        "up":       that times 2 P(effect > 0), where P is the distribution function of Student's t with nu + 1 degrees
                    of freedom at sign * sqrt(h r2 (nu + 1) / (1 - h r2)).

    The prior makes it the likelihood ratio of what is left when origin and unit are not known, so it is a martingale
    under no change as values are added to the second sample (Hendriksen et al. 2021; Pérez-Ortiz et al. 2024).

    Args:
        num_before, num_since: n1 and n2; need not be whole numbers. 1 is returned where nu is not positive.
        difference: mean of the second sample less mean of the first.
        within: sum of squares about the two means.
        direction: in which a difference counts.

    >>> bayes_factor(np.array(10), np.array(10), np.array([0.0, 1.5]), np.array(18.0), "both").round(3)
    array([ 0.408, 16.04 ])
    """
    size = num_before * num_since / (num_before + num_since)
    freedom = np.maximum(num_before + num_since - 2, 0.0)
    shrinkage = size * PRIOR_VARIANCE / (1 + size * PRIOR_VARIANCE)
    between = difference**2 * size
    total = between + within
    explained = shrinkage * np.divide(between, total, out=np.zeros(np.shape(total)), where=total > 0)
    log_factor = -0.5 * np.log1p(size * PRIOR_VARIANCE) - (freedom + 1) / 2 * np.log1p(-explained)
    factor = np.exp(np.minimum(log_factor, LARGEST_LOG))
    if direction != "both":
        sign = np.sign(difference) if direction == "up" else -np.sign(difference)
        posterior = sign * np.sqrt(explained * (freedom + 1) / (1 - explained))
        factor = factor * 2 * special.stdtr(freedom + 1, posterior)
    found: np.ndarray = np.where(freedom > 0, factor, 1.0)
    return found


def _evidence(values: np.ndarray, num_reference: int, waited: np.ndarray, direction: Direction) -> np.ndarray:
    """M after each value beyond the reference; `waited` is the time that each covers."""
    path = np.zeros(len(waited))
    for look in range(len(waited)):
        path[look] = waited[: look + 1] @ _factors(values[: num_reference + look + 1], num_reference, direction)
    return path


def _is_current(path: np.ndarray, threshold: float, elapsed: np.ndarray) -> bool:
    above = np.flatnonzero(path >= threshold)
    return len(above) > 0 and bool((path[above[-1] :] > elapsed[above[-1] :]).all())


def _start(values: np.ndarray, num_reference: int, direction: Direction) -> int:
    """Where beyond the reference a change most likely began, as a place among the values beyond it.

    The amendments are for the size of the evidence. They would move the start: C(n, m) lets earlier ones show more.
    """
    parts = _Parts.of(drawn_in(values), num_reference)
    plain = bayes_factor(parts.num_before, parts.num_since, parts.since - parts.before, parts.within, direction)
    return int(plain.argmax())


@dataclass(frozen=True)
class _Parts:
    """The values before and from each possible start on: their numbers, means, and squares about both means."""

    num_before: np.ndarray
    num_since: np.ndarray
    before: np.ndarray
    since: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, num_reference: int) -> _Parts:
        num_before = np.arange(num_reference, len(values), dtype=float)
        num_since = len(values) - num_before
        sums = np.cumsum(values)
        before = sums[num_reference - 1 : -1] / num_before
        since = (sums[-1] - sums[num_reference - 1 : -1]) / num_since
        within = np.maximum(values @ values - num_before * before**2 - num_since * since**2, 0.0)
        return cls(num_before, num_since, before, since, within)


def _factors(values: np.ndarray, num_reference: int, direction: Direction) -> np.ndarray:
    """E(k) at the last of the values for every start k beyond the reference, with the three amendments."""
    drawn = drawn_in(values)
    parts = _Parts.of(drawn, num_reference)
    correlation = _autocorrelation(drawn, num_reference, parts)
    worth = (1 - correlation) / (1 + correlation)
    factors = bayes_factor(
        parts.num_before * worth, parts.num_since * worth, parts.since - parts.before, parts.within * worth, direction
    )
    return np.minimum(factors, _orders(parts.num_before, parts.num_since))


def drawn_in(values: np.ndarray) -> np.ndarray:
    """Values in robust standard deviations from the median, with those beyond 3 drawn in to 3.

    The standard deviation is the distance of the quartiles / 1.349, or the plain one where they coincide. Values that
    differ by rounding only are all 0.

    >>> drawn_in(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2)
    array([-1.35, -0.67,  0.  ,  0.67,  3.  ])
    """
    ordered = np.sort(values)
    if ordered[-1] - ordered[0] <= ROUNDING * max(abs(ordered[0]), abs(ordered[-1])):
        return np.zeros(len(values))
    lower, median, upper = (_quantile(ordered, level) for level in (0.25, 0.5, 0.75))
    spread = (upper - lower) / QUARTILE_SPREAD
    if spread <= ROUNDING * (ordered[-1] - ordered[0]):
        spread = float(values.std())
    drawn: np.ndarray = np.clip((values - median) / spread, -FARTHEST, FARTHEST)
    return drawn


def _quantile(ordered: np.ndarray, level: float) -> float:
    place = level * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def _autocorrelation(values: np.ndarray, num_reference: int, parts: _Parts) -> np.ndarray:
    """Lag-1 autocorrelation about the two means for every start, cautiously high; from 0 to 0.99.

    Two fitted means lower it by (2 + 6 r) / n on average (Marriott & Pope 1954), which is given back, and half a
    standard error sqrt((1 - r^2) / n) is added. With a whole one, a half and none .708, .75 and .812 of 48 changes of
    concept were found; quiet series that remember were played with the half alone.
    """
    starts = np.arange(num_reference, len(values))
    num_values, total = len(values), values.sum()
    products = np.cumsum(values[1:] * values[:-1])
    sums = parts.before * parts.num_before
    pairs = products[starts - 2] - parts.before * (2 * sums - values[0] - values[starts - 1])
    pairs += (starts - 1) * parts.before**2
    pairs += products[-1] - products[starts - 1] - parts.since * (2 * (total - sums) - values[starts] - values[-1])
    pairs += (num_values - starts - 1) * parts.since**2
    raw = np.divide(pairs, parts.within, out=np.zeros(len(starts)), where=parts.within > ROUNDING)
    unbiased = np.clip((raw + 2 / num_values) / (1 - min(6 / num_values, 0.5)), -1.0, 1.0)
    cautious: np.ndarray = np.clip(unbiased + CAUTION * np.sqrt((1 - unbiased**2) / num_values), 0.0, 0.99)
    return cautious


def _orders(num_before: np.ndarray, num_since: np.ndarray) -> np.ndarray:
    """C(n1 + n2, n2): evidence of the most telling order that values can come in."""
    logs = (
        special.gammaln(num_before + num_since + 1) - special.gammaln(num_before + 1) - special.gammaln(num_since + 1)
    )
    found: np.ndarray = np.exp(np.minimum(logs, LARGEST_LOG))
    return found


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = float(stats.t.isf((1 - INTERVAL) / 2, len(values) - 1)) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


def _check(reference: np.ndarray, current: np.ndarray, covered: np.ndarray, alpha: float, share: float) -> None:
    known = reference[~np.isnan(reference)]
    if len(known) < FEWEST_IN_REFERENCE:
        raise ValueError(f"the reference has {len(known)} values; an alarm needs at least {FEWEST_IN_REFERENCE}")
    if np.isinf(reference).any() or np.isinf(current).any():
        raise ValueError("a series has infinite values; give NaN for a look without a value")
    if not (covered > 0).all():
        raise ValueError(f"years_a_point={covered.min(initial=np.inf):g}; every look covers some time, in years")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha:g} is not a rate of false alarms; set it between 0 and 1 a year")
    if not 0 < share <= 1:
        raise ValueError(f"share={share:g} is no share of alpha; give a number above 0 and at most 1")
