"""The pages of the report: a replayed year, and one decision. Each is a single file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.registry.log import Entry
from models.reporting import wording
from models.reporting.charts import estimation, performance
from models.reporting.evidence import findings, section
from models.reporting.forest import forest
from models.reporting.year import Year

TEMPLATES = Path(__file__).parent / "templates"
PRIOR = "the constant prediction of how often the outcome occurs"
ANSWERS = {
    "registered": "Trained",
    "promoted": "Promoted",
    "rejected": "Rejected",
    "inconclusive": "Inconclusive",
    "declined": "Declined",
    "rolled_back": "Rolled back",
}


def year_page(year: Year) -> str:
    """The page of a replayed history, as HTML; it links to `decision_file` of each decision beside it."""
    decisions = [entry for entry in year.entries if entry.kind != "registered"]
    return _page(
        "year.html",
        year=year,
        headline=year.headline,
        tiles=_tiles(year),
        performance=performance(year),
        estimation=estimation(year),
        decisions=decisions,
    )


def decision_page(entry: Entry, project: str) -> str:
    """The page of one entry of the decision log, as HTML."""
    evidence = entry.evidence
    tests = findings(entry)
    return _page(
        "decision.html",
        entry=entry,
        project=project,
        question=_question(entry, project),
        answer=ANSWERS[entry.kind],
        diagnosis=section(evidence, "diagnosis"),
        windows=_windows(section(evidence, "windows")),
        data=_data(evidence),
        compared=_compared(entry),
        tests=tests,
        forest=forest(tests),
        raw=entry.to_bytes().decode(),
    )


def decision_file(entry: Entry) -> str:
    """Name of the file that holds the page of an entry, unique within its log."""
    return f"decision-{entry.sequence:08}.html"


def _tiles(year: Year) -> list[tuple[str, str]]:
    """The few numbers under the headline, each with its name."""
    kinds = ["promoted", "rejected", "inconclusive", "declined"] + ["rolled_back"] * bool(year.count("rolled_back"))
    rows = sum(period.num_rows for period in year.periods)
    return [(wording.words(kind), str(year.count(kind))) for kind in kinds] + [("rows scored", f"{rows:,}")]


def _question(entry: Entry, project: str) -> str:
    if entry.kind == "rolled_back":
        return f"Should the last promotion of {project} be taken back?"
    if entry.kind == "declined" or entry.version is None:
        return f"Should a challenger for {project} be trained?"
    if entry.kind == "registered":
        return f"Which challenger was trained for {project}?"
    if entry.against is None:
        return f"Is {entry.version} good enough to be the first champion of {project}?"
    return f"Should {entry.version} replace {entry.against} as the champion of {project}?"


def _compared(entry: Entry) -> list[tuple[str, str]]:
    """Who stood against whom, and why now."""
    sides: list[tuple[str, str | None]]
    if entry.kind == "rolled_back":
        sides = [("put back", entry.version), ("taken out of use", entry.against)]
    elif entry.version is None:
        sides = [("champion", entry.against)]
    else:
        sides = [("challenger", entry.version), ("champion", entry.against or f"none yet; compared with {PRIOR}")]
    trigger = entry.evidence.get("trigger")
    asked = [("asked for by", wording.TRIGGERS.get(str(trigger), wording.words(str(trigger))))] if trigger else []
    rows = [(name, side) for name, side in sides if side is not None]
    return [*rows, *asked, ("as of", wording.moment(entry.as_of)), ("recorded", wording.moment(entry.recorded_at))]


def _windows(windows: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The windows of time that are stated, in their order."""
    spans = (
        ("training", "train_start", "validation_start"),
        ("validation", "validation_start", "train_end"),
        ("holdout, on which both were judged", "holdout_start", "holdout_end"),
    )
    rows = [
        (name, wording.period(*map(datetime.fromisoformat, (windows[start], windows[end]))))
        for name, start, end in spans
        if windows.get(start) and windows.get(end)
    ]
    if windows.get("embargo_days") is not None:
        rows.insert(-1, ("left out before the holdout", wording.days(windows["embargo_days"])))
    return rows


def _data(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was trained and judged on, and how much of it there was."""
    snapshot, training, judgement = (section(evidence, name) for name in ("snapshot", "training", "judgement"))
    rows = (
        ("snapshot", snapshot.get("id")),
        ("rows in the snapshot", _counted(snapshot, "num_rows")),
        ("recipe", training.get("recipe")),
        ("rows trained on", _counted(training, "num_rows")),
        ("training took", wording.duration(training["seconds"]) if training.get("seconds") is not None else None),
        ("rows judged on", _counted(judgement, "num_rows")),
        ("positives among them", _counted(judgement, "num_positives")),
        ("independent groups, such as days", _counted(judgement, "num_groups")),
    )
    return [(name, str(value)) for name, value in rows if value is not None]


def _counted(content: Mapping[str, Any], name: str) -> str | None:
    return str(wording.count(content[name])) if content.get(name) is not None else None


def _page(template: str, **content: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("asks", "count", "duration", "moment", "number", "probability", "signed", "words"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["file"] = decision_file
    environment.globals.update(dates=wording.period, verdicts=wording.VERDICTS, terms=wording.TERMS)
    return environment.get_template(template).render(**content)
