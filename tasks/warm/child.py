"""From a fork of a process that has imported much to one that looks like a new interpreter."""

from __future__ import annotations

import ctypes
import importlib
import os
import random
import runpy
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks import LOGGERS
from tasks.warm.wire import STREAMS, Request

OF_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Be killed when the parent process is, whose number that is: nobody else knows of this one then."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become(request: Request, files: Sequence[int], path: Sequence[str]) -> None:
    """Take over what the command has, and forget what the parent process had of its own.

    Args:
        request: of the command.
        files: its streams.
        path: where the libraries are.
    """
    os.setsid()
    for file, stream in zip(files, STREAMS, strict=True):
        os.dup2(file, stream)
        os.close(file)
    signal.set_wakeup_fd(-1)
    for number in {*OF_THE_PARENT, *request.ignored}:
        usual: Any = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request.ignored else usual)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(request.module[-15:])  # what `top` calls it
    os.umask(request.umask)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", ",".join(LOGGERS))  # as flows/__init__.py, before Prefect
    sys.path[:] = [*_own_path(request), *path]
    for printed in (sys.stdout, sys.stderr):
        untyped: Any = printed
        untyped.reconfigure(line_buffering=printed is sys.stderr or printed.isatty())
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__.partition(".")[0]]:
        del sys.modules[name]  # the project's own code is read anew, and perhaps from another folder
    importlib.invalidate_caches()
    _read_anew()


def _own_path(request: Request) -> list[str]:
    """What `python -m` puts before the libraries: the folder, and PYTHONPATH with an empty entry for the folder."""
    said = request.environment.get("PYTHONPATH")
    # As Python does it, which follows no links.
    entries = [os.path.abspath(entry) for entry in said.split(os.pathsep)] if said else []  # noqa: PTH100
    return list(dict.fromkeys(entries if sys.flags.safe_path else [request.folder, *entries]))


def run(request: Request) -> None:
    """What `python -m MODULE ARGUMENTS` does."""
    sys.orig_argv = [sys.executable, "-m", request.module, *request.arguments]
    sys.argv = ["-m", *request.arguments]
    sys.modules.pop(request.module, None)  # which may be one of those that were imported
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def _read_anew() -> None:
    """What libraries have read from the environment, or drawn from chance, when they were imported."""
    random.seed()
    loaded: Any = sys.modules
    if numpy := loaded.get("numpy"):
        numpy.random.seed()
    if torch := loaded.get("torch"):
        torch.default_generator.seed()
    if "prefect.main" in loaded:
        loaded["prefect.context"].refresh_global_settings_context()
        loaded["prefect.logging.configuration"].setup_logging(incremental=False)
