"""The evidence of a decision as it is read back from the log, where any of it may be absent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.evaluation.testing import EVERYWHERE
from models.registry.log import Entry
from models.reporting.wording import DASH, count, counted, decimals, percent

URGENCY = {"fails": 0, "open": 1}  # what does not hold is told first


@dataclass(frozen=True)
class Finding:
    """One test of a judgement; None is what the entry does not state."""

    metric: str
    unit: str
    scope: str
    kind: str
    verdict: str
    note: str
    is_equivalent: bool
    champion: float | None
    challenger: float | None
    gain: float | None
    standard_error: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    p_value: float | None
    level: float | None
    num_rows: float | None
    num_groups: float | None
    group_unit: str

    @property
    def title(self) -> str:
        """The metric, and the rows when they are not all."""
        return self.metric if self.scope == EVERYWHERE else f"{self.metric} of {self.scope}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it was asked of all rows, maybe under other conditions, and not of a slice or of groups."""
        return self.scope.startswith(EVERYWHERE)

    @property
    def is_tested(self) -> bool:
        """Whether there is a gain with an interval, which can be drawn."""
        return None not in (self.gain, self.lower, self.upper)

    @property
    def threshold(self) -> float | None:
        """The gain that decides: the smallest one worth having, or the largest loss that is allowed."""
        if self.margin is None or self.kind == "limit":
            return None
        return -self.margin if self.kind == "non-inferiority" else self.margin

    @property
    def slack(self) -> float:
        """How far the interval stays from the threshold; below zero it reaches beyond, and unknown is the least."""
        return -math.inf if self.lower is None or self.threshold is None else self.lower - self.threshold

    @property
    def confidence(self) -> float | None:
        """Of the interval whose lower end is a one-sided test at `level`."""
        return None if self.level is None else 1 - 2 * self.level

    @property
    def asks(self) -> str:
        """What had to be shown, in words."""
        if self.kind == "superiority":
            return f"must be better, by {self.setting(self.margin)} to be worth it" if self.margin else "must be better"
        if self.kind == "non-inferiority":
            return f"must not be worse by {self.setting(self.margin)}"
        if self.kind == "floor":
            side = "above" if self.is_higher_better else "below"
            return f"must be shown to lie {side} {self.setting(self.champion)}"
        if self.kind == "limit":
            return f"at most {self.setting(self.margin)}, was {self.setting(self.challenger)}"
        return self.kind.replace("_", " ")

    @property
    def is_higher_better(self) -> bool:
        """Whether a gain is more of the metric; told from the numbers, and so when they cannot tell."""
        if self.champion is None or self.challenger is None or self.gain is None:
            return True
        return (self.challenger - self.champion) * self.gain >= 0

    @property
    def interval(self) -> str:
        """The interval of the gain with its confidence, in words."""
        if self.lower is None and self.upper is None:
            return DASH
        width = "" if self.confidence is None else f"{percent(self.confidence)} interval "
        return f"{width}{self.signed(self.lower)} to {self.signed(self.upper)}"

    @property
    def size(self) -> str:
        """How many rows, and how many independent groups of them; empty when neither is stated."""
        groups = "" if self.num_groups is None else counted(self.num_groups, self.group_unit)
        return " in ".join(filter(None, ("" if self.num_rows is None else counted(self.num_rows, "rows"), groups)))

    def plain(self, value: float | None) -> str:
        """A value of this metric, without its unit."""
        return decimals(value, self._digits)

    def value(self, value: float | None) -> str:
        """A value of this metric, with its unit."""
        return self._in_unit(self.plain(value))

    def setting(self, value: float | None) -> str:
        """A value that somebody has set, with its unit and as short as it is."""
        number = self.plain(value)
        return self._in_unit(number.rstrip("0").rstrip(".") if "." in number else number)

    def signed(self, difference: float | None) -> str:
        """A gain in this metric, with its sign and without its unit."""
        return decimals(difference, self._digits, sign="+")

    def difference(self, difference: float | None) -> str:
        """A gain in this metric, with its sign and unit."""
        return self._in_unit(self.signed(difference))

    @property
    def _digits(self) -> int:
        """Decimals that suit the size of the numbers, the same for all of one test."""
        if self.margin and abs(self.margin) < 0.001:  # of a squared error, say
            return 6
        found = (self.champion, self.challenger, self.gain, self.margin)
        largest = max((abs(value) for value in found if value is not None), default=0.0)
        return 4 if largest < 10 else 2 if largest < 1000 else 0

    def _in_unit(self, number: str) -> str:
        return f"{number} {self.unit}".strip() if number != DASH and not self.unit.startswith("share") else number


def section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A block of the evidence, empty when it is absent."""
    found = content.get(name)
    return found if isinstance(found, Mapping) else {}


def sentences(content: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a list in the evidence, none when it is absent."""
    found = content.get(name)
    return [str(each) for each in found] if isinstance(found, list | tuple) else []


def finite(content: Mapping[str, Any], name: str) -> float | None:
    """A number of the evidence, None when it is absent."""
    value = content.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]


def raw_tests(entry: Entry) -> list[Mapping[str, Any]]:
    """The tests of an entry as the log has them, in the order of the gate: superiority first."""
    tests = section(entry.evidence, "judgement").get("tests")
    return [test for test in tests if isinstance(test, Mapping)] if isinstance(tests, list | tuple) else []


def findings(entry: Entry) -> tuple[Finding, ...]:
    """The tests of an entry, in the order of the gate: superiority first."""
    group_unit = str(section(section(entry.evidence, "judgement"), "judged_on").get("group_unit") or "groups")
    return tuple(_finding(test, group_unit) for test in raw_tests(entry))


def urgent_first(tests: Sequence[Finding]) -> list[Finding]:
    """What fails, then what is open, then what holds; within each by the distance from the margin."""
    return sorted(tests, key=lambda test: (URGENCY.get(test.verdict, 2), not test.is_tested, test.slack))


def tally(verdicts: Sequence[str]) -> str:
    """How many hold, fail and are open.

    >>> tally(["holds", "open", "holds"])
    '2 hold, 1 is open'
    """
    words = {"holds": ("holds", "hold"), "fails": ("fails", "fail"), "open": ("is open", "are open")}
    words |= {verdict: (verdict, verdict) for verdict in verdicts if verdict not in words}
    counts = [(verdicts.count(verdict), *forms) for verdict, forms in words.items()]
    return ", ".join(f"{count(many)} {one if many == 1 else more}" for many, one, more in counts if many)


def _finding(test: Mapping[str, Any], group_unit: str) -> Finding:
    metric, unit = _name_and_unit(str(test.get("metric") or "unnamed metric"))
    numbers = ("champion", "challenger", "gain", "standard_error", "lower", "upper", "margin", "p_value", "level")
    return Finding(
        metric=metric,
        unit=unit,
        scope=str(test.get("scope") or EVERYWHERE),
        kind=str(test.get("kind") or "test"),
        verdict=str(test.get("verdict") or "not stated"),
        note=str(test.get("note") or ""),
        is_equivalent=test.get("is_equivalent") is True,
        group_unit=group_unit,
        **{name: finite(test, name) for name in (*numbers, "num_rows", "num_groups")},
    )


def _name_and_unit(label: str) -> tuple[str, str]:
    """Split the label of a metric: "log loss (nats)" is "log loss" in "nats", and "AUC" has no unit."""
    name, _, unit = label.rpartition(" (")
    return (name, unit.removesuffix(")")) if name and unit.endswith(")") else (label, "")
