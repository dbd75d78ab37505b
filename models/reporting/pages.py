"""The pages of the report: a replayed year, and one decision. Each is a single file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.registry.log import Entry
from models.reporting import facts, forest, panels, wording
from models.reporting.account import latest, statement
from models.reporting.charts import estimation, performance
from models.reporting.decision import STAR, Decision
from models.reporting.evidence import section
from models.reporting.svg import Chart
from models.reporting.year import Year

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Drawn:
    """A panel and its charts: what is seen at once, and what a reader opens."""

    panel: panels.Panel
    chart: Chart | None
    folded: Chart | None


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
        raw=entry.to_bytes().decode(),
    )


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


def _page(template: str, **content: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "duration", "level", "moment", "number", "percent", "probability", "shown", "words"):
        environment.filters[name] = getattr(wording, name)
    environment.filters.update(file=decision_file, data_file=data_file, answer=_short_answer)
    environment.globals.update(dates=wording.period, verdicts=wording.VERDICTS, terms=wording.TERMS, star=STAR)
    return environment.get_template(template).render(**content)
