"""The site that chaos breaks: two deployments on a process pool, and what sets dead runs to Crashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks import small_project
from benchmarks.site import HEARTBEAT_SECONDS, Site
from tasks.deploying.automations import fell_silent, never_began

POOL = "chaos-pool"
SILENT_SECONDS = 3 * HEARTBEAT_SECONDS  # after which a run is taken for dead
UNBORN_SECONDS = 120  # that a run may be about to start

DEPLOYMENTS = """\
name: chaos
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $PERENNIAL_HOME }}"}
deployments:
"""
DEPLOYMENT = """\
  - name: FLOW
    entrypoint: flows.FLOW.FLOW
    parameters: {project: churn.yaml}
    work_pool: {name: POOL, job_variables: {stream_output: false}}
"""


@dataclass
class BreakableSite(Site):
    """A site with a project on it, whose schedule the benchmark plays.

    Attributes:
        ids: of the deployments, by flow.
    """

    ids: dict[str, str] = field(default_factory=dict)

    def open(self, num_days: int) -> None:
        """Write the project, start everything, and deploy."""
        small_project.write(self.folder, num_days)
        text = DEPLOYMENTS + "".join(DEPLOYMENT.replace("FLOW", flow) for flow in ("score", "retrain"))
        (self.folder / "prefect.yaml").write_text(text.replace("POOL", POOL))
        self.start_server()
        self.prefect("work-pool", "create", POOL, "--type", "process")
        self.prefect("--no-prompt", "deploy", "--all")
        self.ids = self.deployments()
        for automation in automations():
            self.ask("automations/", **automation)
        self.start_worker(POOL)

    def wish(self, flow: str, as_of: datetime) -> str:
        """Ask for a run of a flow for a moment; its id."""
        return self.begin(self.ids[flow], project=f"{small_project.NAME}.yaml", as_of=as_of.isoformat())


def automations() -> Iterator[dict[str, Any]]:
    """What sets runs to Crashed whose process is gone: those that fell silent, and those that were never begun."""
    for name, trigger in (("silent", fell_silent(SILENT_SECONDS)), ("unborn", never_began(UNBORN_SECONDS))):
        message = f"{name} for {trigger['within']} s"
        yield {
            "name": f"set a run that is {name} to Crashed",
            "trigger": trigger | {"threshold": 1},
            "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": message}],
        }
