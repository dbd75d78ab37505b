"""What the decision log says about tests that were made: their levels, their rows, and how sure they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.evaluation.budget import Tested
from models.registry.log import Entry, State

TESTED = ("promoted", "rejected", "inconclusive", "awaiting")

SAID_YES = ("promoted", "awaiting")  # the test said so, whatever a person says to it


def tested(state: State) -> list[Tested]:
    """The tests against a champion that have spent from the error budget, oldest first.

    The first champion's test against a baseline replaces nobody and is none of them. A rollback or a person's override
    spends nothing and gives nothing back: the entries before it stay.
    """
    return [Tested(_level(entry), entry.kind in SAID_YES) for entry in _judged(state) if entry.against is not None]


def ratios(state: State, metric: str) -> list[float]:
    """For each test in `metric` (its label), the error of the gain as a share of the champion's own, oldest first."""
    found = []
    for entry in _judged(state):
        first, own = _first_test(entry), _judgement(entry).get("champion_error")
        error = first.get("standard_error")
        if entry.against is not None and first.get("metric") == metric and own and error is not None:
            found.append(error / own)
    return found


def guardrail_errors(state: State, metric: str) -> list[float]:
    """For each test that `metric` (its label) got no worse on all rows, the error of the gain, oldest first."""
    tests = (test for entry in _judged(state) if entry.against for test in _judgement(entry)["tests"])
    asked = ("non-inferiority", "all rows", metric)
    errors = (
        test.get("standard_error") for test in tests if tuple(map(test.get, ("kind", "scope", "metric"))) == asked
    )
    return [float(error) for error in errors if error is not None]


def holdouts(state: State) -> list[str]:
    """Names of the sets of rows that each test was made on, oldest first."""
    return [str(entry.evidence["holdout"]) for entry in _judged(state) if entry.evidence.get("holdout")]


def hard_rows(state: State) -> list[str]:
    """Names of the sets of known-hard rows that decisions have added, oldest first."""
    return [str(entry.evidence["hard_rows"]) for entry in state.entries if entry.evidence.get("hard_rows")]


def windows_tried(state: State, since: datetime, settings: Mapping[str, str]) -> list[dict[str, float]]:
    """What arms cost a row on the validation rows of earlier retrains, by name, oldest first; infinite if it diverged.

    Only windows that end before `since`, and before the next one begins: rows count once. Of the trials those that
    were not ended early and had the same setting.

    Args:
        state: of the log.
        since: from where on rows are looked at now.
        settings: of the arms that are tried now, by name.
    """
    found: list[dict[str, float]] = []
    for entry in reversed(state.entries):
        trials = entry.evidence.get("trials") if entry.kind == "registered" else None
        if not trials or not all(trial.get("since") and trial.get("setting") for trial in trials):
            continue
        if max(datetime.fromisoformat(trial["until"]) for trial in trials) <= since:
            whole = (
                each for each in trials if not each["is_hopeless"] and settings.get(each["arm"]) == each["setting"]
            )
            found.append({each["arm"]: math.inf if each["loss"] is None else each["loss"] for each in whole})
            since = min(datetime.fromisoformat(trial["since"]) for trial in trials)
    return found[::-1]


def _judged(state: State) -> list[Entry]:
    return [entry for entry in state.entries if entry.kind in TESTED and _judgement(entry).get("tests")]


def _level(entry: Entry) -> float:
    """What the test has spent; an entry from before there was a budget states its level with the test."""
    before = _section(_section(entry.evidence, "budget"), "before")
    return float(before.get("next_level", _first_test(entry).get("level") or 0.0))


def _first_test(entry: Entry) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _judgement(entry)["tests"][0]
    return found


def _judgement(entry: Entry) -> Mapping[str, Any]:
    return _section(entry.evidence, "judgement")


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, Mapping) else {}
