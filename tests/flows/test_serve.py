"""The researcher's mode: one process in which a watch starts a retrain, and after which nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pytest
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from configs.schema import load
from flows.deploy import FLOWS
from flows.retrain import retrain
from flows.score import score
from flows.watch import watch
from models.registry.log import Entry
from models.registry.registry import Registry
from tasks.deploying import own_server
from tasks.deploying import served as deploying_served
from tasks.deploying.served import run_until_told
from tests import own_project
from tests.flows.commands import Shell, answered, eventually, nothing_left, processes_with
from tests.flows.conftest import day

pytestmark = pytest.mark.slow

NAME = "served"
SERVED_SECONDS, RUN_SECONDS, END_SECONDS = 180, 180, 180  # a tenth of each, where nothing else runs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a name that nobody else has on the server, which is the working directory."""
    own_project.write(tmp_path / "own")
    text = (tmp_path / "own" / "churn.yaml").read_text().replace("name: churn", f"name: {NAME}")
    (tmp_path / "own" / f"{NAME}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    return tmp_path / "own"


class Served:
    """A process that serves the project, with what it prints in a file."""

    def __init__(self, shell: Shell, folder: Path, **environment: str) -> None:
        self.log = folder.parent / "serve.log"
        self.mark = f"PERENNIAL_TEST={uuid.uuid4()}"  # inherited by its runs, and by a server that it starts
        name, _, value = self.mark.partition("=")
        variables = shell.environment(folder, {"PREFECT_RUNNER_POLL_FREQUENCY": "1", name: value, **environment})
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.serve", f"{NAME}.yaml"],
                cwd=folder,
                env={name: value for name, value in variables.items() if value},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def page(self) -> str:
        """Where it says that its runs are shown, once it serves."""

        def said() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(rf"{NAME} is served; (\S+) shows its runs", self.log.read_text())

        found: re.Match[str] = eventually(said, SERVED_SECONDS)
        return found[1]

    def end(self, told: signal.Signals) -> str:
        """Tell it to end, as a terminal or systemd does, and return all that it has printed."""
        os.kill(self.process.pid, told)
        assert self.process.wait(timeout=END_SECONDS) == 0, self.log.read_text()
        return self.log.read_text()

    def kill(self) -> None:
        """End it, its runs and its server, whatever state they are in."""
        for number in processes_with(self.mark):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def serving() -> Iterator[list[Served]]:
    """Processes that are killed if a test has failed before their end."""
    started: list[Served] = []
    yield started
    for each in started:
        each.kill()


@pytest.fixture
def _nothing_is_left(shell: Shell) -> Iterator[None]:
    with nothing_left(shell):
        yield


def decisions(folder: Path) -> list[Entry]:
    entries = Registry.open(str(folder / ".perennial"), NAME).log.read().entries
    return [entry for entry in entries if entry.kind != "registered"]


@pytest.mark.usefixtures("_nothing_is_left")
def test_a_watch_starts_a_retrain_in_the_serving_process_which_sigterm_ends_with_paused_schedules(
    prefect_here: Shell, folder: Path, serving: list[Served]
) -> None:
    project = load(f"{NAME}.yaml")
    retrain(project, day("2025-02-15"), "first champion")
    served = Served(prefect_here, folder)
    serving.append(served)
    assert prefect_here.api.startswith(served.page())
    score(project, day("2025-03-17"))
    found = watch(project, day("2025-03-17"))
    assert found is not None and found.wanted
    entry = eventually(lambda: len(each := decisions(folder)) == 2 and each[1], RUN_SECONDS)
    assert entry.evidence["trigger"] == found.wanted
    assert entry.as_of.startswith("2025-03-17")
    assert {each["work_pool_name"] for each in deployments(prefect_here)} == {None}
    assert {each["name"] for each in deployments(prefect_here) if each["schedules"]} == {
        f"{flow}-{NAME}" for flow in ("score", "watch", "retrain")
    }
    names = [each["name"] for each in prefect_here.ask("automations/filter") if NAME in each["name"]]
    assert sorted(names) == [
        f"retrain {NAME} when the watch wants it",
        f"{NAME}: set a dead run to Crashed",
        f"{NAME}: set a run that never began to Crashed",
    ]
    printed = served.end(signal.SIGTERM)
    assert printed.splitlines()[-1] == f"{NAME} is no longer served; its schedules are paused."
    assert "Traceback" not in printed
    assert all(each["paused"] for each in deployments(prefect_here))


def test_without_a_server_one_is_started_and_ctrl_c_ends_it_too(
    shell: Shell, folder: Path, serving: list[Served], tmp_path: Path
) -> None:
    if own_server.answers(f"http://{own_server.HOST}:{own_server.USUAL_PORT}/api"):
        pytest.skip("a Prefect server runs on the usual port, and is somebody's: nothing is put there")
    served = Served(shell, folder, PREFECT_API_URL="", PREFECT_HOME=str(tmp_path / "prefect-home"))
    serving.append(served)
    page = served.page()
    answer = httpx.post(f"{page}/api/deployments/filter", json={}).raise_for_status().json()
    assert len(answer) == len(FLOWS)
    assert "<title>" in httpx.get(page, follow_redirects=True).text
    served.end(signal.SIGINT)
    assert processes_with(served.mark) == {}


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("_nothing_is_left")
def test_who_is_told_to_end_while_still_beginning_pauses_its_schedules(
    prefect_here: Shell, folder: Path, serving: list[Served], told: signal.Signals
) -> None:
    served = Served(prefect_here, folder)
    serving.append(served)
    eventually(lambda: deployments(prefect_here), SERVED_SECONDS)  # the first of them
    assert "is served" not in served.log.read_text()
    printed = served.end(told)
    assert printed.splitlines()[-1] == f"{NAME} is no longer served; its schedules are paused."
    assert "Traceback" not in printed
    assert len(deployments(prefect_here)) == len(FLOWS)
    assert all(each["paused"] for each in deployments(prefect_here))


def deployments(shell: Shell) -> list[dict[str, Any]]:
    return [each for each in shell.ask("deployments/filter") if NAME in each["tags"]]


def test_a_second_signal_ends_at_once_what_waits_for_a_server_that_does_not_answer(
    shell: Shell, folder: Path, serving: list[Served], tmp_path: Path
) -> None:
    served = Served(shell, folder, PREFECT_API_URL="", PREFECT_HOME=str(tmp_path / "prefect-home"))
    serving.append(served)
    begin_a_run(f"{served.page()}/api")
    eventually(lambda: runs_among(processes_with(served.mark)), RUN_SECONDS)
    for number in servers_among(processes_with(served.mark)):
        os.kill(number, signal.SIGSTOP)
    served.process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert served.process.poll() is None
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(timeout=END_SECONDS) == 1
    assert "schedules may be left that nobody serves" in served.log.read_text().splitlines()[-1]
    assert processes_with(served.mark) == {}


@pytest.mark.parametrize("sent", [signal.SIGSTOP, signal.SIGKILL])
def test_the_runs_of_a_server_that_is_gone_or_does_not_answer_are_ended_and_it_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(deploying_served, "CALM_SECONDS", 3)
    mark = f"PERENNIAL_TEST={uuid.uuid4()}"
    monkeypatch.setenv(*mark.split("="))
    monkeypatch.setenv("PREFECT_RUNNER_POLL_FREQUENCY", "1")
    with (
        temporary_settings({PREFECT_HOME: tmp_path / "prefect-home"}),
        own_server._own_server() as url,
        temporary_settings({PREFECT_API_URL: url}),
    ):
        runner = Runner(name=NAME, query_seconds=1)
        for deployment in deploying_served.served(load(f"{NAME}.yaml"), f"{NAME}.yaml", FLOWS):
            runner.add_deployment(deployment)
        heard = SimpleQueue[None]()

        def take_the_server_away_and_end() -> None:
            try:
                begin_a_run(url)
                eventually(lambda: runs_among(processes_with(mark)), RUN_SECONDS)
                for number in servers_among(processes_with(mark)):
                    os.kill(number, sent)
            finally:
                heard.put(None)

        taking = threading.Thread(target=take_the_server_away_and_end)
        taking.start()
        with pytest.raises(RuntimeError, match=r"serving did not end in order .*schedules may be left"):
            run_until_told(runner, heard)
        taking.join()
        assert runs_among(processes_with(mark)) == []


def begin_a_run(url: str) -> None:
    """Of a flow that takes most of a minute, and of which there may be several: the answer of a busy server is lost."""
    found = answered("POST", f"{url}/deployments/filter", json={}).json()
    (replay,) = [each["id"] for each in found if each["name"] == f"replay-{NAME}"]
    answered("POST", f"{url}/deployments/{replay}/create_flow_run", json={"parameters": {"project": f"{NAME}.yaml"}})


def runs_among(processes: dict[int, str]) -> list[int]:
    return [number for number, command in processes.items() if "prefect.engine" in command]


def servers_among(processes: dict[int, str]) -> list[int]:
    found = [number for number, command in processes.items() if "prefect server start" in command]
    assert found, processes
    return found


@pytest.mark.usefixtures("_nothing_is_left")
def test_what_is_deployed_on_a_pool_is_not_taken_from_its_workers(
    prefect_here: Shell, folder: Path, here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert here("deploy", f"{NAME}.yaml", "--pool", "a-pool").returncode == 0
    refused = here("serve", f"{NAME}.yaml")
    assert refused.returncode == 2
    assert f"score-{NAME} is deployed on the work pool 'a-pool' of this server" in refused.stderr
