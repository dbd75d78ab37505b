"""Which tests are drawn together: those of one metric share an axis, so that their intervals can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.evaluation.testing import EVERYWHERE
from models.reporting.evidence import Finding, tally, urgent_first
from models.reporting.wording import counted

MOST_LINES = 12  # more of them are a wall, and go where a reader can open them


@dataclass(frozen=True)
class Line:
    """One test as it is drawn: where its gain, or for a floor its own value, lies beside what decides."""

    name: str
    detail: str
    said: str
    verdict: str
    centre: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Panel:
    """Lines on one axis, what does not hold first.

    Attributes:
        metric: name, which is the heading over slices.
        lines: a test each.
        axis: what the axis shows.
        dashed: what the dashed line is.
        has_zero: whether zero means "no difference".
        is_reversed: whether less is better, so that better is right all the same.
        is_tall: whether each line has its details below its name.
    """

    metric: str
    lines: tuple[Line, ...]
    axis: str
    dashed: str
    has_zero: bool
    is_reversed: bool
    is_tall: bool

    @property
    def shown(self) -> tuple[Line, ...]:
        """The lines that are seen at once."""
        return self.lines[:MOST_LINES]

    @property
    def folded(self) -> tuple[Line, ...]:
        """The lines that a reader has to open."""
        return self.lines[MOST_LINES:]

    @property
    def fold(self) -> str:
        """What is folded away, in words."""
        told = tally([line.verdict for line in self.folded])
        return f"{len(self.folded)} more of {counted(len(self.lines), 'slices')}: {told}"

    @property
    def limits(self) -> tuple[float, float] | None:
        """Ends of the axis, the same whether a line is folded away or not; None when no line has an interval."""
        ends = [(line.low, line.high, line.threshold) for line in self.lines]
        numbers = [value for each in ends for value in each if value is not None]
        if not any(line.low is not None for line in self.lines):
            return None
        low, high = min(numbers + [0.0] * self.has_zero), max(numbers + [0.0] * self.has_zero)
        air = 0.06 * (high - low) or 1.0
        return (high + air, low - air) if self.is_reversed else (low - air, high + air)


def guardrails(tests: Sequence[Finding]) -> list[Panel]:
    """A panel for each metric that was asked of all rows, beside the test of being better."""
    asked = [test for test in tests if test.is_everywhere and test.kind not in ("superiority", "limit")]
    return _panels(asked, is_tall=True)


def slices(tests: Sequence[Finding]) -> list[Panel]:
    """A panel for each metric that was asked of parts of the rows."""
    return _panels([test for test in tests if not test.is_everywhere and test.kind != "limit"], is_tall=False)


def _panels(tests: Sequence[Finding], is_tall: bool) -> list[Panel]:
    groups: dict[tuple[str, str, bool], list[Finding]] = {}
    for test in tests:
        groups.setdefault((test.metric, test.unit, test.kind == "floor"), []).append(test)
    return [_panel(urgent_first(group), is_tall) for group in groups.values()]


def _panel(tests: Sequence[Finding], is_tall: bool) -> Panel:
    first, is_floor = tests[0], tests[0].kind == "floor"
    unit = f" ({first.unit})" if first.unit else ""
    is_reversed = is_floor and not first.is_higher_better
    axis = f"{first.metric}{unit}" if is_floor else f"gain in {first.metric}{unit}"
    return Panel(
        metric=f"{first.metric}{unit}",
        lines=tuple(_line(test, is_tall) for test in tests),
        axis=f"{axis}, right is better",
        dashed=_dashed(tests),
        has_zero=not is_floor,
        is_reversed=is_reversed,
        is_tall=is_tall,
    )


def _line(test: Finding, is_tall: bool) -> Line:
    condition = test.scope.removeprefix(EVERYWHERE).strip(" ,")
    name, detail = (test.metric, condition or test.asks) if is_tall else (test.scope, test.size)
    if not test.is_tested or test.gain is None or test.lower is None or test.upper is None:
        return Line(name, detail, f"not tested: {test.note}" if test.note else "no interval", test.verdict)
    if test.kind != "floor" or test.champion is None:
        said = f"{test.signed(test.lower)} to {test.signed(test.upper)}"
        return Line(name, detail, said, test.verdict, test.gain, test.lower, test.upper, test.threshold)
    sign, floor = (1 if test.is_higher_better else -1), test.champion
    low, high = sorted((floor + sign * test.lower, floor + sign * test.upper))
    said = f"{test.plain(low)} to {test.plain(high)}"
    return Line(name, detail, said, test.verdict, floor + sign * test.gain, low, high, floor)


def _dashed(tests: Sequence[Finding]) -> str:
    first = tests[0]
    if first.kind == "floor":
        return f"dashed: the floor, {first.setting(first.champion)}"
    thresholds = {test.threshold for test in tests}
    if thresholds == {None}:
        return ""
    word = "dashed: the largest loss allowed"
    return f"{word}, {first.difference(first.threshold)}" if len(thresholds) == 1 else word
