"""What a command and its parent process say to one another through a socket of this machine."""

from __future__ import annotations

import json
import socket
import struct
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
    """

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    umask: int


def ask(connection: socket.socket, request: Request) -> None:
    """Send a request, with the streams of this process."""
    text = json.dumps(request).encode("utf-8", "surrogateescape")
    socket.send_fds(connection, [SIZE.pack(len(text))], STREAMS)
    connection.sendall(text)


def asked(connection: socket.socket) -> tuple[Request, list[int]]:
    """Receive a request, and the streams; `OSError` or `ValueError` for anything else."""
    head, files, _, _ = socket.recv_fds(connection, SIZE.size, len(STREAMS))
    if len(head) != SIZE.size or len(files) != len(STREAMS):
        raise ValueError("this is no request")
    (size,) = SIZE.unpack(head)
    fields: list[Any] = json.loads(_exactly(connection, size).decode("utf-8", "surrogateescape"))
    return Request(*fields), files


def tell(connection: socket.socket, status: int) -> None:
    """Send a number."""
    connection.sendall(STATUS.pack(status))


def told(connection: socket.socket) -> int:
    """Wait for a number; `EOFError` when the other side has ended."""
    return int(STATUS.unpack(_exactly(connection, STATUS.size))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError("the other side has ended")
        found += part
    return bytes(found)
