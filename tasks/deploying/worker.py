"""A worker of process pools: its runs begin in processes that have imported beforehand, and are told when it ends.

Prefect's own starts three interpreters for a run, and kills its runs when it is told to end: they seem to run until
their heartbeats are missed.
"""

from __future__ import annotations

import abc
import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.processutils import command_to_string, get_sys_executable
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from tasks.deploying.pools import pool_values
from tasks.deploying.runs import runs_here
from tasks.deploying.signals import SIGNALS
from tasks.warm.address import connected, kind_of

WARM = command_to_string([get_sys_executable(), "-m", "tasks.warm", "prefect.engine"])
HELD = "already holding"  # a place among the runs at once, as anyio says it
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_CALLS = 300.0  # a parent process that nobody calls for a quarter of an hour ends


class Runs(ProcessJobConfiguration):
    """How a run is started: warm, unless its deployment has a command of its own."""

    def prepare_for_flow_run(self, *args: Any, **arguments: Any) -> None:
        """Fill in what the template leaves open."""
        self.command = self.command or WARM
        super().prepare_for_flow_run(*args, **arguments)


class Worker(ProcessWorker, abc.ABC):  # abstract in name: Prefect would register it in the place of its own
    """Takes runs until it is told to end, and then ends when the last one has."""

    job_configuration = Runs
    is_ending = False

    def __init__(self, pool: str, limit: int, say: Callable[[str], None]) -> None:
        super().__init__(pool, limit=limit, create_pool_if_not_found=False)
        self._say = say
        self._environments: dict[str, Mapping[str, str]] = {}

    async def get_and_submit_flow_runs(self) -> Any:
        """Take runs that are due, unless this is ending."""
        if self.is_ending:
            return []
        try:
            return await super().get_and_submit_flow_runs()
        except RuntimeError as error:
            if HELD not in str(error):
                raise
            return []  # a run is due again whose end this has not seen yet; Prefect's own worker dies of it

    async def run(self, flow_run: Any, configuration: ProcessJobConfiguration, task_status: Any = None) -> Any:
        """Start a run and wait for its end."""
        with suppress(OSError):  # where there can be no parent
            environment = {name: value for name, value in configuration.env.items() if value is not None}
            self._environments[kind_of(environment)] = environment
        self._say(f"{flow_run.name} begins")
        result = await super().run(flow_run, configuration, task_status)
        self._say(f"{flow_run.name} has ended" + (f" with code {result.status_code}" if result.status_code else ""))
        return result

    async def keep_warm(self) -> None:
        """Have a parent process for each kind of run, and call it before it thinks that nobody will."""
        while True:
            for environment in (os.environ, *self._environments.values()):
                await asyncio.to_thread(_call, environment)
            await asyncio.sleep(SECONDS_BETWEEN_CALLS)

    async def end_runs(self) -> None:
        """Tell each run once, those that begin meanwhile too: a second signal would interrupt what it has to say."""
        told = set[psutil.Process]()
        while self.limiter.borrowed_tokens:
            for run in set(runs_here()) - told:
                with suppress(psutil.NoSuchProcess):
                    run.terminate()
                told.add(run)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _call(environment: Mapping[str, str]) -> None:
    with suppress(OSError):  # where there can be no parent, runs begin in new interpreters
        connected(environment).close()


def have_pool(client: SyncPrefectClient, name: str) -> bool:
    """Make the pool as `flows.deploy` would, if it is not there; whether it is paused.

    Raises:
        ValueError: when it is of another type.
    """
    with suppress(ObjectAlreadyExists):  # made by somebody else meanwhile
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=name, **pool_values("process")))
    pool = client.read_work_pool(name)
    if pool.type != "process":
        raise ValueError(
            f"the work pool {name!r} is of type {pool.type!r}, and this works on pools of type 'process'; start "
            f"`prefect worker start --pool {name}`, or name another pool by --pool"
        )
    return pool.is_paused


def work_until_told(pool: str, limit: int, say: Callable[[str], None]) -> int:
    """Work until SIGINT or SIGTERM is heard, then tell the runs, and end when none is left.

    At a second signal the runs that are left are killed; they then seem to run until their heartbeats are missed.

    Args:
        pool: of type process.
        limit: runs at once.
        say: is told when a run begins and ends.

    Returns:
        How many runs were killed.

    Raises:
        RuntimeError: when Prefect's worker gave up.
    """
    return asyncio.run(_work(Worker(pool, limit, say)))


async def _work(worker: Worker) -> int:
    told, hurried = asyncio.Event(), asyncio.Event()
    for each in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(each, lambda: (hurried if told.is_set() else told).set())
    warming = asyncio.create_task(worker.keep_warm())
    working = asyncio.create_task(worker.start(printer=lambda *_: None))
    try:
        await _until_any(working, told.wait())
        worker.is_ending = True
        if not working.done():
            await _until_any(working, worker.end_runs(), hurried.wait())
        left = len(runs_here())
        working.cancel()
        await asyncio.wait({working})
    finally:
        warming.cancel()
    if not working.cancelled() and (error := working.exception()):
        raise RuntimeError(f"the worker of {worker.work_pool.name} gave up: {_said(error)}; start it again") from error
    return left


async def _until_any(working: asyncio.Task[None], *others: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them is over, and give the others up, but not the worker."""
    waiting = {asyncio.create_task(other) for other in others}
    await asyncio.wait({working, *waiting}, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


def _said(error: BaseException) -> str:
    """What the first of the errors says that a task group has put together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
