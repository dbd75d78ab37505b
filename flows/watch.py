"""Look at the champion, and say one of seven things about it."""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from configs.schema import Moment, Project, ProjectRef
from flows.command import run
from models.monitoring.watches import Watched
from tasks import track
from tasks.approve import close_questions
from tasks.ask import ask_for_labels
from tasks.observe import keep, observe, recall
from tasks.publish import publish_watch
from tasks.report import write_watch
from tasks.step import moment_of
from tasks.tell import tell_watch
from tasks.weigh import weigh


@flow(flow_run_name="watch-{project.name}")
def watch(project: ProjectRef, as_of: Moment | None = None) -> Watched | None:
    """Diagnose the champion from what it scored lately."""
    as_of = moment_of(as_of)
    watched = recall(project, as_of) or look(project, as_of)
    tell_watch(project, as_of, watched)
    close_questions(project)
    return watched


def look(project: Project, as_of: datetime) -> Watched | None:
    """The steps of a look until its record is kept; None where the champion has scored nothing."""
    watched = observe(project, as_of)
    if watched is None:
        return None
    watched = weigh(project, watched)
    with track.tracked(project, "watch", as_of):
        if watched.diagnosis.verdict == "labels_needed":
            ask_for_labels(project, as_of, watched.champion)
        publish_watch(project, watched)
        write_watch(project, watched)
    return keep(project, watched)


if __name__ == "__main__":
    run(watch)
