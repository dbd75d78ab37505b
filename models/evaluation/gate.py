"""The gate: promote, reject or inconclusive, with the tests behind the answer and one sentence of reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from models.evaluation.comparison import Paired, WholeMetric, compare
from models.evaluation.groups import Grouping
from models.evaluation.guardrails import Guardrail
from models.evaluation.metrics.metric import Metric, Task, Undefined
from models.evaluation.minima import Minima
from models.evaluation.reasons import reason, would_change
from models.evaluation.shrinkage import shrink
from models.evaluation.testing import Test, finite, superiority

Answer = Literal["promoted", "rejected", "inconclusive"]


@dataclass(frozen=True)
class Rules:
    """What a challenger has to show.

    Attributes:
        primary: the metric in which it must be better; a proper score has the most power (for the same true
            improvement at 5,000 rows: log loss .80, Brier .73, AUC .60, accuracy .33; docs/gate.md).
        level: the chance of promoting a challenger that is no better.
        min_gain: smallest gain in the primary metric worth having, in its unit.
        guardrails: what may not get worse.
        minima: below these the answer is inconclusive without a test.
    """

    primary: Metric | WholeMetric
    level: float
    min_gain: float
    guardrails: tuple[Guardrail, ...] = ()
    minima: Minima = field(default_factory=Minima)

    def __post_init__(self) -> None:
        if not 0 < self.level < 0.5:
            raise ValueError(f"level={self.level} is no level of a test; it lies above 0 and below 0.5: set gate.alpha")
        if not self.min_gain >= 0:
            raise ValueError(f"min_gain={self.min_gain} would promote what is worse; set gate.min_gain to 0 or more")


@dataclass(frozen=True)
class Size:
    """How much there is to judge by: rows in independent groups, and how many rows the usual group has."""

    num_rows: int
    num_positives: int
    num_groups: int
    group_unit: str
    rows_per_group: float

    @classmethod
    def of(cls, labels: np.ndarray, grouping: Grouping, task: Task = "binary") -> Self:
        """The size of rows at hand; only binary labels have positives."""
        num_positives = int((labels == 1).sum()) if task == "binary" else 0
        return cls(len(labels), num_positives, grouping.num_groups, grouping.unit, grouping.rows_per_group)

    def __str__(self) -> str:
        """As it stands with every verdict."""
        return f"{self.num_rows:,} rows in {self.num_groups:,} {self.group_unit}"


@dataclass(frozen=True)
class Judgement:
    """The gate's answer and everything it rests on.

    Attributes:
        answer: what is to be done.
        reason: why, in one sentence.
        judged_on: how many rows, in which groups.
        level: of the test of superiority; None when none was made.
        tests: superiority first.
        shrunk_gain: the gain of what was promoted, corrected for having been selected by it.
        champion_error: standard error of the champion's own value, from which later outlooks are made; None when it is
            not known, as where one group holds all rows of a class.
        would_change: what would have to be otherwise for another answer, a sentence each.
    """

    answer: Answer
    reason: str
    judged_on: Size
    level: float | None = None
    tests: tuple[Test, ...] = ()
    shrunk_gain: float | None = None
    champion_error: float | None = None
    would_change: tuple[str, ...] = ()


def judge(paired: Paired, rules: Rules, further: Sequence[Test] = ()) -> Judgement:
    """Judge a challenger on rows that neither model has seen.

    Promote when the gain in the primary metric is above zero at the level, is estimated at `min_gain` or more, and
    every guardrail holds (intersection-union: each at the same level, no correction is needed, Berger 1982). Reject
    when the gain is below `min_gain`, or a guardrail is broken, at the level. Everything else is inconclusive.

    Args:
        paired: the rows, and what champion and challenger say of them.
        rules: what has to be shown.
        further: tests made elsewhere that must hold too, such as a limit on latency.
    """
    if lacking := rules.minima.lacking_in(paired):
        return unjudged(paired, f"The holdout is too small to judge: {lacking}.")
    try:
        main = compare(rules.primary, paired)
    except Undefined as undefined:
        return unjudged(paired, f"The challenger cannot be compared: {undefined}.")
    tests = [superiority(main, rules.level, rules.min_gain)]
    for guardrail in rules.guardrails:
        tests += guardrail.tests(paired, rules.level)
    tests += further
    size = Size.of(paired.labels, paired.grouping, paired.task)
    answer = _answer(tests)
    return Judgement(
        answer=answer,
        reason=f"{reason(tests, rules.level, rules.min_gain)}; {size}.",
        judged_on=size,
        level=rules.level,
        tests=tuple(tests),
        shrunk_gain=_shrunk(tests[0], rules) if answer == "promoted" else None,
        champion_error=finite(main.champion_error),
        would_change=tuple(would_change(tests, rules.level, rules.min_gain)),
    )


def unjudged(paired: Paired, why: str) -> Judgement:
    """No test was made, for the reason given: it costs nothing of the error budget."""
    return Judgement("inconclusive", why, Size.of(paired.labels, paired.grouping, paired.task))


def best(judgements: Sequence[Judgement]) -> int:
    """Which of several challengers the answer is about: the largest proven gain, or else the nearest to one.

    One on which no test was made comes last, for its gain is not known and it cost nothing of the error budget.
    """
    order = {"promoted": 0, "inconclusive": 1, "rejected": 2}

    def rank(place: int) -> tuple[bool, int, float]:
        found = judgements[place]
        gain = found.tests[0].gain or 0.0 if found.tests else 0.0
        return not found.tests, order[found.answer], -gain

    return min(range(len(judgements)), key=rank)


def _answer(tests: Sequence[Test]) -> Answer:
    verdicts = [test.verdict for test in tests]
    if "fails" in verdicts:
        return "rejected"
    return "inconclusive" if "open" in verdicts else "promoted"


def _shrunk(first: Test, rules: Rules) -> float | None:
    """The gain, corrected for having been promoted because it was large enough."""
    if first.gain is None or first.lower is None or not first.standard_error:
        return first.gain
    needed = max(first.gain - first.lower, rules.min_gain)
    return shrink(first.gain, first.standard_error, rules.level, critical=needed / first.standard_error)
