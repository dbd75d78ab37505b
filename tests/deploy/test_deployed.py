"""The deployments on a real server: put there by `prefect deploy`, run by a process worker, begun by an event."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.registry.log import Entry
from models.registry.registry import Registry
from tests import own_project
from tests.flows.commands import REPOSITORY, Shell, eventually, nothing_left, processes_with

pytestmark = pytest.mark.slow

FIRST_CHAMPION, AFTER_THE_CHANGE = "2025-02-15", "2025-03-17"
DEPLOY_SECONDS, RUN_SECONDS, EVENT_SECONDS = 180, 180, 90  # a tenth of each, where nothing else runs


def prefect(shell: Shell, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Prefect's own command line in `folder`."""
    finished = subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        cwd=folder,
        env=shell.environment(folder),
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def deployments(shell: Shell) -> dict[str, dict[str, Any]]:
    return {deployment["name"]: deployment for deployment in shell.ask("deployments/filter")}


def automations(shell: Shell) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shell.ask("automations/filter")
    return found


def runs_of(shell: Shell, deployment: dict[str, Any], *states: str) -> list[dict[str, Any]]:
    """Runs of a deployment without those that its schedule has planned, the oldest first."""
    found = shell.ask(
        "flow_runs/filter", deployments={"id": {"any_": [deployment["id"]]}}, sort="EXPECTED_START_TIME_ASC"
    )
    begun = [run for run in found if not run["auto_scheduled"]]
    return [run for run in begun if not states or run["state"]["type"] in states]


def finished(shell: Shell, run: dict[str, Any]) -> dict[str, Any]:
    """The run once it has come to an end."""

    def ended() -> dict[str, Any] | None:
        (now,) = shell.ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return now if now["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    result: dict[str, Any] = eventually(ended, RUN_SECONDS)
    return result


def decisions(folder: Path) -> list[Entry]:
    entries = Registry.open(str(folder / ".perennial"), "churn").log.read().entries
    return [entry for entry in entries if entry.kind != "registered"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project with the shipped prefect.yaml, in which only names and paths were changed."""
    folder = tmp_path_factory.mktemp("deployed") / "churn"
    own_project.write(folder)
    text = (REPOSITORY / "prefect.yaml").read_text()
    (folder / "prefect.yaml").write_text(text.replace("configs/flights.yaml", "churn.yaml").replace("flights", "churn"))
    return folder


@pytest.fixture(scope="module")
def deployed(shell: Shell, folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The deployments by name, after the commands at the head of prefect.yaml."""
    with nothing_left(shell):
        for pool in ("cpu-pool", "gpu-pool"):
            prefect(shell, folder, "work-pool", "create", pool, "--type", "process")
        prefect(shell, folder, "--no-prompt", "deploy", "--all")
        yield deployments(shell)


@pytest.fixture(scope="module")
def _worker(shell: Shell, folder: Path, deployed: dict[str, Any]) -> Iterator[None]:
    """A process worker of the GPU pool, started in the repository: the pull step leads it into the project's folder."""
    with (folder.parent / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu-pool", "--type", "process"],
            cwd=REPOSITORY,  # whose pyproject.toml says which loggers Prefect keeps
            env=shell.environment(folder, {"PERENNIAL_HOME": str(folder), "PREFECT_WORKER_QUERY_SECONDS": "1"}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # the group: a run that a failed test left behind ends with its worker
        worker.wait(timeout=10)


@pytest.fixture(scope="module")
def promotion(shell: Shell, deployed: dict[str, dict[str, Any]], _worker: None) -> dict[str, Any]:
    """The run of `retrain`, begun by hand, that trained the first champion."""
    arguments = {"parameters": {"as_of": FIRST_CHAMPION, "trigger": "first champion"}}
    return finished(shell, shell.ask(f"deployments/{deployed['retrain-churn']['id']}/create_flow_run", **arguments))


def test_deploying_again_changes_no_deployment_and_leaves_one_automation(
    shell: Shell, folder: Path, deployed: dict[str, dict[str, Any]]
) -> None:
    prefect(shell, folder, "--no-prompt", "deploy", "--all")
    again = deployments(shell)
    assert {name: deployment["id"] for name, deployment in again.items()} == {
        name: deployment["id"] for name, deployment in deployed.items()
    }
    flows = ("score", "watch", "retrain", "rollback", "override", "approve", "label", "replay")
    assert set(again) == {f"{flow}-churn" for flow in flows}
    assert [automation["name"] for automation in automations(shell)] == ["retrain churn when the watch wants it"]


def test_the_server_knows_pools_limits_schedules_and_the_first_line_of_each_flow(
    deployed: dict[str, dict[str, Any]],
) -> None:
    retrain = deployed["retrain-churn"]
    pools = {name: deployment["work_pool_name"] for name, deployment in deployed.items()}
    assert pools == dict.fromkeys(deployed, "cpu-pool") | {"retrain-churn": "gpu-pool"}
    assert retrain["global_concurrency_limit"]["limit"] == 1
    assert [schedule["parameters"] for schedule in retrain["schedules"]] == [{"trigger": "scheduled"}]
    assert all(deployment["description"] for deployment in deployed.values())


def test_the_folder_of_the_worker_is_asked_for_on_the_worker(deployed: dict[str, dict[str, Any]]) -> None:
    for deployment in deployed.values():
        ((_, arguments),) = deployment["pull_steps"][0].items()
        assert arguments == {"directory": "{{ $PERENNIAL_HOME }}"}


def test_the_server_refuses_a_parameter_of_the_wrong_type(shell: Shell, deployed: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        shell.ask(f"deployments/{deployed['retrain-churn']['id']}/create_flow_run", parameters={"project": 3})


def test_a_process_worker_runs_retrain_to_a_promotion(folder: Path, promotion: dict[str, Any]) -> None:
    assert promotion["state"]["name"] == "Completed"
    assert promotion["name"] == "retrain-churn"
    (entry,) = decisions(folder)
    assert entry.kind == "promoted"
    assert entry.as_of.startswith(FIRST_CHAMPION)
    assert entry.evidence["trigger"] == "first champion"


def test_what_the_steps_said_reaches_the_logs_of_the_run(shell: Shell, promotion: dict[str, Any]) -> None:
    def said() -> bool:
        logs = shell.ask("logs/filter", logs={"flow_run_id": {"any_": [promotion["id"]]}})
        return any(line["message"].startswith("promoted: ") for line in logs)

    assert eventually(said, EVENT_SECONDS)


def test_a_watch_that_finds_harm_starts_a_retrain_that_names_the_verdict(
    shell: Shell, folder: Path, deployed: dict[str, dict[str, Any]], promotion: dict[str, Any]
) -> None:
    for flow in ("score", "watch"):
        done = shell.run(folder, flow, "churn.yaml", "--as-of", AFTER_THE_CHANGE)
        assert done.returncode == 0, done.stderr
    assert "concept_change" in done.stdout
    _, run = eventually(lambda: len(found := runs_of(shell, deployed["retrain-churn"])) == 2 and found, EVENT_SECONDS)
    assert run["parameters"]["project"] == "churn.yaml"
    assert run["parameters"]["trigger"] == "concept_change"
    assert run["parameters"]["as_of"].startswith(AFTER_THE_CHANGE)


def test_a_promotion_that_needs_a_person_holds_no_process_and_goes_on_with_the_form(
    shell: Shell, folder: Path, deployed: dict[str, dict[str, Any]], _worker: None
) -> None:
    text = (folder / "churn.yaml").read_text().replace("name: churn", "name: cautious")
    (folder / "cautious.yaml").write_text(text.replace("gate: {", "gate: {approval: required, "))
    arguments = {"parameters": {"project": "cautious.yaml", "as_of": FIRST_CHAMPION}}
    run = shell.ask(f"deployments/{deployed['retrain-churn']['id']}/create_flow_run", **arguments)
    log = Registry.open(str(folder / ".perennial"), "cautious").log

    def is_suspended() -> bool:
        [found] = shell.ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return bool(found["state"]["name"] == "Suspended")

    assert eventually(is_suspended, RUN_SECONDS)
    [waiting] = log.read().awaiting
    assert log.read().champion is None and waiting.evidence["approval"]["run"] == run["id"]

    def send(by: str) -> bool:
        """Send the form; a server whose database is busy answers 503, and is asked again."""
        form = {"answer": "approve", "by": by, "reason": "it was late"}
        reply = httpx.post(f"{shell.api}/flow_runs/{run['id']}/resume", json={"run_input": form}, timeout=60)
        return reply.status_code != 503

    assert eventually(lambda: send(by=""), RUN_SECONDS)
    assert is_suspended() and log.read().awaiting == [waiting], "a form without a name answers nothing"
    assert eventually(lambda: send(by="Ada"), RUN_SECONDS)
    assert finished(shell, run)["state"]["name"] == "Completed"
    approved = log.read().entries[-1]
    assert (approved.kind, approved.version, log.read().champion) == ("approved", waiting.version, waiting.version)
    assert (approved.evidence["by"], approved.evidence["said"]) == ("Ada", "it was late")


def test_a_run_of_a_worker_may_begin_in_a_warm_process_and_ends_with_its_command(
    shell: Shell, folder: Path, deployed: dict[str, dict[str, Any]], promotion: dict[str, Any], tmp_path: Path
) -> None:
    folder_of_sockets = {"XDG_RUNTIME_DIR": str(tmp_path)}
    variables = {"command": f"{sys.executable} -m tasks.warm prefect.engine", "env": folder_of_sockets}
    path = f"deployments/{deployed['retrain-churn']['id']}/create_flow_run"

    def begin(as_of: str) -> dict[str, Any]:
        run: dict[str, Any] = shell.ask(path, parameters={"as_of": as_of}, job_variables=variables)
        return run

    def forked() -> dict[int, str]:
        found = processes_with(f"XDG_RUNTIME_DIR={tmp_path}")
        return {pid: command for pid, command in found.items() if "tasks.warm.parent" in command}

    try:
        first = begin("2025-04-20")
        assert finished(shell, first)["state"]["name"] == "Completed"
        assert any(entry.as_of.startswith("2025-04-20") for entry in decisions(folder))
        logs = {"flow_run_id": {"any_": [first["id"]]}}
        eventually(
            lambda: "tasks." in str({each["name"] for each in shell.ask("logs/filter", logs=logs)}), EVENT_SECONDS
        )
        eventually(lambda: len(forked()) == 1, EVENT_SECONDS)  # a run has completed before its process has ended
        second = begin("2025-04-24")
        command = eventually(lambda: list(processes_with(f"PREFECT__FLOW_RUN_ID={second['id']}")), RUN_SECONDS)
        eventually(lambda: len(forked()) == 2, RUN_SECONDS)
        os.kill(command[0], signal.SIGKILL)
        eventually(lambda: len(forked()) == 1, EVENT_SECONDS)
        assert finished(shell, second)["state"]["type"] == "CRASHED"
    finally:
        for pid in forked():
            os.kill(pid, signal.SIGTERM)
