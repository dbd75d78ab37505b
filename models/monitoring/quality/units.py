"""Units: a column that is suddenly what it was, times a thousand, in miles, or in degrees of the other scale.

Two kinds of evidence. A factor of 24 or more that brings a day back among the training days is no season. A smaller
one may be: 20 degrees Celsius are 68 Fahrenheit, and a warm week in Fahrenheit, converted, looks like the winter that
the champion was trained on. So it counts only when it came from one day to the next, further than days were apart in
training, and when the conversion takes it back to where the days before had been.

A unit stays until somebody mends it, and storms pass. So a day is believed when the one before or after it, up to three
days away, is at fault too. A day that stands alone must have jumped farther, or be off by a factor of 24 or more, and
that says nothing in a column that is constant on some days: any rain, divided by a thousand, looks dry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from models.monitoring.quality.check import QualityCheck
from models.monitoring.quality.distances import Numbers, decile_distance, jensen_shannon
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.histories import MAX_LAG, ColumnHistory
from models.monitoring.quality.layout import NumberLayout
from models.monitoring.quality.profile import NumberProfile, Profile

CONSTANT = 0.95  # share of one value on a training day
FAR = 0.3  # Jensen-Shannon distance beyond that of any training day
STEP_RATIO = 1.4
STEP_SLACK = 0.05  # of the spread of the column
EXPLAINED = 0.15  # of the distance may stay after the conversion
MAX_UNEXPLAINED = 0.5  # days that moved without a conversion, for each with one
MIN_DISTINCT = 5  # values of a day: fewer fit any conversion


@dataclass(frozen=True)
class Conversion:
    """`undo` takes the values found to those meant."""

    name: str
    undo: Callable[[Numbers], Numbers]
    is_large: bool = False


def _times(factor: float, name: str, is_large: bool = False) -> Conversion:
    return Conversion(name, lambda values: values / factor, is_large)


FACTORS = (10, 24, 60, 100, 1000, 3600, 86_400, 1e6)
CONVERSIONS = (
    *(_times(factor, f"times {factor:g}", factor >= 24) for factor in FACTORS),
    *(_times(1 / factor, f"divided by {factor:g}", factor >= 24) for factor in FACTORS),
    _times(1.609344, "miles turned into kilometres"),
    _times(1 / 1.609344, "kilometres turned into miles"),
    _times(2.2046226, "kilograms turned into pounds"),
    _times(1 / 2.2046226, "pounds turned into kilograms"),
    _times(2.54, "inches turned into centimetres"),
    _times(1 / 2.54, "centimetres turned into inches"),
    _times(3.2808399, "metres turned into feet"),
    _times(1 / 3.2808399, "feet turned into metres"),
    _times(-1, "the sign turned"),
    Conversion("its logarithm", lambda values: np.exp(np.minimum(values, 700)), True),
    Conversion("its logarithm to base 10", lambda values: 10 ** np.minimum(values, 300), True),
    Conversion("the logarithm of one more", lambda values: np.expm1(np.minimum(values, 700)), True),
)

LONE = 1.5
WEATHER = (-100.0, 330.0)  # what a temperature can be, in any scale
TEMPERATURES = (
    Conversion("Fahrenheit turned into Celsius", lambda values: 1.8 * values + 32),
    Conversion("Celsius turned into Fahrenheit", lambda values: (values - 32) / 1.8),
    Conversion("Celsius turned into kelvins", lambda values: values - 273.15),
    Conversion("kelvins turned into Celsius", lambda values: values + 273.15),
)


@dataclass(frozen=True)
class _Judged:
    """One day that could be compared, and the conversion that explains it if it is not sound."""

    day: str
    found: Conversion | None


@dataclass
class _Walk:
    """Days one after the other: the last that were sound, to compare the next with."""

    history: ColumnHistory
    conversions: tuple[Conversion, ...]
    recent: list[Numbers] = field(default_factory=list)
    num_unexplained: int = 0
    farthest: float = 0.0  # jump, in what is far

    def judge(self, column: NumberProfile) -> Conversion | None:
        """The conversion that explains this day, if it is not sound."""
        deciles = np.array(column.deciles)
        found = self._far_from_training(column, deciles) or self._jumped(deciles)
        if found is None:
            self.recent = [*self.recent, deciles][-MAX_LAG:]
        return found

    def is_beyond_doubt(self, conversion: Conversion) -> bool:
        """Whether one day is enough to believe it."""
        return self.farthest >= LONE or (conversion.is_large and self.history.top_share < CONSTANT)

    def _far_from_training(self, column: NumberProfile, deciles: Numbers) -> Conversion | None:
        history = self.history
        apart = jensen_shannon(history.counts, column.counts)
        if history.level is None or apart is None or apart <= min(max(history.distances) + FAR, 0.95):
            return None
        large = [conversion for conversion in self.conversions if conversion.is_large]
        return self._best(deciles, np.array(history.deciles), history.level, large)

    def _jumped(self, deciles: Numbers) -> Conversion | None:
        step, scale = self.history.step, self.history.scale
        if step is None or self.history.top_share >= CONSTANT:  # dry days say nothing of how much rain may fall
            return None
        far = STEP_RATIO * step + STEP_SLACK
        jumps = [before for before in reversed(self.recent) if decile_distance(before, deciles, scale) > far]
        found = [self._best(deciles, before, step, self.conversions) for before in jumps]
        explained = [conversion for conversion in found if conversion]
        if explained:
            self.farthest = max(self.farthest, max(decile_distance(before, deciles, scale) for before in jumps) / far)
        self.num_unexplained += bool(len(jumps) == len(self.recent) > 0 and not explained)
        return explained[0] if explained else None

    def _best(
        self, deciles: Numbers, meant: Numbers, allowed: float, conversions: Sequence[Conversion]
    ) -> Conversion | None:
        scale = self.history.scale
        before = decile_distance(meant, deciles, scale)
        fits = [
            (decile_distance(meant, np.sort(conversion.undo(deciles)), scale), conversion) for conversion in conversions
        ]
        after, conversion = min(fits, key=lambda fit: fit[0])
        return conversion if after <= min(allowed, EXPLAINED * before) else None


def check_units(
    profiles: Sequence[Profile], expected: Expectations, earlier: Sequence[Profile] = ()
) -> list[QualityCheck]:
    """Days on which a column is a known conversion of what it was; `found` and `limit` are shares of days.

    Args:
        profiles: the days to check, oldest first.
        expected: what training looked like.
        earlier: days just before them, for the first to be compared with.
    """
    return [
        _check(name, layout, expected, profiles, earlier)
        for name, layout in expected.layout.numbers.items()
        if expected.columns[name].scale > 0
    ]


def follows_training(expected: Expectations, days: Sequence[Profile]) -> bool:
    """Whether the first of some days comes at most three days after the last of training."""
    if not days or not expected.days.last_day:
        return False
    return 0 < (date.fromisoformat(days[0].day) - date.fromisoformat(expected.days.last_day)).days <= MAX_LAG


def _check(
    name: str, layout: NumberLayout, expected: Expectations, profiles: Sequence[Profile], earlier: Sequence[Profile]
) -> QualityCheck:
    history, days = expected.columns[name], [*earlier, *profiles]
    recent = [np.array(day) for day in history.recent] if follows_training(expected, days) else []
    walk = _Walk(history, CONVERSIONS + (TEMPERATURES if _may_be_weather(layout) else ()), recent)
    judged: list[_Judged] = []
    for day in days:
        column = day.numbers[name]
        if column.distinct >= MIN_DISTINCT and day.rows - column.missing >= history.min_rows:
            judged.append(_Judged(day.day, walk.judge(column)))
    # Values that moved to where no conversion takes them have moved for another reason on the other days too.
    if walk.num_unexplained > MAX_UNEXPLAINED * sum(day.found is not None for day in judged):
        judged = [day if day.found and day.found.is_large else replace(day, found=None) for day in judged]
    broken = _that_count(judged, walk)
    at_fault = tuple(day.day for day in profiles if day.day in broken)
    names = dict.fromkeys(broken[day].name for day in at_fault)
    note = f"it looks like {' or '.join(names)}" if names else ""
    found = len(at_fault) / len(profiles) if profiles else 0.0
    return QualityCheck("share of days in another unit", name, found, 0.0, bool(at_fault), at_fault, note)


def _that_count(judged: Sequence[_Judged], walk: _Walk) -> dict[str, Conversion]:
    """Days at fault, oldest first, without those that neither a near one bears out nor their own values."""
    broken: dict[str, Conversion] = {}
    for place, day in enumerate(judged):
        near = [other for other in (*judged[:place][-1:], *judged[place + 1 :][:1]) if _is_near(other, day)]
        if day.found and (any(other.found for other in near) or walk.is_beyond_doubt(day.found)):
            broken[day.day] = day.found
    return broken


def _is_near(one: _Judged, other: _Judged) -> bool:
    return abs((date.fromisoformat(one.day) - date.fromisoformat(other.day)).days) <= MAX_LAG


def _may_be_weather(layout: NumberLayout) -> bool:
    return layout.low is not None and layout.high is not None and WEATHER[0] <= layout.low <= layout.high <= WEATHER[1]
