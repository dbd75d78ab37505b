"""What is drawn of one watched number: champion by champion its days, its windows, its estimates and its alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.monitoring.estimation.estimate import Estimate
from models.monitoring.evidence import SeriesAlarm
from models.monitoring.performance import Change
from models.reporting.wording import DIRECTIONS


@dataclass(frozen=True)
class Point:
    """A number at a moment, with the ends of its interval where there is one; one that is not heard has no say."""

    when: datetime
    value: float
    lower: float | None = None
    upper: float | None = None
    is_heard: bool = True


@dataclass(frozen=True)
class Spell:
    """An alarm: when the change most likely began, when it was raised, and the last look that saw it."""

    begins: datetime
    raised: datetime
    ends: datetime


@dataclass(frozen=True)
class Stretch:
    """What was seen of a number while one champion was in use: `reference` is what it was when the champion was new."""

    start: datetime
    end: datetime
    reference: float | None
    days: tuple[Point, ...] = ()
    windows: tuple[Point, ...] = ()
    estimates: tuple[Point, ...] = ()
    spells: tuple[Spell, ...] = ()


@dataclass(frozen=True)
class Track:
    """One watched number through all champions.

    Attributes:
        name: of the metric or the series.
        title: as a person reads it, without its unit.
        unit: of the values; empty if there is none.
        stretches: one for each champion, oldest first.
        change: what labels say of it at the newest look.
        estimate: what is expected of it at the newest look, by the estimator that is drawn.
        alarm: what the test that is valid at every look says at the newest one.
    """

    name: str
    title: str
    unit: str
    stretches: tuple[Stretch, ...]
    change: Change | None = None
    estimate: Estimate | None = None
    alarm: SeriesAlarm | None = None

    @property
    def axis(self) -> str:
        """What the vertical axis shows, with the unit and the direction."""
        return f"{self.title}{f' ({self.unit})' if self.unit else ''}{DIRECTIONS.get(self.name, '')}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(each.days or each.windows or each.estimates for each in self.stretches)

    @property
    def is_raised(self) -> bool:
        """Whether the alarm stands at the newest look."""
        return self.alarm is not None and self.alarm.is_raised

    @property
    def lately(self) -> float | None:
        """Mean of the last seven days that are known."""
        days = next((each.days for each in reversed(self.stretches) if each.days), ())
        return mean([point.value for point in days[-7:]])

    @property
    def reference(self) -> float | None:
        """What it was when the champion in use was new."""
        return self.stretches[-1].reference if self.stretches else None

    @property
    def spells(self) -> list[Spell]:
        """All alarms, oldest first."""
        return [spell for stretch in self.stretches for spell in stretch.spells]


@dataclass(frozen=True)
class Group:
    """Numbers that are drawn side by side, the most urgent first; `is_alike` if all have one unit and one scale."""

    name: str
    title: str
    tracks: tuple[Track, ...]
    is_alike: bool


def finite(value: float | None) -> float | None:
    """A number, or None for what is none."""
    return value if value is not None and math.isfinite(value) else None


def mean(values: Sequence[float]) -> float | None:
    """Of those that are numbers; None when there are none."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many points, each the mean of as many neighbours as that takes."""
    size = math.ceil(len(points) / most) if points else 1
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [Point(part[len(part) // 2].when, math.fsum(each.value for each in part) / len(part)) for part in parts]
