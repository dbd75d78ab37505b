"""What the gate says of its answer: why, and what would have to be otherwise for another one."""

from __future__ import annotations

from collections.abc import Sequence

from models.evaluation.power import rows_needed
from models.evaluation.testing import Test

SMALLEST_GAIN = 1e-9  # below it there is nothing to count rows for


def reason(tests: Sequence[Test], level: float, min_gain: float) -> str:
    """Why the answer follows from the tests, the test of superiority being the first."""
    first, *guardrails = tests
    gain = _gain(first)
    if broken := [_broken(test) for test in guardrails if test.verdict == "fails"]:
        return f"The challenger is worse than its margin allows: {_some(broken)}; {gain}"
    if first.verdict == "fails":
        alike = " and the two are equivalent within it" if first.is_equivalent else ""
        return f"The challenger is not better by the {min_gain:.4f} worth having{alike}: {gain}"
    if first.verdict == "open" and first.p_value is not None and first.p_value <= level:
        return f"The challenger is better, but not shown to be so by the {min_gain:.4f} worth having: {gain}"
    if first.verdict == "open":
        return f"Not enough evidence that the challenger is better: {gain}; {_hint(first, level, min_gain)}"
    if unsure := [_unsure(test) for test in guardrails if test.verdict == "open"]:
        return f"The challenger is better, but {_some(unsure)} may be worse than its margin allows: {gain}"
    return f"The challenger is better at level {level:.3g} and every guardrail holds: {gain}"


def would_change(tests: Sequence[Test], level: float, min_gain: float) -> list[str]:
    """What would have to be otherwise for another answer, a sentence each."""
    first, *guardrails = tests
    lacking = [_repair(test) for test in guardrails if test.verdict != "holds"]
    if first.verdict == "holds" and not lacking:
        needed = _in_unit(first, f"{_needed(first, min_gain):.4f}")
        least = f"With the same spread a gain of less than {needed} would not have been enough."
        return [least, *(_slack(test) for test in _tightest(guardrails))]
    return [*_more(first, level, min_gain), *lacking]


def _gain(first: Test) -> str:
    assert first.gain is not None and first.level is not None
    if first.lower is None or first.upper is None:
        return f"gain in {first.metric} {first.gain:+z.4f}"
    width = f"{100 * (1 - 2 * first.level):.3g}%"
    return f"gain in {first.metric} {first.gain:+z.4f} ({width} interval {first.lower:+z.4f} to {first.upper:+z.4f})"


def _broken(test: Test) -> str:
    if test.gain is None:
        return f"{test.title} is {test.challenger:.4g} where {test.margin:.4g} is allowed"
    return (
        f"{test.title} by {_small(-test.gain)}"
        if test.kind != "floor"
        else f"{test.title} is {_small(test.challenger)}"
    )


def _unsure(test: Test) -> str:
    return f"{test.title} ({test.note})" if test.note else test.title


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _hint(first: Test, level: float, min_gain: float) -> str:
    if first.lower is None:
        return _out_of_reach(first)
    target, more = _missing(first, level, min_gain)
    if not more:
        return "so small a gain is not worth having"
    return f"a gain of {target:.4f} would need about {more:,} more labelled rows"


def _out_of_reach(test: Test) -> str:
    """Sign flips of G groups have no p below 2^-G, so no interval either; without a class there is no error."""
    if test.standard_error is None and test.num_groups is not None and test.num_groups > 1:
        return "one group holds all rows of a class"
    return f"{test.num_groups} groups can show nothing at level {test.level:.3g}"


def _missing(first: Test, level: float, min_gain: float) -> tuple[float, int]:
    """The gain that is hoped for, and the labelled rows that are missing to show it."""
    assert first.gain is not None and first.num_rows is not None
    target = max(first.gain, min_gain)
    if target <= SMALLEST_GAIN or first.standard_error is None:
        return target, 0
    return target, max(0, rows_needed(first.standard_error, first.num_rows, target, level) - first.num_rows)


def _needed(first: Test, min_gain: float) -> float:
    assert first.gain is not None
    return min_gain if first.lower is None else max(first.gain - first.lower, min_gain)


def _more(first: Test, level: float, min_gain: float) -> list[str]:
    said = []
    if first.verdict == "fails" and first.upper is not None:
        best, rest = f"{first.upper:+z.4f}", _in_unit(first, f"{min_gain - first.upper:.4f}")
        said.append(f"At best the gain is {best}: {rest} more would leave it open.")
    if first.verdict == "open" and first.lower is None:
        why = _out_of_reach(first)
        said.append(f"{why[0].upper()}{why[1:]}.")
    elif first.verdict == "open":
        target, more = _missing(first, level, min_gain)
        if more:
            hoped = _in_unit(first, f"{target:.4f}")
            said.append(f"If the true gain is {hoped}, about {more:,} more labelled rows would show it.")
        needed = _in_unit(first, f"{_needed(first, min_gain):.4f}")
        said.append(f"With the same spread a gain of {needed} would have been enough.")
    return said


def _tightest(guardrails: Sequence[Test]) -> list[Test]:
    """The guardrail that is nearest to its margin, in standard errors."""
    slack = {_slack_of(test) / test.standard_error: test for test in guardrails if test.standard_error}
    return [slack[min(slack)]] if slack else []


def _slack_of(test: Test) -> float:
    return float("inf") if test.lower is None or test.margin is None else test.lower + test.margin


def _slack(test: Test) -> str:
    slack = _in_unit(test, _small(_slack_of(test)))
    return f"The guardrail nearest to its margin is {test.title}: {slack} less would leave it open."


def _repair(test: Test) -> str:
    if test.gain is None:
        return f"{test.title}: {test.note or f'{test.challenger:.4g} would have to be {test.margin:.4g} or less'}."
    if test.lower is None:
        return f"{test.title}: {_out_of_reach(test)}."
    if test.kind == "floor":
        low, number = (test.champion or 0.0) + test.lower, test.champion or 0.0
        return f"{test.title}: it may be as low as {low:.4f}, and has to be shown to lie above {number:.4f}."
    return (
        f"{test.title}: the loss may be as large as {_small(max(-test.lower, 0))}, and has to be shown to stay below "
        f"{_in_unit(test, _small(test.margin))}."
    )


def _in_unit(test: Test, number: str) -> str:
    """A number with the unit of the metric, which stands in brackets behind its name."""
    unit = test.metric.rpartition(" (")[2].removesuffix(")") if test.metric.endswith(")") else ""
    return f"{number} {unit}".strip()


def _small(value: float | None) -> str:
    """Four decimals, and two more for what would show one digit of them, such as a squared error."""
    assert value is not None
    return f"{value:.6f}" if 0 < abs(value) < 0.001 else f"{value:.4f}"
