"""What a replayed history comes to: one line a period, and the champions against the model that was never retrained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.registry.log import Entry
from models.reporting.evidence import finite, section
from models.reporting.wording import counted, duration

SMALLEST_IMPROVEMENT = 0.0005  # below it the two losses are called the same
NAMES = {
    "promoted": "promoted",
    "rejected": "rejected",
    "inconclusive": "inconclusive",
    "declined": "declined",
    "rolled_back": "rolled back",
    "overridden": "decided against the gate",
    "awaiting": "awaiting approval",
    "approved": "approved",
    "refused": "refused",
    "expired": "approval expired",
}


@dataclass(frozen=True)
class Loss:
    """What is told of how wrong a model is: the name of the metric and its unit, if it has one."""

    name: str = "log loss"
    unit: str = "nats"

    def __str__(self) -> str:
        """With the unit in brackets."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Period:
    """One step of a replay. Loss and second metric are on the rows of the period, once all labels had arrived.

    The second is AUC, or the accuracy of several classes; there is none of a number. `champion` scored the period.
    `diagnosis` is what the watch said at its end, and `decision` what the gate answered then (None when no retrain was
    begun).
    """

    start: datetime
    end: datetime
    num_rows: int
    champion: str
    estimated_second: float | None
    estimated_lower: float | None
    estimated_upper: float | None
    realised_second: float | None
    realised_loss: float | None
    static_second: float | None
    static_loss: float | None
    diagnosis: str
    diagnosis_reason: str
    decision: Entry | None


@dataclass(frozen=True)
class Year:
    """A replayed history. `loss` and `static_loss` are over all labelled rows."""

    project: str
    label: str
    periods: tuple[Period, ...]
    entries: tuple[Entry, ...]
    loss: float
    static_loss: float
    seconds: float | None = None
    report: Path | None = None
    of: Loss = Loss()
    second: str = "AUC"

    @property
    def improvement(self) -> float:
        """Share by which the champions' loss lies below that of the first champion, never retrained."""
        return 1 - self.loss / self.static_loss

    @property
    def has_second(self) -> bool:
        """Whether a second metric is known of any period: there is none of numbers."""
        return any(period.realised_second is not None or period.estimated_second is not None for period in self.periods)

    @property
    def headline(self) -> str:
        """What the year comes to, in one sentence."""
        periods = f"{len(self.periods)} periods" if len(self.periods) != 1 else "one period"
        if not math.isfinite(self.loss):
            return f"No labels had arrived in {periods}, so nothing can be said of how well the champions did."
        found = f"The champions' {self.of.name} over {periods} was {self.loss:.3f} {self.of.unit}".rstrip()
        against = f"that of the first model, had it never been retrained ({self.static_loss:.3f})"
        if abs(self.improvement) < SMALLEST_IMPROVEMENT:
            return f"{found}, the same as {against}."
        return f"{found}, {abs(self.improvement):.1%} {'below' if self.improvement > 0 else 'above'} {against}."

    @property
    def answers(self) -> str:
        """How often the gate gave each answer."""
        counts = [(name, self.count(kind)) for kind, name in NAMES.items()]
        return ", ".join(f"{count} {kind}" for kind, count in counts if count) + "."

    @property
    def spent(self) -> str:
        """What all trainings took, and each promotion; empty where the log does not say."""
        found = [section(entry.evidence, "cost_with_trials") for entry in self.entries if entry.kind == "registered"]
        costs = [cost for cost in found if cost]
        if not costs:
            return ""
        seconds = sum(finite(cost, "device_seconds") or 0.0 for cost in costs)
        money = [finite(cost, "money") for cost in costs]
        priced = [each for each in money if each is not None]
        said = f"{counted(len(costs), 'trainings')} took {duration(seconds)} of device time"
        if len(priced) == len(costs):
            said += f" and {sum(priced):,.3g} {costs[-1].get('currency', '')}".rstrip()
        promoted = self.count("promoted")
        return f"{said}, {duration(seconds / promoted)} for each promotion." if promoted else f"{said}."

    def count(self, kind: str) -> int:
        """Entries of one kind."""
        return sum(entry.kind == kind for entry in self.entries)

    @property
    def first_and_last(self) -> tuple[datetime, datetime]:
        """The span that was replayed."""
        return self.periods[0].start, self.periods[-1].end

    def covers(self, entry: Entry) -> bool:
        """Whether a decision falls within the span, give or take a period; a person's may be made long after it."""
        first, last = self.first_and_last
        slack = max(period.end - period.start for period in self.periods)
        return first - slack <= datetime.fromisoformat(entry.as_of) <= last + slack
