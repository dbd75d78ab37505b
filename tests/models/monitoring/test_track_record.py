"""What an estimator's past makes of its intervals and its alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.track_record import Matured, trust, widened


def past(ratios: np.ndarray, change: float = 0.0) -> list[Matured]:
    """Errors in standard errors of .01 about a truth that has moved by `change` from the reference."""
    return [Matured(0.7 + 0.01 * float(ratio), 0.7, 0.01, 0.7 - change) for ratio in ratios]


def estimate() -> Estimate:
    return Estimate.of("cbpe", "auc", 0.7, (0.01,), 0.72)


@pytest.mark.parametrize("scale", [1.0, 4.0, 10.0])
def test_widened_intervals_hold_the_truth_about_as_often_as_they_say(scale: float) -> None:
    generator, held = np.random.default_rng(0), []
    for _ in range(60):
        ratios = scale * generator.normal(size=25)
        held += [abs(ratio) <= trust(past(ratios[:place])).reach for place, ratio in enumerate(ratios)]
    assert 0.92 <= np.mean(held) <= 0.98


def test_a_drifting_bias_is_covered_after_the_first_chunks() -> None:
    ratios = np.repeat((0.0, 12.0), 20)
    held = [abs(ratio) <= trust(past(ratios[:place])).reach for place, ratio in enumerate(ratios)]
    assert held[:20] == [True] * 20
    assert held.count(False) <= 2 and all(held[23:])


def test_old_errors_are_forgotten() -> None:
    early, late = np.r_[np.full(5, 9.0), np.zeros(15)], np.r_[np.zeros(15), np.full(5, 9.0)]
    assert trust(past(early)).reach < 0.5 * trust(past(late)).reach


def test_an_estimator_that_keeps_its_word_is_given_narrower_intervals() -> None:
    ratios = np.random.default_rng(1).normal(size=30)
    reaches = [trust(past(ratios[:count])).reach for count in (0, 5, 30)]
    assert reaches == sorted(reaches, reverse=True)
    assert 2 < reaches[-1] < 4


@given(st.lists(st.floats(-50, 50), max_size=15), st.floats(1.0, 100.0))
def test_larger_errors_never_make_an_interval_narrower(ratios: list[float], factor: float) -> None:
    values = np.array(ratios)
    assert trust(past(values * factor)).reach >= trust(past(values)).reach - 1e-9


def test_the_sentence_says_how_far_and_how_often() -> None:
    record = trust(past(np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, 0.8, 2.1, -9.0])))
    assert (record.num_periods, record.share) == (10, 0.9)
    assert record.within == pytest.approx(0.021)
    assert record.sentence == "on this project the estimate has been within ±0.021 of the truth in 90% of 10 periods"
    assert trust(past(np.array([1.0]))).sentence.endswith("in 100% of 1 period")


def test_an_estimator_no_better_than_assuming_no_change_is_silenced() -> None:
    record = trust(past(np.full(6, 5.0), change=0.04))
    assert record.is_silenced
    assert record.reason == (
        "silenced: over 6 periods the estimate was off by 0.05 on average, and assuming that nothing changed by 0.04"
    )
    wide = widened(estimate(), record)
    assert not wide.is_reliable and wide.note == record.reason


@pytest.mark.parametrize(
    ("ratios", "change"),
    [(np.full(6, 5.0), 0.06), (np.full(4, 5.0), 0.0), (np.tile((1.0, -1.0), 10), 0.0)],
    ids=["better", "too few periods", "a quiet past"],
)
def test_nobody_is_silenced_who_was_better_has_hardly_been_seen_or_had_nothing_to_foresee(
    ratios: np.ndarray, change: float
) -> None:
    record = trust(past(ratios, change))
    assert not record.is_silenced and not record.reason
    assert widened(estimate(), record).is_reliable


def test_widening_moves_the_ends_alone_and_keeps_an_earlier_note() -> None:
    record = trust(past(np.full(10, 4.0), change=1.0))
    wide = widened(estimate(), record)
    assert (wide.value, wide.standard_error, wide.reference) == (0.7, 0.01, 0.72)
    assert wide.upper - wide.value == pytest.approx(record.reach * 0.01) == pytest.approx(wide.value - wide.lower)
    noted = Estimate.of("weighted", "auc", 0.99, (0.01,), 0.9, "no overlap: told apart")
    assert widened(noted, record).note == "no overlap: told apart"
    assert widened(noted, record).upper == 1.0


def test_a_standard_error_of_zero_does_no_harm() -> None:
    assert np.isfinite(trust([Matured(0.5, 0.4, 0.0, 0.5)]).reach)


def test_an_estimate_and_its_truth_make_a_period() -> None:
    period = Matured.of(estimate(), 0.68)
    assert period.ratio == pytest.approx(2.0)
    assert period.reference == 0.72
