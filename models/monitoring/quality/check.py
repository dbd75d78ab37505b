"""One check of data quality, and the limits that say what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Limits:
    """How far from what training saw is broken; shares are of rows.

    Args:
        missing_share: missing values of a column, above the highest share of a training day.
        unseen_share: values that training did not have, above what is new on a training day.
        out_of_range_share: values further outside the training range than its own width.
        volume_ratio: rows a day against those of training, either way.
        unscored_share: rows of a scored window without a prediction.
        duplicate_share: rows that repeat others, above the highest share of a training day.
        gap_ratio: longest time without a row against the longest of training.
        label_rate_ratio: share of positive labels, or of any class, against that of training, either way; None only
            reports it.
        label_shift: middle of a number's labels, in spreads (10 % to 90 %) away from that of training; None only
            reports it.
        label_spread_ratio: spread of a number's labels against that of training, either way; None only reports it.
        label_noise: estimated share of flipped labels, of classes; None only reports it.
        new_class_share: labels of a class that the champion does not know.
        skew_share: rows whose logged inputs are not those that the source holds now.
    """

    missing_share: float = 0.2
    unseen_share: float = 0.2
    out_of_range_share: float = 0.2
    volume_ratio: float = 3.0
    unscored_share: float = 0.1
    duplicate_share: float = 0.05
    gap_ratio: float = 3.0
    label_rate_ratio: float | None = None
    label_shift: float | None = None
    label_spread_ratio: float | None = None
    label_noise: float | None = None
    new_class_share: float = 0.5
    skew_share: float = 0.01


@dataclass(frozen=True)
class QualityCheck:
    """One check of one column, or of the whole batch when `column` is None.

    `days` are the local days (ISO dates) on which the fault was seen; `note` says what a number cannot.
    """

    name: str
    column: str | None
    found: float
    limit: float
    is_broken: bool
    days: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def schema(cls, error: Exception) -> Self:
        """The check that failed because the rows could not be read at all: a column gone, a number that is text."""
        return cls("schema", None, 1.0, 0.0, True, (), str(error))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of a check, those written before days were kept too."""
        return cls(**{**content, "days": tuple(content.get("days", ()))})

    @property
    def sentence(self) -> str:
        """What was found, for a person.

        >>> QualityCheck("missing share", "age", 0.41, 0.2, True, ("2013-03-05",)).sentence
        'missing share of age is 0.41 (limit 0.2) on 2013-03-05'
        """
        if self.name == "schema":
            return f"the rows cannot be read: {self.note}"
        where = f" of {self.column}" if self.column else ""
        note = f": {self.note}" if self.note else ""
        return f"{self.name}{where} is {self.found:.3g} (limit {self.limit:.3g}){_on(self.days)}{note}"


def _on(days: tuple[str, ...]) -> str:
    if not days:
        return ""
    if len(days) < 4:
        return f" on {', '.join(days)}"
    return f" on {len(days)} days from {days[0]} to {days[-1]}"
