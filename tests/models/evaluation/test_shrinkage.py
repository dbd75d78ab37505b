"""The winner's curse: what the correction keeps, what it takes off, and how much nearer it comes to the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats

from models.evaluation.shrinkage import shrink

LEVELS = st.floats(1e-12, 0.5)
ERRORS = st.floats(1e-9, 1e9)


def critical_value(level: float) -> float:
    return float(-special.ndtri(level))


@given(beyond=st.floats(1e-9, 40), error=ERRORS, level=LEVELS)
def test_a_shrunk_gain_lies_between_zero_and_what_was_measured(beyond: float, error: float, level: float) -> None:
    gain = (critical_value(level) + beyond) * error
    assert 0 <= shrink(gain, error, level) <= gain


@given(smaller=st.floats(1e-9, 40), step=st.floats(0, 40), level=LEVELS)
def test_of_two_gains_that_passed_the_larger_stays_the_larger(smaller: float, step: float, level: float) -> None:
    threshold = critical_value(level)
    assert shrink(threshold + smaller, 1, level) <= shrink(threshold + smaller + step, 1, level) + 1e-9


@given(beyond=st.floats(1e-3, 40), unit=st.floats(1e-9, 1e9), level=LEVELS)
def test_the_unit_of_the_gain_makes_no_difference(beyond: float, unit: float, level: float) -> None:
    gain = critical_value(level) + beyond
    assert shrink(gain * unit, unit, level) / unit == pytest.approx(shrink(gain, 1, level), rel=1e-9, abs=1e-7)


@given(gain=st.floats(-40, 40), error=st.floats(0, 40), level=LEVELS)
def test_a_gain_that_did_not_pass_or_has_no_error_is_left_alone(gain: float, error: float, level: float) -> None:
    if gain <= critical_value(level) * error or error == 0:
        assert shrink(gain, error, level) == gain


@given(mean=st.floats(1e-6, 30), level=LEVELS)
@example(mean=0.5, level=0.05)
def test_the_shrunk_gain_is_the_one_whose_mean_beyond_the_threshold_was_seen(mean: float, level: float) -> None:
    threshold = critical_value(level)
    logarithm = stats.norm.logpdf(threshold - mean) - special.log_ndtr(mean - threshold)
    assert shrink(mean + math.exp(logarithm), 1, level) == pytest.approx(mean, abs=1e-6)


def test_the_shrunk_gain_has_the_largest_conditional_likelihood() -> None:
    score, threshold = 2.4, critical_value(0.05)
    means = np.linspace(0, 5, 50_001)
    likelihood = stats.norm.logpdf(score - means) - special.log_ndtr(means - threshold)
    assert shrink(score, 1, 0.05) == pytest.approx(means[likelihood.argmax()], abs=1e-4)


@pytest.mark.parametrize("level", [1e-12, 0.01, 0.05, 0.5])
def test_a_gain_that_passed_by_a_hair_shrinks_to_nothing(level: float) -> None:
    assert shrink(math.nextafter(critical_value(level), math.inf), 1, level) == 0


@pytest.mark.parametrize("threshold", [0.0, 1.6448536269514722, 5.0, 40.0, 4106.152344104361])
@pytest.mark.parametrize("error", [1.0, 0.1, 0.003, 0.7, 3.3, 1e-7])
def test_the_edge_of_the_floor_is_crossed_without_a_jump(threshold: float, error: float) -> None:
    score = math.sqrt(2 / math.pi) / float(special.erfcx(threshold / math.sqrt(2)))
    for _ in range(30):
        assert 0 <= shrink(score * error, error, 0.05, critical=threshold) < 1e-4 * (1 + threshold) * error
        score = math.nextafter(score, math.inf)


@pytest.mark.parametrize("score", [20.0, 1e3, 1e6, 1e300])
def test_a_gain_far_beyond_the_threshold_is_kept_whole(score: float) -> None:
    assert shrink(score, 1, 0.05) == pytest.approx(score, rel=1e-15)
    assert shrink(score, 1e-300, 0.05) == score


def test_a_threshold_that_nobody_sets_still_gives_a_finite_answer() -> None:
    for threshold in (-1e300, -40.0, 1e4, 1e8):
        for beyond in (1e-9, 1e-3, 1.0, 1e6):
            gain = abs(threshold) * (1 + beyond)
            assert 0 <= shrink(gain, 1, 0.05, critical=threshold) <= gain


def test_a_gain_below_zero_is_never_reported_as_better_than_it_was() -> None:
    assert shrink(-0.5, 1, level=0.9) == -0.5


def test_a_harder_condition_takes_more_off() -> None:
    gains = [shrink(3.0, 1, 0.05, critical=critical) for critical in (1.0, critical_value(0.05), 2.0, 2.5)]
    assert gains == sorted(gains, reverse=True)
    assert len(set(gains)) == 4
    assert gains[1] == shrink(3.0, 1, 0.05)
    assert shrink(3.0, 1, 0.05, critical=3.0) == 3.0


@pytest.mark.parametrize(
    ("true_gain", "raw_bias", "shrunk_bias"),
    [(0.0, 2.06, 0.54), (0.5, 1.64, 0.22), (1.0, 1.25, -0.05), (2.0, 0.59, -0.35), (5.0, 0.00, -0.03)],
)
def test_reported_gains_are_nearer_the_truth_once_shrunk(true_gain: float, raw_bias: float, shrunk_bias: float) -> None:
    """Mean error of 4,000 estimates that passed at level 0.05, in standard errors; the error of that is below 0.023."""
    generator = np.random.default_rng(17)
    threshold = critical_value(0.05)
    chances = special.ndtr(threshold - true_gain) + generator.random(4_000) * special.ndtr(true_gain - threshold)
    passed = true_gain + special.ndtri(chances)
    assert passed.min() > threshold
    shrunk = np.array([shrink(float(score), 1, 0.05) for score in passed])
    raw_error, shrunk_error = passed.mean() - true_gain, shrunk.mean() - true_gain
    assert raw_error == pytest.approx(raw_bias, abs=0.06)
    assert shrunk_error == pytest.approx(shrunk_bias, abs=0.06)
    if true_gain <= 2:
        assert abs(shrunk_error) < 0.75 * abs(raw_error)


@pytest.mark.parametrize(
    ("gain", "error", "level", "critical", "message"),
    [
        (1.0, 1.0, 0.0, None, "level=0.0 is not a level; set gate.alpha between 0 and 1"),
        (1.0, 1.0, math.nan, None, "level=nan is not a level"),
        (1.0, -0.1, 0.05, None, "standard_error=-0.1"),
        (1.0, math.nan, 0.05, None, "standard_error=nan"),
        (math.inf, 1.0, 0.05, None, "gain=inf"),
        (1.0, 1.0, 0.05, math.nan, "critical=nan"),
    ],
)
def test_what_is_no_gain_is_refused(
    gain: float, error: float, level: float, critical: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        shrink(gain, error, level, critical)
