"""Triggers on time and amount: every so many days, after so many new rows, and not more often than."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from models.monitoring.triggers.arguments import check_positive
from models.monitoring.triggers.situation import Situation, Trigger


@dataclass(frozen=True)
class Every:
    """The last attempt is so many days ago, or there was none yet.

    Attributes:
        days: from one attempt to the next.
    """

    days: float

    def __post_init__(self) -> None:
        check_positive("days", self.days)

    def reason(self, situation: Situation) -> str | None:
        """That it is time."""
        return "scheduled" if situation.has_champion and _is_past(situation, self.days) else None


@dataclass(frozen=True)
class Amount:
    """So many labelled rows have come that the champion was not trained on.

    Attributes:
        rows: with a label, since the end of its training rows.
    """

    rows: int

    def __post_init__(self) -> None:
        check_positive("rows", self.rows, is_whole=True)

    def reason(self, situation: Situation) -> str | None:
        """How many there are."""
        if situation.look is None or situation.look.new_labelled_rows < self.rows:
            return None
        return f"{situation.look.new_labelled_rows:,} new labelled rows, of {self.rows:,} that are enough"


@dataclass(frozen=True)
class Cooldown:
    """What another trigger says, but only when the last attempt is so many days ago.

    Attributes:
        of: the other trigger.
        days: in which it is not listened to after an attempt.
    """

    of: Trigger
    days: float

    def __post_init__(self) -> None:
        check_positive("days", self.days)

    def reason(self, situation: Situation) -> str | None:
        """The reason of the other trigger."""
        return self.of.reason(situation) if _is_past(situation, self.days) else None


def _is_past(situation: Situation, days: float) -> bool:
    last = situation.last_attempt
    return last is None or situation.as_of - last >= timedelta(days=days)
