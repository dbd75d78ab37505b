"""A worker of a process pool: `python -m flows.worker --pool gpu-pool`, in the folder of the projects."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

from prefect.settings import PREFECT_API_URL

from flows.command import run
from tasks.deploying.server import connected
from tasks.deploying.worker import have_pool, work_until_told

HERE = str(Path(__file__).parents[1])


def worker(
    pool: Annotated[str, "work pool of type process; it is made if it is not there"],
    limit: Annotated[int, "runs at once; default: 4"] = 4,
) -> None:
    """Work on the runs of a process pool, and end with them."""
    if limit < 1:
        raise ValueError(f"--limit {limit} lets no run begin; give a number of at least 1")
    home = os.environ.setdefault("PERENNIAL_HOME", str(Path.cwd()))  # where runs find configs and registry
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # Of this code, and of the networks and sources of projects: what a command finds in its folder, a run does too.
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([HERE, home, *filter(None, paths)]))
    with connected() as client:
        if have_pool(client, pool):
            print(f"{pool} is paused: no run begins until `prefect work-pool resume {pool}`.", flush=True)
    page = str(PREFECT_API_URL.value()).removesuffix("/api")
    print(f"{pool} has a worker; {page} shows its runs, and Ctrl-C ends it with them.", flush=True)
    work_until_told(pool, limit, _say)
    print(f"The worker of {pool} has ended, and no run of it is left.", flush=True)


def _say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S}  {text}", flush=True)


if __name__ == "__main__":
    run(worker)
