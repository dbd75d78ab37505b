"""A decision for a program and for Prefect: as JSON with every number, and as markdown in short."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from models.registry.log import Entry
from models.reporting.account import statement
from models.reporting.decision import STAR, Decision
from models.reporting.evidence import Finding, finite, raw_tests, section, sentences
from models.reporting.wording import DASH, level

MOST_ROWS = 12  # of the markdown table, unless more than these do not hold
DATA = ("windows", "snapshot", "training", "challengers", "num_rows_used_up", "holdout", "hard_rows")


def decision_json(entry: Entry, project: str) -> str:
    """All that a decision rests on, with the numbers of the log as they are; what the entry lacks is null."""
    decision, evidence = Decision(entry, project), entry.evidence
    judgement, budget = section(evidence, "judgement"), section(evidence, "budget")
    override = decision.override
    content: dict[str, Any] = {
        "project": project,
        "question": decision.question,
        "answer": decision.answer,
        "kind": entry.kind,
        "reason": entry.reason,
        "override": {"by": override.by, "answer": override.answer, "why": override.why} if override else None,
        "compared": {"version": entry.version, "against": entry.against},
        "trigger": evidence.get("trigger"),
        "diagnosis": evidence.get("diagnosis"),
        "as_of": entry.as_of,
        "recorded_at": entry.recorded_at,
        "tests": raw_tests(entry),
        "gain": _gain(entry, decision),
        "level": judgement.get("level"),
        "would_change": sentences(judgement, "would_change"),
        "budget": {"before": budget.get("before"), "after": budget.get("after")},
        "outlook": evidence.get("outlook"),
        "data": {"judged_on": judgement.get("judged_on"), **{name: evidence.get(name) for name in DATA}},
        "log": {"sequence": entry.sequence, "sha256": entry.digest, "previous": entry.previous},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def decision_markdown(entry: Entry, project: str) -> str:
    """The page's sections in short, as markdown."""
    decision = Decision(entry, project)
    star = f"{STAR} " if decision.override else ""
    parts = [
        f"## {escaped(decision.question)}",
        f"**{star}{escaped(decision.answer)}.** {escaped(decision.reason)}",
        escaped(decision.told) if decision.tests else "",
        _table(decision, "champion" if entry.against else "baseline"),
        *(f"**The gain.** {escaped(sentence)}" for sentence in _gain_sentences(decision)),
        _bullets("What would have to change for another answer", decision.would_change),
        _budget(entry),
        f"**Known before.** {escaped(decision.foreseen)}" if decision.foreseen else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that markdown shows as it is: no column, no emphasis, no link, no HTML, and one line.

    >>> escaped("a|b <b>*c*")
    'a\\\\|b &lt;b&gt;\\\\*c\\\\*'
    """
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", line)


def _gain(entry: Entry, decision: Decision) -> dict[str, Any] | None:
    test = decision.primary
    if test is None:
        return None
    return {
        "metric": test.metric,
        "unit": test.unit or None,
        "measured": test.gain,
        "standard_error": test.standard_error,
        "lower": test.lower,
        "upper": test.upper,
        "confidence": test.confidence,
        "shrunk": finite(section(entry.evidence, "judgement"), "shrunk_gain"),
    }


def _table(decision: Decision, baseline: str) -> str:
    tests = decision.by_urgency
    if not tests:
        return ""
    columns = ("metric", "rows", "verdict", "asked", baseline, "challenger", "gain", "interval")
    num_urgent = sum(test.verdict != "holds" for test in tests[1:])
    shown = tests[: max(MOST_ROWS, 1 + num_urgent)]
    rows = [" | ".join(("", *row, "")).strip() for row in (columns, ["---"] * len(columns), *map(_row, shown))]
    left = len(tests) - len(shown)
    rest = f"\n\n…and {left} more that hold, on the page." if left else ""
    return "\n".join(rows) + rest


def _row(test: Finding) -> list[str]:
    note = f" ({test.note})" if test.note else ""
    cells = (
        f"{test.metric} ({test.unit})" if test.unit else test.metric,
        ", ".join(filter(None, (test.scope, test.size))),
        f"{test.verdict}{note}",
        test.asks,
        test.plain(test.champion),
        test.plain(test.challenger),
        test.signed(test.gain),
        test.interval,
    )
    return [escaped(cell) or DASH for cell in cells]


def _gain_sentences(decision: Decision) -> list[str]:
    gain = decision.gain
    return [" ".join(filter(None, (gain.sentence, gain.correction)))] if gain else []


def _bullets(title: str, found: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {escaped(sentence)}" for sentence in found)]) if found else ""


def _budget(entry: Entry) -> str:
    found = statement(entry)
    if found is None:
        return ""
    account = found.after or found.before
    numbers = ""
    if account:
        is_level = account.next_level not in (None, 0)
        numbers = (
            f" {account.counted_tests}, {account.expected_false} false promotions to expect so far; "
            f"{f'the next test has level {level(account.next_level)}' if is_level else 'no level is left'}."
        )
    return f"**The error budget.** {escaped(found.note + numbers)}"
