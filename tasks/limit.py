"""End this process when its training makes no step any more: a GPU that hangs would keep its run and its lease.

Nothing else can be done about it: the thread that waits for the GPU cannot be interrupted, and what renews the lease
and Prefect's heartbeat goes on beside it. The run then is one that was killed: it is marked as crashed, its lease
passes, and whoever runs it again goes on from its last state.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from configs.training import Training
from models.training.devices import START_SECONDS

logger = logging.getLogger(__name__)
SECONDS_TO_SAY_SO = 2.0


@contextmanager
def limited(training: Training, start_seconds: float = START_SECONDS) -> Iterator[Callable[[], None]]:
    """A block for one training, with what it calls at its steps; several devices have processes that are ended instead.

    When nothing is told for `training.stall_minutes`, the process ends with code 1, and where each of its threads was
    stands on stderr. Whatever the training is stuck in: a thread of the interpreter's own does it, which needs no
    turn.

    Args:
        training: says after how long.
        start_seconds: that may pass before the first step, if they are more.
    """
    if training.devices > 1:
        yield lambda: None
        return
    seconds, ended = 60 * training.stall_minutes, threading.Event()
    heard, allowed = time.monotonic(), max(seconds, start_seconds)

    def tell() -> None:
        nonlocal heard, allowed
        heard, allowed = time.monotonic(), seconds
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

    _end_in(allowed)
    # Where it gets its turn, it has the log say what stderr will show.
    threading.Thread(target=say, name="limit", daemon=True).start()
    try:
        yield tell
    finally:
        ended.set()
        faulthandler.cancel_dump_traceback_later()


def _end_in(seconds: float) -> None:
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds + SECONDS_TO_SAY_SO, exit=True, file=sys.__stderr__)
