"""The gate: promote, reject or inconclusive, with the tests behind the answer and one sentence of reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from models.evaluation.comparison import Comparison, compare
from models.evaluation.metrics import LOG_LOSS, METRICS, Metric

Answer = Literal["promoted", "rejected", "inconclusive"]
SMALLEST_GAIN = 1e-9  # nats; below it there is nothing to count rows for
POWER = 0.8  # the chance of showing a real gain for which a holdout is said to be large enough


@dataclass(frozen=True)
class Minima:
    """What a holdout must have before anything is said about it."""

    groups: int = 10
    positives: int = 50
    negatives: int = 50

    def lacking(self, num_groups: int, num_positives: int, num_negatives: int) -> str:
        """What a holdout with so much has too little of, in words; empty when nothing is lacking."""
        counts = (
            ("groups", num_groups, self.groups),
            ("positives", num_positives, self.positives),
            ("negatives", num_negatives, self.negatives),
        )
        return ", ".join(
            f"{found} {name} where {needed} are needed" for name, found, needed in counts if found < needed
        )


@dataclass(frozen=True)
class Guardrail:
    """A metric that may not get worse by `margin` or more."""

    metric: str
    margin: float


@dataclass(frozen=True)
class Test:
    """One test of the gate, as it stands on the decision page."""

    __test__ = False  # not a test of pytest's

    metric: str
    kind: Literal["superiority", "non-inferiority"]
    champion: float
    challenger: float
    gain: float
    standard_error: float
    lower: float
    upper: float
    margin: float
    p_value: float
    level: float
    verdict: Literal["holds", "fails", "open"]


@dataclass(frozen=True)
class Judgement:
    """The gate's answer and everything it rests on."""

    answer: Answer
    reason: str
    num_rows: int
    num_groups: int
    num_positives: int
    tests: tuple[Test, ...] = ()


def judge(
    labels: np.ndarray,
    champion: np.ndarray,
    challenger: np.ndarray,
    groups: np.ndarray,
    alpha: float,
    min_gain: float,
    guardrails: Sequence[Guardrail],
    minima: Minima,
    primary: Metric = LOG_LOSS,
) -> Judgement:
    """Judge a challenger on rows that neither model has seen.

    Promote when the gain in the primary metric is above zero at level `alpha`, is estimated at `min_gain` or more,
    and every guardrail holds (intersection-union: each at `alpha`, no correction is needed, Berger 1982). Reject when
    the gain is below `min_gain`, or a guardrail is broken, at level `alpha`. Everything else is inconclusive.

    Args:
        labels, champion, challenger, groups: as in `comparison.compare`.
        alpha: the chance of promoting a challenger that is no better.
        min_gain: smallest gain in the primary metric worth having, in its unit.
        guardrails: metrics that may not get worse by their margin.
        minima: below these the answer is inconclusive without a test.
        primary: the metric in which the challenger must be better; a proper score has the most power (for the same
            true improvement at 5,000 rows: log loss .82, Brier .70, AUC .49, accuracy .40).
    """
    num_groups, num_positives = len(np.unique(groups)), int((labels == 1).sum())
    size = (len(labels), num_groups, num_positives)
    if lacking := minima.lacking(num_groups, num_positives, int((labels == 0).sum())):
        return Judgement("inconclusive", f"The holdout is too small to judge: {lacking}.", *size)
    main = compare(primary, labels, champion, challenger, groups)
    tests = [_superiority(main, alpha, min_gain)]
    for guardrail in guardrails:
        comparison = compare(METRICS[guardrail.metric], labels, champion, challenger, groups)
        tests.append(_non_inferiority(comparison, alpha, guardrail.margin))
    answer, reason = _conclude(tests, main, alpha, min_gain, len(labels))
    return Judgement(answer, reason, *size, tests=tuple(tests))


def rows_needed(standard_error: float, num_rows: int, gain: float, alpha: float) -> int:
    """Holdout rows that would show a true `gain` at level `alpha` with power 0.8: n * ((z_a + z_b) * se / gain)^2.

    >>> rows_needed(standard_error=0.01, num_rows=1000, gain=0.01, alpha=0.05)
    6183
    """
    return math.ceil(num_rows * ((stats.norm.isf(alpha) + stats.norm.ppf(POWER)) * standard_error / gain) ** 2)


def _superiority(comparison: Comparison, alpha: float, min_gain: float) -> Test:
    lower, upper = comparison.interval(1 - 2 * alpha)
    p_value = comparison.p_value()
    holds = p_value <= alpha and comparison.gain >= min_gain
    verdict: Literal["holds", "fails", "open"] = "holds" if holds else "fails" if upper < min_gain else "open"
    return _test(comparison, "superiority", min_gain, p_value, alpha, (lower, upper), verdict)


def _non_inferiority(comparison: Comparison, alpha: float, margin: float) -> Test:
    lower, upper = comparison.interval(1 - 2 * alpha)
    p_value = comparison.p_value(margin)
    verdict: Literal["holds", "fails", "open"] = "holds" if p_value <= alpha else "fails" if upper < -margin else "open"
    return _test(comparison, "non-inferiority", margin, p_value, alpha, (lower, upper), verdict)


def _test(
    comparison: Comparison,
    kind: Literal["superiority", "non-inferiority"],
    margin: float,
    p_value: float,
    alpha: float,
    interval: tuple[float, float],
    verdict: Literal["holds", "fails", "open"],
) -> Test:
    return Test(
        metric=comparison.metric,
        kind=kind,
        champion=comparison.champion,
        challenger=comparison.challenger,
        gain=comparison.gain,
        standard_error=comparison.standard_error,
        lower=interval[0],
        upper=interval[1],
        margin=margin,
        p_value=p_value,
        level=alpha,
        verdict=verdict,
    )


def _conclude(
    tests: Sequence[Test], primary: Comparison, alpha: float, min_gain: float, num_rows: int
) -> tuple[Answer, str]:
    superiority, *guardrails = tests
    interval = (
        f"gain in {METRICS[primary.metric].label} {primary.gain:+.4f} "
        f"({1 - 2 * alpha:.0%} interval {superiority.lower:+.4f} to {superiority.upper:+.4f})"
    )
    broken = [test for test in guardrails if test.verdict == "fails"]
    if broken:
        names = ", ".join(f"{METRICS[test.metric].label} by {-test.gain:.4f}" for test in broken)
        return "rejected", f"The challenger is worse than its margin allows: {names}; {interval}."
    if superiority.verdict == "fails":
        return "rejected", f"The challenger is not better by the {min_gain:.4f} worth having: {interval}."
    if superiority.verdict == "open":
        target = max(primary.gain, min_gain)
        more = 0
        if target > SMALLEST_GAIN:
            more = max(0, rows_needed(primary.standard_error, num_rows, target, alpha) - num_rows)
        hint = (
            f"a gain of {target:.4f} would need about {more:,} more labelled rows"
            if more
            else "so small a gain is not worth having"
        )
        return "inconclusive", f"Not enough evidence that the challenger is better: {interval}; {hint}."
    unsure = [METRICS[test.metric].label for test in guardrails if test.verdict == "open"]
    if unsure:
        return (
            "inconclusive",
            f"The challenger is better, but {', '.join(unsure)} may be worse than its margin allows: {interval}.",
        )
    return "promoted", f"The challenger is better at level {alpha:g} and every guardrail holds: {interval}."
