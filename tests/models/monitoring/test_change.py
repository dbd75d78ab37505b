"""The evidence for a change: a martingale that errs on the side of quiet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from models.monitoring.change import CAUTION, FARTHEST, Direction, _autocorrelation, _Parts, bayes_factor, drawn_in
from tests.models.monitoring.noise import autoregressive, random


def factor(num_before: float, num_since: float, difference: float, within: float, direction: Direction) -> float:
    return float(bayes_factor(*map(np.asarray, (num_before, num_since, difference, within)), direction))


def by_quadrature(num_before: float, num_since: float, difference: float, within: float, sign: int | None) -> float:
    """Non-central t integrated over the prior, cut to the half with `sign`."""
    size, freedom = num_before * num_since / (num_before + num_since), num_before + num_since - 2
    statistic = difference * np.sqrt(size / (within / freedom))

    def integrand(effect: float) -> float:
        return float(stats.nct.pdf(statistic, freedom, effect * np.sqrt(size)) * stats.norm.pdf(effect))

    ranges = {None: (-9, 9), 1: (0, 9), -1: (-9, 0)}
    marginal = integrate.quad(integrand, *ranges[sign], points=[0.0])[0] * (1 if sign is None else 2)
    return float(marginal / stats.t.pdf(statistic, freedom))


@pytest.mark.parametrize("sums", [(10, 10, 1.5, 18.0), (14, 2, 0.8, 12.0), (30, 3, -1.0, 40.0), (60, 1, 3.0, 55.0)])
@pytest.mark.parametrize(("direction", "sign"), [("both", None), ("up", 1), ("down", -1)])
def test_bayes_factor_is_the_integral_over_its_prior(
    sums: tuple[float, float, float, float], direction: Direction, sign: int | None
) -> None:
    assert np.isclose(factor(*sums, direction), by_quadrature(*sums, sign), rtol=1e-6)


def test_both_directions_are_the_mean_of_up_and_down() -> None:
    sums = (20.0, 5.0, 0.7, 30.0)
    assert np.isclose(factor(*sums, "both"), (factor(*sums, "up") + factor(*sums, "down")) / 2)


@given(st.integers(2, 80), st.integers(1, 80), st.floats(0.0, 5.0), st.floats(0.05, 2.0))
def test_a_larger_change_is_more_evidence(num_before: int, num_since: int, change: float, more: float) -> None:
    within = float(num_before + num_since - 2) or 1.0
    assert factor(num_before, num_since, change + more, within, "up") >= factor(
        num_before, num_since, change, within, "up"
    ) * (1 - 1e-9)
    if num_before + num_since > 2:
        assert factor(num_before, num_since, -change - more, within, "up") < 1


def test_evidence_is_a_martingale_in_independent_normal_values() -> None:
    """E[E_t] = 1 at every look, for every mean and spread, and given whatever was seen before."""
    num_lives, num_before, num_looks = 40_000, 8, 6
    values = 3.0 + 2.0 * random(1).standard_normal((num_lives, num_before + num_looks))
    before = values[:, :num_before]
    paths = {direction: np.ones((num_lives, num_looks + 1)) for direction in ("up", "down", "both")}
    for count in range(1, num_looks + 1):
        since = values[:, num_before : num_before + count]
        within = num_before * before.var(axis=1) + count * since.var(axis=1)
        difference = since.mean(axis=1) - before.mean(axis=1)
        for direction, path in paths.items():
            path[:, count] = bayes_factor(np.array(num_before), np.array(count), difference, within, direction)
    for path in paths.values():
        for look in range(num_looks):
            steps = path[:, look + 1] - path[:, look]
            for was in (path[:, look] >= 0, path[:, look] > 1.0, path[:, look] < 0.7):
                if was.sum() > 100:
                    assert abs(steps[was].mean()) < 4.5 * steps[was].std() / np.sqrt(was.sum())
    assert np.isclose(paths["up"][:, -1].mean(), 1, atol=0.1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40))
def test_drawn_in_values_keep_their_order_and_their_bounds(values: list[float]) -> None:
    given_values = np.array(values)
    drawn = drawn_in(given_values)
    assert (np.abs(drawn) <= FARTHEST).all()
    assert (np.diff(drawn[np.argsort(given_values)]) >= 0).all()


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_autocorrelation_is_that_about_the_change_and_errs_high(correlation: float) -> None:
    values = autoregressive(random(13).standard_normal((150, 80)), correlation)
    values[:, 60:] += 4
    found = []
    for each in values:
        before, since = each[:60].mean(), each[60:].mean()
        within = each[:60].var() * 60 + each[60:].var() * 20
        at_change = _autocorrelation(each, 60, _Parts.of(each, 60))[0]
        residuals = np.concatenate([each[:60] - before, each[60:] - since])
        products = residuals[1:] * residuals[:-1]
        raw = (products.sum() - products[59]) / within
        unbiased = np.clip((raw + 2 / 80) / (1 - 6 / 80), -1, 1)
        assert at_change == pytest.approx(np.clip(unbiased + CAUTION * np.sqrt((1 - unbiased**2) / 80), 0, 0.99))
        found.append(at_change)
    assert correlation < np.mean(found) < correlation + 0.15
