"""`python -m tasks.warm MODULE` is `python -m MODULE`, but for the time that it takes."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.warm import wire
from tasks.warm.address import connected
from tests.flows.commands import REPOSITORY, eventually, processes_with

pytestmark = pytest.mark.slow

SEEN = """\
import json, logging, os, signal, sys, threading
before = list(sys.argv)
from prefect import flow
from prefect.settings import get_current_settings
import seen as again

if __name__ == "__main__":
    settings = get_current_settings()
    loggers = [logging.getLogger(name) for name in ("", "prefect", "prefect.flow_runs", "models", "tasks")]
    mask = os.umask(0)
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGPIPE", "SIGUSR1")
    print(json.dumps({
        "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "folder": os.getcwd(), "umask": mask,
        "environment": dict(os.environ), "spec": sys.modules["__main__"].__spec__.name, "file": __file__,
        "signals": [str(signal.getsignal(getattr(signal, name))) for name in names],
        "threads": threading.active_count(), "streams": [each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)],
        "buffered": [each.line_buffering for each in (sys.stdout, sys.stderr)],
        "encodings": [each.encoding for each in (sys.stdin, sys.stdout, sys.stderr)],
        "home": str(settings.home), "api": settings.api.url, "level": settings.logging.level,
        "loggers": [(each.level, [type(handler).__name__ for handler in each.handlers]) for each in loggers],
        "project": sorted(name for name in sys.modules if name.split(".")[0] in ("tasks", "models", "flows")),
        "files": sorted(os.listdir("/proc/self/fd"))[:3],
    }))
    print("to stderr", file=sys.stderr)
"""
ENDS = """\
import os, signal, sys, time
how = sys.argv[1]
if how == "raises":
    raise ValueError("a mistake")
if how.startswith("signal"):
    os.kill(os.getpid(), getattr(signal, how.split()[1]))
if how == "starts another":
    import subprocess
    subprocess.Popen(["sleep", "600"])
if how in ("waits", "starts another"):
    try:
        print(os.getpid(), flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(4)
    finally:
        print("finally", flush=True)
if how == "catches":
    def end(*_):
        print("told to end", flush=True)
        sys.exit(5)
    signal.signal(signal.SIGTERM, end)
    print(os.getpid(), flush=True)
    time.sleep(600)
sys.exit(int(how))
"""
DRAWS = "import random, numpy, torch; print(random.random(), numpy.random.random(), torch.rand(()).item())\n"


@dataclass(frozen=True)
class Here:
    """A folder with modules, and a parent process of its own."""

    folder: Path

    @property
    def mark(self) -> str:
        """What all of its processes have in their environment."""
        return f"XDG_RUNTIME_DIR={self.folder}"

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        left_out = ("PREFECT_", "PYTHON", "WANDB_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return kept | {"PYTHONPATH": str(REPOSITORY), "XDG_RUNTIME_DIR": str(self.folder), "PREFECT_HOME": "/nowhere"}

    def start(self, *command: str, **changes: Any) -> subprocess.Popen[str]:
        """Start `python -m COMMAND`."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        given = {"cwd": self.folder, "env": self.environment, "text": True, "start_new_session": True} | pipes
        return subprocess.Popen([sys.executable, "-m", *command], **given | changes)

    def run(self, *command: str, **changes: Any) -> tuple[int, str, str]:
        """How it ended, and what it said."""
        process = self.start(*command, **changes)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def parents(self) -> list[int]:
        """The processes that fork; what they have forked looks the same from outside."""
        alike = {pid for pid, command in processes_with(self.mark).items() if "tasks.warm.parent" in command}
        return [pid for pid in alike if psutil.pid_exists(pid) and psutil.Process(pid).ppid() not in alike]


@pytest.fixture(scope="module", autouse=True)
def _nothing_ignored() -> Iterator[None]:
    """Who runs the tests in the background may ignore an interrupt, and all that is started would."""
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    ignored = [number for number in numbers if before[number] is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """Commands that share a parent."""
    found = Here(tmp_path_factory.mktemp("warm"))
    for name, text in {"seen": SEEN, "ends": ENDS, "draws": DRAWS}.items():
        (found.folder / f"{name}.py").write_text(text)
    yield found
    for pid in found.parents():
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not processes_with(found.mark), 30)


def test_a_run_finds_all_that_a_new_interpreter_finds(here: Here) -> None:
    extra = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_LOGGING_LEVEL": "WARNING", "WANDB_NOTES": "ö"}
    extra |= {"PREFECT_LOGGING_EXTRA_LOGGERS": "models,tasks"}
    environment = here.environment | extra | {"PYTHONPATH": f"{REPOSITORY}:more:/elsewhere/../here:more"}
    arguments = ("seen", "one", "--two", "drei ü")
    code, cold, said = here.run(*arguments, env=environment, umask=0o027)
    assert code == 0, said
    code, warm, said = here.run("tasks.warm", *arguments, env=environment, umask=0o027)
    assert (code, said) == (0, "to stderr\n")
    expected, found = json.loads(cold), json.loads(warm)
    differing = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    assert not differing
    assert found["project"] == []
    assert found["home"] == "/nowhere"


def test_a_run_has_the_terminal_of_its_command(here: Here) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = here.start("tasks.warm", "seen", stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        assert process.wait(timeout=120) == 0
        found = json.loads(terminal.read(65536).splitlines()[0])
    assert found["streams"] == found["buffered"] + [True] == [True, True, True]


@pytest.mark.parametrize("how", ["0", "3", "raises", "signal SIGKILL", "signal SIGTERM", "signal SIGABRT"])
def test_a_command_ends_as_its_run_ends(here: Here, how: str) -> None:
    cold, warm = here.run("ends", how), here.run("tasks.warm", "ends", how)
    assert warm[0] == cold[0]
    assert warm[1] == cold[1]
    assert warm[2].splitlines()[-1:] == cold[2].splitlines()[-1:]


def test_a_module_that_is_not_there_is_said_as_by_python(here: Here) -> None:
    code, _, said = here.run("tasks.warm", "nothing")
    assert (code, said.strip().endswith("No module named nothing")) == (1, True), said


@pytest.mark.parametrize(
    ("how", "sent", "code", "said"),
    [
        ("waits", signal.SIGINT, 4, ["interrupted", "finally"]),
        ("waits", signal.SIGTERM, -signal.SIGTERM, []),
        ("catches", signal.SIGTERM, 5, ["told to end"]),
    ],
)
def test_signals_are_handed_on(here: Here, how: str, sent: signal.Signals, code: int, said: list[str]) -> None:
    process = here.start("tasks.warm", "ends", how)
    assert process.stdout
    run = int(process.stdout.readline())
    time.sleep(0.5)  # until the line is written for the run too: it could not write another one meanwhile
    process.send_signal(sent)
    assert process.wait(timeout=30) == code
    assert not psutil.pid_exists(run)
    if how == "catches":
        assert process.stdout.read().splitlines() == said


def test_a_run_and_what_it_has_started_end_with_a_command_that_is_killed(here: Here) -> None:
    process = here.start("tasks.warm", "ends", "starts another")
    assert process.stdout
    run = psutil.Process(int(process.stdout.readline()))
    started = eventually(run.children, 10)
    process.kill()
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not psutil.wait_procs([run, *started], timeout=30)[1]


def test_a_signal_is_handed_on_that_comes_before_there_is_a_parent(here: Here) -> None:
    (here.folder / "late.py").write_text("print('begun', flush=True)\nimport time\ntime.sleep(600)\n")
    own = here.environment | {"OMP_NUM_THREADS": "5"}  # a parent that is still to import
    before = set(here.parents())
    process = here.start("tasks.warm", "late", env=own)
    (parent,) = eventually(lambda: set(here.parents()) - before, 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    assert process.stdout and process.stdout.read() == ""
    os.kill(parent, signal.SIGTERM)
    eventually(lambda: parent not in here.parents(), 60)


def test_what_is_asked_for_without_a_module_is_told_how(here: Here) -> None:
    assert here.run("tasks.warm") == (1, "", "usage: python -m tasks.warm MODULE [ARGUMENTS]\n")


def test_runs_end_with_a_parent_that_is_killed_and_the_next_command_has_another(here: Here) -> None:
    process = here.start("tasks.warm", "ends", "waits")
    assert process.stdout and process.stderr
    run = psutil.Process(int(process.stdout.readline()))
    (parent,) = here.parents()
    os.kill(parent, signal.SIGKILL)
    assert process.wait(timeout=30) == 1
    assert f"the parent of process {run.pid} was killed, and so was the process" in process.stderr.read()
    assert not psutil.wait_procs([run], timeout=30)[1]
    assert here.run("tasks.warm", "ends", "3")[0] == 3
    assert parent not in here.parents()


def test_a_parent_that_is_told_to_end_waits_for_its_runs_and_takes_no_others(here: Here) -> None:
    process = here.start("tasks.warm", "ends", "catches")
    assert process.stdout
    run = int(process.stdout.readline())
    (parent,) = here.parents()
    os.kill(parent, signal.SIGTERM)
    assert here.run("tasks.warm", "ends", "3")[0] == 3
    assert len(here.parents()) == 2
    os.kill(run, signal.SIGTERM)
    assert process.wait(timeout=30) == 5
    eventually(lambda: parent not in here.parents(), 30)


def test_what_a_command_ignores_its_run_ignores_too(here: Here) -> None:
    text = "trap '' HUP INT; exec " + sys.executable + " -m"
    seen = []
    for warm in ("", "tasks.warm "):
        done = subprocess.run(
            ["bash", "-c", f"{text} {warm}seen"],
            cwd=here.folder,
            env=here.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(json.loads(done.stdout)["signals"])
    assert seen[0] == seen[1]
    assert seen[0][0] == str(signal.SIG_IGN)


def test_a_command_that_says_half_of_what_it_wants_holds_nobody_up_and_leaves_nothing_open(here: Here) -> None:
    assert here.run("tasks.warm", "ends", "0")[0] == 0
    (parent,) = here.parents()
    (address,) = (each for each in here.folder.glob("perennial-*/*.socket") if _answers(each))
    before = psutil.Process(parent).num_fds()
    halves = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for half in halves:
        half.connect(str(address))
        socket.send_fds(half, [wire.SIZE.pack(100)], wire.STREAMS)
    assert here.run("tasks.warm", "ends", "3")[0] == 3
    for half in halves:
        half.close()
    eventually(lambda: psutil.Process(parent).num_fds() <= before, 30)


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(address)) == 0


def test_a_module_that_was_imported_before_runs_without_a_warning(here: Here) -> None:
    strict = here.environment | {"PREFECT__FLOW_RUN_ID": "none", "PYTHONWARNINGS": "error::RuntimeWarning"}
    before = set(here.parents())
    for command in (["prefect.engine"], ["tasks.warm", "prefect.engine"]):
        code, _, said = here.run(*command, env=strict)
        assert (code, "Invalid flow run id" in said, "RuntimeWarning" in said) == (1, True, False), said
    for new in set(here.parents()) - before:
        os.kill(new, signal.SIGTERM)


def test_commands_at_once_share_one_parent(here: Here) -> None:
    processes = [here.start("tasks.warm", "ends", str(code)) for code in range(8)]
    assert [process.wait(timeout=120) for process in processes] == list(range(8))
    assert len(here.parents()) == 1


def test_each_run_draws_numbers_of_its_own_and_sees_the_code_as_it_is(here: Here) -> None:
    drawn = [float(each) for _ in range(3) for each in here.run("tasks.warm", "draws")[1].split()]
    assert len(set(drawn)) == 9
    for text in ("first", "second"):
        (here.folder / "edited.py").write_text(f"print('{text}')\n")
        assert here.run("tasks.warm", "edited")[1] == f"{text}\n"
        time.sleep(1.1)  # Python tells an edited file by its second


def test_a_command_with_another_environment_has_another_parent(here: Here) -> None:
    before = set(here.parents())
    assert here.run("tasks.warm", "ends", "0", env=here.environment | {"OMP_NUM_THREADS": "3"})[0] == 0
    (new,) = set(here.parents()) - before
    os.kill(new, signal.SIGTERM)


def test_where_no_parent_can_be_the_run_begins_in_a_new_interpreter(here: Here, tmp_path: Path) -> None:
    tmp_path.joinpath(f"perennial-{os.getuid()}").mkdir(mode=0o755)
    environment = here.environment | {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert here.run("tasks.warm", "ends", "3", env=environment)[0] == 3
    assert not processes_with(f"XDG_RUNTIME_DIR={tmp_path}")


def test_where_nothing_can_be_forked_there_is_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OSError, match="no process is forked on darwin"):
        connected(os.environ)
