"""The paired comparison: symmetry, invariance, and the paired t-test as its simplest case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.evaluation.comparison import compare, grouped_standard_error
from models.evaluation.metrics import LOG_LOSS, METRICS, Metric


def scored(num_rows: int = 300, num_groups: int = 15, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Labels, champion, challenger, groups."""
    generator = np.random.default_rng(seed)
    chances = generator.uniform(0.05, 0.95, num_rows)
    labels = (generator.random(num_rows) < chances).astype(float)
    champion = (chances + generator.normal(0, 0.2, num_rows)).clip(0, 1)
    challenger = (chances + generator.normal(0, 0.1, num_rows)).clip(0, 1)
    return labels, champion, challenger, np.arange(num_rows) * num_groups // num_rows


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_swapping_the_models_mirrors_the_gain_and_keeps_the_error(metric: Metric, seed: int) -> None:
    labels, champion, challenger, groups = scored(seed=seed)
    forth, back = (
        compare(metric, labels, champion, challenger, groups),
        compare(metric, labels, challenger, champion, groups),
    )
    assert forth.gain == pytest.approx(-back.gain, abs=1e-12)
    assert forth.standard_error == pytest.approx(back.standard_error, rel=1e-9)
    assert (forth.champion, forth.challenger) == (back.challenger, back.champion)
    assert forth.p_value() == pytest.approx(1 - back.p_value(), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_better_challenger_has_a_positive_gain_whatever_the_direction_of_the_metric(metric: Metric) -> None:
    labels = np.tile([0.0, 1.0], 50)
    right, wrong = labels * 0.98 + 0.01, np.tile([0.8, 0.2], 50)
    assert compare(metric, labels, wrong, right, np.arange(100)).gain > 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=10)
def test_identical_scores_show_nothing(metric: Metric, seed: int) -> None:
    labels, champion, _, groups = scored(seed=seed)
    comparison = compare(metric, labels, champion, champion.copy(), groups)
    assert (comparison.gain, comparison.standard_error) == (0, 0)
    assert comparison.p_value() == 1
    assert comparison.p_value(margin=0.01) == 0
    assert comparison.interval(0.9) == (0, 0)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=10)
def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(metric: Metric, seed: int) -> None:
    labels, champion, challenger, groups = scored(seed=seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    straight = compare(metric, labels, champion, challenger, groups)
    shuffled = compare(metric, labels[order], champion[order], challenger[order], 1000 - 7 * groups[order])
    assert shuffled.gain == pytest.approx(straight.gain, abs=1e-12)
    assert shuffled.standard_error == pytest.approx(straight.standard_error, rel=1e-9)
    assert shuffled.num_groups == straight.num_groups == 15


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_groups_of_one_row_reproduce_the_paired_t_test(seed: int) -> None:
    labels, champion, challenger, _ = scored(seed=seed)
    comparison = compare(LOG_LOSS, labels, champion, challenger, np.arange(len(labels)))
    losses = [
        -np.log(np.where(labels == 1, scores.clip(1e-7, 1 - 1e-7), 1 - scores.clip(1e-7, 1 - 1e-7)))
        for scores in (champion, challenger)
    ]
    expected = stats.ttest_rel(*losses, alternative="greater")
    assert comparison.p_value() == pytest.approx(expected.pvalue, rel=1e-6)
    assert comparison.gain / comparison.standard_error == pytest.approx(expected.statistic, rel=1e-6)
    interval = stats.ttest_rel(*losses).confidence_interval(0.9)
    assert comparison.interval(0.9) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_rows_repeated_within_their_group_are_no_new_evidence() -> None:
    columns = scored()
    once = compare(LOG_LOSS, *columns)
    twice = compare(LOG_LOSS, *(np.concatenate([column, column]) for column in columns))
    assert twice.standard_error == pytest.approx(once.standard_error)


def test_a_wider_margin_and_a_larger_gain_lower_the_p_value() -> None:
    comparison = compare(LOG_LOSS, *scored())
    p_values = [comparison.p_value(margin) for margin in (0.0, 0.01, 0.05, 0.2)]
    assert p_values == sorted(p_values, reverse=True)
    assert len(set(p_values)) == 4


def test_one_group_can_show_nothing() -> None:
    assert grouped_standard_error(np.array([1.0, -1.0]), np.zeros(2, dtype=int)) == float("inf")


def test_unequal_lengths_are_refused() -> None:
    labels, champion, challenger, groups = scored()
    with pytest.raises(ValueError, match="300, 300, 299 and 300 rows; a paired comparison needs the same rows"):
        compare(LOG_LOSS, labels, champion, challenger[:-1], groups)


@pytest.mark.parametrize("score", [np.nan, -0.1, 1.0001, np.inf])
@pytest.mark.parametrize("model", ["champion", "challenger"])
def test_scores_that_are_no_probabilities_are_refused(model: str, score: float) -> None:
    labels, champion, challenger, groups = scored()
    (champion if model == "champion" else challenger)[7] = score
    with pytest.raises(ValueError, match=f"{model} has 1 scores that are no probabilities, first {score}"):
        compare(LOG_LOSS, labels, champion, challenger, groups)


@pytest.mark.parametrize("label", [np.nan, 2.0, 0.5, -1.0])
def test_labels_other_than_0_and_1_are_refused(label: float) -> None:
    labels, champion, challenger, groups = scored()
    labels[3] = label
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        compare(LOG_LOSS, labels, champion, challenger, groups)
