"""A trigger on cost: retrain when the champion has cost as much as a retrain would."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from models.monitoring.triggers.arguments import check_positive
from models.monitoring.triggers.situation import Situation


@dataclass(frozen=True)
class Cost:
    """Regret since the last attempt is worth the forecast cost of a training (after Modyn, SIGMOD 2025).

    Regret is summed over the rows since the last attempt, or since the champion's training rows where there was none
    after them: that of a look is charged for the time since the look before. Looks that were better than at promotion
    count against it; otherwise noise around no regret at all would add up. A look that does not know its regret is
    left out, with its time.

    Attributes:
        value: of one unit of the primary metric in one row, in the unit of the cost.
        training_cost: of one retrain.
        price_an_hour: of training, instead: the cost is forecast by how long the last trainings took.
    """

    value: float
    training_cost: float | None = None
    price_an_hour: float | None = None

    def __post_init__(self) -> None:
        check_positive("value", self.value)
        given = {name: getattr(self, name) for name in ("training_cost", "price_an_hour")}
        priced = {name: price for name, price in given.items() if price is not None}
        if len(priced) != 1:
            raise ValueError(f"cost has {', '.join(priced) or 'no price'}; give either {' or '.join(given)}")
        for name, price in priced.items():
            check_positive(name, price)

    def reason(self, situation: Situation) -> str | None:
        """What the champion has cost, and what a retrain would."""
        forecast = self._forecast(situation)
        if forecast is None or situation.trained_until is None:
            return None
        lost = self.value * _regret(situation, max((situation.trained_until, *situation.attempts[-1:])))
        return f"regret worth {lost:,.4g}, a retrain costs {forecast:,.4g}" if lost >= forecast else None

    def _forecast(self, situation: Situation) -> float | None:
        if self.price_an_hour is None or situation.training_hours is None:
            return self.training_cost
        return self.price_an_hour * situation.training_hours


def _regret(situation: Situation, begin: datetime) -> float:
    looks = [look for look in situation.looks if look.as_of > begin]
    moments = [begin, *(look.as_of for look in looks)]
    days = [(end - start) / timedelta(days=1) for start, end in pairwise(moments)]
    return situation.rows_a_day * sum(
        look.regret * passed for look, passed in zip(looks, days, strict=True) if look.regret is not None
    )
