"""The pages of the report: a replayed year, the watch, one decision. Each is one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.monitoring.measures import BINARY, Measures
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.reporting import facts, forest, panels, training, watch, watch_words, wording
from models.reporting.account import latest, statement
from models.reporting.charts import estimation, performance
from models.reporting.curves import curve
from models.reporting.decision import STAR, Decision
from models.reporting.evidence import section
from models.reporting.sketches import MOST_SKETCHES, sketches
from models.reporting.strip import VERDICTS, sign_of, strip
from models.reporting.svg import Chart
from models.reporting.tracks import Group, Track
from models.reporting.year import Year

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Drawn:
    """A panel and its charts: what is seen at once, and what a reader opens."""

    panel: panels.Panel
    chart: Chart | None
    folded: Chart | None


@dataclass(frozen=True)
class Curve:
    """A metric over time, and what its newest numbers say."""

    track: Track
    chart: Chart
    sentences: list[str]


@dataclass(frozen=True)
class Small:
    """Small charts of one group: what is seen at once, and what a reader opens."""

    group: Group
    shown: Chart | None
    folded: Chart | None

    @property
    def num_folded(self) -> int:
        """How many of them a reader has to open."""
        return max(len(self.group.tracks) - MOST_SKETCHES, 0)


def year_page(year: Year) -> str:
    """The page of a replayed history, as HTML; it links to `decision_file` of each decision beside it."""
    decisions = [entry for entry in year.entries if entry.kind != "registered"]
    return _page(
        "year.html",
        year=year,
        headline=year.headline,
        tiles=_tiles(year),
        performance=performance(year),
        estimation=estimation(year) if year.has_second else None,
        decisions=decisions,
        undrawn=[entry for entry in decisions if not year.covers(entry)],
        overrides={str(entry.version): entry for entry in decisions if entry.kind == "overridden"},
        account=latest(decisions),
    )


def decision_page(entry: Entry, project: str) -> str:
    """The page of one entry of the decision log, as HTML."""
    decision = Decision(entry, project)
    tests = decision.tests
    return _page(
        "decision.html",
        entry=entry,
        decision=decision,
        project=project,
        tests=tests,
        primary=forest.primary(decision.primary),
        guardrails=[_drawn(panel, f"guardrail{place}") for place, panel in enumerate(panels.guardrails(tests))],
        slices=[_drawn(panel, f"slices{place}") for place, panel in enumerate(panels.slices(tests))],
        limits=[test for test in tests if test.kind == "limit"],
        is_long=len(tests) > panels.MOST_LINES,
        budget=statement(entry),
        diagnosis=section(entry.evidence, "diagnosis"),
        compared=facts.compared(decision),
        data=[*facts.windows(entry.evidence), *facts.data(entry.evidence)],
        trained=training.card(decision),
        trials=training.trials(decision),
        trial_columns=training.TRIAL_COLUMNS,
        raw=entry.to_bytes().decode(),
    )


def watch_page(
    project: str, label: str, looks: Sequence[Watched], entries: Sequence[Entry], measures: Measures = BINARY
) -> str:
    """The page of everything that the watch has seen, as HTML; it links to `decision_file` of each decision beside it.

    Args:
        project: its name.
        label: the column that is forecast.
        looks: of all champions, oldest first.
        entries: of the decision log, oldest first.
        measures: what is measured of such a label.

    Raises:
        ValueError: when there is no look.
    """
    if not looks:
        raise ValueError(f"looks of {project} is empty, and a page needs one at least; run the watch first")
    history = watch.History(project, label, tuple(looks), tuple(entries), measures)
    return _page(
        "watch.html",
        history=history,
        newest=history.newest,
        evidence=history.evidence,
        strip=strip(history),
        marks=[mark.kind for mark in VERDICTS],
        curves=[Curve(track, curve(track, history), watch_words.reading(track)) for track in history.metrics],
        groups=[_small(group, place, history) for place, group in enumerate(history.groups)],
        rows=history.rows,
        fold=watch.FOLD,
        metric_terms=[metric.name for metric in measures.watched],
        terms_of_metrics=wording.METRIC_TERMS,
        watch_terms=wording.watch_terms(measures.words(measures.loss.name)),
    )


def watch_file() -> str:
    """Name of the file that holds the page of the watch."""
    return "watch.html"


def decision_file(entry: Entry) -> str:
    """Name of the file that holds the page of an entry, unique within its log."""
    return f"decision-{entry.sequence:08}.html"


def data_file(entry: Entry) -> str:
    """Name of the file beside it that holds the same as JSON."""
    return f"decision-{entry.sequence:08}.json"


def _tiles(year: Year) -> list[tuple[str, str]]:
    """The few numbers under the headline, each with its name."""
    kinds = ["promoted", "rejected", "inconclusive", "declined"] + ["rolled_back"] * bool(year.count("rolled_back"))
    rows = sum(period.num_rows for period in year.periods)
    by_hand = [(f"{STAR} against the gate", str(year.count("overridden")))] if year.count("overridden") else []
    return [*((wording.words(kind), str(year.count(kind))) for kind in kinds), *by_hand, ("rows scored", f"{rows:,}")]


def _short_answer(entry: Entry) -> str:
    """The answer as a link is called."""
    override = Decision(entry, "").override
    return f"{STAR} {override.words}" if override else wording.words(entry.kind)


def _drawn(panel: panels.Panel, name: str) -> Drawn:
    """A panel with its charts, each named unlike any other of the page."""
    return Drawn(panel, forest.lines(panel, name, panel.shown), forest.lines(panel, f"{name}-more", panel.folded))


def _small(group: Group, number: int, history: watch.History) -> Small:
    """The small charts of a group, each named unlike any other of the page."""
    shown, folded = group.tracks[:MOST_SKETCHES], group.tracks[MOST_SKETCHES:]
    return Small(
        group,
        sketches(group, shown, f"small{number}", history.drawn),
        sketches(group, folded, f"small{number}-more", history.drawn),
    )


def _page(template: str, **content: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "decimals", "duration", "level", "moment", "number", "percent", "probability", "rough"):
        environment.filters[name] = getattr(wording, name)
    for name in ("counted", "listed", "shown", "words"):
        environment.filters[name] = getattr(wording, name)
    environment.filters.update(file=decision_file, data_file=data_file, answer=_short_answer)
    environment.filters.update(
        sign=sign_of,
        years=watch_words.alarm_words,
        change=watch_words.change_words,
        some_days=watch_words.some_days,
    )
    environment.globals.update(dates=wording.period, verdicts=wording.VERDICTS, terms=wording.TERMS, star=STAR)
    return environment.get_template(template).render(**content)
