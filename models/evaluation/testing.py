"""One test of the gate: what was asked, what was found, and whether it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from models.evaluation.comparison import Comparison

Kind = Literal["superiority", "non-inferiority", "floor", "limit"]
Verdict = Literal["holds", "fails", "open"]
EVERYWHERE = "all rows"


@dataclass(frozen=True)
class Test:
    """One test, as it stands in the log and on the decision page.

    Attributes:
        metric: as a person reads it, its unit in brackets.
        scope: the rows it was asked of: all, a slice, a group.
        kind: superiority (gain above 0, and estimated at `margin` or more), non-inferiority (gain above -margin),
            floor (the challenger's own value above the number that stands for the champion), limit (a number that was
            counted or timed, without a test).
        champion, challenger: their values; None where there is no champion's.
        gain: positive is better; None for a limit.
        lower, upper: confidence interval of the gain at 1 - 2 * level.
        p_value: of the contrary of what is asked; small when it is shown to hold.
        p_failure: of what is asked; small when it is shown to fail.
        verdict: holds (shown at `level`), fails (the contrary is shown), open (neither).
        is_equivalent: whether the two are shown to differ by less than `margin`, either way.
        note: what else there is to say, such as why nothing could be tested.
    """

    __test__ = False  # not a test of pytest's

    metric: str
    scope: str
    kind: Kind
    verdict: Verdict
    champion: float | None = None
    challenger: float | None = None
    gain: float | None = None
    standard_error: float | None = None
    lower: float | None = None
    upper: float | None = None
    margin: float | None = None
    p_value: float | None = None
    p_failure: float | None = None
    level: float | None = None
    num_rows: int | None = None
    num_groups: int | None = None
    is_equivalent: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """The metric, and the rows when they are not all."""
        name = self.metric.partition(" (")[0]
        return name if self.scope == EVERYWHERE else f"{name} of {self.scope}"


def superiority(comparison: Comparison, level: float, min_gain: float) -> Test:
    """Is the challenger better, and by as much as is worth having?

    Holds when "no better" is refused at `level` and the gain is estimated at `min_gain` or more; fails when "better by
    `min_gain`" is refused at `level`.
    """
    p_value, p_failure = comparison.spread.p_above(0.0), comparison.spread.p_below(min_gain)
    holds = p_value <= level and comparison.gain >= min_gain
    return _test(comparison, "superiority", p_value, p_failure, level, min_gain, holds)


def non_inferiority(comparison: Comparison, level: float, margin: float, scope: str = EVERYWHERE) -> Test:
    """Is the challenger not worse by `margin` or more?"""
    p_value, p_failure = comparison.spread.p_above(-margin), comparison.spread.p_below(-margin)
    test = _test(comparison, "non-inferiority", p_value, p_failure, level, margin, p_value <= level)
    return replace(test, scope=scope)


def floor(comparison: Comparison, level: float) -> Test:
    """Is the challenger's own value above a number? `comparison` is one `against_number`."""
    p_value, p_failure = comparison.spread.p_above(0.0), comparison.spread.p_below(0.0)
    return _test(comparison, "floor", p_value, p_failure, level, 0.0, p_value <= level)


def limit(
    metric: str, champion: float | None, challenger: float, largest: float, scope: str = EVERYWHERE, note: str = ""
) -> Test:
    """Is a number that was counted or timed, where less is better, at most `largest`?"""
    verdict: Verdict = "holds" if challenger <= largest else "fails"
    return Test(metric, scope, "limit", verdict, champion=champion, challenger=challenger, margin=largest, note=note)


def untested(metric: str, scope: str, kind: Kind, why: str, margin: float | None = None) -> Test:
    """What was asked and could not be tested: it stays open, and what is open is not promoted."""
    return Test(metric, scope, kind, "open", margin=margin, note=why)


def _test(
    comparison: Comparison, kind: Kind, p_value: float, p_failure: float, level: float, margin: float, holds: bool
) -> Test:
    verdict: Verdict = "holds" if holds else "fails" if p_failure <= level else "open"
    lower, upper = comparison.spread.interval(1 - 2 * level)
    spread = comparison.spread
    return Test(
        metric=comparison.label,
        scope=EVERYWHERE,
        kind=kind,
        verdict=verdict,
        champion=comparison.champion,
        challenger=comparison.challenger,
        gain=comparison.gain,
        standard_error=finite(comparison.standard_error),
        lower=finite(lower),
        upper=finite(upper),
        margin=margin,
        p_value=p_value,
        p_failure=p_failure,
        level=level,
        num_rows=comparison.num_rows,
        num_groups=comparison.num_groups,
        is_equivalent=margin > 0 and max(spread.p_above(-margin), spread.p_below(margin)) <= level,
    )


def finite(value: float) -> float | None:
    """The number, or None for one that no file of JSON can hold."""
    return value if math.isfinite(value) else None
