"""Names of the events that a project emits: what production tells, and what automations wait for.

Prefect's triggers match an event by its name and by labels of its resource, never by a number in its payload. So a name
is a contract: whoever changes one here changes it for the flows, the automations and whoever else listens.
"""

from __future__ import annotations

DIAGNOSIS = "perennial.diagnosis"  # followed by the verdict: see `diagnosis`
RETRAIN_WANTED = "perennial.retrain.wanted"
HEARTBEAT = "perennial.heartbeat"  # of each watch, whatever it finds
DECISION = "perennial.decision"
ROLLED_BACK = "perennial.rolled_back"
BREACHED = "perennial.breached"
RECOVERED = "perennial.recovered"


def diagnosis(verdict: str) -> str:
    """The event of a look that ended in this verdict.

    >>> diagnosis("broken_feed")
    'perennial.diagnosis.broken_feed'
    """
    return f"{DIAGNOSIS}.{verdict}"


def resource_id(project: str) -> str:
    """The resource that every event of a project is about.

    >>> resource_id("flights")
    'perennial.project.flights'
    """
    return f"perennial.project.{project}"
