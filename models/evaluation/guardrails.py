"""What a challenger may not make worse: every guardrail must hold, each at the level of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models.distributions import beta_quantile, binomial_cdf
from models.evaluation.comparison import Comparison, Paired, WholeMetric, against_number, compare
from models.evaluation.metrics.decisions import is_right
from models.evaluation.metrics.metric import Metric, Undefined
from models.evaluation.spread import GroupedSpread
from models.evaluation.testing import EVERYWHERE, Test, floor, non_inferiority, untested


class Guardrail(Protocol):
    """Anything that asks something of a challenger."""

    def tests(self, paired: Paired, level: float) -> Sequence[Test]:
        """What was asked, and whether it holds at one-sided `level` on these rows."""


@dataclass(frozen=True)
class NoWorse:
    """A metric that may not get worse by its margin: `margin` in its unit, or a `share` of the champion's value."""

    metric: Metric | WholeMetric
    margin: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.margin, self.share) if value is not None]
        if len(given) != 1 or not given[0] >= 0:
            raise ValueError(
                f"a guardrail on {self.metric.name} has margin={self.margin} and relative_margin={self.share}; "
                "set one of the two, to a number that is not negative (how much worse is allowed)"
            )

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test of non-inferiority."""
        try:
            return [self.test(paired, level)]
        except Undefined as reason:
            return [untested(self.metric.label, EVERYWHERE, "non-inferiority", str(reason), self.margin)]

    def test(self, paired: Paired, level: float, scope: str = EVERYWHERE) -> Test:
        """The test on these rows. Raises `Undefined` when the metric has no value on them."""
        if self.margin is not None:
            return non_inferiority(compare(self.metric, paired), level, self.margin, scope)
        assert self.share is not None
        comparison = compare(self.metric, paired, handicap=self.share)
        if comparison.champion <= 0:
            raise Undefined(f"a share of {comparison.champion:.4f} is no margin; set margin instead of relative_margin")
        return _in_units(non_inferiority(comparison, level, 0.0, scope), self.share * abs(comparison.champion))


@dataclass(frozen=True)
class Floor:
    """A metric of the challenger alone that must be shown to lie beyond a number."""

    metric: Metric
    number: float

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test against the number."""
        try:
            return [floor(against_number(self.metric, paired, self.number), level)]
        except Undefined as reason:
            return [untested(self.metric.label, EVERYWHERE, "floor", str(reason))]


@dataclass(frozen=True)
class NegativeFlips:
    """The share of rows that the champion gets right and the challenger wrong (Yan et al. 2021, arXiv 2011.09161).

    A binary row is called by `threshold`, one of several classes by the largest score; a regression is never right.

    Rare flips make the error of their share 0 or too small: at the limit, 13 % of holdouts would hold at level .05. So
    it holds only when the binomial test of as many flips says so too (Clopper & Pearson 1934).
    """

    largest: float
    threshold: float = 0.5

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test that the share lies below the largest one allowed."""
        was_right, stays_right = (is_right(sample.labels, sample.scores, self.threshold) for sample in paired.samples)
        flips = was_right & ~stays_right
        share = float(flips.mean())
        comparison = Comparison(
            label="negative flips (share of rows)",
            champion=0.0,
            challenger=share,
            gain=-share,
            spread=GroupedSpread.of(-share, share - flips, paired.grouping),
            num_rows=paired.num_rows,
            num_groups=paired.grouping.num_groups,
            champion_error=0.0,
        )
        test = non_inferiority(comparison, level, self.largest)
        return [self._with_binomial(test, int(flips.sum()), paired.num_rows, level)]

    def _with_binomial(self, test: Test, num_flips: int, num_rows: int, level: float) -> Test:
        assert test.p_value is not None and test.p_failure is not None
        p_value = max(test.p_value, float(binomial_cdf(num_flips, num_rows, self.largest)))
        share = float(beta_quantile(1 - level, num_flips + 1, num_rows - num_flips)) if num_flips < num_rows else 1.0
        holds = p_value <= level
        return replace(
            test,
            p_value=p_value,
            lower=None if test.lower is None else min(test.lower, -share),
            verdict="holds" if holds else "fails" if test.p_failure <= level else "open",
            is_equivalent=test.is_equivalent and holds,
        )


@dataclass(frozen=True)
class Elsewhere:
    """The same question of other scores or other rows: perturbed inputs, or the first champion in place of this one."""

    scope: str
    guardrail: NoWorse
    paired: Paired

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """The guardrail's tests on `self.paired`, whatever rows the others are asked on."""
        return [replace(test, scope=self.scope) for test in self.guardrail.tests(self.paired, level)]


def _in_units(test: Test, margin: float) -> Test:
    """A test of "not worse by a share", told as one of the plain gain against the margin that the share comes to."""

    def shifted(value: float | None) -> float | None:
        return None if value is None else value - margin

    return replace(
        test,
        margin=margin,
        is_equivalent=False,
        gain=shifted(test.gain),
        lower=shifted(test.lower),
        upper=shifted(test.upper),
    )
