"""The deployments of a project that is served by one process instead of by workers."""

from __future__ import annotations

import asyncio
import signal

from prefect.client.orchestration import SyncPrefectClient
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from configs.schema import Project
from tasks.deploying.apply import apply
from tasks.deploying.automations import automation_pieces, owner, retrain_trigger
from tasks.deploying.found import find
from tasks.deploying.plan import compare
from tasks.deploying.wanted import (
    BY_SCHEDULE,
    RETRAIN,
    Flows,
    crons_of,
    deployment_names,
    tags_of,
    timezone_of,
)


def served(project: Project, path: str, flows: Flows) -> list[RunnerDeployment]:
    """A deployment for each flow, with the schedules, limits and triggers that it has on a pool."""
    names, crons = deployment_names(project, flows), crons_of(project)
    return [
        RunnerDeployment.from_flow(
            flow,
            name=names[flow.name],
            parameters={"project": path},
            tags=tags_of(project),
            schedules=[Cron(crons[flow.name], timezone_of(project), parameters=BY_SCHEDULE.get(flow.name, {}))]
            if flow.name in crons
            else [],
            triggers=[DeploymentEventTrigger.model_validate(retrain_trigger(project))] if flow.name == RETRAIN else [],
            concurrency_limit=1 if flow.name == RETRAIN else None,
            paused=False,  # the end of the last serving has paused it
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow in flows
    ]


def run_until_told(runner: Runner) -> None:
    """Run what is due until SIGINT or SIGTERM; then end the runs that are under way, and pause the schedules.

    `prefect.serve` leaves on SIGTERM its runs behind as Running, and schedules that nobody serves.
    """
    asyncio.run(_run_until_told(runner))


async def _run_until_told(runner: Runner) -> None:
    serving = asyncio.create_task(runner.start())
    while not runner.started and not serving.done():
        await asyncio.sleep(0.05)  # it takes SIGTERM for itself first
    ends: list[asyncio.Task[None]] = []  # a task that nobody holds may vanish

    def end() -> None:
        if runner.started:
            ends.append(asyncio.create_task(runner.astop()))

    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, end)
    await serving
    await asyncio.gather(*ends)


def put_beside(client: SyncPrefectClient, project: Project, flows: Flows) -> None:
    """The automations that no deployment brings with it: alerts, and the end of dead runs."""
    ours = owner(project.name)
    pieces = automation_pieces(project, deployment_names(project, flows), crons_of(project))
    wanted = [piece for piece in pieces if piece.owner == ours]
    found = find(client, project, wanted)
    there = [piece for piece in found.pieces if piece.owner == ours]
    apply(client, compare(project.name, wanted, there), found.ids)


def check_free(client: SyncPrefectClient, project: Project, flows: Flows) -> None:
    """Refuse to take a project away from its workers: `ValueError` when a deployment of it runs on a pool."""
    for flow, name in deployment_names(project, flows).items():
        try:
            pool = client.read_deployment_by_name(f"{flow}/{name}").work_pool_name
        except ObjectNotFound:
            continue
        if pool:
            raise ValueError(
                f"{name} is deployed on the work pool {pool!r} of this server, and would be taken from there; take it "
                "off with python -m flows.deploy --remove, or set PREFECT_API_URL to another server"
            )
