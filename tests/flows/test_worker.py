"""`python -m flows.worker` as far as it goes without a run; tests/deploy has those that are cancelled and told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.deploying import worker as working
from tasks.deploying.pools import OURS, template
from tests.flows.commands import Shell, eventually, nothing_left, processes_with

pytestmark = pytest.mark.slow

SECONDS = 120  # a tenth, where nothing else runs


@pytest.fixture
def _nothing_is_left(shell: Shell, tmp_path: Path) -> Iterator[None]:
    with nothing_left(shell):
        yield
    for number in processes_with(f"XDG_RUNTIME_DIR={tmp_path}"):
        os.kill(number, signal.SIGKILL)


def first_line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout
    return worker.stdout.readline()


@pytest.mark.usefixtures("_nothing_is_left")
def test_it_makes_the_pool_keeps_a_parent_process_and_ends_when_it_is_told(shell: Shell, tmp_path: Path) -> None:
    mark = {"XDG_RUNTIME_DIR": str(tmp_path)}
    worker = shell.start(tmp_path, "worker", "--pool", "ours", extra=mark)
    said = first_line(worker)
    assert re.fullmatch(
        r"ours has a worker; http://127.0.0.1:\d+ shows its runs, and Ctrl-C ends it with them\.\n", said
    )
    pool = shell.ask("work_pools/filter", work_pools={"name": {"any_": ["ours"]}})[0]
    assert pool["base_job_template"] == template("process")
    assert pool["description"].startswith(OURS)
    eventually(lambda: "tasks.warm.parent" in str(processes_with(f"XDG_RUNTIME_DIR={tmp_path}")), SECONDS)
    eventually(lambda: shell.ask("work_pools/ours/workers/filter"), SECONDS)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=SECONDS)
    assert (worker.returncode, out) == (0, "The worker of ours has ended, and no run of it is left.\n")
    assert "Traceback" not in err, err


@pytest.mark.usefixtures("_nothing_is_left")
def test_a_pool_of_another_type_is_left_to_prefects_worker(shell: Shell, tmp_path: Path) -> None:
    shell.ask("work_pools/", name="boxes", type="docker")
    done = shell.run(tmp_path, "worker", "--pool", "boxes")
    assert done.returncode == 2
    assert "the work pool 'boxes' is of type 'docker'" in done.stderr
    assert "prefect worker start --pool boxes" in done.stderr


@pytest.mark.usefixtures("_nothing_is_left")
def test_a_paused_pool_is_said_to_be_paused(shell: Shell, tmp_path: Path) -> None:
    shell.ask("work_pools/", name="resting", type="process", is_paused=True)
    worker = shell.start(tmp_path, "worker", "--pool", "resting", extra={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert first_line(worker) == "resting is paused: no run begins until `prefect work-pool resume resting`.\n"
    worker.kill()
    worker.communicate()


@pytest.mark.parametrize(
    ("words", "extra", "said"),
    [
        (("--pool", "ours", "--limit", "0"), {}, "--limit 0 lets no run begin"),
        (("--pool", "ours"), {"PREFECT_API_URL": ""}, "no Prefect server is named"),
        (("--limit", "2"), {}, "the following arguments are required: --pool"),
    ],
)
def test_a_mistake_is_one_message(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], extra: dict[str, str], said: str
) -> None:
    done = shell.run(tmp_path, "worker", *words, extra=extra)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_parent_processes_are_kept_for_the_last_kinds_of_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(working, "_call", lambda environment: called.append(environment["GPU"]))
    monkeypatch.setenv("GPU", "none")
    worker = working.Worker("ours", 1, print)
    for gpu in ("0", "0", "1", "0"):
        worker._note({"GPU": gpu, "PREFECT__FLOW_RUN_ID": gpu})

    async def call_once() -> None:
        calling = asyncio.create_task(worker.keep_warm())
        while len(called) < working.MOST_KINDS:
            await asyncio.sleep(0.01)
        calling.cancel()

    asyncio.run(call_once())
    assert called == ["1", "0"]
