"""`python -m tasks.deploying.end_runs PID`: have the runs of a process worker end, and wait until none is left.

A worker that is told to end kills its runs before they can say so: they seem to run until their heartbeats are missed.
A run that is told first says at once that it has crashed, and its place in limits is free.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

import psutil

SECONDS_BETWEEN_LOOKS = 0.2


def main() -> None:
    """Tell each run once, those that begin meanwhile too: a second signal would interrupt what a run has to say."""
    told = set[int]()
    while sys.argv[1:] and (runs := children(int(sys.argv[1]))):  # systemd names no process where none is left
        for run in runs - told:
            with suppress(ProcessLookupError):
                os.kill(run, signal.SIGTERM)
        told |= runs
        time.sleep(SECONDS_BETWEEN_LOOKS)


def children(parent: int) -> set[int]:
    """The living processes that a process has started."""
    found = set[int]()
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(parent).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.add(child.pid)
    return found


if __name__ == "__main__":
    main()
