"""What events say: one payload a kind, frozen and with the number of its schema. docs/events.md is held to this file.

An automation matches the name of an event and the labels of its resource, never a number of the payload: what can be
waited for is decided before it is told. Every event may come twice, and any may be lost; none is the only record.
"""

from __future__ import annotations

from typing import Literal

from prefect.events import emit_event
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from configs.events import (
    BREACHED,
    DECISION,
    DIAGNOSIS,
    HEARTBEAT,
    RECOVERED,
    RETRAIN_WANTED,
    ROLLED_BACK,
    resource_of,
)
from configs.schema import Project


class Payload(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Raised when a field is taken away or means something else; fields may be added.
    schema_version: Literal[1] = Field(1, description="of what this page says")
    project: str = Field(description="name of the project")
    as_of: str = Field(description="the moment that it is about, in the data's time, ISO 8601 in UTC")
    champion: str | None = Field(description="version that was in force; null before the first")


class Heartbeat(Payload):
    """A watch has run, whether or not there was anything to look at."""

    verdict: str | None = Field(description="of its diagnosis; null where nothing was scored")
    scored_until: str | None = Field(description="end of the last batch of predictions; null before the first")


class Diagnosed(Payload):
    """A look at the champion came to one verdict."""

    verdict: str = Field(description="one of seven, also the end of the event's name")
    reason: str = Field(description="why, in one sentence")
    action: str = Field(description="what to do about it")
    wanted: str = Field(description="why a retrain is wanted, in words; empty if none is")
    num_rows: int = Field(description="rows that were looked at")


class Breached(Payload):
    """Harm or a fault is shown: told by every look until it is over."""

    verdict: str = Field(description="of this look; labels_needed where it cannot say that the breach is over")
    reason: str = Field(description="why, in one sentence")
    since: str = Field(description="the first look of this breach, ISO 8601 in UTC")


class Recovered(Payload):
    """The first look after a breach that finds nothing wrong, at whichever champion."""

    verdict: str = Field(description="of this look")
    reason: str = Field(description="why, in one sentence")


class Wanted(Payload):
    """A retrain is wanted: told by every look until the log has an answer, and as of the look that wanted it."""

    verdict: str = Field(description="of the look that wanted it")
    reason: str = Field(description="of that verdict, in one sentence")
    wanted: str = Field(description="by which trigger and why, in words")


class Decided(Payload):
    """An entry was added to the decision log that decides something."""

    kind: str = Field(description="of the entry, also the end of the event's name")
    reason: str = Field(description="of the entry")
    attempt: str = Field(description="what it answers")
    sequence: int = Field(description="number of the entry in the log")
    sha256: str = Field(description="of the entry")
    version: str | None = Field(description="what the entry is about; null where nothing was trained")
    against: str | None = Field(description="the champion when it was decided; null before the first")


class RolledBack(Payload):
    """A champion was taken back, and the one before is in force again."""

    reason: str = Field(description="as it was given")
    sequence: int = Field(description="number of the entry in the log")
    taken_back: str | None = Field(description="version that was champion until then")


EVENTS: dict[str, tuple[type[Payload], tuple[str, ...]]] = {
    HEARTBEAT: (Heartbeat, ("perennial.state",)),
    DIAGNOSIS: (Diagnosed, ("perennial.verdict", "perennial.state")),
    BREACHED: (Breached, ("perennial.verdict", "perennial.state")),
    RECOVERED: (Recovered, ("perennial.verdict", "perennial.state")),
    RETRAIN_WANTED: (Wanted, ("perennial.verdict",)),
    DECISION: (Decided, ("perennial.kind",)),
    ROLLED_BACK: (RolledBack, ("perennial.kind",)),
}
"""The payload of each kind of event, and the labels that its resource has beside its id and name."""


def tell(project: Project, event: str, payload: Payload, ending: str = "", **labels: str) -> None:
    """Emit an event about a project.

    Args:
        project: that it is about.
        event: one of `EVENTS`.
        payload: of its kind.
        ending: of the name, where `event` is only its beginning.
        labels: of the resource, without their `perennial.`: what automations can match.
    """
    kind, expected = EVENTS[event]
    given = {f"perennial.{name}": value for name, value in labels.items()}
    assert isinstance(payload, kind) and set(given) == set(expected)
    emit_event(
        event=name_of(f"{event}.{ending}" if ending else event, is_replayed=is_replay()),
        resource={"prefect.resource.id": resource_of(project.name), "prefect.resource.name": project.name, **given},
        payload=payload.model_dump(mode="json"),
    )


def name_of(event: str, is_replayed: bool) -> str:
    """The event's name; what a replay finds is history, and under its own name it would start retrains of today.

    >>> name_of("perennial.retrain.wanted", is_replayed=True)
    'perennial.replayed.retrain.wanted'
    """
    return f"perennial.replayed.{event.removeprefix('perennial.')}" if is_replayed else event


def is_replay() -> bool:
    """Whether this is a walk through a history."""
    return flow_run.flow_name == "replay"
