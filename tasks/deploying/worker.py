"""A worker of process pools: its runs begin in processes that have imported beforehand, and are told when it ends.

Prefect's own starts three interpreters for a run, and kills its runs when it is told to end: they seem to run until
their heartbeats are missed.
"""

from __future__ import annotations

import abc
import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import httpx
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

PYTHON = get_sys_executable()
WARM = command_to_string([PYTHON, "-m", "tasks.warm", "prefect.engine"])
MOST_KINDS = 2  # of runs, by their environment, for which a parent process is kept: each takes .4 GB
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_CALLS = 300.0  # a parent process that nobody calls for a quarter of an hour ends
PATIENCE_SECONDS = 90.0  # with a run that was told to end; systemd has two minutes with all of it
LAST_SECONDS = 20.0  # in which Prefect has taken note of a run that was killed


class Runs(ProcessJobConfiguration):
    """How a run is started: warm, unless its deployment has a command of its own, in which `python` is this one."""

    def prepare_for_flow_run(self, *args: Any, **arguments: Any) -> None:
        """Fill in what the template leaves open."""
        command = self.command or WARM
        self.command = PYTHON + command.removeprefix("python") if command.startswith("python ") else command
        super().prepare_for_flow_run(*args, **arguments)


class Worker(ProcessWorker, abc.ABC):  # abstract in name: Prefect would register it in the place of its own
    """Takes runs until it is told to end, and then ends when the last one has.

    A server that does not answer is asked again for as long as it takes: Prefect's own gives up after some minutes, and
    kills its runs.
    """

    job_configuration = Runs
    is_ending = False
    is_answered = True

    def __init__(self, pool: str, limit: int, say: Callable[[str], None]) -> None:
        super().__init__(pool, limit=limit, create_pool_if_not_found=False)
        self._say = say
        self._environments: dict[str, Mapping[str, str]] = {}
        self._note(os.environ)

    async def get_and_submit_flow_runs(self) -> Any:
        """Take runs that are due, unless this is ending."""
        return [] if self.is_ending else await self._asked(super().get_and_submit_flow_runs()) or []

    async def sync_with_backend(self) -> None:
        """Say that this is here, and read the pool anew."""
        await self._asked(super().sync_with_backend())

    async def _get_scheduled_flow_runs(self) -> Any:
        """What is due, but for runs that are due again before this has seen them end.

        Prefect would take them for others, and die of it.
        """
        here = set(self.limiter.statistics().borrowers)
        return [each for each in await super()._get_scheduled_flow_runs() if each.flow_run.id not in here]

    async def run(self, flow_run: Any, configuration: ProcessJobConfiguration, task_status: Any = None) -> Any:
        """Start a run and wait for its end."""
        self._note({name: value for name, value in configuration.env.items() if value is not None})
        name = f"{configuration.labels.get('prefect.io/deployment-name', flow_run.name)} ({str(flow_run.id)[:8]})"
        self._say(f"{name} begins")
        result = await super().run(flow_run, configuration, task_status)
        self._say(f"{name} has ended" + (f" with code {result.status_code}" if result.status_code else ""))
        return result

    async def keep_warm(self) -> None:
        """Have a parent process for each kind of run, and call it before it thinks that nobody will."""
        while True:
            for environment in tuple(self._environments.values()):
                await asyncio.to_thread(_call, environment)
            await asyncio.sleep(SECONDS_BETWEEN_CALLS)

    async def end_runs(self, hurried: asyncio.Event) -> None:
        """Tell each run once, those that begin meanwhile too: a second signal would interrupt what it has to say.

        One that has not ended in time, or when somebody is in a hurry, is killed, and Prefect says so for it.
        """
        if self.limiter.borrowed_tokens:
            number = f"{self.limiter.borrowed_tokens} runs are" if self.limiter.borrowed_tokens > 1 else "a run is"
            self._say(f"{number} told to end; the same signal again kills what is left")
        told, last = set[psutil.Process](), time.monotonic() + PATIENCE_SECONDS
        while self.limiter.borrowed_tokens and time.monotonic() < last + LAST_SECONDS:
            if hurried.is_set():
                last = min(last, time.monotonic())
            for run in runs_here():
                with suppress(psutil.NoSuchProcess):
                    if time.monotonic() >= last:
                        run.kill()
                    elif run not in told:
                        run.terminate()
                        told.add(run)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _asked(self, request: Coroutine[Any, Any, Any]) -> Any:
        """What the server answers, or None where it does not; whether it does is said when it changes."""
        try:
            answer = await request
        except httpx.HTTPError as error:
            if self.is_answered:
                self._say(
                    f"no answer of use from the Prefect server ({type(error).__name__}: {error}); it is asked again"
                )
            self.is_answered = False
            return None
        if not self.is_answered:
            self._say("the Prefect server answers again")
        self.is_answered = True
        return answer

    def _note(self, environment: Mapping[str, str]) -> None:
        """Keep a parent process for runs with this environment, as one of the last few kinds."""
        with suppress(OSError):  # where there can be none
            kind = kind_of(environment)
            self._environments = {name: each for name, each in self._environments.items() if name != kind}
            self._environments[kind] = dict(environment)
            while len(self._environments) > MOST_KINDS:
                del self._environments[next(iter(self._environments))]


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


def work_until_told(pool: str, limit: int, say: Callable[[str], None]) -> None:
    """Work until SIGINT, SIGTERM or the end of the terminal, then tell the runs, and end when none is left.

    Args:
        pool: of type process.
        limit: runs at once.
        say: is told when a run begins and ends.

    Raises:
        RuntimeError: when Prefect's worker gave up.
    """
    asyncio.run(_work(Worker(pool, limit, say), pool))


async def _work(worker: Worker, pool: str) -> None:
    told, hurried = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    hangs_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # as under nohup
    for each in (*SIGNALS, *hangs_up):
        loop.add_signal_handler(each, lambda: (hurried if told.is_set() else told).set())
    warming = asyncio.create_task(worker.keep_warm())
    working = asyncio.create_task(worker.start(printer=lambda *_: None))
    try:
        await _until_any(working, told.wait())
        worker.is_ending = True
        if not working.done():
            await _until_any(working, worker.end_runs(hurried))
        working.cancel()
        await asyncio.wait({working})
    finally:
        warming.cancel()
    if not working.cancelled() and (error := working.exception()):
        raise RuntimeError(
            f"the worker of {pool} gave up, and its runs were killed: {_said(error)}; start it again"
        ) from error


async def _until_any(working: asyncio.Task[None], other: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of the two is over, and give the other up, but not the worker."""
    waiting = asyncio.create_task(other)
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _said(error: BaseException) -> str:
    """What the first of the errors says that a task group has put together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
