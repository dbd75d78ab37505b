"""What a training cost, alone and with others."""

from __future__ import annotations

import pytest

from models.training.cost import Cost, priced, total

ONE = Cost(seconds=1_800.0, device_seconds=3_600.0, device="two devices", num_passes=9_000_000, energy_kwh=0.7)


def test_money_is_for_device_time_and_not_for_wall_clock() -> None:
    assert priced(ONE, 2.5, "EUR").money == pytest.approx(2.5)
    assert priced(ONE, 2.5, "EUR").currency == "EUR"


def test_without_a_price_nothing_is_said_of_money() -> None:
    assert priced(ONE, None, "EUR").money is None
    assert priced(ONE, 0.0, "EUR").money == 0


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    both = total([priced(ONE, 2.5, "EUR"), ONE])
    assert both is not None
    assert (both.seconds, both.device_seconds, both.num_passes) == (3_600, 7_200, 18_000_000)
    assert both.money is None
    assert both.energy_kwh == pytest.approx(1.4)


def test_nothing_costs_nothing_that_could_be_told() -> None:
    assert total([]) is None
    assert Cost(0.0, 0.0, "cpu", 0).rows_per_second == 0
    assert ONE.rows_per_second == 5_000
