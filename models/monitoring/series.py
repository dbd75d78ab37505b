"""A watched series: one value a day, those of the reference and those since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

LONGEST = 1_500  # days that a record carries along


@dataclass(frozen=True)
class Series:
    """One value a day of something that is watched.

    Attributes:
        name: as triggers call it: "log_loss", "auc", "mae", "drift.temp", "log_loss.origin=JFK", "ctr".
        label: as a person reads it, the unit in brackets.
        direction: in which a change is a warning.
        share: of the yearly budget of false alarms; 0 raises none.
        worth: smallest change that matters, in the unit of the values.
        reference: values of the days on which the champion was new, or was trained.
        days: ISO dates since, in order.
        values: of these days.
    """

    name: str
    label: str
    direction: Literal["up", "down", "both"]
    share: float
    worth: float
    reference: tuple[float, ...]
    days: tuple[str, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def last(self) -> float | None:
        """The newest value, if there is any."""
        return self.values[-1] if self.values else None

    def extended(self, values: Mapping[str, float]) -> Series:
        """The series with the values of further days; a day that is known already is corrected."""
        merged = dict(sorted({**dict(zip(self.days, self.values, strict=True)), **values}.items())[-LONGEST:])
        return replace(self, days=tuple(merged), values=tuple(merged.values()))

    def without(self, days: Collection[str]) -> Series:
        """The series without some days, given as ISO dates."""
        kept = [(day, value) for day, value in zip(self.days, self.values, strict=True) if day not in days]
        return replace(self, days=tuple(day for day, _ in kept), values=tuple(value for _, value in kept))

    def continued(self, earlier: Series | None) -> Series:
        """The series with what an earlier look has seen of it, as far as both speak of the same reference."""
        if earlier is None or earlier.reference != self.reference:
            return self
        return replace(self, days=earlier.days, values=earlier.values).extended(
            dict(zip(self.days, self.values, strict=True))
        )
