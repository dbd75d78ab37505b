"""What the charts and tables of the watch say in words, for somebody who has no statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.evaluation.metrics import METRICS
from models.monitoring.evidence import SeriesAlarm
from models.monitoring.performance import Change
from models.reporting import wording
from models.reporting.tracks import Track, finite

SMALLEST = 0.0005  # below it two values are written alike


def reading(track: Track) -> list[str]:
    """What a chart says in its newest numbers, a sentence each."""
    said = [_known(track)]
    if track.estimate and finite(track.estimate.value) is not None:
        each = track.estimate
        where = "Expected of the newest rows, before their outcomes are known"
        doubt = "" if each.is_reliable else " It is not listened to."
        said.append(f"{where}: {between(each.value, each.lower, each.upper, track.unit)}.{doubt}")
    if track.is_raised and track.alarm:
        alarm = track.alarm.sentence
        said.append(f"An alarm stands: {alarm}{'' if alarm.endswith('.') else '.'}")
    return said


def summary(track: Track) -> str:
    """A small chart in a few words: the last days and what it was when the champion was new."""
    largest = max(abs(track.lately or 0.0), abs(track.reference or 0.0))
    digits = min(max(2 - math.floor(math.log10(largest)), 0), 6) if largest else 0
    unit = f" {track.unit}" if track.unit else ""
    new = "" if track.reference is None else f", {wording.decimals(track.reference, digits)} new"
    return f"{wording.decimals(track.lately, digits)}{unit} lately{new}"


def estimated(metric: str, estimator: str, unit: str = "") -> str:
    """A metric with its unit, and the estimator of it.

    >>> estimated("mae", "dle", "minutes")
    'mean absolute error (minutes), by DLE'
    """
    where = f" ({unit})" if unit else ""
    return f"{metric_words(metric)}{where}, by {wording.ESTIMATORS.get(estimator, wording.words(estimator))}"


def some_days(days: Sequence[str]) -> str:
    """The first few of some days.

    >>> some_days(["2013-02-01", "2013-02-02", "2013-02-03", "2013-02-04"])
    '1 Feb 2013, 2 Feb 2013 and 2 more'
    """
    if not days:
        return wording.DASH
    shown = list(days) if len(days) < 4 else [*days[:2]]
    more = [f"{len(days) - len(shown)} more"] if len(days) > len(shown) else []
    return wording.listed([*map(wording.moment, shown), *more])


def alarm_words(alarm: SeriesAlarm) -> str:
    """How much evidence there is, in years that it takes for so much to come by chance."""
    needed = finite(alarm.years_needed)
    if math.isnan(alarm.years):
        return "nothing to say yet"
    against = "" if needed is None else f"; {_years(needed)} are needed"
    return f"by chance once in {_years(alarm.years)}{against}"


def change_words(change: Change) -> str:
    """By how much a metric got worse, with its interval."""
    lower, upper = finite(change.lower), finite(change.upper)
    if lower is None or upper is None:
        return f"{signed(change.worse)} (too few days for an interval)"
    return f"{signed(change.worse)} ({signed(lower)} to {signed(upper)})"


def _known(track: Track) -> str:
    change = track.change
    if change is None or finite(change.value) is None:
        return "No outcomes are known for the newest look."
    unit = f" {track.unit}" if track.unit else ""
    days = wording.counted(change.num_days, "days")
    now = f"Measured: {wording.decimals(change.value)}{unit} on {wording.counted(change.num_rows, 'rows')} of {days}"
    new = f"{wording.decimals(change.reference)} when the champion was new"
    return f"{now}, {new}. {_judged(change, unit)}{_worth(track, unit)}"


def _judged(change: Change, unit: str) -> str:
    lower, upper = finite(change.lower), finite(change.upper)
    is_same = abs(change.worse) < SMALLEST
    amount = f"{wording.decimals(abs(change.worse))}{unit} {'worse' if change.worse > 0 else 'better'}"
    said = f"That is {'the same' if is_same else amount}"
    if lower is None or upper is None:
        return f"{said}; too few days are known to say how sure this is."
    chance = "no more than chance can do" if lower <= 0 <= upper else "more than chance explains"
    interval = f"(95% interval of the difference {signed(lower)} to {signed(upper)})"
    return f"{said} {interval}." if is_same else f"{said}, {chance} {interval}."


def _worth(track: Track, unit: str) -> str:
    """From where on a change of the metric counts as harm, where that is known."""
    worth = finite(track.alarm.worth) if track.alarm else None
    return f" What matters begins at {wording.decimals(worth)}{unit}." if worth else ""


def between(value: float, lower: float, upper: float, unit: str = "") -> str:
    """A value with its interval."""
    said = f"{wording.decimals(value)}{f' {unit}' if unit else ''}"
    if finite(lower) is None or finite(upper) is None:
        return said
    return f"{said} ({wording.decimals(lower)} to {wording.decimals(upper)})"


def signed(value: float | None) -> str:
    """A difference."""
    return wording.decimals(value, 3, sign="+")


def _years(years: float) -> str:
    if years >= 10_000:
        return "10,000 years or more"
    if years >= 1:
        return f"{years:,.0f} year{'' if round(years) == 1 else 's'}"
    return wording.days(max(round(365 * years), 1))


def metric_words(name: str) -> str:
    """How a metric is called within a sentence."""
    return METRICS[name].label.partition(" (")[0] if name in METRICS else wording.words(name)
