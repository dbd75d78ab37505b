"""`python -m tasks.warm.parent FD`: imports, then forks a child for each request that comes to a listening socket.

It has one thread of Python's and never computes, so that a fork finds it as it is after an import: no lock is held, and
no device has been touched. It ends when nobody has asked and no child has run for IDLE_SECONDS.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tasks.warm import child, wire

IDLE_SECONDS = 900.0
HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
REQUEST_SECONDS = 1.0  # in which a command has sent its whole request, once it has begun
TOGETHER_SECONDS = 0.1  # between the signals to processes that are signalled together, as systemd does
JUST_NOW_SECONDS = 1.0
# Libraries alone, and none that reads the environment or a device when it is imported other than `child` reads anew.
IMPORTED = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.events.worker",
    "prefect.logging.handlers",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.optimize",
    "scipy.stats",
    "torch",
    "torch._dynamo",
    "lightning",
    "matplotlib.figure",
    "obstore",
    "yaml",
    "rich.table",
)
ASKING = -1  # in place of a child's number


class Forked(NamedTuple):
    """What only a child has: the request that it is to run."""

    request: wire.Request


class Parent:
    """The commands that wait, and the children that run for them."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening, self._ended_at = listening, math.inf
        self._children: dict[int, socket.socket] = {}
        self._selector = selectors.PollSelector()  # of epoll a child would have the same one
        self._woken, waking = socket.socketpair()
        for each in (self._woken, waking):
            each.setblocking(False)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        self._waking = waking  # kept open
        for number in HANDLED:
            signal.signal(number, self._heard)
        for each in (listening, self._woken):
            self._selector.register(each, selectors.EVENT_READ)

    def serve(self, path: Sequence[str]) -> Forked | None:
        """Fork for whoever asks, until there is nothing to do any more; only a child returns a request.

        Args:
            path: where the libraries are, for the children.
        """
        while self._children or self._ended_at == math.inf:
            ready = self._selector.select(None if self._children else IDLE_SECONDS)
            if not ready and not self._children:
                return None
            for key, _ in ready:
                if key.fileobj is self._woken:
                    self._report()
                elif key.fileobj is self._listening:
                    self._accept()
                elif key.data in self._children:
                    self._hand_on(key.data)
                elif key.data == ASKING and (forked := self._begin(key.fileobj, path)):
                    return forked
        return None

    def _heard(self, number: int, _: object) -> None:
        if number != signal.SIGCHLD and self._ended_at == math.inf:
            self._ended_at = time.monotonic()  # whoever has told us tells the children; nobody else is taken on
            self._selector.unregister(self._listening)
            self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # a command that has gone again, or finds us ending
            connection, _ = self._listening.accept()
            self._selector.register(connection, selectors.EVENT_READ, ASKING)

    def _begin(self, connection: Any, path: Sequence[str]) -> Forked | None:
        """Fork for a command; one that gets no answer begins in a new interpreter."""
        self._selector.unregister(connection)
        try:
            request, files = wire.asked(connection, REQUEST_SECONDS)
        except (OSError, ValueError, EOFError):
            connection.close()
            return None
        # What a child is sent before it has handlers of its own waits, and then finds those of a new interpreter.
        parent, before = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        number = _forked()
        if number == 0:
            child.end_with(parent)
            self._leave(connection)
            child.become(request, files, path)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return Forked(request)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for file in files:
            os.close(file)
        if number is None:
            connection.close()
        else:
            self._children[number] = connection
            self._selector.register(connection, selectors.EVENT_READ, number)
            self._tell(number, number)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """In a child: let go of everything that is the parent's, and of what belongs to others."""
        others: list[Any] = [key.fileobj for key in self._selector.get_map().values()]
        for each in (connection, self._listening, self._waking, *others):
            each.close()
        self._selector.close()

    def _hand_on(self, number: int) -> None:
        """A signal that the command was sent; all of them, when it has ended."""
        try:
            signals = self._children[number].recv(64)
        except OSError:
            signals = b""
        if signals:
            time.sleep(TOGETHER_SECONDS)
            # Who ends all the processes of a service has told the child too; twice would be another word.
            if time.monotonic() - self._ended_at > JUST_NOW_SECONDS or self._ended_at == math.inf:
                for each in signals:
                    with suppress(ProcessLookupError):
                        os.kill(number, each)
        else:
            self._selector.unregister(self._children[number])
            self._kill(number)

    def _report(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(64):
                continue
        for number in tuple(self._children):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                self._tell(number, os.waitstatus_to_exitcode(status))
                connection = self._children.pop(number)
                with suppress(KeyError):
                    self._selector.unregister(connection)
                connection.close()

    def _tell(self, number: int, status: int) -> None:
        with suppress(OSError):  # a command that has gone is seen by `_hand_on`
            wire.tell(self._children[number], status)

    @staticmethod
    def _kill(number: int) -> None:
        with suppress(ProcessLookupError):
            try:
                os.killpg(number, signal.SIGKILL)
            except ProcessLookupError:  # it has not come to have a group of its own
                os.kill(number, signal.SIGKILL)


def _forked() -> int | None:
    """As `os.fork`; None where there may be no more processes, or is no memory for one."""
    try:
        return os.fork()
    except OSError:
        return None


def main() -> Forked | None:
    """Import and serve; what a child returns is to be run when all of this is left."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    root = str(Path(__file__).parents[2])
    path = [each for each in sys.path if each not in (root, str(Path.cwd()))]
    for name in IMPORTED:
        with suppress(ImportError):  # what is not installed is not imported here either
            importlib.import_module(name)
    if threading.active_count() > 1:
        return None  # a fork would leave locks behind that nobody opens; commands start anew instead
    gc.freeze()
    return Parent(listening).serve(path)


if __name__ == "__main__":
    if forked := main():
        child.run(forked.request)
