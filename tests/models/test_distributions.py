"""What `scipy.special` computes is what `scipy.stats` says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.distributions import (
    beta_quantile,
    binomial_cdf,
    gamma_quantile,
    normal_cdf,
    normal_quantile,
    t_point,
    t_tail,
)

values = st.floats(-40, 40)
levels = st.floats(1e-12, 1 - 1e-12)
counts = st.integers(0, 5_000)
freedoms = st.integers(1, 100_000)


def same(ours: object, theirs: object) -> bool:
    return bool(np.allclose(ours, theirs, rtol=1e-7, atol=1e-300))


@given(values, levels)
def test_the_normal_is_that_of_scipy(value: float, level: float) -> None:
    assert same(normal_cdf(value), stats.norm.cdf(value))
    assert same(normal_quantile(level), stats.norm.ppf(level))


@given(values, levels, freedoms)
def test_students_t_is_that_of_scipy_in_both_tails(value: float, level: float, freedom: int) -> None:
    assert same(t_tail(value, freedom), stats.t.sf(value, freedom))
    assert same(t_point(level, freedom), stats.t.isf(level, freedom))


@given(counts, counts, st.floats(0, 1))
def test_the_binomial_is_that_of_scipy(count: int, more: int, share: float) -> None:
    assert same(binomial_cdf(count, count + more, share), stats.binom.cdf(count, count + more, share))


@given(levels, counts, counts)
def test_exact_bounds_of_shares_and_means_are_those_of_scipy(level: float, count: int, more: int) -> None:
    assert same(beta_quantile(level, count + 1, more + 1), stats.beta.ppf(level, count + 1, more + 1))
    assert same(gamma_quantile(level, count + 1), stats.gamma.ppf(level, count + 1))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_test_of_no_number_is_answered_as_by_scipy(value: float) -> None:
    assert np.array_equal(t_tail(value, 9), stats.t.sf(value, 9), equal_nan=True)
    assert np.array_equal(normal_cdf(value), stats.norm.cdf(value), equal_nan=True)


def test_no_share_lies_above_infinity() -> None:
    assert t_point(0.0, 9) == stats.t.isf(0.0, 9) == np.inf
    assert same(t_point(np.array([0.0, 0.5, 1.0]), 9)[:2], stats.t.isf([0.0, 0.5], 9))


def test_arrays_of_ways_to_group_are_answered_at_once() -> None:
    errors, freedom = np.array([0.5, 1.0, 2.0]), np.array([3, 8, 200])
    assert same(t_tail(1.0 / errors, freedom), stats.t.sf(1.0 / errors, freedom))
    assert same(t_point(0.025, freedom), stats.t.isf(0.025, freedom))
