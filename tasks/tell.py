"""Tell automations what a look and a decision came to. Every event may be told twice: whoever waits must bear that."""

from __future__ import annotations

from datetime import datetime

from configs.events import BREACHED, DECISION, DIAGNOSIS, HEARTBEAT, RECOVERED, RETRAIN_WANTED, ROLLED_BACK
from configs.schema import Project
from models.monitoring.standing import Standing
from models.monitoring.watches import Watched
from models.registry.log import Entry
from tasks.events import Breached, Decided, Diagnosed, Heartbeat, Recovered, RolledBack, Wanted, tell
from tasks.step import registry_of, step
from tasks.weigh import standing_at, unanswered_wish


@step
def tell_watch(project: Project, as_of: datetime, watched: Watched | None) -> None:
    """The events of a look whose record is kept, or of one that found nothing scored.

    They are told again when the look is recalled, for a run that was killed may not have told them.
    """
    standing = standing_at(project, as_of)
    _heartbeat(project, as_of, watched, standing)
    if watched is None:
        return
    about = {"project": project.name, "as_of": as_of.isoformat(), "champion": watched.champion}
    found = watched.diagnosis
    said = about | {"verdict": found.verdict, "reason": found.reason}
    labels = {"verdict": found.verdict, "state": standing.word}
    more = {"action": found.action, "wanted": watched.wanted or "", "num_rows": watched.num_rows}
    tell(project, DIAGNOSIS, Diagnosed(**said, **more), ending=found.verdict, **labels)
    if standing.since:
        tell(project, BREACHED, Breached(**said, since=standing.since.isoformat()), **labels)
    elif standing.has_recovered:
        tell(project, RECOVERED, Recovered(**said), **labels)
    if wish := unanswered_wish(project, watched):
        _wish(project, wish)


def _heartbeat(project: Project, as_of: datetime, watched: Watched | None, standing: Standing) -> None:
    registry = registry_of(project)
    champion, batch = registry.log.read().champion, registry.predictions.last()
    heartbeat = Heartbeat(
        project=project.name,
        as_of=as_of.isoformat(),
        champion=watched.champion if watched else champion,
        verdict=watched.diagnosis.verdict if watched else None,
        scored_until=batch.end.isoformat() if batch else None,
    )
    tell(project, HEARTBEAT, heartbeat, state=standing.word)


def _wish(project: Project, wish: Watched) -> None:
    """As of the look that had it: however often it is told, it is one attempt in the log."""
    assert wish.wanted
    wanted = Wanted(
        project=project.name,
        as_of=wish.as_of.isoformat(),
        champion=wish.champion,
        verdict=wish.diagnosis.verdict,
        reason=wish.diagnosis.reason,
        wanted=wish.wanted,
    )
    tell(project, RETRAIN_WANTED, wanted, verdict=wish.diagnosis.verdict)


def tell_decision(project: Project, entry: Entry) -> None:
    """The event of an entry of the log, and a second one of a rollback."""
    state = registry_of(project).log.read()
    about = {"project": project.name, "as_of": entry.as_of, "champion": state.champion, "reason": entry.reason}
    decided = Decided(
        **about,
        kind=entry.kind,
        attempt=entry.attempt,
        sequence=entry.sequence,
        sha256=entry.digest,
        version=entry.version,
        against=entry.against,
    )
    tell(project, DECISION, decided, ending=entry.kind, kind=entry.kind)
    if entry.kind == "rolled_back":
        taken = RolledBack(**about, sequence=entry.sequence, taken_back=entry.against)
        tell(project, ROLLED_BACK, taken, kind=entry.kind)
