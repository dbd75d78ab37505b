"""How sure a gain is: sign flips against all of them, and tests and intervals that agree."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.evaluation.groups import Grouping, by_key, ladder
from models.evaluation.spread import FEW_GROUPS, GroupedSpread, sign_flip

GROUPINGS = {
    "sign flips": by_key(np.arange(240) % 12, "keys"),
    "unequal groups": by_key((np.arange(240) ** 2) // 3_600, "keys"),
    "Student's t": by_key(np.arange(240) % 40, "keys"),
    "ladder": ladder(240),
}


def spread_of(grouping: Grouping, seed: int, gain: float = 0.1) -> GroupedSpread:
    influence = np.random.default_rng(seed).normal(0, 1, grouping.num_rows).cumsum() / 10
    return GroupedSpread.of(gain, influence - influence.mean(), grouping)


def all_flips(sums: np.ndarray) -> float:
    """The share of all 2^G flips whose total is as large as the one seen, up to rounding."""
    totals = np.array([np.dot(signs, sums) for signs in product((-1.0, 1.0), repeat=len(sums))])
    return float((totals >= sums.sum() - 1e-9 * np.abs(sums).sum()).mean())


@given(sums=st.lists(st.integers(-3, 3), min_size=1, max_size=10))
@settings(deadline=None, max_examples=60)
def test_sign_flips_with_ties_equal_all_of_them(sums: list[int]) -> None:
    assert sign_flip(np.array(sums, dtype=float)) == all_flips(np.array(sums, dtype=float))


@given(sums=st.lists(st.floats(-1, 1), min_size=1, max_size=10))
@settings(deadline=None, max_examples=40)
def test_sign_flips_of_any_sums_equal_all_of_them(sums: list[float]) -> None:
    rounded = np.round(sums, 6)
    assert sign_flip(rounded) == all_flips(rounded)


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-9, 0.3, 7.0, 1e9]))
@settings(deadline=None, max_examples=20)
def test_sign_flips_know_no_unit_and_no_order(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    sums = np.round(random.normal(0.2, 1, 11), 1)  # with ties
    assert sign_flip(sums) == sign_flip(scale * sums) == sign_flip(random.permutation(sums))


def test_as_many_groups_as_are_flipped_take_no_memory_to_speak_of() -> None:
    ones = np.ones(FEW_GROUPS)
    assert sign_flip(ones) == 2.0**-FEW_GROUPS
    assert sign_flip(-ones) == 1
    ones[:9] = -1  # a binomial count, so the exact p is known
    assert sign_flip(ones) == pytest.approx(stats.binom.sf(20, FEW_GROUPS, 0.5), rel=1e-12)


def test_the_error_is_the_cluster_robust_one() -> None:
    influence, groups = np.array([1.0, 2.0, -1.0, -4.0, 3.0, -1.0]), np.array([0, 0, 1, 1, 2, 2])
    spread = GroupedSpread.of(0.5, influence, by_key(groups, "keys"))
    # sums of groups 3, -5, 2 with mean 0: sqrt(3/2 * (9 + 25 + 4)) / 6
    assert spread.standard_error == pytest.approx(math.sqrt(57) / 6)


@pytest.mark.parametrize("num_groups", [FEW_GROUPS, FEW_GROUPS + 1])
def test_up_to_30_groups_are_flipped_and_more_are_students(num_groups: int) -> None:
    spread = spread_of(by_key(np.arange(310) % num_groups, "keys"), seed=1)
    students = stats.t.sf(spread.gain / spread.standard_error, num_groups - 1)
    if num_groups > FEW_GROUPS:
        assert spread.p_above(0) == pytest.approx(students, rel=1e-12)
    else:
        assert spread.p_above(0) != students
        assert spread.p_above(0) * 2**num_groups == pytest.approx(round(spread.p_above(0) * 2**num_groups), abs=1e-9)
        assert spread.p_above(0) == pytest.approx(students, abs=0.02)


@pytest.mark.parametrize("name", GROUPINGS)
@given(seed=st.integers(0, 10_000), gain=st.floats(-0.5, 0.5))
@settings(deadline=None, max_examples=10)
def test_p_rises_with_the_threshold_and_falls_for_the_contrary(name: str, seed: int, gain: float) -> None:
    spread = spread_of(GROUPINGS[name], seed, gain)
    thresholds = gain + spread.standard_error * np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])
    above, below = ([p(each) for each in thresholds] for p in (spread.p_above, spread.p_below))
    assert above == sorted(above) and below == sorted(below, reverse=True)
    assert above[0] < 0.03 < 0.97 < above[-1] and below[-1] < 0.03 < 0.97 < below[0]
    # The two share the sample itself, and the worst way is taken for each.
    assert all(one + other >= 1 - 1e-9 for one, other in zip(above, below, strict=True))


@pytest.mark.parametrize("name", GROUPINGS)
@given(seed=st.integers(0, 10_000), gain=st.floats(-0.5, 0.5), level=st.sampled_from([0.6, 0.9, 0.95]))
@settings(deadline=None, max_examples=10)
def test_the_interval_ends_where_the_tests_stop_refusing(name: str, seed: int, gain: float, level: float) -> None:
    spread, tail = spread_of(GROUPINGS[name], seed, gain), (1 - level) / 2
    lower, upper = spread.interval(level)
    near = 2e-3 * spread.standard_error
    assert lower < gain < upper
    assert spread.p_above(lower - near) <= tail < spread.p_above(lower + near)
    assert spread.p_below(upper + near) <= tail < spread.p_below(upper - near)


def test_the_interval_of_many_groups_is_students() -> None:
    spread = spread_of(GROUPINGS["Student's t"], seed=3)
    expected = stats.t.interval(0.9, 39, loc=spread.gain, scale=spread.standard_error)
    assert spread.interval(0.9) == pytest.approx(expected, rel=1e-12)
    assert spread.p_above(spread.interval(0.9)[0]) == pytest.approx(0.05, abs=1e-12)


@pytest.mark.parametrize("name", GROUPINGS)
def test_the_loss_is_the_gain_seen_from_the_other_side(name: str) -> None:
    forth = spread_of(GROUPINGS[name], seed=4)
    back = GroupedSpread(-forth.gain, tuple(replace(way, sums=-way.sums) for way in forth.ways))
    for threshold in (-0.2, 0.0, 0.05, 0.3):
        assert forth.p_above(threshold) == pytest.approx(back.p_below(-threshold), abs=1e-15)
    lower, upper = forth.interval(0.9)
    assert back.interval(0.9) == pytest.approx((-upper, -lower), abs=1e-12)


def test_of_several_ways_to_group_the_worst_counts() -> None:
    grouping = GROUPINGS["ladder"]
    together = spread_of(grouping, seed=5, gain=0.05)
    alone = [spread_of(Grouping((way,), "blocks"), seed=5, gain=0.05) for way in grouping.ways]
    assert together.standard_error == max(each.standard_error for each in alone)
    for threshold in (-0.1, 0.0, 0.2):
        assert together.p_above(threshold) == max(each.p_above(threshold) for each in alone)
        assert together.p_below(threshold) == max(each.p_below(threshold) for each in alone)
    ends = [each.interval(0.9) for each in alone]
    assert together.interval(0.9) == (min(lower for lower, _ in ends), max(upper for _, upper in ends))
    assert len({each.standard_error for each in alone}) == len(alone)


def test_dependent_rows_are_less_sure_than_they_look() -> None:
    spread = spread_of(GROUPINGS["ladder"], seed=6)
    rows = GroupedSpread(spread.gain, spread.ways[:1])
    assert spread.standard_error > 2 * rows.standard_error


def test_one_group_can_show_nothing() -> None:
    spread = GroupedSpread.of(1.0, np.array([1.0, -1.0]), by_key(np.zeros(2), "keys"))
    assert spread.standard_error == math.inf
    assert spread.p_above(0) >= 0.5 and spread.p_above(-100) >= 0.5
    assert spread.interval(0.9) == (-math.inf, math.inf)


@pytest.mark.parametrize("influence", [np.zeros(60), np.arange(60) - 29.5], ids=["no spread", "spread"])
def test_ten_groups_never_reach_a_level_below_their_smallest_p(influence: np.ndarray) -> None:
    spread = GroupedSpread.of(0.0, influence, by_key(np.arange(60) // 6, "keys"))
    assert spread.p_above(-1e6) == spread.p_below(1e6) == 2.0**-10
    assert spread.interval(1 - 2 * 2.0**-11) == (-math.inf, math.inf)
    assert np.isfinite(spread.interval(1 - 2 * 2.0**-9)).all()


@pytest.mark.parametrize("num_groups", [12, 40])
def test_no_spread_and_no_gain_show_nothing_but_equality(num_groups: int) -> None:
    spread = GroupedSpread.of(0.0, np.zeros(120), by_key(np.arange(120) % num_groups, "keys"))
    assert spread.p_above(0) == spread.p_below(0) == 1
    assert spread.p_above(-0.01) == spread.p_below(0.01) == (2.0**-12 if num_groups == 12 else 0)
    assert spread.p_above(0.01) == 1
    assert spread.interval(0.9) == (0, 0)


def test_numbers_of_groups_that_have_no_row_do_not_count() -> None:
    influence = np.array([1.0, -2.0, 3.0, -2.0])
    straight = GroupedSpread.of(0.5, influence, Grouping((np.array([0, 1, 2, 2]),), "keys"))
    gaps = GroupedSpread.of(0.5, influence, Grouping((np.array([1, 5, 9, 9]),), "keys"))
    assert straight.standard_error == gaps.standard_error
    assert straight.p_above(0) == gaps.p_above(0)
