"""Work on several devices at once: a process for each, which sees no other device."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence, Set
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch
from prefect import Task
from prefect.task_runners import ProcessPoolTaskRunner

from configs.training import Training
from models.training.devices import end_with
from tasks.meter import uses_gpu

R = TypeVar("R")
SECONDS_BETWEEN_LOOKS = 0.2


def num_side_by_side(training: Training) -> int:
    """How many trainings run at the same time here: as configured, else one for each group of GPUs."""
    if training.side_by_side is not None:
        return training.side_by_side
    return max(1, torch.cuda.device_count() // training.devices) if uses_gpu(training) else 1


def side_by_side(task: Task[..., R], calls: Sequence[tuple[Any, ...]], training: Training) -> list[R]:
    """The task's results for each call, in order; on one device one after another, in this process.

    A process for each device, since torch has one generator of random numbers a process: threads would take numbers
    from one another, and no training could be repeated. Each computes with as many threads as this one, because sums
    of floats, and so the weights, depend on their number.
    """
    places = min(num_side_by_side(training), len(calls))
    if places <= 1:
        return [task(*arguments) for arguments in calls]
    others = set(multiprocessing.active_children())
    with ExitStack() as open_runners:
        is_over = threading.Event()
        open_runners.callback(is_over.set)  # the last thing that is done
        try:
            runners = [
                open_runners.enter_context(
                    ProcessPoolTaskRunner(
                        max_workers=1,
                        initializer=_set_up,
                        initargs=(_devices(training, place), torch.get_num_threads(), os.getpid()),
                    )
                )
                for place in range(places)
            ]
            futures = [
                runners[number % places].submit(task, dict(zip(_names(task), arguments, strict=True)))
                for number, arguments in enumerate(calls)
            ]
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise RuntimeError(
                "the process of a training that ran side by side with others ended: it was killed, or made no step for "
                "training.stall_minutes; its stderr says more"
            ) from error
        except BaseException as error:
            # One that failed by itself leaves the others, whose trials are kept for the next try. A run that is
            # cancelled ends them: the runners would wait.
            if not isinstance(error, Exception):
                threading.Thread(target=_kill_all_but, args=(others, is_over), name="kill", daemon=True).start()
            raise


def _kill_all_but(others: Set[BaseProcess], is_over: threading.Event) -> None:
    """Kill this process's children until it is over: a runner starts its process some time after it was asked to."""
    while not is_over.wait(SECONDS_BETWEEN_LOOKS):
        for process in set(multiprocessing.active_children()) - others:
            process.kill()


def _names(task: Task[..., Any]) -> list[str]:
    code = task.fn.__code__
    return list(code.co_varnames[: code.co_argcount])


def _devices(training: Training, place: int) -> str | None:
    """The GPUs of one process, as CUDA_VISIBLE_DEVICES names them, among those that this process may use."""
    if not uses_gpu(training):
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    return ",".join(names[place * training.devices : (place + 1) * training.devices])


def _set_up(devices: str | None, num_threads: int, parent: int) -> None:
    end_with(parent)
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    torch.set_num_threads(num_threads)
