"""The gate: what it promotes, what it refuses, and what it says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.gate import Guardrail, Judgement, Minima, judge, rows_needed

GUARDRAILS = (Guardrail("auc", 0.01), Guardrail("calibration_error", 0.02))
NUM_ROWS, NUM_GROUPS = 4_000, 20
MINIMA = Minima()


def world(seed: int, num_rows: int = NUM_ROWS) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """A generator, true chances, labels drawn from them, and groups."""
    generator = np.random.default_rng(seed)
    chances = generator.uniform(0.05, 0.95, num_rows)
    labels = (generator.random(num_rows) < chances).astype(float)
    return generator, chances, labels, np.arange(num_rows) * NUM_GROUPS // num_rows


def blurred(generator: np.random.Generator, chances: np.ndarray, noise: float) -> np.ndarray:
    return (chances + generator.normal(0, noise, len(chances))).clip(0.01, 0.99)


def judged(
    labels: np.ndarray,
    champion: np.ndarray,
    challenger: np.ndarray,
    groups: np.ndarray,
    alpha: float = 0.05,
    min_gain: float = 0.002,
    minima: Minima = MINIMA,
) -> Judgement:
    return judge(labels, champion, challenger, groups, alpha, min_gain, GUARDRAILS, minima)


@given(
    seed=st.integers(0, 10_000),
    champion_noise=st.sampled_from([0.0, 0.1, 0.3]),
    challenger_noise=st.sampled_from([0.0, 0.05, 0.1, 0.3]),
    shift=st.sampled_from([0.0, 0.03, 0.1]),
    alpha=st.sampled_from([0.001, 0.05, 0.2]),
    min_gain=st.sampled_from([0.0, 0.002, 0.1]),
    num_rows=st.sampled_from([40, 200, 1_000, 4_000]),
)
@settings(deadline=None, max_examples=150)
def test_every_answer_has_its_reason_and_a_promotion_means_that_every_test_holds(
    seed: int,
    champion_noise: float,
    challenger_noise: float,
    shift: float,
    alpha: float,
    min_gain: float,
    num_rows: int,
) -> None:
    generator, chances, labels, groups = world(seed, num_rows)
    champion = blurred(generator, chances, champion_noise)
    challenger = (blurred(generator, chances, challenger_noise) + shift).clip(0, 1)
    judgement = judged(labels, champion, challenger, groups, alpha, min_gain)
    assert judgement.reason.endswith(".")
    assert ". " not in judgement.reason
    assert "nan" not in judgement.reason.lower()
    assert judgement.num_rows == num_rows
    if judgement.answer == "promoted":
        assert [test.metric for test in judgement.tests] == ["log_loss", "auc", "calibration_error"]
        superiority, *guardrails = judgement.tests
        assert superiority.p_value <= alpha
        assert superiority.lower >= -1e-12
        assert superiority.gain >= min_gain
        assert all(test.p_value <= alpha and test.lower > -test.margin - 1e-12 for test in guardrails)
        assert all(test.verdict == "holds" for test in judgement.tests)
    if judgement.tests and all(test.verdict == "holds" for test in judgement.tests):
        assert judgement.answer == "promoted"


@given(
    seed=st.integers(0, 10_000), alpha=st.sampled_from([0.001, 0.05, 0.4]), min_gain=st.sampled_from([0.0, 1e-9, 0.002])
)
@settings(deadline=None, max_examples=40)
def test_identical_models_are_never_promoted(seed: int, alpha: float, min_gain: float) -> None:
    generator, chances, labels, groups = world(seed, 1_000)
    scores = blurred(generator, chances, 0.1)
    judgement = judged(labels, scores, scores.copy(), groups, alpha, min_gain)
    assert judgement.answer in ("rejected", "inconclusive")
    assert "nan" not in judgement.reason


def test_a_gain_too_small_to_count_rows_for_is_inconclusive_and_not_an_error() -> None:
    _, chances, labels, groups = world(0)
    judgement = judged(labels, chances, chances + 1e-15 * (labels - 0.5), groups, alpha=1e-12, min_gain=0.0)
    assert judgement.answer in ("inconclusive", "promoted")


def test_a_clearly_better_challenger_is_promoted() -> None:
    generator, chances, labels, groups = world(1)
    judgement = judged(labels, blurred(generator, chances, 0.25), chances, groups)
    assert judgement.answer == "promoted"
    assert judgement.reason.startswith("The challenger is better at level 0.05 and every guardrail holds: gain in log")


def test_a_clearly_worse_challenger_is_rejected() -> None:
    generator, chances, labels, groups = world(2)
    judgement = judged(labels, chances, blurred(generator, chances, 0.25), groups)
    assert judgement.answer == "rejected"
    assert "AUC by" in judgement.reason


def test_a_gain_that_is_real_but_not_worth_having_is_rejected() -> None:
    _, chances, labels, groups = world(3)
    challenger = 0.999 * chances + 0.001 * labels
    judgement = judged(labels, chances, challenger, groups, min_gain=0.05)
    assert judgement.tests[0].p_value < 1e-6
    assert judgement.answer == "rejected"
    assert "not better by the 0.0500" in judgement.reason


def test_a_better_but_badly_calibrated_challenger_is_not_promoted() -> None:
    _, chances, labels, groups = world(4)
    champion = np.full(NUM_ROWS, labels.mean())  # knows nothing, and is perfectly calibrated
    judgement = judged(labels, champion, (chances + 0.1).clip(0, 0.98), groups)
    assert judgement.tests[0].verdict == "holds"
    assert judgement.answer == "rejected"
    assert "calibration error" in judgement.reason


def test_a_guardrail_may_give_way_by_less_than_its_margin() -> None:
    _, chances, labels, groups = world(4)
    champion = np.full(NUM_ROWS, labels.mean())
    challenger = (chances + 0.01).clip(0, 0.98)
    narrow, wide = (
        judge(labels, champion, challenger, groups, 0.05, 0.002, [Guardrail("calibration_error", margin)], Minima())
        for margin in (0.001, 0.1)
    )
    assert wide.tests[1].gain == narrow.tests[1].gain < 0
    assert narrow.answer != "promoted"
    assert wide.answer == "promoted"
    assert wide.tests[1].p_value < narrow.tests[1].p_value


def test_a_slightly_worse_calibration_that_may_be_noise_is_inconclusive() -> None:
    _, chances, labels, groups = world(5)
    champion = np.full(NUM_ROWS, labels.mean())
    challenger = (chances + 0.03 * np.sign(np.cos(25 * np.pi * chances))).clip(0.01, 0.99)
    for shift in np.linspace(0, 0.06, 13):
        judgement = judged(labels, champion, (challenger + shift).clip(0.01, 0.99), groups)
        if judgement.answer == "inconclusive":
            assert "better, but calibration error may be worse than its margin allows" in judgement.reason
            return
    pytest.fail("no shift was in between")


@pytest.mark.parametrize(
    ("minima", "num_groups", "lacking"),
    [
        (Minima(), 9, "9 groups where 10 are needed"),
        (Minima(positives=5_000), 20, r"\d+ positives where 5000 are needed"),
        (Minima(negatives=5_000), 20, r"\d+ negatives where 5000 are needed"),
    ],
)
def test_too_small_a_holdout_is_inconclusive_without_a_test(minima: Minima, num_groups: int, lacking: str) -> None:
    generator, chances, labels, groups = world(6)
    judgement = judged(labels, blurred(generator, chances, 0.3), chances, groups % num_groups, minima=minima)
    assert judgement.answer == "inconclusive"
    assert judgement.tests == ()
    assert re.search(lacking, judgement.reason)


@pytest.mark.parametrize(("positives", "negatives"), [(49, 500), (500, 49), (0, 500), (500, 0), (0, 0)])
def test_fewer_than_50_of_either_class_are_inconclusive(positives: int, negatives: int) -> None:
    labels = np.array([1.0] * positives + [0.0] * negatives)
    right = labels * 0.9 + 0.05
    judgement = judged(labels, 1 - right, right, np.arange(len(labels)) % 20)
    assert judgement.answer == "inconclusive"
    assert "The holdout is too small to judge" in judgement.reason
    assert judged(np.tile([0.0, 1.0], 50), np.full(100, 0.5), np.tile([0.1, 0.9], 50), np.arange(100) % 20).tests


def test_labels_that_have_not_arrived_are_refused() -> None:
    generator, chances, labels, groups = world(7)
    labels[5] = np.nan
    with pytest.raises(ValueError, match="labels must be 0 or 1; keep immature rows out"):
        judged(labels, blurred(generator, chances, 0.1), chances, groups)


def test_the_level_holds_between_equal_models_that_err_apart() -> None:
    promotions = 0
    for seed in range(200):
        generator, chances, labels, groups = world(seed, 1_000)
        champion, challenger = blurred(generator, chances, 0.1), blurred(generator, chances, 0.1)
        promotions += judge(labels, champion, challenger, groups, 0.05, 0.0, (), Minima()).answer == "promoted"
    assert promotions <= 20  # 10 expected; more than 20 would happen once in 600 such tests


@given(
    error=st.floats(1e-4, 1.0),
    gain=st.floats(1e-4, 1.0),
    alpha=st.floats(0.001, 0.4),
    num_rows=st.integers(100, 10_000),
)
@settings(deadline=None)
def test_rows_needed_fall_with_the_gain_and_the_level_and_rise_with_the_noise(
    error: float, gain: float, alpha: float, num_rows: int
) -> None:
    needed = rows_needed(error, num_rows, gain, alpha)
    assert rows_needed(error, num_rows, 2 * gain, alpha) <= needed
    assert rows_needed(2 * error, num_rows, gain, alpha) >= needed
    assert rows_needed(error, num_rows, gain, alpha / 2) >= needed
    # A holdout k times as large has an error that is the square root of k smaller, and needs no other size.
    assert rows_needed(error / 2, 4 * num_rows, gain, alpha) == pytest.approx(needed, abs=1)


def test_a_holdout_of_the_size_that_is_asked_for_shows_the_gain_four_times_out_of_five() -> None:
    needed = rows_needed(standard_error=0.1, num_rows=100, gain=0.05, alpha=0.05)
    generator = np.random.default_rng(0)
    means = generator.normal(0.05, 1.0 / np.sqrt(needed), 20_000)
    assert (means > 1.6449 / np.sqrt(needed)).mean() == pytest.approx(0.8, abs=0.01)
