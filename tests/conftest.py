"""What starts slowly is started once: a Prefect server, and one finished replay that tests look at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import own_project
from tests.flows.commands import Shell
from tests.places import Bucket, Folder, Place

if TYPE_CHECKING:
    from tests.s3_server import S3Server

START_SECONDS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has a time limit of its own takes longest, and begins first: at the end nobody waits for one process."""
    items.sort(key=lambda item: not any(item.iter_markers("timeout")))


@dataclass(frozen=True)
class Replayed:
    """A project that was replayed to its end. Tests read it, and copy it when they want to go on from there."""

    folder: Path
    run: subprocess.CompletedProcess[str]

    @property
    def storage(self) -> Path:
        """What the replay wrote."""
        return self.folder / ".perennial"


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API URL of a real Prefect server on a free port, which ends with the session."""
    from tasks.deploying.sqlite import FILE, URL, through_one_connection  # only who needs a server imports Prefect

    home = tmp_path_factory.mktemp("prefect-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            cwd=home,
            env=os.environ
            | {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
            | {URL: through_one_connection(home / FILE)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/api"
    try:
        _wait_until_healthy(url, server, log)
        yield url
    finally:
        # The whole group, because an interrupted server can leave its uvicorn behind.
        os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
        _kill_group(server.pid)


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the Prefect server did not start in {START_SECONDS} s:\n{log.read_text()[-2000:]}")


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.fixture(scope="session")
def shell(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """`shell.run(folder, "replay", "churn.yaml")` is `python -m flows.replay churn.yaml` in that folder."""
    return Shell(api=prefect_server, home=tmp_path_factory.mktemp("prefect-home"))


@pytest.fixture(scope="session")
def replayed(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The project of `own_project`, replayed once for everyone."""
    folder = tmp_path_factory.mktemp("replayed")
    own_project.write(folder)
    return Replayed(folder, shell.run(folder, "replay", "churn.yaml"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server on loopback, which ends with the session."""
    from tests.s3_server import serving  # a second, which only those pay who ask for it

    with serving() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path) -> Iterator[Bucket]:
    """A storage in a bucket of its own, on a server without faults."""
    yield Bucket(s3_server, s3_server.new_bucket(), tmp_path / "work")
    s3_server.faults.clear()
    s3_server.is_conditional = True


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place where a storage can be."""
    if request.param == "folder":
        return Folder(tmp_path / "storage", tmp_path / "work")
    found: Bucket = request.getfixturevalue("bucket")
    return found
