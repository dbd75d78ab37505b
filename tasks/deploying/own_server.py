"""A Prefect server for one person on one machine, which ends with the command that has started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from tasks.deploying.signals import undisturbed
from tasks.deploying.sqlite import usual_database

HOST, USUAL_PORT = "127.0.0.1", 4200
START_SECONDS, END_SECONDS = 120, 10


@contextmanager
def server_at_hand() -> Iterator[str]:
    """The API's URL of the server that PREFECT_API_URL names, or that runs here, or that is started and ended here.

    The server inside a process, which Prefect would start by itself, has no scheduler: nothing would ever be due.

    Raises:
        RuntimeError: when the server that is started does not answer.
    """
    usual = f"http://{HOST}:{USUAL_PORT}/api"
    if named := PREFECT_API_URL.value():
        yield named
    elif answers(usual):
        yield usual
    else:
        with _own_server() as url:
            yield url


@contextmanager
def _own_server() -> Iterator[str]:
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    log, port = home / "server.log", _free_port()
    url = f"http://{HOST}:{port}/api"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
            # Without its own address the page of another port than the usual one stays blank.
            env=os.environ
            | usual_database()
            | {"PREFECT_SERVER_UI_API_URL": url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this command, which ends the server last
        )
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        with undisturbed():
            end(server)


def end(server: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """End its whole group, because a server that is interrupted can leave its uvicorn behind."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, sent)
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=seconds)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if answers(url):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the Prefect server did not start; {log} ends with:\n{log.read_text()[-1000:]}")


def answers(url: str) -> bool:
    """Whether the API of a Prefect server is there."""
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.TransportError:
        return False


def _free_port() -> int:
    """The usual port, where bookmarks lead, or another one where something else has it."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as free, suppress(OSError):
            free.bind((HOST, port))
            return int(free.getsockname()[1])
    raise RuntimeError(f"no port is free on {HOST}")
