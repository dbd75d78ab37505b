"""Triggers on what a look found: harm that was shown, an alarm that stands, a value beyond a limit."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from functools import cached_property

from models.monitoring.diagnosis import Diagnosis
from models.monitoring.triggers.situation import Situation

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_CONDITION = re.compile(r"\s*(?P<name>\S.*?)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\S+)\s*")


@dataclass(frozen=True)
class Harm:
    """The diagnosis says that the champion got worse in a way that a retrain can mend."""

    def reason(self, situation: Situation) -> str | None:
        """The verdict."""
        look = situation.look
        return look.verdict if look and Diagnosis(look.verdict, reason="").warrants_retrain else None


@dataclass(frozen=True)
class Alarm:
    """The alarm of a series stands, or of any of them.

    Attributes:
        series: its name; None for any.
    """

    series: str | None = None

    def reason(self, situation: Situation) -> str | None:
        """Which alarms stand."""
        if self.series is not None:
            situation.value(self.series)  # refuses a name that there is not
        standing = [name for name in (situation.look.alarms if situation.look else ()) if self.series in (None, name)]
        return f"alarm of {', '.join(standing)}" if standing else None


@dataclass(frozen=True)
class Threshold:
    """A series is beyond a limit at the present look.

    Attributes:
        when: such as "ctr < 0.0191": the name of a series, one of <, <=, >, >= and a number.
    """

    when: str

    def __post_init__(self) -> None:
        assert self._parsed

    def reason(self, situation: Situation) -> str | None:
        """The value that is beyond the limit."""
        name, sign, limit = self._parsed
        value = situation.value(name)
        if value is None or not _COMPARISONS[sign](value, limit):
            return None
        return f"{name} is {value:.6g}, {sign} {limit:.6g}"

    @cached_property
    def _parsed(self) -> tuple[str, str, float]:
        found = _CONDITION.fullmatch(self.when) if isinstance(self.when, str) else None
        limit = _number(found["limit"]) if found else None
        if found is None or limit is None:
            signs = ", ".join(_COMPARISONS)
            raise ValueError(
                f"when={self.when!r} is no condition; write the name of a series, one of {signs} and a number, as in "
                "'ctr < 0.0191'"
            )
        return found["name"], found["sign"], limit


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
