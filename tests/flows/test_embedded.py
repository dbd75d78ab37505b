"""The server of a command that names none: begun early, used by the run, and gone with the command."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest

from flows.asked import RECORDED, asks_for_a_run
from flows.deploy import FLOWS
from tests.flows.commands import Shell, eventually, processes_with
from tests.flows.conftest import Own

# A table goes missing under the embedded server, which tries to write an event again and again.
TRIES_AGAIN = """\
import sqlite3, sys, time
from pathlib import Path
import httpx
from prefect.settings import PREFECT_API_URL
from flows import embedded
embedded.wait()
event = {"id": sys.argv[2], "occurred": "2026-01-01T00:00:00Z", "event": "seen"}
event |= {"resource": {"prefect.resource.id": "a"}}
with sqlite3.connect(Path(sys.argv[1]) / "prefect.db", timeout=60) as database:
    database.execute("DROP TABLE events")
httpx.post(f"{PREFECT_API_URL.value()}/events", json=[event], timeout=60).raise_for_status()
begun = time.monotonic()
while time.monotonic() < begun + float(sys.argv[3]) and "Traceback" not in Path("stderr").read_text():
    time.sleep(0.1)
print(time.monotonic() - begun)
"""
STAYS = """\
import os, time
from prefect.settings import PREFECT_API_URL
from flows import embedded
embedded.wait()
if not os.fork():  # as a DataLoader's workers, which hold what their parent held
    time.sleep(600)
print(PREFECT_API_URL.value(), flush=True)
time.sleep(600)
"""


def left(mark: str) -> dict[int, str]:
    """The processes with a mark in their environment, without those that have ended and were not asked how."""
    return {
        number: command
        for number, command in processes_with(mark).items()
        if psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    }


def test_the_commands_that_begin_a_server_early_are_the_flows() -> None:
    assert set(RECORDED) == {flow.name for flow in FLOWS}


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        ("-m flows.retrain a.yaml", True),
        ("-X dev -m flows.watch --set gate.alpha=0.01 a.yaml", True),
        ("-m flows.retrain a.yaml --help", False),
        ("-m flows.retrain b.yaml", False),
        ("-m flows.retrain", False),
        ("-m flows.serve a.yaml", False),
        ("-m flows a.yaml", False),
        ("a.yaml", False),
    ],
)
def test_a_command_line_asks_for_a_run(
    arguments: str, asks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").touch()
    assert asks_for_a_run(["python", *arguments.split()]) == asks


@pytest.mark.slow
def test_a_run_is_recorded_by_a_server_that_ends_with_its_command(own: Own, tmp_path: Path) -> None:
    home, mark = tmp_path / "not yet there" / "home", f"PERENNIAL_TEST={uuid.uuid4()}"
    shell, extra = Shell(api="", home=home), dict([mark.split("=")])
    refused = shell.run(own.folder, "score", "churn.yaml", "--as-of", "never", extra=extra)
    assert refused.returncode == 2
    assert "'never' is no time" in refused.stderr
    assert not left(mark)
    done = shell.run(own.folder, "score", "churn.yaml", "--as-of", "2025-06-20", extra=extra)
    assert done.returncode == 0, done.stderr
    assert not left(mark)
    with sqlite3.connect(home / "prefect.db") as database:
        runs = database.execute("SELECT name, state_type FROM flow_run").fetchall()
        (num_tasks,) = database.execute("SELECT count(*) FROM task_run").fetchone()
    assert runs == [("score-churn", "COMPLETED")]
    assert num_tasks


@pytest.mark.slow
def test_a_server_does_not_outlive_a_command_that_is_killed(tmp_path: Path) -> None:
    mark = f"PERENNIAL_TEST={uuid.uuid4()}"
    command = subprocess.Popen(
        [sys.executable, "-c", STAYS],
        cwd=tmp_path,
        env=Shell(api="", home=tmp_path).environment(tmp_path, dict([mark.split("=")])),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout
    assert command.stdout.readline().startswith("http://127.0.0.1:")
    (forked,) = (each.pid for each in psutil.Process(command.pid).children() if "ephemeral" not in each.cmdline()[2])
    assert len(left(mark)) == 3
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    eventually(lambda: set(left(mark)) == {forked}, 30)
    os.kill(forked, signal.SIGKILL)


@pytest.mark.slow
def test_a_server_that_cannot_start_is_said_to_have_said_why(own: Own, tmp_path: Path) -> None:
    database = {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db"}
    done = Shell(api="", home=tmp_path).run(own.folder, "score", "churn.yaml", extra=database)
    assert done.returncode == 1
    assert "unable to open database file" in done.stderr
    assert "error: the Prefect server that this command has started has ended" in done.stderr


@pytest.mark.slow
def test_no_server_begins_where_one_is_named(shell: Shell, tmp_path: Path) -> None:
    code = "from flows import embedded; embedded.wait(); from prefect.settings import PREFECT_API_URL as url; "
    code += f"import sys; sys.exit(url.value() != {shell.api!r} or bool(embedded._begun))"
    subprocess.run(
        [sys.executable, "-c", code],
        env=Shell(api=shell.api, home=tmp_path).environment(tmp_path),
        check=True,
    )


@pytest.mark.slow
def test_the_embedded_server_tells_the_terminal_what_it_tries_again_only_where_it_is_asked(tmp_path: Path) -> None:
    def told(name: str, seconds: float, **environment: str) -> tuple[str, float]:
        """What the terminal was told until there was a traceback, or for so long, and how long that was."""
        home = tmp_path / name
        home.mkdir()
        with (home / "stderr").open("w") as stderr:
            done = subprocess.run(
                [sys.executable, "-c", TRIES_AGAIN, str(home), str(uuid.uuid4()), str(seconds)],
                cwd=home,
                env=Shell(api="", home=home).environment(home, environment),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                check=True,
            )
        return (home / "stderr").read_text(), float(done.stdout.split()[-1])

    asked, seconds = told("asked", 120, PREFECT_SERVER_LOGGING_LEVEL="WARNING")
    assert "Traceback" in asked
    usual, _ = told("usual", 3 + 2 * seconds)
    assert "Traceback" not in usual
