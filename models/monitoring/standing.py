"""Whether something is wrong with what is in production, and since when: what a row of verdicts comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from models.monitoring.diagnosis import Verdict

IS_BREACHED: dict[Verdict, bool | None] = {
    "healthy": False,
    "benign_shift": False,
    "harmful_shift": True,
    "concept_change": True,
    "broken_feed": True,
    "serving_fault": True,
    "labels_needed": None,  # nothing is shown: what was wrong is not yet mended, and what was right not yet wrong
}


@dataclass(frozen=True)
class Standing:
    """How a project stands after a look.

    Attributes:
        is_breached: whether harm or a fault is shown; None while no look has shown anything.
        was_breached: the same before that look.
        since: the look at which a breach that lasts began; None where there is none.
    """

    is_breached: bool | None
    was_breached: bool | None
    since: datetime | None

    @property
    def word(self) -> str:
        """In one word, for a label: breached, sound or unknown."""
        return "unknown" if self.is_breached is None else "breached" if self.is_breached else "sound"

    @property
    def has_recovered(self) -> bool:
        """Whether that look was the first after a breach."""
        return bool(self.was_breached) and self.is_breached is False


def standing(looks: Iterable[tuple[datetime, Verdict]]) -> Standing:
    """What the looks at a project come to, the newest first, whoever was champion.

    No more of them are taken than are needed: one that was sound before this one, or the first of a breach.

    >>> days = [datetime(2013, 5, day) for day in (3, 2, 1)]
    >>> standing(zip(days, ("labels_needed", "harmful_shift", "healthy")))
    Standing(is_breached=True, was_breached=True, since=datetime.datetime(2013, 5, 2, 0, 0))
    """
    is_breached: bool | None = None
    was_breached: bool | None = None
    since = None
    for place, (as_of, verdict) in enumerate(looks):
        state = IS_BREACHED[verdict]
        if state is None:
            continue
        is_breached = state if is_breached is None else is_breached
        was_breached = state if place and was_breached is None else was_breached
        if state != is_breached:
            break
        since = as_of if state else None
        if was_breached is False:
            break
    return Standing(is_breached, was_breached, since)
