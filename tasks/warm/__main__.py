"""The command: asks a parent process for its run, and stands for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
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
OPTIONS = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
TRIES = 3
FAILED = 1


def main() -> None:
    """Run, and end as the run ends."""
    if not sys.argv[1:]:
        sys.exit("usage: python -m tasks.warm MODULE [ARGUMENTS]")
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
            connection = _connected()
            wire.ask(connection, request)
            _hand_on_signals(connection, heard)
            return connection, wire.told(connection)  # a parent that has just ended forks no more
        if heard:  # by nobody else
            _end_as(-heard[0])
    return None


def _connected() -> socket.socket:
    folder = _own_folder()
    address = folder / f"{_kind()}.socket"
    with address.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(address))
        except OSError:
            _start_parent(address)
            connection.connect(str(address))
    return connection


def _own_folder() -> Path:
    """A folder that nobody else can enter, by a path that leads to it whatever its name comes to mean."""
    path = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"perennial-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    file = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW)
    found = os.fstat(file)
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path} is open to others")
    return Path(f"/proc/self/fd/{file}")


def _start_parent(address: Path) -> None:
    """A process of nobody's group, which listens before it has imported."""
    address.unlink(missing_ok=True)
    root = str(Path(__file__).parents[2])
    of_all = {name: value for name, value in os.environ.items() if _is_of_all(name)}
    fonts = {
        "MPLCONFIGDIR": str(address.parent.resolve() / "matplotlib")
    }  # else, without a home, one that a run deletes
    with socket.socket(socket.AF_UNIX) as listening, address.with_suffix(".log").open("w") as log:
        listening.bind(str(address))
        listening.listen(128)
        subprocess.Popen(
            [sys.executable, *OPTIONS, "-m", "tasks.warm.parent", str(listening.fileno())],
            cwd="/",  # whose settings are nobody's
            env=fonts | of_all | PARENTS_OWN | {"PYTHONPATH": root},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _kind() -> str:
    """The same for all who can share a parent: interpreter, what is installed, this code, limits, environment."""
    told = [sys.executable, sys.version, str(Path(sysconfig.get_path("purelib")).stat().st_mtime_ns)]
    told += [*OPTIONS, str(os.getpriority(os.PRIO_PROCESS, 0)), str(sorted(os.sched_getaffinity(0)))]
    told += [str(resource.getrlimit(getattr(resource, name))) for name in dir(resource) if name.startswith("RLIMIT_")]
    told += [Path("/proc/self/cgroup").read_text()]
    told += [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    told += [f"{name}={value}" for name, value in sorted(os.environ.items()) if _is_of_all(name)]
    return hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_of_all(name: str) -> bool:
    return name not in OWN_NAMES and not name.startswith(OWN_OF_A_RUN)


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
