"""What a project should be on a server, worked out from its YAML and its flows alone."""

from __future__ import annotations

from typing import Any

from prefect import Flow
from prefect.utilities.callables import parameter_schema

from configs.deploy import Pool
from configs.schema import Project
from tasks.deploying.automations import automation_pieces, longest_pause
from tasks.deploying.pieces import Piece
from tasks.deploying.pools import job_variables, pool_pieces

Flows = tuple[Flow[..., Any], ...]

RETRAIN = "retrain"  # the one flow that trains, and of which a project runs one at a time
BY_SCHEDULE: dict[str, dict[str, Any]] = {"retrain": {"trigger": "scheduled"}}

# A process worker starts each run in an empty temporary folder, where neither the configs nor the registry are. The
# variable is read on the worker.
PULL_STEPS = [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $PERENNIAL_HOME }}"}}]


def deployment_name(flow: str, project: str) -> str:
    """How the deployment of a flow is called, on a server that other projects share."""
    return f"{flow}-{project}"


def deployment_names(project: Project, flows: Flows) -> dict[str, str]:
    """The names of the project's deployments, by flow."""
    return {flow.name: deployment_name(flow.name, project.name) for flow in flows}


def pools_of(project: Project, flows: Flows) -> dict[str, tuple[str, Pool]]:
    """The block of the YAML, and the pool that it describes, by flow."""
    deploy = project.deploy
    return {
        flow.name: ("deploy.gpu", deploy.gpu) if flow.name == RETRAIN else ("deploy.cpu", deploy.cpu) for flow in flows
    }


def crons_of(project: Project) -> dict[str, str]:
    """When each flow runs that runs by the clock."""
    return project.deploy.crons(project.schedule.step_days, project.schedule.baseline_days)


def timezone_of(project: Project) -> str:
    """In which the crons are meant."""
    return project.deploy.timezone or project.data.timezone


def tags_of(project: Project) -> list[str]:
    """What the project's deployments, runs and alerts are tagged with."""
    return ["perennial", project.name]


def wanted(project: Project, path: str, flows: Flows) -> list[Piece]:
    """Everything that the project should be on a server with work pools.

    Args:
        path: of the project's YAML, as a worker finds it from PERENNIAL_HOME.
        flows: those that get a deployment.

    Raises:
        ValueError: when Prefect would refuse an automation or a schedule.
    """
    pools, crons = pools_of(project, flows), crons_of(project)
    for flow, cron in crons.items():
        longest_pause(flow, cron, timezone_of(project))
    deployments = [_deployment(project, path, flow, pools[flow.name][1], crons.get(flow.name)) for flow in flows]
    automations = automation_pieces(project, deployment_names(project, flows), crons)
    return [*pool_pieces(project.deploy), *deployments, *automations]


# A version is not told: Prefect takes the commit from which somebody has deployed for it, and the code is the worker's.
def _deployment(project: Project, path: str, flow: Flow[..., Any], pool: Pool, cron: str | None) -> Piece:
    schedule = {"cron": cron, "timezone": timezone_of(project), "parameters": BY_SCHEDULE.get(flow.name, {})}
    values = {
        "flow": flow.name,
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "description": flow.description,
        "tags": tags_of(project),
        "parameters": {"project": path},
        "parameter_openapi_schema": parameter_schema(flow).model_dump(mode="json", exclude_unset=True),
        "enforce_parameter_schema": True,
        "work_pool_name": pool.pool,
        "work_queue_name": pool.queue,
        "job_variables": job_variables(project.deploy, pool),
        "pull_steps": PULL_STEPS,
        "concurrency_limit": 1 if flow.name == RETRAIN else None,
        "schedules": [schedule] if cron else [],
    }
    return Piece("deployment", deployment_name(flow.name, project.name), values)
