"""A site to break: a Prefect server, a process worker and a project's deployments, each of which can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks import small_project
from tasks.deploying.automations import fell_silent, never_began

REPOSITORY = Path(__file__).parents[2]
POOL, MARK = "chaos-pool", "PERENNIAL_CHAOS"
HEARTBEAT_SECONDS = 30  # the shortest that Prefect takes
SILENT_SECONDS = 3 * HEARTBEAT_SECONDS  # after which a run is taken for dead
UNBORN_SECONDS = 120  # that a run may be about to start
START_SECONDS = 180
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

DEPLOYMENTS = """\
name: chaos
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $PERENNIAL_HOME }}"}
deployments:
"""
DEPLOYMENT = """\
  - name: FLOW
    entrypoint: flows.FLOW.FLOW
    parameters: {project: churn.yaml}
    work_pool: {name: POOL, job_variables: {stream_output: false}}
"""


@dataclass
class Site:
    """Everything that a site consists of, in one folder; what runs is marked with the site's name, and found by it.

    Attributes:
        folder: of the project, of Prefect's database and of the logs.
        port: of the server, the same after a restart.
    """

    folder: Path
    port: int = 0
    server: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    deployments: dict[str, str] = field(default_factory=dict)

    def open(self, num_days: int) -> None:
        """Write the project, start everything, and deploy."""
        small_project.write(self.folder, num_days)
        text = DEPLOYMENTS + "".join(DEPLOYMENT.replace("FLOW", flow) for flow in ("score", "retrain"))
        (self.folder / "prefect.yaml").write_text(text.replace("POOL", POOL))
        self.start_server()
        self._prefect("work-pool", "create", POOL, "--type", "process")
        self._prefect("--no-prompt", "deploy", "--all")
        for found in self.ask("deployments/filter"):
            self.deployments[found["name"]] = found["id"]
        for automation in automations():
            self.ask("automations/", **automation)
        self.start_worker()

    def close(self) -> None:
        """End everything that carries the site's mark, and nothing else."""
        for process in (self.worker, self.server):
            if process:
                _signal_group(process, signal.SIGTERM)
        time.sleep(1)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in (self.worker, self.server):
            if process:
                process.wait()

    def start_server(self) -> None:
        """Start the server on the database that is there, if any, and wait until it answers."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.server = self._start(command, "server")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.api}/health", timeout=2).is_success:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the Prefect server did not start in {START_SECONDS} s: see {self.folder}/server.log")

    def start_worker(self) -> None:
        """Start a process worker of the pool."""
        self.worker = self._start(["worker", "start", "--pool", POOL, "--type", "process"], "worker")

    def kill(self, what: str, how: signal.Signals, choose: int) -> bool:
        """Send a signal to the server, the worker, or one of the flows that run; False if there was nothing to kill."""
        if what == "flow":
            runs = sorted(self.runs())
            if not runs:
                return False
            with suppress(ProcessLookupError):
                os.kill(runs[choose % len(runs)][1], how)
            return True
        process = self.server if what == "server" else self.worker
        assert process
        if what == "server":
            _signal_group(process, how)
        else:  # the worker alone: what it has started goes on, as when the system ends a service
            process.send_signal(how)
        return True

    def mend(self) -> None:
        """Start again what was killed. A worker that was told to end may still be ending, and is waited for."""
        if self.server and self._has_ended(self.server):
            self.start_server()
        if self.worker and self._has_ended(self.worker):
            self.start_worker()

    def begin(self, flow: str, as_of: datetime) -> str:
        """Ask for a run of a deployment; its id."""
        parameters = {"project": f"{small_project.NAME}.yaml", "as_of": as_of.isoformat()}
        path = f"deployments/{self.deployments[flow]}/create_flow_run"
        return str(self.ask(path, parameters=parameters, state={"type": "SCHEDULED"})["id"])

    def states(self) -> dict[str, str]:
        """The type of the state of every run, by id."""
        found, offset = dict[str, str](), 0
        while page := self.ask("flow_runs/filter", limit=200, offset=offset, sort="ID_DESC"):
            found |= {run["id"]: run["state_type"] for run in page}
            offset += len(page)
        return found

    def ask(self, path: str, **query: Any) -> Any:
        """What the server answers; it is asked again while it is away."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return httpx.post(f"{self.api}/{path}", json=query, timeout=30).raise_for_status().json()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                if time.monotonic() > deadline or getattr(getattr(error, "response", None), "status_code", 500) < 500:
                    raise
                time.sleep(0.5)

    @property
    def api(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.port}/api"

    def processes(self) -> Iterator[int]:
        """Every living process of the site."""
        yield from (pid for pid, _ in self._marked())

    def runs(self) -> Iterator[tuple[str, int]]:
        """The flow runs that have a living process, with its number."""
        for pid, environment in self._marked():
            if run := environment.get("PREFECT__FLOW_RUN_ID"):
                yield run, pid

    def _marked(self) -> Iterator[tuple[int, dict[str, str]]]:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                pairs = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
                if environment.get(MARK) == str(self.folder):
                    yield int(entry.name), environment

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        return process.poll() is not None

    def _start(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *command],
                cwd=REPOSITORY,  # whose pyproject.toml says which loggers Prefect keeps
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _prefect(self, *words: str) -> None:
        command = [sys.executable, "-m", "prefect", *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"prefect {' '.join(words)} failed: {done.stdout}{done.stderr}")

    def environment(self) -> Mapping[str, str]:
        """Of its processes: marked, and without W&B keys or Prefect settings of whoever runs this."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PREFECT_"))}
        return kept | {
            MARK: str(self.folder),
            "PYTHONPATH": str(REPOSITORY),
            "PERENNIAL_HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(START_SECONDS),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "WANDB_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        }


def automations() -> Iterator[dict[str, Any]]:
    """What sets runs to Crashed whose process is gone: those that fell silent, and those that were never begun."""
    for name, trigger in (("silent", fell_silent(SILENT_SECONDS)), ("unborn", never_began(UNBORN_SECONDS))):
        message = f"{name} for {trigger['within']} s"
        yield {
            "name": f"set a run that is {name} to Crashed",
            "trigger": trigger | {"threshold": 1},
            "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": message}],
        }


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
