"""A worker's run that the machine kills while it trains: the next run goes on with the training."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import small_project
from models.registry.registry import Registry
from tests.flows.commands import REPOSITORY, Shell, eventually, nothing_left, processes_with

pytestmark = pytest.mark.slow

NAME, POOL = "killed", "killed-pool"
SECONDS = 180  # a tenth, where nothing else runs
NUM_EPOCHS = 150  # many seconds, where a state is written each second
LOGS_AT_ONCE = 200


@pytest.fixture
def folder(shell: Shell, tmp_path: Path) -> Iterator[Path]:
    """A project with a long training, deployed, and a worker for it."""
    small_project.write(tmp_path, 50)
    path = small_project.write_yaml(tmp_path, NAME)
    path.write_text(path.read_text().replace("epochs: 10", f"epochs: {NUM_EPOCHS}, patience: {NUM_EPOCHS}"))
    with nothing_left(shell):
        deployed = shell.run(tmp_path, "deploy", path.name, "--pool", POOL)
        assert deployed.returncode == 0, deployed.stderr
        environment = {"PERENNIAL_HOME": str(tmp_path), "PREFECT_WORKER_QUERY_SECONDS": "1"}
        with (tmp_path / "worker.log").open("w") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"],
                cwd=REPOSITORY,
                env=shell.environment(tmp_path, environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield tmp_path
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(timeout=10)


def test_the_next_run_goes_on_with_a_training_that_was_killed(shell: Shell, folder: Path) -> None:
    killed = begin(shell)
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


def begin(shell: Shell) -> str:
    (deployment,) = [each for each in shell.ask("deployments/filter") if each["name"] == f"retrain-{NAME}"]
    parameters = {"as_of": f"{small_project.FIRST:%Y-%m-%d}", "trigger": "first champion"}
    return str(shell.ask(f"deployments/{deployment['id']}/create_flow_run", parameters=parameters)["id"])


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
