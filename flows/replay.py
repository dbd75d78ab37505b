"""Walk through a history with the very steps that production runs."""

from __future__ import annotations

import time
from dataclasses import replace

from prefect import flow

from configs.schema import ProjectRef
from flows.command import run
from flows.retrain import retrain
from flows.score import score
from flows.watch import watch
from models.reporting.year import Year
from tasks.plan import due, has_champion, plan_steps
from tasks.publish import publish_report
from tasks.report import summarise, write_year


@flow(flow_run_name="replay-{project.name}")
def replay(project: ProjectRef) -> Year:
    """Walk a project's history with production's own steps."""
    started = time.monotonic()
    first, *steps = plan_steps(project)
    retrain.fn(project, as_of=first, trigger="first champion")
    for as_of in steps:
        watched = None
        if has_champion(project):
            score.fn(project, as_of)
            watched = watch.fn(project, as_of)
        if trigger := due(project, watched, as_of):
            retrain.fn(project, as_of, trigger)
    year = summarise(project, steps[-1], time.monotonic() - started)
    report = write_year(project, year)
    publish_report(project, report, f"{year.headline} {year.answers}")
    return replace(year, report=report)


if __name__ == "__main__":
    run(replay)
