"""A worker's run that is killed, cancelled or told to end while it trains: the next run goes on with the training."""

from __future__ import annotations

import configparser
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import small_project
from configs.deploy import Deploy, Pool
from models.registry.registry import Registry
from tasks.deploying.pools import job_variables
from tests.flows.commands import REPOSITORY, Shell, eventually, nothing_left, processes_with

pytestmark = pytest.mark.slow

NAME, POOL = "killed", "killed-pool"
SECONDS = 180  # a tenth, where nothing else runs
NUM_EPOCHS = 250  # many seconds, where a state is written each second: it is ended three times
LOGS_AT_ONCE = 200


@dataclass
class Worker:
    """A worker as its unit has systemd start it, and the folder of its project."""

    shell: Shell
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.read(REPOSITORY / "docs/deploy/perennial-worker@.service")
        assert unit["Service"]["TimeoutStopSec"] == "120"
        assert unit["Service"]["KillMode"] == "mixed", "the worker alone is told"
        python, *words = unit["Service"]["ExecStart"].replace("%i", POOL).split()
        assert python == "/opt/perennial/.venv/bin/python"
        environment = {"PREFECT_WORKER_QUERY_SECONDS": "1", "XDG_RUNTIME_DIR": str(self.folder)}
        environment |= {"PERENNIAL_HOME": str(self.folder)}
        with (self.folder / "worker.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=REPOSITORY,
                env=self.shell.environment(self.folder, environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def told(self, number: signal.Signals) -> None:
        """Let it end as systemd does, by a signal to the worker, or as a terminal does, by one to its group."""
        assert self.process
        (os.kill if number == signal.SIGTERM else os.killpg)(self.process.pid, number)
        assert self.process.wait(timeout=120) == 0, (self.folder / "worker.log").read_text()

    def kill(self) -> None:
        for number in processes_with(f"XDG_RUNTIME_DIR={self.folder}"):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        assert self.process
        self.process.wait(timeout=10)


@pytest.fixture
def worker(shell: Shell, tmp_path: Path) -> Iterator[Worker]:
    """A project with a long training, deployed, and a worker for it."""
    small_project.write(tmp_path, 50)
    path = small_project.write_yaml(tmp_path, NAME)
    path.write_text(path.read_text().replace("epochs: 10", f"epochs: {NUM_EPOCHS}, patience: {NUM_EPOCHS}"))
    with nothing_left(shell):
        started = Worker(shell, tmp_path)
        started.start()  # before there is a pool: it makes the same
        try:
            deployed = shell.run(tmp_path, "deploy", path.name, "--pool", POOL)
            assert deployed.returncode == 0, deployed.stderr
            yield started
        finally:
            started.kill()


def test_the_next_run_goes_on_with_a_training_that_was_killed(shell: Shell, worker: Worker) -> None:
    killed, folder = begin(shell), worker.folder
    eventually(lambda: list(folder.rglob("epoch.state")), SECONDS)
    processes = processes_with(f"PREFECT__FLOW_RUN_ID={killed}")
    assert processes
    for number in processes:
        os.kill(number, signal.SIGKILL)
    assert eventually(lambda: over(shell, killed), SECONDS) == "CRASHED"
    assert Registry.open(folder / ".perennial", NAME).log.read().champion is None

    again = begin(shell)
    assert eventually(lambda: over(shell, again), SECONDS) == "COMPLETED"
    state = Registry.open(folder / ".perennial", NAME).log.read()
    assert [entry.kind for entry in state.entries] == ["registered", "promoted"]
    (numbers,) = re.findall(r"was ended after ([\d,]+) steps, and goes on from there", logs(shell, again))
    assert int(numbers.replace(",", "")) > 0
    assert list(folder.rglob("*.state")) == []


def test_a_run_that_is_ended_while_it_trains_says_how_and_the_next_one_goes_on(shell: Shell, worker: Worker) -> None:
    state, commands = ended(shell, worker.folder, lambda run: cancel(shell, run))
    assert state == "CANCELLED" and any("tasks.warm" in command for command in commands)
    plain = {"command": f"{sys.executable} -m prefect.engine"}
    state, commands = ended(shell, worker.folder, lambda run: cancel(shell, run), plain)
    assert state == "CANCELLED" and not any("tasks.warm" in command for command in commands)
    for number in (signal.SIGTERM, signal.SIGINT):
        state, commands = ended(shell, worker.folder, lambda _, number=number: worker.told(number))
        assert state == "CRASHED" and any("tasks.warm" in command for command in commands)
        worker.start()
    log = Registry.open(worker.folder / ".perennial", NAME).log
    assert log.read().entries == ()

    again = a_container_that_is_told_to_end(shell, worker.folder)
    assert eventually(lambda: over(shell, again), SECONDS) == "COMPLETED", "it begins again by itself"
    assert [entry.kind for entry in log.read().entries] == ["registered", "promoted"]
    assert logs(shell, again).count("and goes on from there") == 2
    said = (worker.folder / "worker.log").read_text()
    assert "Traceback" not in said
    assert re.search(rf"^\d\d:\d\d:\d\d  retrain-{NAME} \(\w+\) has ended$", said, re.MULTILINE), said


def ended(
    shell: Shell, folder: Path, end: Callable[[str], None], job_variables: Mapping[str, Any] | None = None
) -> tuple[str, list[str]]:
    """The state in which a run was when it had ended by itself or its worker, and the commands of its processes."""
    run, begun = begin(shell, job_variables), time.time()
    eventually(lambda: written_since(begun, folder), SECONDS)
    processes = processes_with(f"PREFECT__FLOW_RUN_ID={run}")
    end(run)
    state = eventually(lambda: over(shell, run), SECONDS)
    eventually(lambda: not processes_with(f"PREFECT__FLOW_RUN_ID={run}"), SECONDS)
    return state, list(processes.values())


def a_container_that_is_told_to_end(shell: Shell, folder: Path) -> str:
    """A run by what is in a container of a Docker pool, whose first process is told to end while it trains."""
    docker = Pool(pool="containers", type="docker")
    variables = job_variables(Deploy(cpu=docker), docker)
    run = begin(shell, {"command": f"{sys.executable} -m prefect flow-run execute", "env": variables["env"]})
    begun = time.time()
    eventually(lambda: written_since(begun, folder), SECONDS)
    found = processes_with(f"PREFECT__FLOW_RUN_ID={run}").items()
    [first] = [pid for pid, words in found if "flow-run execute" in words]
    os.kill(first, signal.SIGTERM)
    return run


def written_since(moment: float, folder: Path) -> bool:
    """Whether a state was written: its file comes by a rename, and goes again."""
    with suppress(FileNotFoundError):
        return any(each.stat().st_mtime > moment for each in folder.rglob("epoch.state"))
    return False


def cancel(shell: Shell, run: str) -> None:
    """What the button in the UI does."""
    shell.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})


def begin(shell: Shell, job_variables: Mapping[str, Any] | None = None) -> str:
    (deployment,) = [each for each in shell.ask("deployments/filter") if each["name"] == f"retrain-{NAME}"]
    parameters = {"as_of": f"{small_project.FIRST:%Y-%m-%d}", "trigger": "first champion"}
    path = f"deployments/{deployment['id']}/create_flow_run"
    return str(shell.ask(path, parameters=parameters, job_variables=dict(job_variables or {}))["id"])


def over(shell: Shell, run: str) -> str | None:
    (found,) = shell.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
    ended = found["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return str(found["state"]["type"]) if ended else None


def logs(shell: Shell, run: str) -> str:
    lines: list[str] = []
    while page := shell.ask(
        "logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=LOGS_AT_ONCE, offset=len(lines)
    ):
        lines += [each["message"] for each in page]
    return "\n".join(lines)
