"""What the looks at a project's champions come to: the newest verdict in words, and every look with what followed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.reverse_concept import ConceptCost
from models.monitoring.evidence import Evidence, SeriesAlarm, Trusted
from models.monitoring.measures import BINARY, Measures
from models.monitoring.performance import Change
from models.monitoring.quality import QualityCheck
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.reporting import wording
from models.reporting.marks import CHANGES, MARKS
from models.reporting.tracks import Group, Track, finite
from models.reporting.watch_tracks import groups, is_silenced, metrics, reigns
from models.reporting.watch_words import between, estimated, metric_words, signed

FOLD = {"looks": 30, "columns": 10}  # rows of a table that are seen at once


@dataclass(frozen=True)
class Look:
    """One row of the table of looks."""

    watched: Watched
    decisions: tuple[Entry, ...]

    @property
    def verdict(self) -> str:
        """What it came to."""
        return self.watched.diagnosis.verdict


@dataclass(frozen=True)
class Bar:
    """One column in the ranking: `share` of the largest harm that any column explains, either way."""

    drift: ColumnDrift
    share: float

    @property
    def is_harm(self) -> bool:
        """Whether the shift of the column costs something."""
        return (finite(self.drift.harm) or 0.0) > 0


@dataclass(frozen=True)
class Expected:
    """An estimate of the newest rows, as it is told; `name` says who estimates what."""

    estimate: Estimate
    is_heard: bool
    name: str

    @property
    def said(self) -> str:
        """The number with its interval and what it is held against."""
        each = self.estimate
        if finite(each.value) is None:
            return "no number could be found"
        return f"{between(each.value, each.lower, each.upper)}; {wording.decimals(each.reference)} when it was new"

    @property
    def doubt(self) -> str:
        """Why it is not listened to; empty if it is."""
        if self.is_heard:
            return ""
        return f"Not listened to: {self.estimate.note or 'it was wrong too often on this project'}."


@dataclass(frozen=True)
class History:
    """All looks at the champions of a project, oldest first, the decisions of its log, and what is measured."""

    project: str
    label: str
    looks: tuple[Watched, ...]
    entries: tuple[Entry, ...]
    measures: Measures = BINARY

    @property
    def newest(self) -> Watched:
        """The last look."""
        return self.looks[-1]

    @property
    def evidence(self) -> Evidence:
        """What the last look has found."""
        return self.newest.evidence

    @property
    def verdict(self) -> str:
        """Of the last look."""
        return self.newest.diagnosis.verdict

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first row that was looked at to the last look."""
        return min(look.start for look in self.looks), self.newest.as_of

    @property
    def drawn(self) -> tuple[datetime, datetime]:
        """The span of the charts: from the first value that is known."""
        tracks = [*self.metrics, *(track for group in self.groups for track in group.tracks)]
        first, last = self.span
        return min([first, *(track.stretches[0].start for track in tracks)]), last

    @property
    def standing(self) -> str:
        """Since when the verdict has been the same."""
        same = 0
        for look in reversed(self.looks):
            if (look.diagnosis.verdict, look.champion) != (self.verdict, self.newest.champion):
                break
            same += 1
        now, first = wording.moment(self.newest.as_of), wording.moment(self.looks[-same].as_of)
        if same == 1:
            return f"{now}, for the first time"
        return f"{now}, and so at every look since {first} ({same} looks)"

    @property
    def champion_since(self) -> str:
        """Since when the champion has been in use, by which decision if it is known."""
        entry = next((each for each in reversed(self.changes) if each.version == self.newest.champion), None)
        first = reigns(self.looks)[-1][0]
        return f"since {wording.moment(entry.as_of)}" if entry else f"since {wording.moment(first.start)} or before"

    @property
    def decisions(self) -> list[Entry]:
        """What was decided within the span, in the order of the data's time."""
        first, last = self.span
        kinds = {mark.kind for mark in MARKS}
        found = [entry for entry in self.entries if entry.kind in kinds and first <= moment_of(entry) <= last]
        return sorted(found, key=moment_of)

    @property
    def changes(self) -> list[Entry]:
        """Of them those that changed the champion."""
        return [entry for entry in self.decisions if entry.kind in CHANGES and not _is_only_a_word(entry)]

    @cached_property
    def metrics(self) -> list[Track]:
        """What measures the model on all rows."""
        return metrics(self.looks)

    @cached_property
    def groups(self) -> list[Group]:
        """What else is watched."""
        return groups(self.looks)

    @property
    def rows(self) -> list[Look]:
        """The looks with the decisions taken on them, newest first."""
        decided: dict[datetime, list[Entry]] = {}
        for entry in self.entries:
            if entry.kind != "registered":
                decided.setdefault(moment_of(entry), []).append(entry)
        return [Look(look, tuple(decided.get(look.as_of, ()))) for look in reversed(self.looks)]

    @property
    def bars(self) -> list[Bar]:
        """The columns, those that explain the most harm first."""
        harms = [abs(finite(column.harm) or 0.0) for column in self.evidence.drift]
        most = max(harms, default=0.0) or 1.0
        return [Bar(column, harm / most) for column, harm in zip(self.evidence.drift, harms, strict=True)]

    @property
    def expected(self) -> list[Expected]:
        """What is expected of the newest rows."""
        return [
            Expected(each, each.is_reliable and not is_silenced(self.newest, each), self.named(each))
            for each in self.evidence.estimates
        ]

    def named(self, each: Estimate | Trusted) -> str:
        """A metric with its unit, and the estimator of it: all numbers that are told of it are in that unit."""
        return estimated(each.metric, each.estimator, self.measures.unit_of(each.metric))

    @property
    def checks(self) -> list[QualityCheck]:
        """Of the feed, broken ones first."""
        return sorted(self.evidence.quality, key=lambda check: not check.is_broken)

    @property
    def alarms(self) -> list[SeriesAlarm]:
        """Of every watched series, those that are raised first."""
        return sorted(self.evidence.alarms, key=lambda alarm: not alarm.is_raised)

    @property
    def measured(self) -> list[Change]:
        """What labels say at the newest look."""
        return list(self.evidence.realised.changes) if self.evidence.realised else []

    @property
    def together(self) -> list[str]:
        """What all columns together say, and what a change of the world costs apart from them."""
        joint = self.evidence.joint
        said = []
        if joint and finite(joint.auc) is not None:
            said.append(
                "All columns together: a classifier tells new rows from old ones with an AUC of "
                f"{between(joint.auc, joint.lower, joint.upper)}, where 0.5 is not at all and 1 is every time."
            )
            if joint.note:
                said.append(f"The old rows cannot stand for the new ones: {joint.note.rstrip('.')}.")
            elif finite(joint.effective_share) is not None:
                worth = wording.percent(joint.effective_share)
                said.append(f"Weighted to look like the new rows, the old ones are worth {worth} of their number.")
        said += [
            f"On inputs as they were before, the {metric_words(cost.metric)} would have changed by "
            f"{self._amount(cost)} (95% interval {signed(cost.lower)} to {signed(cost.upper)}): that part is no matter "
            "of inputs, but of a world that answers differently."
            for cost in self.evidence.concept
            if finite(cost.value) is not None
        ]
        return said

    def _amount(self, cost: ConceptCost) -> str:
        return f"{signed(cost.value)} {self.measures.unit_of(cost.metric)}".strip()

    @property
    def replayed(self) -> str:
        """How many logged scores came out the same once more."""
        replay = self.evidence.replay
        if replay is None or not replay.num_rows:
            return "Not checked: no inputs were logged with their scores."
        num_others = round(replay.mismatch_share * replay.num_rows)
        scores = wording.counted(replay.num_rows, "logged scores")
        again = f"{scores} were computed again from the inputs logged with them"
        if not num_others:
            return f"{again}: all came out the same."
        share, largest = wording.percent(replay.mismatch_share), wording.rough(replay.largest)
        return f"{again}: {wording.count(num_others)} ({share}) came out otherwise, by up to {largest}."


def moment_of(entry: Entry) -> datetime:
    """When something was decided, in the data's time."""
    return datetime.fromisoformat(entry.as_of)


def _is_only_a_word(entry: Entry) -> bool:
    """Whether a person refused a version that was not the champion."""
    refuses = entry.kind == "overridden" and entry.evidence.get("answer") != "promoted"
    return refuses and entry.version != entry.against
