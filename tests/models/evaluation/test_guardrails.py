"""Guardrails: margins in the metric's unit and as a share, flips, floors, and questions asked of other rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchmetrics import MeanSquaredError

from models.distributions import binomial_cdf
from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import Grouping, by_key
from models.evaluation.guardrails import Elsewhere, Floor, NegativeFlips, NoWorse
from models.evaluation.metrics import ACCURACY, AUC, BRIER, LOG_LOSS, MCC, PRECISION, RECALL, Metric, Sample
from models.evaluation.resampling import from_torchmetrics
from models.evaluation.spread import sign_flip
from models.evaluation.testing import Test

NUM_ROWS = 600


def pair(seed: int = 0, noises: tuple[float, float] = (0.1, 0.1), grouping: Grouping | None = None) -> Paired:
    """Two models that know the truth up to noise, in 40 groups unless told."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0.05, 0.95, NUM_ROWS)
    labels = (random.random(NUM_ROWS) < chances).astype(float)
    champion, challenger = ((chances + random.normal(0, noise, NUM_ROWS)).clip(0.01, 0.99) for noise in noises)
    return Paired(labels, champion, challenger, grouping or by_key(np.arange(NUM_ROWS) % 40, "days"))


def only(tests: list[Test]) -> Test:
    (test,) = tests
    return test


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 0.1), level=st.sampled_from([0.01, 0.05, 0.2]))
@settings(deadline=None, max_examples=20)
def test_an_absolute_margin_asks_whether_the_gain_lies_above_its_negative(
    seed: int, margin: float, level: float
) -> None:
    paired = pair(seed, (0.05, 0.15))
    comparison, test = compare(AUC, paired), only(NoWorse(AUC, margin=margin).tests(paired, level))
    assert test.p_value == comparison.spread.p_above(-margin)
    assert (test.lower, test.upper) == comparison.spread.interval(1 - 2 * level)
    assert (test.gain, test.margin, test.level, test.kind) == (comparison.gain, margin, level, "non-inferiority")
    assert test.lower is not None and test.upper is not None
    expected = "holds" if test.lower >= -margin else "fails" if test.upper <= -margin else "open"
    assert test.verdict == expected
    assert test.is_equivalent == (margin > 0 and test.lower >= -margin and test.upper <= margin)
    assert (test.num_rows, test.num_groups) == (NUM_ROWS, 40)


@pytest.mark.parametrize("metric", [ACCURACY, BRIER], ids=lambda metric: metric.name)
@given(seed=st.integers(0, 10_000), share=st.floats(0.001, 0.2))
@settings(deadline=None, max_examples=15)
def test_a_relative_margin_is_the_linear_contrast_with_the_champions_own_error(
    metric: Metric, seed: int, share: float
) -> None:
    paired = pair(seed, (0.1, 0.2))
    before, after = (metric.measure(Sample(paired.labels, scores)) for scores in (paired.champion, paired.challenger))
    # "Not worse by the share": challenger - (1 - share) champion > 0, or (1 + share) champion - challenger > 0.
    if metric.better == "higher":
        value, rows = after.value - (1 - share) * before.value, after.influence - (1 - share) * before.influence
    else:
        value, rows = (1 + share) * before.value - after.value, (1 + share) * before.influence - after.influence
    sums = np.bincount(paired.grouping.ways[0], weights=rows)
    error = np.sqrt(40) * sums.std(ddof=1) / NUM_ROWS
    test = only(NoWorse(metric, share=share).tests(paired, 0.05))
    assert test.p_value == pytest.approx(stats.t.sf(value / error, 39), rel=1e-9)
    # It is told in the unit of the metric: the plain gain, against the margin that the share comes to.
    assert test.margin == pytest.approx(share * before.value)
    assert test.gain == pytest.approx(compare(metric, paired).gain, abs=1e-12)
    assert test.lower == pytest.approx(value - stats.t.isf(0.05, 39) * error - share * before.value, abs=1e-12)
    assert test.upper == pytest.approx(value + stats.t.isf(0.05, 39) * error - share * before.value, abs=1e-12)


def test_a_share_of_an_unsure_value_is_less_sure_than_a_margin_of_the_same_size() -> None:
    """Champion and challenger err alike, so the gain is nearly certain; a half of the champion's loss is not."""
    paired = pair(1)
    challenger = np.where(paired.labels == 1, paired.champion * 0.98, 1 - (1 - paired.champion) * 0.98)
    paired = replace(paired, challenger=challenger)
    champion = compare(LOG_LOSS, paired).champion
    relative, absolute = (
        only(NoWorse(LOG_LOSS, **margin).tests(paired, 0.05)) for margin in ({"share": 0.5}, {"margin": 0.5 * champion})
    )
    assert relative.margin == pytest.approx(absolute.margin)
    assert relative.gain == pytest.approx(absolute.gain)
    assert relative.standard_error > 5 * absolute.standard_error  # type: ignore[operator]
    assert relative.p_value > absolute.p_value  # type: ignore[operator]


def test_a_share_of_a_value_that_is_not_positive_is_left_open() -> None:
    paired = pair(2)
    upside_down = replace(paired, champion=1 - paired.champion)  # a negative correlation
    test = only(NoWorse(MCC, share=0.1).tests(upside_down, 0.05))
    assert (test.verdict, test.gain) == ("open", None)
    assert "is no margin; set margin instead of relative_margin" in test.note


def test_a_share_counts_for_a_metric_that_is_known_as_a_whole_too() -> None:
    paired = pair(3, (0.1, 0.1))
    whole = from_torchmetrics(MeanSquaredError, {})
    plain = only(NoWorse(whole, share=0.2).tests(paired, 0.05))
    by_influence = only(NoWorse(BRIER, share=0.2).tests(paired, 0.05))
    assert plain.gain == pytest.approx(by_influence.gain, abs=1e-6)
    assert plain.margin == pytest.approx(by_influence.margin, rel=1e-5)
    assert plain.standard_error == pytest.approx(by_influence.standard_error, rel=0.07)
    assert plain.lower == pytest.approx(by_influence.lower, abs=0.15 * by_influence.standard_error)  # type: ignore[operator]
    assert plain.verdict == by_influence.verdict == "holds"


@pytest.mark.parametrize(
    "margins", [{"margin": -1}, {"share": -0.1}, {"margin": 0.1, "share": 0.1}, {}, {"margin": float("nan")}], ids=str
)
def test_a_guardrail_has_one_margin_that_is_not_negative(margins: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"a guardrail on auc has margin=.* set one of the two, to a number that is"):
        NoWorse(AUC, **margins)


@pytest.mark.parametrize("name", ["margin", "share"])
def test_a_metric_without_a_value_leaves_the_question_open(name: str) -> None:
    paired = pair(4)
    never = replace(paired, challenger=np.full(NUM_ROWS, 0.1))
    test = only(NoWorse(PRECISION, **{name: 0.1}).tests(never, 0.05))
    assert (test.verdict, test.kind, test.gain) == ("open", "non-inferiority", None)
    assert "precision needs rows that are called 1" in test.note


def test_a_floor_asks_of_the_challenger_alone() -> None:
    paired = pair(5)
    value = compare(AUC, paired).challenger
    spans = {number: only(Floor(AUC, number).tests(paired, 0.05)) for number in (0.5, value, 0.99)}
    assert [test.verdict for test in spans.values()] == ["holds", "open", "fails"]
    assert spans[0.5].p_value < spans[value].p_value < spans[0.99].p_value  # type: ignore[operator]
    assert spans[value].p_value == pytest.approx(0.5)
    assert (spans[0.5].champion, spans[0.5].challenger, spans[0.5].kind) == (0.5, value, "floor")
    assert only(Floor(BRIER, 0.9).tests(paired, 0.05)).verdict == "holds"  # where less is better it is a ceiling
    worse = replace(paired, champion=1 - paired.champion)
    assert only(Floor(AUC, 0.5).tests(worse, 0.05)) == spans[0.5]


def test_a_floor_of_a_metric_without_a_value_stays_open() -> None:
    test = only(Floor(PRECISION, 0.5).tests(replace(pair(5), challenger=np.full(NUM_ROWS, 0.1)), 0.05))
    assert (test.verdict, test.kind) == ("open", "floor")
    assert "precision needs rows that are called 1" in test.note


def test_negative_flips_are_rows_that_only_the_champion_gets_right() -> None:
    labels = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0] * 5)
    champion = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9] * 5)
    challenger = np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9] * 5)
    paired = Paired(labels, champion, challenger, by_key(np.arange(40), "rows"))
    test = only(NegativeFlips(largest=0.5).tests(paired, 0.05))
    # Two of eight: a positive that was called so and is no more, and a negative that is called positive now.
    assert (test.challenger, test.gain, test.margin) == (0.25, -0.25, 0.5)
    assert test.standard_error == pytest.approx(np.sqrt(0.25 * 0.75 / 39))
    assert stats.t.sf(0.25 / np.sqrt(0.25 * 0.75 / 39), 39) < stats.binom.cdf(10, 40, 0.5) == test.p_value
    assert test.verdict == "holds"
    assert only(NegativeFlips(largest=0.1).tests(paired, 0.05)).verdict == "fails"
    assert only(NegativeFlips(largest=0.26).tests(paired, 0.05)).verdict == "open"
    assert test.title == "negative flips"


def flipped(num_flips: int, num_rows: int) -> Paired:
    """A champion that is always right, and a challenger that is wrong in some rows, far from one another."""
    places = np.linspace(0, num_rows - 1, num_flips).astype(int)
    challenger = np.full(num_rows, 0.9)
    challenger[places] = 0.1
    return Paired(np.ones(num_rows), np.full(num_rows, 0.9), challenger, by_key(np.arange(num_rows) % 40, "days"))


@pytest.mark.parametrize(("num_flips", "verdict"), [(0, "open"), (1, "open"), (60, "fails")])
def test_rare_flips_hold_only_when_so_few_are_unlikely_at_the_limit(num_flips: int, verdict: str) -> None:
    test = only(NegativeFlips(largest=0.005).tests(flipped(num_flips, 500), 0.05))
    assert test.verdict == verdict
    assert test.p_value is not None and test.p_value >= binomial_cdf(num_flips, 500, 0.005)
    assert test.lower is not None and test.lower <= -0.005
    assert not test.is_equivalent


def test_no_flip_in_enough_rows_holds_and_its_interval_says_so() -> None:
    test = only(NegativeFlips(largest=0.005).tests(flipped(0, 1_000), 0.05))
    assert test.verdict == "holds"
    assert test.p_value == pytest.approx(0.995**1_000)
    assert test.lower == pytest.approx(0.05 ** (1 / 1_000) - 1)
    assert only(NegativeFlips(largest=0.5).tests(flipped(60, 60), 0.05)).verdict == "fails"
    assert only(NegativeFlips(largest=0.0).tests(flipped(0, 1_000), 0.05)).verdict == "open"


def test_rare_flips_at_the_limit_are_seldom_shown_to_be_fewer() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(300):
        challenger = np.where(random.random(1_000) < 0.005, 0.1, 0.9)
        paired = Paired(np.ones(1_000), np.full(1_000, 0.9), challenger, by_key(np.arange(1_000) % 40, "days"))
        held += only(NegativeFlips(largest=0.005).tests(paired, 0.05)).verdict == "holds"
    assert held / 300 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)


def test_negative_flips_of_few_days_are_flipped_as_what_they_cost() -> None:
    labels, days = np.ones(60), np.arange(60) // 6
    flips = np.isin(np.arange(60), [0, 1, 2, 3, 6, 12])  # most of them on one day
    paired = Paired(labels, np.full(60, 0.9), np.where(flips, 0.1, 0.9), by_key(days, "days"))
    test = only(NegativeFlips(largest=0.15).tests(paired, 0.05))
    assert test.p_value == sign_flip(np.bincount(days, weights=0.15 - flips))


@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.3, 0.5, 0.7]))
@settings(deadline=None, max_examples=15)
def test_negative_flips_less_positive_flips_are_what_accuracy_loses(seed: int, threshold: float) -> None:
    paired = pair(seed, (0.1, 0.2))
    forth = only(NegativeFlips(0.1, threshold).tests(paired, 0.05)).challenger
    swapped = replace(paired, champion=paired.challenger, challenger=paired.champion)
    back = only(NegativeFlips(0.1, threshold).tests(swapped, 0.05)).challenger
    right = [((scores >= threshold) == paired.labels).mean() for scores in (paired.champion, paired.challenger)]
    assert back - forth == pytest.approx(right[1] - right[0], abs=1e-12)  # type: ignore[operator]


def test_no_flips_hold_below_any_margin_and_show_nothing_against_none() -> None:
    paired = replace(pair(6), champion=pair(6).challenger)
    assert only(NegativeFlips(largest=0.01).tests(paired, 0.05)).verdict == "holds"
    assert only(NegativeFlips(largest=0.0).tests(paired, 0.05)).verdict == "open"


def test_elsewhere_asks_the_same_of_other_scores() -> None:
    judged, perturbed = pair(7), pair(8, (0.0, 0.6))
    asked = Elsewhere("rows with values missing", NoWorse(ACCURACY, margin=0.02), perturbed)
    test, plain = only(asked.tests(judged, 0.05)), only(NoWorse(ACCURACY, margin=0.02).tests(perturbed, 0.05))
    assert test == replace(plain, scope="rows with values missing")
    assert test.verdict == "fails"
    assert test.title == "accuracy of rows with values missing"


def test_elsewhere_leaves_open_what_has_no_value_there() -> None:
    positives = pair(9).take(pair(9).labels == 1)
    test = only(Elsewhere("hard rows", NoWorse(AUC, margin=0.02), positives).tests(pair(9), 0.05))
    assert (test.verdict, test.scope) == ("open", "hard rows")
    assert "AUC needs both classes" in test.note


def test_recall_may_be_asked_of_positives_only() -> None:
    positives = pair(9).take(pair(9).labels == 1)
    assert only(NoWorse(RECALL, margin=0.5).tests(positives, 0.05)).verdict == "holds"
