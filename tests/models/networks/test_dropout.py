"""The cheap dropout drops as many units as the one of torch, at random, and scales the others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.networks.dropout import LEVELS, Dropout

SHAPES = st.lists(st.integers(0, 7), min_size=1, max_size=3).map(tuple)
SHARES = st.floats(0, 0.99)


@given(SHAPES, SHARES, st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_units_are_zero_or_scaled_and_keep_shape_and_type(shape: tuple[int, ...], p: float, dtype: torch.dtype) -> None:
    units = torch.rand(shape, dtype=dtype) + 1
    dropped = Dropout(p)(units)
    assert (dropped.shape, dropped.dtype) == (units.shape, units.dtype)
    rounded = round(p * LEVELS) / LEVELS
    scaled = units * torch.tensor(1 / (1 - rounded), dtype=dtype)
    assert ((dropped == 0) | (dropped == scaled)).all()


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.97])
def test_so_many_are_dropped_and_their_expectation_stays(p: float) -> None:
    torch.manual_seed(0)
    number = 2_000_000
    dropped = Dropout(p)(torch.ones(number))
    error = (p * (1 - p) / number) ** 0.5
    share = float((dropped == 0).double().mean())
    assert abs(share - p) < 5 * error + 1 / LEVELS
    assert abs(float(dropped.double().mean()) - 1) < 5 * error / (1 - p)


def test_units_are_dropped_independently_of_those_they_share_a_number_with() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.25)(torch.ones(4_000_000)) == 0).double().view(-1, 4)
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / len(dropped) ** 0.5
    assert (dropped.mean(dim=0) - 0.25).abs().max() < 5 * (0.25 * 0.75 / len(dropped)) ** 0.5


def test_a_seed_gives_the_same_units_and_the_next_call_others() -> None:
    layer, units = Dropout(0.5), torch.ones(999)
    torch.manual_seed(3)
    first, second = layer(units), layer(units)
    torch.manual_seed(3)
    assert torch.equal(layer(units), first)
    assert not torch.equal(first, second)


def test_the_gradient_is_that_of_the_units_that_were_kept() -> None:
    units = torch.rand(64, 33, requires_grad=True)
    dropped = Dropout(0.3)(units)
    dropped.sum().backward()
    assert units.grad is not None
    torch.testing.assert_close(units.grad, (dropped / units).detach())


def test_nothing_is_dropped_without_training_or_with_a_share_of_zero() -> None:
    units = torch.rand(10)
    assert Dropout(0.5).eval()(units) is units
    assert Dropout(0.0)(units) is units


@pytest.mark.parametrize("p", [-0.1, 1.0, 0.999999, float("nan")])
def test_a_share_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="is no share of units to drop"):
        Dropout(p)
