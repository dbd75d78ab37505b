"""The error budget over the life of a project: at what level the next test of the gate runs, and what is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from scipy import special

Rule = Literal["fixed", "spending", "lord"]

WEIGHT_POWER = 1.6
WEIGHT_TOTAL = float(special.zeta(WEIGHT_POWER))  # 2.2858, the sum of t^-1.6 over every t
ROUNDING = 1e-9  # share of an allowance within which a sum of levels counts as equal to it


@dataclass(frozen=True)
class Tested:
    """One past test of the gate: the level it was run at, and whether it promoted the challenger."""

    __test__ = False  # not a test of pytest's

    level: float
    is_promotion: bool


@dataclass(frozen=True)
class Ledger:
    """What the budget says after some tests.

    Attributes:
        rule, alpha, ceiling: as in `ledger`.
        num_tests, num_promotions: tests so far, and those of them that promoted.
        spent: sum of the levels so far: the expected number of false promotions if no challenger had ever been
            better, and an upper bound of it else (guardrails only make it smaller).
        next_level: level of the next test; 0 when the rule has nothing left to give.
    """

    rule: Rule
    alpha: float
    ceiling: float | None
    num_tests: int
    num_promotions: int
    spent: float
    next_level: float

    @property
    def is_exhausted(self) -> bool:
        """Whether the next test would have no level at all, or would go beyond the ceiling."""
        return self.next_level == 0 or self._is_beyond_ceiling

    @property
    def sentence(self) -> str:
        """One sentence that a person reads before a retrain."""
        tests = f"{self.num_tests} {'test' if self.num_tests == 1 else 'tests'}"
        if self._is_beyond_ceiling:
            return (
                f"The error budget is used up: {tests} spent {_amount(self.spent)} expected false promotions, and one "
                f"more at level {self.next_level:.3g} would exceed the {_amount(self.ceiling or 0)} of "
                "gate.budget.ceiling; raise gate.budget.ceiling to go on (a lower gate.alpha or another "
                "gate.budget.rule makes only the levels from here on smaller)."
            )
        if self.next_level == 0:
            return (
                f"The error budget is used up: {tests} spent {_amount(self.spent)} expected false promotions, and "
                f"rule {self.rule!r} allows {_amount(_allowance(self.rule, self.alpha, self.num_promotions))}; raise "
                "gate.alpha, or set gate.budget.rule to 'fixed' with the gate.budget.ceiling you can live with."
            )
        limit = "" if self.ceiling is None else f"; gate.budget.ceiling allows {_amount(self.ceiling)}"
        if not self.num_tests:
            return f"The next test has level {self.next_level:.3g} and is the first one{limit}."
        return (
            f"The next test has level {self.next_level:.3g}; {tests} so far promoted {self.num_promotions}, and would "
            f"on average have promoted {_amount(self.spent)} had no challenger been any better{limit}."
        )

    @property
    def _is_beyond_ceiling(self) -> bool:
        return self.ceiling is not None and self.spent + self.next_level > self.ceiling * (1 + ROUNDING)


def ledger(rule: Rule, alpha: float, history: Sequence[Tested], ceiling: float | None = None) -> Ledger:
    """What the tests so far have spent, and the level of test number t = len(history) + 1.

    - `fixed`: every test at `alpha`. Nothing bounds the number of false promotions but the ceiling, so it is counted.
    - `spending`: alpha g(t), with g(t) = t^-1.6 / zeta(1.6), which sums to 1 over every t. The chance of *any* false
      promotion in an endless life is at most `alpha` (Bonferroni; the tests may depend on one another).
    - `lord`: LORD++. With w = alpha/2, promotions at tests tau_1 < tau_2 < ... before t, and the same g:
      w g(t) + (alpha - w) g(t - tau_1) + alpha sum_{i >= 2} g(t - tau_i).
      The expected share of false ones among the promotions is at most `alpha` for independent tests.

    The guarantee of LORD++ holds for any weights that never increase and sum to at most 1. Those printed by Ramdas et
    al., 0.0722 log(max(j, 2)) / (j exp(sqrt(log j))), are made for very long lives: the first 100 tests get 0.19, where
    g gives them 0.95. The share of the better challengers that LORD++ promotes in a life of 100 tests, at alpha 0.10
    and with challengers that are better by 2.5 standard errors or not at all (40,000 simulated lives):

        challengers that are better    10 %   30 %   60 %   90 %
        g                              0.21   0.47   0.72   0.82
        the weights as printed         0.13   0.23   0.37   0.47

    `fixed` at 0.05 promotes 0.80 of them, without any such guarantee.

    A life may change its rule or its alpha: `history` holds the levels that were used, and `spending` and `lord`
    give no more than keeps the sum of all levels within `alpha`, for `lord` `alpha` times the number of promotions
    (at least 1), which is the quantity that both guarantees rest on. A life under one rule never meets that limit.

    Pass tests only, in order of time. A rollback, an override by a person and an attempt that was never tested are
    none: they cost nothing and, above all, give nothing back.

    Args:
        rule: how levels are set.
        alpha: the level of a test (`fixed`), or the error rate over the whole life.
        history: every past test of the gate.
        ceiling: expected false promotions at which a person wants to be asked; None for no ceiling.

    Raises:
        ValueError: for a rule that does not exist, and for an alpha, a ceiling or a past level out of range.

    References:
        Foster, Stine 2008, "alpha-investing", JRSS B 70. Javanmard, Montanari 2018, "Online rules for control of false
        discovery rate and false discovery exceedance", Annals of Statistics 46. Ramdas, Yang, Wainwright, Jordan 2017,
        "Online control of the false discovery rate with decaying memory", NeurIPS.

    >>> past = [Tested(0.05, is_promotion=False), Tested(0.05, is_promotion=True)]
    >>> ledger("fixed", 0.05, past).sentence
    'The next test has level 0.05; 2 tests so far promoted 1, and would on average have promoted 0.10 had no challenger been any better.'
    >>> [round(ledger("spending", 0.05, [Tested(0.0, False)] * tests).next_level, 4) for tests in range(4)]
    [0.0219, 0.0072, 0.0038, 0.0024]
    >>> ledger("fixed", 0.05, past, ceiling=0.12).is_exhausted
    True
    """  # noqa: E501 - a sentence is one line
    _check(rule, alpha, history, ceiling)
    promotions = [number for number, test in enumerate(history, start=1) if test.is_promotion]
    spent = math.fsum(test.level for test in history)
    allowance = _allowance(rule, alpha, len(promotions))
    left = allowance - spent
    if left <= ROUNDING * alpha:
        left = 0.0
    return Ledger(
        rule=rule,
        alpha=alpha,
        ceiling=ceiling,
        num_tests=len(history),
        num_promotions=len(promotions),
        spent=spent,
        next_level=min(left, _planned(rule, alpha, len(history) + 1, promotions)),
    )


def _planned(rule: Rule, alpha: float, number: int, promotions: Sequence[int]) -> float:
    """Level of test `number`, counted from 1, after promotions at the tests numbered `promotions`."""
    if rule == "fixed":
        return alpha
    if rule == "spending":
        return alpha * _weight(number)
    start = alpha / 2
    level = start * _weight(number)
    for order, promotion in enumerate(promotions):
        level += (alpha if order else alpha - start) * _weight(number - promotion)
    return level


def _weight(age: int) -> float:
    """g of `ledger`, for `spending` and `lord`: the share of an allowance that its test number `age` gets."""
    return float(age**-WEIGHT_POWER / WEIGHT_TOTAL)


def _allowance(rule: Rule, alpha: float, num_promotions: int) -> float:
    """What the levels may sum to, the next one included."""
    if rule == "fixed":
        return math.inf
    return alpha * max(num_promotions, 1) if rule == "lord" else alpha


def _check(rule: Rule, alpha: float, history: Sequence[Tested], ceiling: float | None) -> None:
    if rule not in get_args(Rule):
        raise ValueError(f"rule={rule!r} does not exist; set gate.budget.rule to one of {', '.join(get_args(Rule))}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} is not a level; set gate.alpha between 0 and 1")
    if ceiling is not None and not 0 < ceiling < math.inf:
        raise ValueError(
            f"ceiling={ceiling} is not a number of false promotions; set gate.budget.ceiling above 0, or leave it out"
        )
    for number, test in enumerate(history, start=1):
        if not 0 <= test.level <= 1:
            raise ValueError(
                f"test {number} of the history has level={test.level}; levels lie between 0 and 1, "
                "as gate.alpha was when the test was run"
            )


def _amount(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"
