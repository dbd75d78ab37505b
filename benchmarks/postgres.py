"""A PostgreSQL server of one's own in a folder, from the binaries that Debian's package brings."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"  # the server refuses to run as root
START_SECONDS = 60


def binaries() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version; None where there are none."""
    found = shutil.which("pg_ctl")
    folders = sorted(DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name))
    return Path(found).parent if found else folders[-1] if folders else None


@contextmanager
def running() -> Iterator[str]:
    """A server on a free port of loopback, for the time of the block: its URL, as Prefect takes it.

    Nothing of it outlives the block, nor would outlive a machine that fails: it does not wait for the disk.

    Raises:
        RuntimeError: without PostgreSQL on this machine, or when it does not start.
    """
    where = binaries()
    if where is None:
        raise RuntimeError("no PostgreSQL here: install Debian's package postgresql, or put pg_ctl on the PATH")
    with tempfile.TemporaryDirectory(prefix="perennial-postgres-") as name:
        folder, user = Path(name), _user()
        shutil.chown(folder, user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        control = [str(where / "pg_ctl"), "--pgdata", f"{folder}/data", "--timeout", str(START_SECONDS), "-w"]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        initdb = [str(where / "initdb"), "--auth=trust", "--no-sync", f"--username={user}", "--pgdata"]
        _run([*initdb, f"{folder}/data"], folder)
        _run([*control, "--log", f"{folder}/log", "-o", options, "start"], folder)
        try:
            yield f"postgresql+asyncpg://{user}@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "--mode", "immediate", "stop"], folder)


def _user() -> str:
    return USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _run(command: list[str], folder: Path) -> None:
    as_user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    # Into a file and not a pipe, which the server would inherit and hold open.
    with (folder / "output").open("a+") as output:
        done = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, **as_user)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read()}")
