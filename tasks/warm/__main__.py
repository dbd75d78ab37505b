"""The command: asks a parent process for its run, and stands for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tasks.warm import wire

HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# Variables that a run may have as it likes: whatever a library reads of the others when it is imported is the same.
OWN_OF_A_RUN = ("PREFECT_", "WANDB_", "PERENNIAL_", "PYTEST_")
OWN_NAMES = {"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "PYTHONPATH"}
PARENTS_OWN = {"PREFECT_LOGGING_EXTRA_LOGGERS": ""}  # each run names its own
TRIES = 3
FAILED = 1


def main() -> None:
    """Run, and end as the run ends."""
    module, *arguments = sys.argv[1:]
    umask = os.umask(0)
    os.umask(umask)
    request = wire.Request(module, arguments, dict(os.environ), str(Path.cwd()), umask)
    begun = _begun(request)
    if begun is None:  # a new interpreter ignores no signal because of this one: handlers do not outlive it
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
    connection, number = begun
    _end_as(_wait(connection, number))


def _begun(request: wire.Request) -> tuple[socket.socket, int] | None:
    """The connection to a parent, and the number of the child that it has forked; None when there is no such thing."""
    for _ in range(TRIES):
        with suppress(OSError, EOFError):
            connection = _connected()
            wire.ask(connection, request)
            _hand_on_signals(connection)
            return connection, wire.told(connection)  # a parent that has just ended forks no more
    return None


def _connected() -> socket.socket:
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"perennial-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise PermissionError(f"{folder} is open to others")
    address = folder / f"{_kind()}.socket"
    with (folder / f"{_kind()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(address))
        except OSError:
            _start_parent(address)
            connection.connect(str(address))
    return connection


def _start_parent(address: Path) -> None:
    """A process of nobody's group, which listens before it has imported."""
    address.unlink(missing_ok=True)
    root = str(Path(__file__).parents[2])
    with socket.socket(socket.AF_UNIX) as listening, address.with_suffix(".log").open("w") as log:
        listening.bind(str(address))
        listening.listen(128)
        subprocess.Popen(
            [sys.executable, "-m", "tasks.warm.parent", str(listening.fileno())],
            cwd="/",  # whose settings are nobody's
            env={name: value for name, value in os.environ.items() if _is_of_all(name)}
            | PARENTS_OWN
            | {"PYTHONPATH": root},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _kind() -> str:
    """The same for all who can share a parent: the interpreter, what is installed, this code, the environment."""
    told = [sys.executable, sys.version, str(Path(sysconfig.get_path("purelib")).stat().st_mtime_ns)]
    told += [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    told += [f"{name}={value}" for name, value in sorted(os.environ.items()) if _is_of_all(name)]
    return hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_of_all(name: str) -> bool:
    return name not in OWN_NAMES and not name.startswith(OWN_OF_A_RUN)


def _hand_on_signals(connection: socket.socket) -> None:
    def hand_on(heard: int, _: FrameType | None) -> None:
        with suppress(OSError):
            connection.send(bytes([heard]))

    for each in HANDED_ON:
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
