"""Names and values of a decision: who stood against whom, over which windows, on which data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.registry.log import Entry
from models.reporting import wording
from models.reporting.decision import Decision
from models.reporting.evidence import finite, section, sentences

SPANS = (
    ("training", "train_start", "validation_start"),
    ("validation", "validation_start", "train_end"),
    ("holdout, on which both were judged", "holdout_start", "holdout_end"),
)
Facts = list[tuple[str, str]]


def compared(decision: Decision) -> Facts:
    """Who stood against whom, and why now."""
    entry = decision.entry
    trigger = entry.evidence.get("trigger")
    asked = [("asked for by", wording.TRIGGERS.get(str(trigger), wording.words(str(trigger))))] if trigger else []
    if decision.override:
        asked = [("decided by", decision.override.by)]
    times = [("as of", wording.moment(entry.as_of)), ("recorded", wording.moment(entry.recorded_at))]
    return [*((name, side) for name, side in _sides(entry) if side is not None), *asked, *times]


def windows(evidence: Mapping[str, Any]) -> Facts:
    """The windows of time that are stated, in their order."""
    stated = section(evidence, "windows")
    rows = [
        (name, wording.period(*map(datetime.fromisoformat, (stated[start], stated[end]))))
        for name, start, end in SPANS
        if stated.get(start) and stated.get(end)
    ]
    embargo = finite(stated, "embargo_days")
    if embargo is not None:
        rows.insert(-1, ("left out before the holdout", wording.days(embargo)))
    return rows


def data(evidence: Mapping[str, Any]) -> Facts:
    """What was trained and judged on, and how much of it there was."""
    snapshot = section(evidence, "snapshot")
    judged_on = section(section(evidence, "judgement"), "judged_on")
    rows = (
        ("snapshot", snapshot.get("id")),
        ("rows in the snapshot", _count(snapshot, "num_rows")),
        ("challengers trained", _challengers(evidence)),
        ("rows judged on", _count(judged_on, "num_rows")),
        ("positives among them", _count(judged_on, "num_positives") if judged_on.get("num_positives") else None),
        ("independent groups of rows", _groups(judged_on)),
        ("left out, as they had decided often enough", _used_up(evidence)),
        ("ids of the rows judged on, kept as", evidence.get("holdout")),
        ("rows added to the known-hard ones, kept as", evidence.get("hard_rows")),
    )
    return [(name, str(value)) for name, value in rows if value is not None]


def _sides(entry: Entry) -> list[tuple[str, str | None]]:
    if entry.kind == "rolled_back":
        return [("put back", entry.version), ("taken out of use", entry.against)]
    if entry.kind == "overridden":
        return [("version spoken of", entry.version), ("champion at the time", entry.against or "none yet")]
    if entry.version is None:
        return [("champion", entry.against)]
    baseline = entry.evidence.get("baseline") or "a forecast that needs no model"
    return [("challenger", entry.version), ("champion", entry.against or f"none yet; compared with {baseline}")]


def _challengers(evidence: Mapping[str, Any]) -> str | None:
    trained = sentences(evidence, "challengers")
    return f"{len(trained)}, of which this one is the best: {wording.listed(trained)}" if len(trained) > 1 else None


def _groups(judged_on: Mapping[str, Any]) -> str | None:
    num_groups, rows = finite(judged_on, "num_groups"), finite(judged_on, "rows_per_group")
    if num_groups is None:
        return None
    unit = str(judged_on.get("group_unit") or "groups")
    many = wording.counted(num_groups, unit)
    if rows is None:
        return many
    return f"{many}{',' if ' of ' in unit else ' of'} about {wording.counted(round(rows), 'rows')}"


def _used_up(evidence: Mapping[str, Any]) -> str | None:
    found = finite(evidence, "num_rows_used_up")
    return None if found is None else wording.counted(found, "rows")


def _count(content: Mapping[str, Any], name: str) -> str | None:
    found = finite(content, name)
    return None if found is None else wording.count(found)
