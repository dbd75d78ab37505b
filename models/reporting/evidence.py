"""The evidence of a decision as it is read back from the log, where any of it may be absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.evaluation.metrics import METRICS
from models.registry.log import Entry


@dataclass(frozen=True)
class Finding:
    """One test of a judgement; None is what the entry does not state."""

    metric: str
    unit: str
    kind: str
    verdict: str
    champion: float | None
    challenger: float | None
    gain: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    p_value: float | None
    level: float | None

    @property
    def threshold(self) -> float | None:
        """The gain that decides: the smallest one worth having, or the largest loss that is allowed."""
        if self.margin is None:
            return None
        return -self.margin if self.kind == "non-inferiority" else self.margin

    @property
    def confidence(self) -> float | None:
        """Of the interval whose lower end is a one-sided test at `level`."""
        return None if self.level is None else 1 - 2 * self.level


def section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A block of the evidence, empty when it is absent."""
    found = content.get(name)
    return found if isinstance(found, Mapping) else {}


def findings(entry: Entry) -> tuple[Finding, ...]:
    """The tests of an entry, in the order of the gate: superiority first."""
    tests = section(entry.evidence, "judgement").get("tests") or ()
    return tuple(_finding(test) for test in tests if isinstance(test, Mapping))


def _finding(test: Mapping[str, Any]) -> Finding:
    name = str(test.get("metric", "unnamed metric"))
    metric, unit = _name_and_unit(METRICS[name].label if name in METRICS else name.replace("_", " "))
    numbers = ("champion", "challenger", "gain", "lower", "upper", "margin", "p_value", "level")
    return Finding(
        metric=metric,
        unit=unit,
        kind=str(test.get("kind", "test")),
        verdict=str(test.get("verdict", "not stated")),
        **{number: _finite(test.get(number)) for number in numbers},
    )


def _name_and_unit(label: str) -> tuple[str, str]:
    """Split the label of a metric: "log loss (nats)" is "log loss" in "nats", and "AUC" has no unit."""
    name, _, unit = label.partition(" (")
    return name, unit.removesuffix(")")


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
