"""End this process when its training makes no step any more: a GPU that hangs would keep its run and its lease.

Nothing else can be done about it: the thread that waits for the GPU cannot be interrupted, and what renews the lease
and Prefect's heartbeat goes on beside it. The run then is one that was killed: it is marked as crashed, its lease
passes, and whoever runs it again goes on from its last state. Of arms that are tried side by side, each in a process of
its own, the run fails and names the cause.
"""

from __future__ import annotations

import contextvars
import faulthandler
import functools
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from configs.training import Training
from models.training.devices import START_SECONDS

logger = logging.getLogger(__name__)
SECONDS_TO_SAY_SO = 5.0  # Prefect sends what is logged every two


@contextmanager
def limited(training: Training, start_seconds: float = START_SECONDS) -> Iterator[Callable[[], None]]:
    """A block for one training, with what it calls at its steps; several devices have processes that are ended instead.

    Once something was told, and then nothing for `training.stall_minutes`, the process ends with code 1, and where each
    of its threads was stands on stderr. Whatever the training is stuck in: a thread of the interpreter's own does it,
    which needs no turn. A process that was paused for as long, by a signal or a debugger, ends too. There is one limit
    a process, and so one training at a time.

    Args:
        training: says after how long.
        start_seconds: that may pass after the first word, if they are more: code is compiled, and rows are copied.
    """
    if training.devices > 1:
        yield lambda: None
        return
    seconds, ended = 60 * training.stall_minutes, threading.Event()
    heard, allowed = time.monotonic(), math.inf

    def tell() -> None:
        nonlocal heard, allowed
        heard, allowed = time.monotonic(), max(seconds, start_seconds) if allowed == math.inf else seconds
        _end_in(allowed)

    def say() -> None:
        while not ended.wait(min(1.0, seconds / 10)):
            if time.monotonic() - heard > allowed:
                logger.critical(
                    "no step of the training was made in %g minutes, and its process ends: it hangs, or a step takes "
                    "longer; see training.stall_minutes",
                    allowed / 60,
                )
                return

    # Where it gets its turn, it has the log say what stderr will show; in the context that says whose log it is.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(say,), name="limit", daemon=True).start()
    try:
        yield tell
    finally:
        ended.set()
        faulthandler.cancel_dump_traceback_later()


def _end_in(seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds + SECONDS_TO_SAY_SO, exit=True, file=_stderr())


def _stderr() -> int:
    """A descriptor that is open for as long as the process lives."""
    try:
        assert sys.__stderr__ is not None
        return sys.__stderr__.fileno()
    except (AssertionError, OSError, ValueError):  # there is none, or it was closed
        return _nowhere()


@functools.cache
def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)
