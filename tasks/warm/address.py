"""Where a parent process listens, one for each kind of command, and how one is started there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Variables that a run may have as it likes: whatever a library reads of the others when it is imported is the same.
OWN_OF_A_RUN = ("PREFECT_", "WANDB_", "PERENNIAL_", "PYTEST_")
OWN_NAMES = {"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "PYTHONPATH"}
PARENTS_OWN = {"PREFECT_LOGGING_EXTRA_LOGGERS": ""}  # each run names its own
OPTIONS = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does


def connected(environment: Mapping[str, str]) -> socket.socket:
    """A connection to the parent process of commands with this environment, which is started if there is none.

    Raises:
        OSError: when there cannot be one, as on any system but Linux.
    """
    with _own_folder(environment) as folder:
        address = folder / f"{kind_of(environment)}.socket"
        with address.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(address))
            except OSError:
                _start_parent(address, environment)
                connection.connect(str(address))
    return connection


@contextmanager
def _own_folder(environment: Mapping[str, str]) -> Iterator[Path]:
    """A folder that nobody else can enter, by a path that leads to it whatever its name comes to mean."""
    path = (
        Path(environment.get("XDG_RUNTIME_DIR") or environment.get("TMPDIR") or tempfile.gettempdir())
        / f"perennial-{os.getuid()}"
    )
    path.mkdir(mode=0o700, exist_ok=True)
    file = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(file)
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{path} is open to others")
        yield Path(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _start_parent(address: Path, environment: Mapping[str, str]) -> None:
    """A process of nobody's group, which listens before it has imported."""
    address.unlink(missing_ok=True)
    root = str(Path(__file__).parents[2])
    of_all = {name: value for name, value in environment.items() if _is_of_all(name)}
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


def kind_of(environment: Mapping[str, str]) -> str:
    """The same for all who can share a parent: interpreter, what is installed, this code, limits, environment.

    Raises:
        OSError: where there is no Linux.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(f"no process is forked on {sys.platform}")
    told = [sys.executable, sys.version, str(Path(sysconfig.get_path("purelib")).stat().st_mtime_ns)]
    told += [*OPTIONS, str(os.getpriority(os.PRIO_PROCESS, 0)), str(sorted(os.sched_getaffinity(0)))]
    told += [str(resource.getrlimit(getattr(resource, name))) for name in dir(resource) if name.startswith("RLIMIT_")]
    told += [Path("/proc/self/cgroup").read_text()]
    told += [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    told += [f"{name}={value}" for name, value in sorted(environment.items()) if _is_of_all(name)]
    return hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_of_all(name: str) -> bool:
    return name not in OWN_NAMES and not name.startswith(OWN_OF_A_RUN)
