"""The Prefect server of a command for which none is named: it starts while the rest of the command is imported.

Prefect would start the same one only when the flow is called, and wait for it, and import the whole server into the
command for that.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys

import httpx
from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from tasks.deploying.own_server import HOST, START_SECONDS, end
from tasks.deploying.sqlite import usual_database

# What it tries again by itself (its SQLite has one writer at a time) would be a screen of traceback each time. That it
# cannot start, or has answered a request by an error, is in uvicorn's log, which is shown.
QUIET = dict.fromkeys(("PREFECT_LOGGING_LOGGERS_PREFECT_SERVER_LEVEL", "PREFECT_LOGGING_ROOT_LEVEL"), "CRITICAL")
END_SECONDS = 60  # a database that is made for the first time is made to its end
_begun: list[subprocess.Popen[bytes]] = []


def begin() -> None:
    """Start one, unless one has begun, another server is named, or Prefect's settings forbid it."""
    settings = get_current_settings()
    if _begun or settings.api.url or not settings.server.ephemeral.enabled:
        return
    settings.home.mkdir(parents=True, exist_ok=True)  # for its SQLite
    # The server gets a socket that listens already: its port is taken by nobody else, and whoever asks early waits.
    with socket.create_server((HOST, 0)) as listening:
        port, file = listening.getsockname()[1], listening.fileno()
        _begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "tasks.deploying.ephemeral", str(file), str(os.getpid())],
                env=_environment(),
                pass_fds=[file],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this command, which ends the server last
            )
        )
    atexit.register(end, _begun[0], END_SECONDS)
    os.environ["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"  # for this process and those that it starts
    refresh_global_settings_context()


def wait() -> None:
    """Wait until it answers, beginning it if need be.

    Raises:
        RuntimeError: when it does not.
    """
    begin()
    if not _begun:
        return
    try:
        httpx.get(f"{get_current_settings().api.url}/health", timeout=START_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise RuntimeError(
            "the Prefect server that this command has started has ended, or does not answer within "
            f"{START_SECONDS} s ({type(error).__name__}: {error}); what it said is above; run this again, or name a "
            "running server by PREFECT_API_URL"
        ) from error


def _environment() -> dict[str, str]:
    usual = {} if "PREFECT_SERVER_LOGGING_LEVEL" in os.environ else QUIET
    own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    return usual | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"} | os.environ | usual_database() | own
