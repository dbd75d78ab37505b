"""The deployments of a project that is served by one process instead of by workers."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread

import psutil
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
from tasks.deploying.runs import runs_here
from tasks.deploying.signals import undisturbed
from tasks.deploying.wanted import (
    BY_SCHEDULE,
    RETRAIN,
    Flows,
    crons_of,
    deployment_names,
    tags_of,
    timezone_of,
)

CALM_SECONDS, LAST_SECONDS = 60, 5


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


def run_until_told(runner: Runner, heard: SimpleQueue[None]) -> None:
    """Run what is due until a signal is heard; then end the runs that are under way, and pause the schedules.

    `prefect.serve` leaves on SIGTERM its runs behind as Running, and schedules that nobody serves. What the server has
    to be told is given up after CALM_SECONDS; the processes of the runs are ended however this ends.

    Raises:
        RuntimeError: when it did not end in order: the server has gone, or did not answer.
        KeyboardInterrupt: at a second signal.
    """
    loop, told, ended = asyncio.new_event_loop(), asyncio.Event(), Future[None]()
    context = copy_context()  # which holds Prefect's settings

    def serve() -> None:
        try:
            ended.set_result(context.run(loop.run_until_complete, _serve(runner, told)))
        except BaseException as error:  # raised again where it is waited for
            ended.set_exception(error)
        heard.put(None)

    # Outside the main thread the runner takes no signal for itself; a daemon, should it wait for the server for good.
    Thread(target=serve, daemon=True).start()
    try:
        heard.get()
        loop.call_soon_threadsafe(told.set)
        ended.result()
    except Exception as error:
        raise RuntimeError(
            f"serving did not end in order ({type(error).__name__}: {error}): schedules may be left that nobody "
            "serves, and runs as Running; serve again and end it by one Ctrl-C, and an automation marks such runs"
        ) from error
    finally:
        with undisturbed():
            _end_processes()


async def _serve(runner: Runner, told: asyncio.Event) -> None:
    serving, waiting = asyncio.create_task(runner.start()), asyncio.create_task(told.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await _stop(runner, serving)
        await serving
    finally:
        waiting.cancel()


async def _stop(runner: Runner, serving: asyncio.Task[None]) -> None:
    try:
        async with asyncio.timeout(CALM_SECONDS):
            while not runner.started and not serving.done():
                await asyncio.sleep(0.05)  # only what has started can be stopped
            if runner.started:
                await runner.astop()
            await asyncio.wait({serving})
    except TimeoutError:
        raise TimeoutError(f"not all was done within {CALM_SECONDS} s; does the Prefect server answer?") from None
    finally:
        serving.cancel()
        await asyncio.wait({serving}, timeout=LAST_SECONDS)


def _end_processes() -> None:
    """End what is left of the processes of runs: the runner asks the server before it ends one."""
    left = [each for run in runs_here() for each in _family(run)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=LAST_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


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
