"""Train a challenger, and promote it only if it is really better."""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from configs.schema import Moment, Project, ProjectRef
from flows.command import run
from models.registry.log import CHAMPION_CHANGED, Entry
from tasks import track
from tasks.approve import ask_for_approval
from tasks.choose import choose_arms
from tasks.decide import Attempt, begin, decide, decline, object_to
from tasks.foresee import foresee
from tasks.ingest import ingest, inspect
from tasks.publish import publish_decision
from tasks.report import write_decision
from tasks.step import moment_of
from tasks.train import train
from tasks.turn import turn


@flow(flow_run_name="retrain-{project.name}")
def retrain(project: ProjectRef, as_of: Moment | None = None, trigger: str = "manual") -> Entry:
    """Train a challenger; promote it only if proven better."""
    moment = moment_of(as_of)
    with turn(project, moment) as mine:
        attempt = begin(project, moment, trigger, mine)
        entry = attempt.published_answer or concluded(project, attempt)
    return approved(project, entry, trigger) if entry.kind == "awaiting" else entry


def concluded(project: Project, attempt: Attempt) -> Entry:
    """The answer to an attempt, found or made, for everyone to see."""
    with track.tracked(project, "training", attempt.as_of):
        entry = attempt.answer or answer(project, attempt)
        publish_decision(project, entry)
        write_decision(project, entry)  # last: a page that exists says that everything before it was done
    return entry


def answer(project: Project, attempt: Attempt) -> Entry:
    """The steps from an attempt to its answer, each of which may end it."""
    if attempt.objection:
        return decline(project, attempt, attempt.objection)
    snapshot = ingest(project, attempt.champion, attempt.as_of)
    faults = inspect(project, snapshot, attempt.champion, attempt.as_of)
    foresight = foresee(project, snapshot, attempt.champion)
    if objection := object_to(project, snapshot, faults, foresight, attempt.champion):
        return decline(project, attempt, objection, foresight)
    arms = choose_arms(project, snapshot, attempt.champion, attempt.id)
    champion, name, lease = attempt.champion, attempt.id, attempt.lease
    challengers = [train(project, snapshot, champion, arm, name, attempt.as_of, lease) for arm in arms]
    return decide(project, attempt, snapshot, challengers, foresight)


def approved(project: Project, waiting: Entry, trigger: str) -> Entry:
    """What a person says to a promotion; until then the run is suspended, or ends and leaves it to the command."""
    entry = ask_for_approval(project, waiting)
    if entry is None:
        return waiting
    publish_decision(project, entry)
    write_decision(project, entry)
    if entry.evidence.get("cause") == CHAMPION_CHANGED:
        return retrain.fn(project, datetime.fromisoformat(waiting.as_of), trigger)
    return entry


if __name__ == "__main__":
    run(retrain)
