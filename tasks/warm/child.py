"""From a fork of a process that has imported much to one that looks like a new interpreter."""

from __future__ import annotations

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

from tasks.warm.wire import STREAMS, Request

OWN_LOGGERS = "models,tasks"  # as in flows/__init__.py, which in a new interpreter comes before Prefect does


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
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(request.module[-15:])  # what `top` calls it
    os.umask(request.umask)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", OWN_LOGGERS)
    added = [each or request.folder for each in request.environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [request.folder, *added, *path]
    for printed in (sys.stdout, sys.stderr):
        untyped: Any = printed
        untyped.reconfigure(line_buffering=printed is sys.stderr or printed.isatty())
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__.partition(".")[0]]:
        del sys.modules[name]  # the project's own code is read anew, and perhaps from another folder
    importlib.invalidate_caches()
    _read_anew()


def run(request: Request) -> None:
    """What `python -m MODULE ARGUMENTS` does."""
    sys.orig_argv = [sys.executable, "-m", request.module, *request.arguments]
    sys.argv = ["-m", *request.arguments]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def _read_anew() -> None:
    """What libraries have read from the environment, or drawn from chance, when they were imported."""
    random.seed()
    loaded: Any = sys.modules
    if numpy := loaded.get("numpy"):
        numpy.random.seed()
    if "prefect.main" in loaded:
        loaded["prefect.context"].refresh_global_settings_context()
        loaded["prefect.logging.configuration"].setup_logging(incremental=False)
