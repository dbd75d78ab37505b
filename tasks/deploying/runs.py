"""The processes in which a worker, or whoever serves a project, has started flow runs."""

from __future__ import annotations

import psutil


def runs_here() -> list[psutil.Process]:
    """Those that this process has started and that have not ended; not what they have started themselves."""
    return [child for child in psutil.Process().children() if _is_run(child)]


def _is_run(process: psutil.Process) -> bool:
    try:
        return "PREFECT__FLOW_RUN_ID" in process.environ() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
