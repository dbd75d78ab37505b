"""`python -m tasks.warm.parent FD`: imports, then forks a child for each request that comes to a listening socket.

It has one thread and never computes, so that a fork finds it as it is after an import: no lock is held, and no device
has been touched. It ends when nobody has asked and no child has run for IDLE_SECONDS.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tasks.warm import child, wire

IDLE_SECONDS = 900.0
REQUEST_SECONDS = 10.0  # in which a command has sent its whole request
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


class Forked(NamedTuple):
    """What only a child has: the request that it is to run."""

    request: wire.Request


class Parent:
    """The commands that wait, and the children that run for them."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening, self._is_ending = listening, False
        self._children: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, waking = socket.socketpair()
        for each in (self._woken, waking):
            each.setblocking(False)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        self._waking = waking  # kept open
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._heard)
        for each in (listening, self._woken):
            self._selector.register(each, selectors.EVENT_READ)

    def serve(self, path: Sequence[str]) -> Forked | None:
        """Fork for whoever asks, until there is nothing to do any more; only a child returns a request.

        Args:
            path: where the libraries are, for the children.
        """
        while self._children or not self._is_ending:
            ready = self._selector.select(None if self._children else IDLE_SECONDS)
            if not ready and not self._children:
                return None
            for key, _ in ready:
                if key.fileobj is self._woken:
                    self._report()
                elif key.fileobj is self._listening:
                    if forked := self._accept(path):
                        return forked
                elif key.data in self._children:
                    self._hand_on(key.data)
        return None

    def _heard(self, number: int, _: object) -> None:
        if number != signal.SIGCHLD and not self._is_ending:
            self._is_ending = True  # the children are told by whoever tells all of us; nobody else is taken on
            self._selector.unregister(self._listening)
            self._listening.close()

    def _accept(self, path: Sequence[str]) -> Forked | None:
        connection, _ = self._listening.accept()
        connection.settimeout(REQUEST_SECONDS)
        try:
            request, files = wire.asked(connection)
        except (OSError, ValueError, EOFError):
            connection.close()
            return None
        number = os.fork()
        if not number:
            self._leave(connection)
            child.become(request, files, path)
            return Forked(request)
        for file in files:
            os.close(file)
        self._children[number] = connection
        self._selector.register(connection, selectors.EVENT_READ, number)
        self._tell(number, number)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """In a child: let go of everything that is the parent's, and of what belongs to other children."""
        for each in (connection, self._listening, self._woken, self._waking, *self._children.values()):
            each.close()
        self._selector.close()

    def _hand_on(self, number: int) -> None:
        """A signal that the command was sent; all of them, when it has ended."""
        try:
            signals = self._children[number].recv(64)
        except OSError:
            signals = b""
        for each in signals:
            with suppress(ProcessLookupError):
                os.kill(number, each)
        if not signals:
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
