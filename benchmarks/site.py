"""A site: a Prefect server and a process worker in one folder, each of which can be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tasks.deploying.sqlite import FILE, URL, through_one_connection

REPOSITORY = Path(__file__).parents[1]
MARK = "PERENNIAL_SITE"
HEARTBEAT_SECONDS = 30  # the shortest that Prefect takes
START_SECONDS = 180
MOST_AT_ONCE = 20  # runs of a worker: more than any benchmark asks for, whose pools have limits of their own
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Site:
    """Everything that a site consists of, in one folder; what runs is marked with the site's name, and found by it.

    Attributes:
        folder: of the project, of Prefect's SQLite database and of the logs.
        database: connection URL of another database for the server; empty is SQLite.
        query_seconds: how often a worker asks for runs; None as Prefect has it.
        port: of the server, the same after a restart.
    """

    folder: Path
    database: str = ""
    query_seconds: int | None = 1
    port: int = 0
    server: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    pool: str = ""

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
        self.server = self._start("prefect", command, "server")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.api}/health", timeout=2).is_success:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the Prefect server did not start in {START_SECONDS} s: see {self.folder}/server.log")

    def start_worker(self, pool: str = "") -> None:
        """Start a process worker of a pool; without its name, of the same as before."""
        self.pool = pool or self.pool
        self.worker = self._start("flows.worker", ["--pool", self.pool, "--limit", str(MOST_AT_ONCE)], "worker")

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

    def begin(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run of a deployment by its id; the run's id."""
        path = f"deployments/{deployment}/create_flow_run"
        return str(self.ask(path, parameters=parameters, state={"type": "SCHEDULED"})["id"])

    def deployments(self) -> dict[str, str]:
        """The ids of all deployments by name."""
        return {found["name"]: found["id"] for found in self.ask("deployments/filter")}

    def forget(self, run: str) -> None:
        """Delete a run that nobody has begun, or that was deleted by a request whose answer was lost."""
        try:
            self._answered("DELETE", f"flow_runs/{run}")
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise

    def states(self) -> dict[str, str]:
        """The type of the state of every run, by id."""
        found, offset = dict[str, str](), 0
        while page := self.ask("flow_runs/filter", limit=200, offset=offset, sort="ID_DESC"):
            found |= {run["id"]: run["state_type"] for run in page}
            offset += len(page)
        return found

    def ask(self, path: str, **query: Any) -> Any:
        """What the server answers; it is asked again while it is away."""
        return self._answered("POST", path, query).json()

    def _answered(self, verb: str, path: str, query: Any = None) -> httpx.Response:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return httpx.request(verb, f"{self.api}/{path}", json=query, timeout=30).raise_for_status()
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
                if str(self.folder) in (environment.get(MARK), environment.get("XDG_RUNTIME_DIR")):
                    yield int(entry.name), environment

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        return process.poll() is not None

    def _start(self, module: str, words: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", module, *words],
                cwd=REPOSITORY,  # whose pyproject.toml says which loggers Prefect keeps
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def prefect(self, *words: str) -> None:
        """Run Prefect's own command line."""
        self.run("prefect", *words)

    def command(self, flow: str, *words: str) -> None:
        """Run `python -m flows.FLOW`, as a person does."""
        self.run(f"flows.{flow}", *words)

    def run(self, module: str, *words: str) -> None:
        """Run `python -m MODULE` in the project's folder; `RuntimeError` with what it printed if it fails."""
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{module} {' '.join(words)} failed: {done.stdout}{done.stderr}")

    def environment(self) -> Mapping[str, str]:
        """Of its processes: marked, and without W&B keys or Prefect settings of whoever runs this."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PREFECT_"))}
        database = self.database or through_one_connection(self.folder / "prefect" / FILE)
        query = {} if self.query_seconds is None else {"PREFECT_WORKER_QUERY_SECONDS": str(self.query_seconds)}
        return (
            kept
            | query
            | {
                URL: database,
                MARK: str(self.folder),
                "XDG_RUNTIME_DIR": str(self.folder),  # where warm processes are asked for: they end with the site
                "PYTHONPATH": str(REPOSITORY),
                "PERENNIAL_HOME": str(self.folder),
                "PREFECT_HOME": str(self.folder / "prefect"),
                "PREFECT_API_URL": self.api,
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(START_SECONDS),
                "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
                "WANDB_MODE": "disabled",
                "OMP_NUM_THREADS": "1",
            }
        )


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
