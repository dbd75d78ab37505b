"""Show what was found: artifacts in Prefect, and numbers in W&B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from configs.schema import Project
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.reporting.pages import decision_file
from models.reporting.records import decision_markdown
from tasks import track
from tasks.report import link_to
from tasks.step import step
from tasks.tell import tell_decision


@step
def publish_decision(project: Project, entry: Entry) -> None:
    """The decision as an event, as a table, a report and a link in Prefect, and as the verdict of the W&B run."""
    judgement = entry.evidence.get("judgement") or {}
    track.summarise(verdict=entry.kind, reason=entry.reason, version=entry.version, against=entry.against)
    track.summarise(
        **{
            f"gain/{test['metric']}, {test['kind']}, {test.get('scope', '')}": test["gain"]
            for test in judgement.get("tests", ())
            if test["gain"] is not None
        }
    )
    create_table_artifact(
        key=f"{project.name}-decision",
        table=[_test_row(test) for test in judgement.get("tests", ())] or [{"answer": entry.kind}],
        description=f"**{entry.kind}** as of {entry.as_of[:10]}: {entry.reason}",
    )
    create_markdown_artifact(key=f"{project.name}-decision-report", markdown=decision_markdown(entry, project.name))
    page = decision_file(entry)
    create_link_artifact(key=f"{project.name}-decision-page", link=link_to(project, page), link_text=page)
    tell_decision(project, entry)


@step
def publish_watch(project: Project, watched: Watched) -> None:
    """The diagnosis as a table in Prefect and as the verdict of a W&B run."""
    diagnosis, numbers = watched.diagnosis, _numbers(watched)
    track.summarise(verdict=diagnosis.verdict, reason=diagnosis.reason, version=watched.champion)
    track.log({name: value for name, value in numbers.items() if value is not None})
    create_table_artifact(
        key=f"{project.name}-watch",
        table=[{"what": name.replace("_", " "), "value": _number(value)} for name, value in numbers.items()]
        + [
            {"what": f"drift of {drift.column}", "value": _number(drift.distance)}
            for drift in watched.evidence.drift[:5]
        ],
        description=f"**{diagnosis.verdict}** as of {watched.as_of:%Y-%m-%d}: {diagnosis.reason} {diagnosis.action}",
    )


def _numbers(watched: Watched) -> dict[str, float | None]:
    """The few numbers of a look that are worth a line."""
    evidence = watched.evidence
    found: dict[str, float | None] = {"rows": float(watched.num_rows)}
    found |= {f"{each.estimator}_{each.metric}": each.value for each in evidence.estimates}
    changes = evidence.realised.changes if evidence.realised else ()
    found |= {f"realised_{each.metric}": each.value for each in changes if each.scope == "all rows"}
    found |= {each.name: each.last for each in watched.series if each.share == 0}
    found["scores_not_reproduced"] = evidence.replay.mismatch_share if evidence.replay else None
    found["broken_checks"] = float(sum(check.is_broken for check in evidence.quality))
    return found


@step
def publish_report(project: Project, page: Path, markdown: str) -> None:
    """The report's headline and link in Prefect."""
    create_markdown_artifact(
        key=f"{project.name}-report", markdown=f"{markdown}\n\n[{page.name}]({link_to(project, page.name)})"
    )


def _test_row(test: dict[str, Any]) -> dict[str, str]:
    p_value = test["p_value"]
    return {
        "metric": test["metric"],
        "rows": test.get("scope", "all rows"),
        "verdict": test["verdict"],  # early: Prefect's page is too narrow to show every column
        "test": test["kind"],
        "champion": _number(test["champion"]),
        "challenger": _number(test["challenger"]),
        "gain": _signed(test["gain"]),
        "interval": f"{_signed(test['lower'])} to {_signed(test['upper'])}",
        "margin": _number(test["margin"]),
        "p": "–" if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}",
    }


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"
