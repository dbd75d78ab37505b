"""Alarms that hold at every look: false ones a year over all series stay within the level, however often one looks.

A series is one value per day or week, such as the log loss of the day. It is looked at after every new value, for
years, and starts anew with each champion. The evidence M_t of `models.monitoring.change` is on average the years that
have passed while nothing changes. By Doob's inequality M_t >= 1 / (alpha * share) then happens at most alpha * share
times a year, whatever the number of looks and of restarts, and over all series, whose shares sum to 1, at most alpha
times a year.

`benchmarks.watch.false_alarms` measures what is left where values are not independent and normal, with champions
replaced every 60 days and 20 series sharing an alpha of 0.05. What no amendment can mend is a reference shorter than
the series remembers: at an autocorrelation of 0.9 and 14 days of reference a third of all years see a false alarm, with
60 days none of 20 did. Give it a month or more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.distributions import t_point
from models.monitoring.change import Direction, evidence_path, start_of

FEWEST_IN_REFERENCE = 2
INTERVAL = 0.95


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
    path = evidence_path(values, len(reference), waited, direction)
    shown = np.concatenate([[0.0], path])[np.cumsum(~np.isnan(current))]  # a look without a value repeats the last
    threshold = 1 / (alpha * share)
    if not len(path):
        return Detection(shown, threshold, elapsed, None, None, None, None)
    if not _is_current(shown, threshold, elapsed):
        values = values[: len(reference) + int(path.argmax()) + 1]
    start = start_of(values, len(reference), direction)
    before, after = values[: len(reference) + start], values[len(reference) + start :]
    return Detection(
        shown, threshold, elapsed, int(places[start]), float(before.mean()), float(after.mean()), _interval(after)
    )


def _is_current(path: np.ndarray, threshold: float, elapsed: np.ndarray) -> bool:
    above = np.flatnonzero(path >= threshold)
    return len(above) > 0 and bool((path[above[-1] :] > elapsed[above[-1] :]).all())


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = float(t_point((1 - INTERVAL) / 2, len(values) - 1)) * error
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
