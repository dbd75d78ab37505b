"""The command: asks a parent process for its run, and stands for it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tasks.warm import wire
from tasks.warm.address import OPTIONS, connected

HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
TRIES = 3
FAILED = 1


def main() -> None:
    """Run, and end as the run ends."""
    if not sys.argv[1:]:
        sys.exit("usage: python -m tasks.warm MODULE [ARGUMENTS]")
    if "PREFECT__FLOW_RUN_ID" in os.environ and os.getpgrp() != os.getpid():
        os.setpgrp()  # Ctrl-C in a worker's terminal is for the worker, which then tells its runs
    module, *arguments = sys.argv[1:]
    umask = os.umask(0)
    os.umask(umask)
    ignored = [each for each in HANDED_ON if signal.getsignal(each) is signal.SIG_IGN]
    request = wire.Request(module, arguments, dict(os.environ), str(Path.cwd()), umask, ignored)
    begun = _begun(request)
    if begun is None:  # handlers do not outlive this, and what was ignored is as before
        os.execv(sys.executable, [sys.executable, *OPTIONS, "-m", module, *arguments])
    connection, number = begun
    _end_as(_wait(connection, number))


def _begun(request: wire.Request) -> tuple[socket.socket, int] | None:
    """The connection to a parent, and the number of the child that it has forked; None when there is no such thing."""
    for _ in range(TRIES):
        heard: list[int] = []
        with suppress(OSError, EOFError):
            connection = connected(os.environ)
            wire.ask(connection, request)
            _hand_on_signals(connection, heard)
            return connection, wire.told(connection)  # a parent that has just ended forks no more
        if heard:  # by nobody else
            _end_as(-heard[0])
    return None


def _hand_on_signals(connection: socket.socket, heard: list[int]) -> None:
    def hand_on(number: int, _: FrameType | None) -> None:
        heard.append(number)
        with suppress(OSError):
            connection.send(bytes([number]))

    for each in HANDED_ON:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, hand_on)


def _wait(connection: socket.socket, number: int) -> int:
    """How the run ended."""
    try:
        return wire.told(connection)
    except (OSError, EOFError):  # the parent was killed, and nobody would end the run with this process
        with suppress(ProcessLookupError):
            os.killpg(number, signal.SIGKILL)
        print(f"the parent of process {number} was killed, and so was the process", file=sys.stderr)
        return FAILED


def _end_as(status: int) -> None:
    if status < 0:
        with suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
