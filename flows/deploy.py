"""Put a project on a Prefect server: pools, deployments, schedules, limits and automations, as its YAML says."""

from __future__ import annotations

from typing import Annotated

from prefect.client.orchestration import SyncPrefectClient

from configs.schema import Project
from flows.approve import approve
from flows.command import Given, run
from flows.label import label
from flows.override import override
from flows.planned import show_plan
from flows.replay import replay
from flows.retrain import retrain
from flows.rollback import rollback
from flows.score import score
from flows.watch import watch
from tasks.deploying.apply import apply
from tasks.deploying.checks import check
from tasks.deploying.found import find
from tasks.deploying.plan import Deployed, Plan, compare
from tasks.deploying.server import connected
from tasks.deploying.wanted import Flows, wanted

FLOWS: Flows = (score, watch, retrain, rollback, override, approve, label, replay)


def deploy(
    project: Project,
    given: Given,
    pool: Annotated[tuple[str, ...], "one pool for all flows, or two: for cpu and gpu"] = (),
    dry_run: Annotated[bool, "show the plan and change nothing"] = False,
    remove: Annotated[bool, "take the project off the server; pools stay"] = False,
) -> Deployed:
    """Deploy a project to a Prefect server."""
    given.refuse_overrides_outside("deploy")
    project = project.model_copy(update={"deploy": project.deploy.on_pools(pool)})
    with connected() as client:
        plan, ids = _plan(client, project, given.path, remove)
        show_plan(plan)
        if not dry_run:
            apply(client, plan, ids)
    return Deployed(plan, is_dry=dry_run)


def _plan(client: SyncPrefectClient, project: Project, path: str, remove: bool) -> tuple[Plan, dict[str, str]]:
    pieces = [] if remove else wanted(project, path, FLOWS)
    found = find(client, project, pieces)
    notes = [] if remove else check(project, pieces, found)
    return compare(project.name, pieces, found.pieces, notes), found.ids


if __name__ == "__main__":
    run(deploy)
