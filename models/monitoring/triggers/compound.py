"""Triggers made of triggers: any of them, all of them, and one that lasts."""

from __future__ import annotations

from dataclasses import dataclass

from models.monitoring.triggers.arguments import check_positive
from models.monitoring.triggers.situation import Situation, Trigger


@dataclass(frozen=True)
class AnyOf:
    """The first of several triggers that has a reason.

    Attributes:
        triggers: in the order in which they are asked.
    """

    triggers: tuple[Trigger, ...]

    def reason(self, situation: Situation) -> str | None:
        """The first reason."""
        reasons = (trigger.reason(situation) for trigger in self.triggers)
        return next((reason for reason in reasons if reason is not None), None)


@dataclass(frozen=True)
class AllOf:
    """Several triggers that must all have a reason.

    Attributes:
        triggers: all are asked until one has none.
    """

    triggers: tuple[Trigger, ...]

    def reason(self, situation: Situation) -> str | None:
        """All reasons."""
        reasons = []
        for trigger in self.triggers:
            reason = trigger.reason(situation)
            if reason is None:
                return None
            reasons.append(reason)
        return " and ".join(reasons)


@dataclass(frozen=True)
class KOfN:
    """A trigger that has a reason now, and had one at k of the last n looks, this one included.

    Attributes:
        of: the trigger; it is asked again what it would have said at each earlier look at the same champion.
        k, n: looks.
    """

    of: Trigger
    k: int
    n: int

    def __post_init__(self) -> None:
        check_positive("k", self.k, is_whole=True)
        check_positive("n", self.n, is_whole=True)
        if self.k > self.n:
            raise ValueError(f"k={self.k} of n={self.n} looks can never be; give a k of at most n")

    def reason(self, situation: Situation) -> str | None:
        """The present reason, and at how many looks there was one."""
        present = self.of.reason(situation)
        if present is None:
            return None
        earlier = (situation.earlier(num_looks) for num_looks in range(1, self.n))
        count = 1 + sum(seen is not None and self.of.reason(seen) is not None for seen in earlier)
        return f"{present} ({count} of the last {self.n} looks)" if count >= self.k else None
