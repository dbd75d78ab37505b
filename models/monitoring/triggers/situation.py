"""What a trigger sees: the looks at the present champion so far, and what a retrain would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, Self

from models.monitoring.diagnosis import Verdict


@dataclass(frozen=True)
class Look:
    """What one watch of the champion found.

    Attributes:
        as_of: when it was taken, in the data's time.
        verdict: of its diagnosis.
        values: of the series, such as log_loss, auc, estimated_auc, ctr or drift.temp; what is not known is left out.
        alarms: names of the series whose alarm stood.
        new_labelled_rows: rows with a label that the champion was not trained on.
        regret: how much worse a row was predicted than at promotion, in the unit of the primary metric; positive is
            worse, and None is not known.
    """

    as_of: datetime
    verdict: Verdict
    values: Mapping[str, float] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    new_labelled_rows: int = 0
    regret: float | None = None


@dataclass(frozen=True)
class Situation:
    """Everything on which a retrain may be decided.

    Attributes:
        as_of: now, in the data's time.
        looks: at the present champion, oldest first; the last one is the present look.
        attempts: when retrains were tried, oldest first, whatever came of them.
        trained_until: the end of the champion's training rows; None while there is no champion.
        series: every name that the values of a look can have here; empty when that is not known.
        rows_a_day: predictions a day.
        training_hours: that a retrain is forecast to take, by those before; None before the first.
    """

    as_of: datetime
    looks: tuple[Look, ...] = ()
    attempts: tuple[datetime, ...] = ()
    trained_until: datetime | None = None
    series: tuple[str, ...] = ()
    rows_a_day: float = 0.0
    training_hours: float | None = None

    @property
    def has_champion(self) -> bool:
        """Whether there is a model that could be retrained."""
        return self.trained_until is not None

    @property
    def look(self) -> Look | None:
        """The present look."""
        return self.looks[-1] if self.looks else None

    @property
    def last_attempt(self) -> datetime | None:
        """When a retrain was last tried."""
        return self.attempts[-1] if self.attempts else None

    def value(self, name: str) -> float | None:
        """Of a series at the present look; None when it was not known then.

        Raises:
            ValueError: when looks of this project have no such series.
        """
        if self.series and name not in self.series:
            raise ValueError(f"a trigger names the series {name!r}; there are {', '.join(self.series)}")
        return self.look.values.get(name) if self.look else None

    def history(self, name: str) -> tuple[tuple[datetime, float], ...]:
        """The values of a series over the looks, oldest first."""
        return tuple((look.as_of, look.values[name]) for look in self.looks if name in look.values)

    def earlier(self, num_looks: int) -> Self | None:
        """The situation as it was so many looks ago; None when there were not so many."""
        if num_looks == 0:
            return self
        if num_looks >= len(self.looks):
            return None
        looks = self.looks[:-num_looks]
        as_of = looks[-1].as_of
        return replace(self, as_of=as_of, looks=looks, attempts=tuple(each for each in self.attempts if each < as_of))


class Trigger(Protocol):
    """Decides whether a retrain is to be tried; a user's own is a class with this one method.

    A trigger never overrides a broken feed or a serving fault: while one stands nobody is asked.
    """

    def reason(self, situation: Situation) -> str | None:
        """Why a retrain is to be tried now, in words for the log; None when it is not."""
