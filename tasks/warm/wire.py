"""What a command and its parent process say to one another through a socket of this machine."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

SIZE = struct.Struct("!I")
STATUS = struct.Struct("!i")  # a process number, and in the end an exit code: negative for a signal
STREAMS = (0, 1, 2)


class Request(NamedTuple):
    """A run that is asked for.

    Attributes:
        module: as after `python -m`.
        arguments: what follows it.
        environment: all of it.
        folder: to run in.
        umask: of the files that it makes.
        ignored: signals that it ignores, as under nohup.
    """

    module: str
    arguments: Sequence[str]
    environment: dict[str, str]
    folder: str
    umask: int
    ignored: Sequence[int]


def ask(connection: socket.socket, request: Request) -> None:
    """Send a request, with the streams of this process."""
    text = json.dumps(request).encode("utf-8", "surrogateescape")
    socket.send_fds(connection, [SIZE.pack(len(text))], STREAMS)
    connection.sendall(text)


def asked(connection: socket.socket, seconds: float) -> tuple[Request, list[int]]:
    """Receive a request, and the streams, within so many seconds; `OSError`, `ValueError` or `EOFError` otherwise."""
    deadline = time.monotonic() + seconds
    connection.settimeout(seconds)
    head, files, _, _ = socket.recv_fds(connection, SIZE.size, len(STREAMS))
    try:
        if len(head) != SIZE.size or len(files) != len(STREAMS):
            raise ValueError("this is no request")
        text = _exactly(connection, SIZE.unpack(head)[0], deadline)
        fields: list[Any] = json.loads(text.decode("utf-8", "surrogateescape"))
        connection.settimeout(None)
        return Request(*fields), files
    except BaseException:
        for file in files:
            os.close(file)
        raise


def tell(connection: socket.socket, status: int) -> None:
    """Send a number."""
    connection.sendall(STATUS.pack(status))


def told(connection: socket.socket) -> int:
    """Wait for a number; `EOFError` when the other side has ended."""
    return int(STATUS.unpack(_exactly(connection, STATUS.size))[0])


def _exactly(connection: socket.socket, size: int, deadline: float | None = None) -> bytes:
    found = bytearray()
    while len(found) < size:
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError("the other side has ended")
        found += part
    return bytes(found)
