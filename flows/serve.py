"""The researcher's mode: schedules and automations of a project in one process, without a pool or a worker."""

from __future__ import annotations

import signal
from typing import Annotated, Any

from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from configs.schema import Project
from flows.command import Given, run
from flows.deploy import FLOWS
from tasks.deploying.own_server import server_at_hand
from tasks.deploying.served import check_free, put_beside, run_until_told, served
from tasks.deploying.server import connected
from tasks.deploying.signals import hear


def serve(
    project: Project, given: Given, limit: Annotated[int, "runs at once, all flows together; default: 2"] = 2
) -> None:
    """Serve a project without a pool or a worker."""
    given.refuse_overrides_outside("deploy")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, also while the server starts
    left = "nothing was put on a server"
    try:
        with server_at_hand() as url, temporary_settings(_settings(project, url)):
            runner = Runner(name=project.name, limit=limit)
            with connected() as client:
                check_free(client, project, FLOWS)
                heard = hear()
                left = "schedules may be left that nobody serves: serve it again, and end it by one Ctrl-C"
                for deployment in served(project, given.path, FLOWS):
                    runner.add_deployment(deployment)
                put_beside(client, project, FLOWS)
            page = url.removesuffix("/api")
            print(f"{project.name} is served; {page} shows its runs, and Ctrl-C ends it.", flush=True)
            run_until_told(runner, heard)
            left = "its schedules are paused"
    except KeyboardInterrupt:
        raise RuntimeError(f"{project.name} was interrupted; {left}") from None
    print(f"{project.name} is no longer served; {left}.", flush=True)


def _settings(project: Project, url: str) -> dict[Any, Any]:
    return {PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: project.deploy.heartbeat_seconds}


if __name__ == "__main__":
    run(serve)
