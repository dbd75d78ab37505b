"""The error budget: its levels by hand, what it never exceeds, and what it tells a person."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from models.evaluation.budget import Ledger, Rule, Tested, ledger

RULES = st.sampled_from(get_args(Rule))
ALPHAS = st.floats(1e-6, 0.5)
TESTS = st.builds(Tested, level=st.floats(0, 1) | st.floats(0, 0.01), is_promotion=st.booleans())
HISTORIES = st.lists(TESTS, max_size=30)
OUTCOMES = st.lists(st.booleans(), max_size=40)


def lived(rule: Rule, alpha: float, outcomes: list[bool]) -> list[Tested]:
    """A life under one rule: each test at the level its ledger gave."""
    history: list[Tested] = []
    for is_promotion in outcomes:
        history.append(Tested(ledger(rule, alpha, history).next_level, is_promotion))
    return history


def weight(age: int) -> float:
    return age**-1.6 / float(special.zeta(1.6))


@given(RULES, ALPHAS, HISTORIES)
def test_no_level_exceeds_alpha(rule: Rule, alpha: float, history: list[Tested]) -> None:
    assert 0 <= ledger(rule, alpha, history).next_level <= alpha


@given(RULES, ALPHAS, OUTCOMES)
def test_a_life_under_one_rule_always_has_a_level_left(rule: Rule, alpha: float, outcomes: list[bool]) -> None:
    after = ledger(rule, alpha, lived(rule, alpha, outcomes))
    assert after.next_level > 0
    assert not after.is_exhausted


@given(ALPHAS, HISTORIES)
def test_fixed_is_constant(alpha: float, history: list[Tested]) -> None:
    assert ledger("fixed", alpha, history).next_level == alpha


@given(ALPHAS, HISTORIES)
def test_spending_never_takes_the_sum_of_all_levels_beyond_alpha(alpha: float, history: list[Tested]) -> None:
    """The step of an induction over the length of a life: it holds for every life, whatever came before."""
    after = ledger("spending", alpha, history)
    assert after.spent + after.next_level <= max(alpha, after.spent) * (1 + 1e-12)
    if after.spent >= alpha:
        assert after.next_level == 0


@given(ALPHAS, HISTORIES)
def test_lord_never_takes_the_sum_beyond_alpha_for_each_promotion(alpha: float, history: list[Tested]) -> None:
    after = ledger("lord", alpha, history)
    allowance = alpha * max(1, sum(test.is_promotion for test in history))
    assert after.spent + after.next_level <= max(allowance, after.spent) * (1 + 1e-12)


def test_ten_thousand_tests_of_spending_stay_within_alpha() -> None:
    alpha = 0.05
    levels = alpha * np.arange(1, 10_001.0) ** -1.6 / special.zeta(1.6)
    history = [Tested(float(level), is_promotion=bool(number % 7)) for number, level in enumerate(levels)]
    for number in (1, 2, 3, 10, 100, 1_000, 10_000):
        assert ledger("spending", alpha, history[: number - 1]).next_level == pytest.approx(levels[number - 1])
    after = ledger("spending", alpha, history)
    assert 0.99 * alpha < after.spent + after.next_level < alpha


@given(RULES, ALPHAS, HISTORIES)
def test_a_ledger_is_a_function_of_its_history(rule: Rule, alpha: float, history: list[Tested]) -> None:
    before = list(history)
    after = ledger(rule, alpha, history)
    assert after == ledger(rule, alpha, tuple(history))
    assert history == before
    assert after.num_tests == len(history)
    assert after.num_promotions == sum(test.is_promotion for test in history)
    assert after.spent == pytest.approx(sum(test.level for test in history))


@given(RULES, ALPHAS, HISTORIES, st.floats(0, 1))
def test_a_test_that_does_not_promote_never_raises_the_next_level(
    rule: Rule, alpha: float, history: list[Tested], level: float
) -> None:
    after = ledger(rule, alpha, [*history, Tested(level, is_promotion=False)])
    assert after.next_level <= ledger(rule, alpha, history).next_level


@given(ALPHAS, HISTORIES, st.floats(0, 1))
def test_a_promotion_never_lowers_the_next_level_of_lord(alpha: float, history: list[Tested], level: float) -> None:
    promoted, refused = (ledger("lord", alpha, [*history, Tested(level, outcome)]) for outcome in (True, False))
    assert promoted.next_level >= refused.next_level


@given(ALPHAS, OUTCOMES)
def test_a_promotion_gives_lord_level_back_and_spending_none(alpha: float, outcomes: list[bool]) -> None:
    def after(rule: Rule, is_promotion: bool) -> float:
        history = lived(rule, alpha, outcomes)
        return ledger(rule, alpha, [*history, Tested(ledger(rule, alpha, history).next_level, is_promotion)]).next_level

    assert after("lord", is_promotion=True) > after("lord", is_promotion=False)
    assert after("spending", is_promotion=True) == after("spending", is_promotion=False)


@given(ALPHAS, OUTCOMES)
def test_a_life_under_lord_never_meets_its_limit(alpha: float, outcomes: list[bool]) -> None:
    """Every level is the formula's own, written out here once more."""
    for number, test in enumerate(lived("lord", alpha, outcomes), start=1):
        promotions = [index for index, outcome in enumerate(outcomes[: number - 1], start=1) if outcome]
        level = alpha / 2 * weight(number)
        if promotions:
            level += alpha / 2 * weight(number - promotions[0])
        level += sum(alpha * weight(number - promotion) for promotion in promotions[1:])
        assert test.level == pytest.approx(level, rel=1e-12)


def test_the_first_levels_of_lord_are_those_worked_out_by_hand() -> None:
    """LORD++ at alpha 0.05, so w = 0.025 and alpha - w = 0.025.

    zeta(1.6) = 2.2857657
    g(1) = 1^-1.6 / zeta(1.6) = 1         / 2.2857657 = 0.4374902
    g(2) = 2^-1.6 / zeta(1.6) = 0.3298770 / 2.2857657 = 0.1443179
    g(3) = 3^-1.6 / zeta(1.6) = 0.1724273 / 2.2857657 = 0.0754352
    g(4) = 4^-1.6 / zeta(1.6) = 0.1088188 / 2.2857657 = 0.0476072
    """
    refused, promoted = Tested(0.001, is_promotion=False), Tested(0.001, is_promotion=True)

    def next_level(*history: Tested) -> float:
        return ledger("lord", 0.05, history).next_level

    # None yet: w g(1), w g(2).
    assert next_level() == pytest.approx(0.01093725, rel=1e-6)  # 0.025 * 0.4374902
    assert next_level(refused) == pytest.approx(0.003607948, rel=1e-6)  # 0.025 * 0.1443179
    # One, at test 2. Test 3: w g(3) + (alpha - w) g(1) = 0.025 * (0.0754352 + 0.4374902) = 0.025 * 0.5129254.
    assert next_level(refused, promoted) == pytest.approx(0.01282314, rel=1e-6)
    # Test 4: w g(4) + (alpha - w) g(2) = 0.025 * (0.0476072 + 0.1443179) = 0.025 * 0.1919251.
    assert next_level(refused, promoted, refused) == pytest.approx(0.004798128, rel=1e-6)
    # Two, at tests 2 and 3. Test 4: w g(4) + (alpha - w) g(2) + alpha g(1) = 0.004798128 + 0.05 * 0.4374902.
    assert next_level(refused, promoted, promoted) == pytest.approx(0.02667264, rel=1e-6)


def test_the_weights_of_lord_are_those_of_spending_fall_and_sum_to_one() -> None:
    """Those beyond N sum to the integral of x^-1.6 / zeta(1.6) from N + 1/2: (N + 1/2)^-0.6 / (0.6 zeta(1.6))."""
    history = [Tested(0.0, is_promotion=False)] * 999
    weights = np.array([ledger("lord", 0.5, history[:number]).next_level / 0.25 for number in range(1_000)])
    spending = [ledger("spending", 0.5, history[:number]).next_level / 0.5 for number in range(1_000)]
    assert weights == pytest.approx(spending, rel=1e-12)
    assert (np.diff(weights) < 0).all()
    assert weights.sum() + 1_000.5**-0.6 / (0.6 * 2.2857657) == pytest.approx(1, abs=1e-7)


def test_spending_lets_few_lives_promote_anything_that_is_no_better() -> None:
    """2,000 lives of 60 tests without a better challenger: at alpha 0.2 at most 0.2 of them promote any."""
    levels = np.array([test.level for test in lived("spending", 0.2, [False] * 60)])
    has_promoted = (np.random.default_rng(0).random((2_000, 60)) <= levels).any(axis=1).mean()
    assert 0.13 < has_promoted < 0.2  # 1 - prod(1 - level) is 0.171, with a standard error of 0.009


def test_lord_keeps_the_share_of_false_promotions() -> None:
    """200 lives of 60 tests in which 3 in 10 challengers are better by 2.5 standard errors."""
    generator, alpha, shares, found = np.random.default_rng(0), 0.2, [], 0
    for _ in range(200):
        is_better = generator.random(60) < 0.3
        p_values = special.ndtr(-(generator.standard_normal(60) + 2.5 * is_better))
        history: list[Tested] = []
        for p_value in p_values:
            level = ledger("lord", alpha, history).next_level
            history.append(Tested(level, is_promotion=bool(p_value <= level)))
        is_promoted = np.array([test.is_promotion for test in history])
        shares.append((is_promoted & ~is_better).sum() / max(is_promoted.sum(), 1))
        found += int((is_promoted & is_better).sum())
    assert 0.08 < np.mean(shares) < 0.14  # 0.105, with a standard error of 0.007; it may be 0.2
    assert 0.5 < found / (0.3 * 200 * 60) < 0.7  # 0.58 of those that are better; 0.29 with the weights as printed


def test_a_life_that_began_with_fixed_levels_has_nothing_left_for_spending() -> None:
    history = [Tested(0.05, is_promotion=number in (3, 11)) for number in range(30)]
    after = ledger("spending", 0.05, history)
    assert after.next_level == 0
    assert after.is_exhausted
    assert after.sentence.startswith("The error budget is used up: 30 tests spent 1.50 expected false promotions")
    assert "allows 0.05" in after.sentence
    assert all(key in after.sentence for key in ("gate.budget.rule", "gate.alpha", "gate.budget.ceiling"))
    assert not ledger("fixed", 0.05, history).is_exhausted
    # LORD's limit is alpha for each promotion, so two of them are not enough and thirty-one would be.
    assert "allows 0.10" in ledger("lord", 0.05, history).sentence
    assert ledger("lord", 0.05, [Tested(0.05, is_promotion=True)] * 31).next_level == 0
    assert ledger("lord", 0.05, [Tested(0.049, is_promotion=True)] * 31).next_level > 0


def test_a_change_of_rule_in_the_middle_of_a_life_leaves_what_was_not_spent() -> None:
    history = [Tested(0.02, is_promotion=False), Tested(0.029, is_promotion=False)]
    assert ledger("spending", 0.05, history).next_level == pytest.approx(0.001)
    assert ledger("lord", 0.05, [*history, Tested(0.0009, is_promotion=False)]).next_level == pytest.approx(0.0001)
    assert ledger("spending", 0.1, history).next_level == pytest.approx(0.1 * 3**-1.6 / special.zeta(1.6))


@pytest.mark.parametrize(("num_tests", "is_exhausted"), [(0, False), (5, False), (9, False), (10, True), (11, True)])
def test_a_ceiling_is_met_by_the_test_that_would_exceed_it(num_tests: int, is_exhausted: bool) -> None:
    after = ledger("fixed", 0.05, [Tested(0.05, is_promotion=False)] * num_tests, ceiling=0.5)
    assert after.is_exhausted == is_exhausted
    assert ("raise gate.budget.ceiling" in after.sentence) == is_exhausted
    assert "0.50" in after.sentence
    assert after.next_level == 0.05


@given(ceiling_in_tests=st.integers(1, 60), alpha=ALPHAS)
def test_a_ceiling_of_so_many_levels_is_so_many_tests(ceiling_in_tests: int, alpha: float) -> None:
    history = [Tested(alpha, is_promotion=False)] * ceiling_in_tests
    assert not ledger("fixed", alpha, history[1:], alpha * ceiling_in_tests).is_exhausted
    assert ledger("fixed", alpha, history, alpha * ceiling_in_tests).is_exhausted


def test_a_ceiling_below_the_first_level_allows_no_test() -> None:
    first = ledger("fixed", 0.05, [], ceiling=0.01)
    assert first.is_exhausted
    assert "0 tests spent 0.00" in first.sentence


@given(RULES, ALPHAS, HISTORIES, st.none() | st.floats(0.01, 5))
def test_every_ledger_says_one_sentence_and_can_be_written_down(
    rule: Rule, alpha: float, history: list[Tested], ceiling: float | None
) -> None:
    after = ledger(rule, alpha, history, ceiling)
    assert after.sentence.endswith(".")
    assert ". " not in after.sentence
    assert "nan" not in after.sentence
    assert "inf" not in after.sentence
    assert after.is_exhausted == after.sentence.startswith("The error budget is used up")
    assert Ledger(**json.loads(json.dumps(asdict(after)))) == after


def test_a_person_reads_the_next_level_and_what_the_tests_have_spent() -> None:
    history = [Tested(0.05, is_promotion=number == 4) for number in range(12)]
    assert ledger("fixed", 0.05, history, ceiling=2).sentence == (
        "The next test has level 0.05; 12 tests so far promoted 1, and would on average have promoted 0.60 had no "
        "challenger been any better; gate.budget.ceiling allows 2.00."
    )
    assert ledger("fixed", 0.05, []).sentence == "The next test has level 0.05 and is the first one."
    assert "; 1 test so far" in ledger("fixed", 0.05, history[:1]).sentence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.0}, "alpha=0.0 is not a level; set gate.alpha between 0 and 1"),
        ({"alpha": 1.0}, "alpha=1.0"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"rule": "sping"}, "rule='sping' does not exist; set gate.budget.rule to one of fixed, spending, lord"),
        ({"ceiling": 0.0}, "ceiling=0.0 .*gate.budget.ceiling"),
        ({"ceiling": math.inf}, "ceiling=inf"),
        ({"ceiling": math.nan}, "ceiling=nan"),
        ({"history": [Tested(0.05, False), Tested(1.5, False)]}, "test 2 of the history has level=1.5; .*gate.alpha"),
        ({"history": [Tested(math.nan, False)]}, "level=nan"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_place_to_change_it(change: dict[str, Any], message: str) -> None:
    arguments = {"rule": "fixed", "alpha": 0.05, "history": [], "ceiling": None} | change
    with pytest.raises(ValueError, match=message):
        ledger(**arguments)
