"""Names of the events that a project emits: what production tells, and what automations wait for.

Prefect's triggers match an event by its name and by labels of its resource, never by a number in its payload. So a name
is a contract: whoever changes one here changes it for the flows, the automations and whoever else listens.
"""

from __future__ import annotations

HEARTBEAT = "perennial.heartbeat"  # of each watch, whatever it finds
DIAGNOSIS = "perennial.diagnosis"  # and the verdict: see `diagnosis`
BREACHED = "perennial.alarm.breached"
RECOVERED = "perennial.alarm.recovered"
RETRAIN_WANTED = "perennial.retrain.wanted"
DECISION = "perennial.decision"  # and its kind: perennial.decision.promoted
ROLLED_BACK = "perennial.rolled_back"


def diagnosis(verdict: str) -> str:
    """The event of a look that ended in this verdict.

    >>> diagnosis("broken_feed")
    'perennial.diagnosis.broken_feed'
    """
    return f"{DIAGNOSIS}.{verdict}"


def resource_of(project_name: str) -> str:
    """The resource that every event of a project is about.

    >>> resource_of("flights")
    'perennial.project.flights'
    """
    return f"perennial.project.{project_name}"
