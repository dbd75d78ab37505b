"""How a challenger came to be: the arms that were tried, the one that was trained, and what all of it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.reporting import wording
from models.reporting.decision import Decision
from models.reporting.evidence import finite, section, sentences

Facts = list[tuple[str, str]]
TRIAL_COLUMNS = ("cost a validation row", "rows learned from", "rows through training", "time", "ended")
A_POINT = 0.01  # of the gain, in the unit of the metric: what a promotion costs is told for each


def card(decision: Decision) -> Facts:
    """Names and values of the training; empty where nothing was trained."""
    training = section(decision.entry.evidence, "training")
    if not training:
        return []
    cost, whole = section(training, "cost"), section(training, "cost_with_trials")
    several = len(trials(decision)) > 1
    rows = (
        ("trained by", training.get("arm") or training.get("recipe")),
        ("chosen because", training.get("choice") or None),
        ("rows trained on", _count(training, "num_rows")),
        ("on", training.get("device")),
        ("training took", _span(finite(training, "seconds"))),
        ("rows a second, start-up included", _rate(cost)),
        ("trials and training took", _span(finite(whole, "seconds")) if several else None),
        ("device time", _span(finite(whole, "device_seconds")) if whole else None),
        ("energy", _energy(whole)),
        ("cost", _money(whole)),
        *_of_a_point(decision, whole),
        *(("note", note) for note in sentences(training, "notes")),
    )
    return [(name, str(value)) for name, value in rows if value is not None]


def trials(decision: Decision) -> list[tuple[str, list[str]]]:
    """A row for each arm that was tried, the best first."""
    tried = section(decision.entry.evidence, "training").get("trials") or []
    known = [each for each in tried if isinstance(each, Mapping)]
    return [(str(each.get("arm")), _trial(each)) for each in sorted(known, key=_loss)]


def _trial(trial: Mapping[str, Any]) -> list[str]:
    loss, cost = finite(trial, "loss"), section(trial, "cost")
    ended = "early, far behind the best" if trial.get("is_hopeless") else "as planned"
    return [
        "–" if loss is None else f"{loss:.4f}",
        _count(trial, "num_rows") or "–",
        _count(cost, "num_passes") or "–",
        _span(finite(cost, "seconds")) or "–",
        str(trial.get("problem") or ended),
    ]


def _loss(trial: Mapping[str, Any]) -> float:
    found = finite(trial, "loss")
    return float("inf") if found is None else found


def _of_a_point(decision: Decision, whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a promotion cost for each hundredth of the primary metric that it gained."""
    tests = section(decision.entry.evidence, "judgement").get("tests") or []
    gain = finite(tests[0], "gain") if tests and isinstance(tests[0], Mapping) else None
    if decision.entry.kind != "promoted" or not gain or gain <= 0:
        return []
    name, points = f"for each {A_POINT:g} of {tests[0].get('metric')} gained", gain / A_POINT
    money, seconds = finite(whole, "money"), finite(whole, "device_seconds")
    if money is not None:
        return [(name, f"{money / points:,.3g} {whole.get('currency', '')}".strip())]
    return [] if seconds is None else [(name, f"{wording.duration(seconds / points)} of device time")]


def _span(seconds: float | None) -> str | None:
    return None if seconds is None else wording.duration(seconds)


def _rate(cost: Mapping[str, Any]) -> str | None:
    passes, seconds = finite(cost, "num_passes"), finite(cost, "seconds")
    return wording.count(passes / seconds) if passes and seconds else None


def _energy(cost: Mapping[str, Any]) -> str | None:
    found = finite(cost, "energy_kwh")
    return None if found is None else f"{found:.3g} kWh"


def _money(cost: Mapping[str, Any]) -> str | None:
    found = finite(cost, "money")
    return None if found is None else f"{found:,.3g} {cost.get('currency', '')}".strip()


def _count(content: Mapping[str, Any], name: str) -> str | None:
    found = finite(content, name)
    return None if found is None else wording.count(found)
