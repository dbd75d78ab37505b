"""A person's yes or no to what has passed the gate, and what becomes of a question that nobody answers."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Literal
from uuid import UUID

from prefect import suspend_flow_run
from prefect.flow_runs import resume_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from configs.schema import Project
from models.registry.log import CHAMPION_CHANGED, ChampionChanged, Entry, Kind, State, approval_of
from models.registry.registry import Registry
from models.registry.versions import VersionId
from tasks.step import load_version, now, registry_of, step
from tasks.tell import tell_decision

logger = logging.getLogger(__name__)
Word = Literal["approve", "refuse"]


class Approval(RunInput):
    """The form in Prefect's UI."""

    answer: Word = Field(description="approve: it replaces the champion. refuse: it never does by itself.")
    by: str = Field(description="who answers for it", min_length=1)
    reason: str = Field(description="why, for whoever reads the log", min_length=1)


def ask_for_approval(project: Project, waiting: Entry) -> Entry | None:
    """Ask a person, and hold nothing meanwhile: what a person, or the time, has said; None while nobody has.

    A run of a deployment is suspended: its process ends, and begins anew when the form is sent. Any other run ends, and
    the command completes it.
    """
    if settled := settlement(project, waiting):
        return settled
    if deployment.id is None:
        logger.info(
            "%s waits for a person: python -m flows.approve PROJECT.yaml --of %s --by NAME --reason TEXT",
            waiting.version,
            waiting.version,
        )
        return None
    seconds = int((until(waiting) - now()).total_seconds())
    form = Approval.with_initial_data(
        description=f"**Replace {waiting.against} by {waiting.version}?** {waiting.reason}", answer="approve"
    )
    said = suspend_flow_run(wait_for_input=form, key=f"approval-{waiting.sequence}", timeout=max(seconds, 1))
    return settle(project, waiting, said.answer, said.by, said.reason)


@step
def settlement(project: Project, waiting: Entry) -> Entry | None:
    """The entry that ended the wait, if it has ended; a wait that was too long is ended here."""
    expire_approvals(project)
    return registry_of(project).log.read().settlement(waiting)


@step
def settle(project: Project, waiting: Entry, answer: Word, by: str, reason: str) -> Entry:
    """Record a person's answer, once; `expired` where it comes too late, or the champion is another by now.

    Raises:
        ValueError: without a name or a reason, or when the version cannot be loaded any more.
    """
    if not by.strip() or not reason.strip():
        raise ValueError(f"by={by!r} and reason={reason!r}: an approval needs the name of who decides, and a reason")
    registry = registry_of(project)
    expire_approvals(project)
    if earlier := registry.log.read().settlement(waiting):
        return earlier
    assert waiting.version is not None
    if answer == "approve":
        load_version(registry, waiting.version)
    kind: Kind = "approved" if answer == "approve" else "refused"
    evidence = {"by": by, "said": reason, "of": waiting.sequence}
    while True:
        champion = waiting.against if answer == "approve" else registry.log.read().champion
        try:
            entry = _append(registry, waiting, kind, f"{by} {kind} {waiting.version}: {reason}", champion, evidence)
        except ChampionChanged:
            if answer == "refuse":
                continue  # a no holds whoever is champion
            return _end_as_void(registry, waiting)
        logger.info("%s: %s", entry.kind, entry.reason)
        return entry


def expire_approvals(project: Project) -> list[Entry]:
    """End every wait whose time is over, and return the entries that say so."""
    registry, moment = registry_of(project), now()
    late = [waiting for waiting in registry.log.read().awaiting if until(waiting) <= moment]
    return [
        _end(registry, waiting, f"Nobody approved {waiting.version} until {until(waiting):%Y-%m-%d %H:%M} UTC.", "time")
        for waiting in late
    ]


@step
def close_questions(project: Project) -> None:
    """End every wait whose time is over, and tell it: a look comes by even when no retrain does."""
    for entry in expire_approvals(project):
        logger.info("%s: %s", entry.kind, entry.reason)
        tell_decision(project, entry)


def waiting_for(project: Project, of: str | None) -> Entry:
    """The entry that waits for a person, or the newest one about the version `of`, settled or not.

    Raises:
        ValueError: when none waits, or several do and none is named.
    """
    state = registry_of(project).log.read()
    if of:
        named = [entry for entry in state.entries if entry.kind == "awaiting" and entry.version == of]
        if not named:
            raise ValueError(f"of={of!r} has never waited for a person; {_waiting_words(state)}")
        return named[-1]
    if len(state.awaiting) != 1:
        raise ValueError(
            f"{_waiting_words(state)}; name one with --of VERSION" if state.awaiting else _waiting_words(state)
        )
    return state.awaiting[0]


def wake(waiting: Entry, answer: Word, by: str, reason: str) -> None:
    """Let the run that was suspended for this question come to its end, if there is one and the server is there."""
    run = waiting.evidence.get("approval", {}).get("run")
    if not run:
        return
    try:
        resume_flow_run(UUID(run), run_input={"answer": answer, "by": by, "reason": reason})
    except Exception as error:  # the log has the answer; a run that is not suspended, or not there, needs none
        logger.info("flow run %s was not resumed: %s", run, error)


def until(waiting: Entry) -> datetime:
    """When the question expires."""
    return datetime.fromisoformat(waiting.evidence["approval"]["until"])


def _waiting_words(state: State) -> str:
    names = [VersionId(str(entry.version)) for entry in state.awaiting]
    return f"{', '.join(names)} wait for a person" if names else "nothing waits for a person"


def _end_as_void(registry: Registry, waiting: Entry) -> Entry:
    champion = registry.log.read().champion
    why = (
        f"{waiting.version} had passed the gate against {waiting.against}, and by now {champion} is champion: it is "
        "to be judged again."
    )
    return _end(registry, waiting, why, CHAMPION_CHANGED)


def _end(registry: Registry, waiting: Entry, why: str, cause: str) -> Entry:
    while True:
        champion = registry.log.read().champion
        try:
            return _append(registry, waiting, "expired", why, champion, {"cause": cause, "of": waiting.sequence})
        except ChampionChanged:  # that it is over holds whoever is champion
            continue


def _append(
    registry: Registry, waiting: Entry, kind: Kind, reason: str, champion: VersionId | None, evidence: dict[str, object]
) -> Entry:
    return registry.log.append(
        kind,
        reason,
        attempt=approval_of(waiting),
        version=waiting.version,
        against=champion,
        as_of=datetime.fromisoformat(waiting.as_of),
        now=now(),
        evidence=evidence,
    )
