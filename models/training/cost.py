"""What a training cost: time, device time, energy where the driver tells it, and money by a price an hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Of one training, or of several together.

    Attributes:
        seconds: of wall clock, of one training after another.
        device_seconds: the same, for each device that worked.
        device: its name; of a sum that of the first.
        num_passes: rows that went through a training step, each as often as it did.
        energy_kwh: that the devices drew; None where the driver does not tell.
        money: by the price of an hour of one device; None where no price is configured.
        currency: of the money.
    """

    seconds: float
    device_seconds: float
    device: str
    num_passes: int
    energy_kwh: float | None = None
    money: float | None = None
    currency: str = "USD"

    @property
    def rows_per_second(self) -> float:
        """Passes by wall clock, start-up and encoding included; 0 for nothing."""
        return self.num_passes / self.seconds if self.seconds else 0.0


def priced(cost: Cost, price_an_hour: float | None, currency: str) -> Cost:
    """The same cost with what its device time is worth."""
    money = None if price_an_hour is None else cost.device_seconds / SECONDS_AN_HOUR * price_an_hour
    return Cost(cost.seconds, cost.device_seconds, cost.device, cost.num_passes, cost.energy_kwh, money, currency)


def total(costs: Iterable[Cost]) -> Cost | None:
    """The sum of several; of energy and money only where each of them knows it. None of nothing.

    >>> one = Cost(2.0, 4.0, "two devices", 100, energy_kwh=0.5)
    >>> both = total([one, Cost(1.0, 1.0, "cpu", 50)])
    >>> both.seconds, both.device_seconds, both.num_passes, both.energy_kwh
    (3.0, 5.0, 150, None)
    """
    each = list(costs)
    if not each:
        return None
    energies, moneys = [cost.energy_kwh for cost in each], [cost.money for cost in each]
    return Cost(
        seconds=sum(cost.seconds for cost in each),
        device_seconds=sum(cost.device_seconds for cost in each),
        device=each[0].device,
        num_passes=sum(cost.num_passes for cost in each),
        energy_kwh=_sum(energies),
        money=_sum(moneys),
        currency=each[0].currency,
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
