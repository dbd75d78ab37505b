"""Perennial as a user runs it: `python -m flows.NAME` in a process of its own, in a folder outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_SECONDS = 240
BUSY_TRIES = 30
STANDSTILL_SECONDS = 120  # a server whose SQLite has several writers can stand still for a minute


def answered(verb: str, url: str, json: Any = None) -> httpx.Response:
    """What a Prefect server answers; one whose SQLite is busy says 503, and is asked again as Prefect's client does."""
    for _ in range(BUSY_TRIES):
        answer = httpx.request(verb, url, json=json, timeout=STANDSTILL_SECONDS)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)
    return answer.raise_for_status()


def eventually(question: Callable[[], Any], seconds: float) -> Any:
    """The first answer that is not empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.2)
    raise TimeoutError(f"no answer in {seconds} s")


@dataclass(frozen=True)
class Shell:
    """Where commands run: which Prefect server they report to, and a home for what Prefect keeps."""

    api: str
    home: Path

    def environment(self, folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Of a user in `folder`, without W&B keys or Prefect settings of whoever runs the tests."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PREFECT_", "PYTHON"))
        }
        return inherited | {
            "PYTHONPATH": f"{REPOSITORY}:{folder}",
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.home),
            "WANDB_MODE": "offline",
            "OMP_NUM_THREADS": "1",  # sums of floats, and so the ids of versions, depend on the number of threads
            "COLUMNS": "80",
            **(extra or {}),
        }

    def start(
        self, folder: Path, flow: str, *args: str, extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `python -m flows.FLOW ARGS` as the leader of its own process group."""
        return subprocess.Popen(
            [sys.executable, "-m", f"flows.{flow}" if flow else "flows", *args],
            cwd=folder,
            env=self.environment(folder, extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, folder: Path, flow: str, *args: str, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which nobody waits for longer than a few minutes."""
        return finish(self.start(folder, flow, *args, extra=extra))

    def ask(self, path: str, **query: Any) -> Any:
        """What the Prefect server answers to a query, such as `ask("artifacts/filter", limit=3)`."""
        return answered("POST", f"{self.api}/{path}", json=query).json()


@contextmanager
def nothing_left(shell: Shell) -> Iterator[None]:
    """A block after which pools, deployments and automations are those that were there before it."""
    kinds = {"automations": "id", "deployments": "id", "work_pools": "name"}
    before = {kind: {each["id"] for each in shell.ask(f"{kind}/filter")} for kind in kinds}
    try:
        yield
    finally:
        for kind, key in kinds.items():
            for each in shell.ask(f"{kind}/filter"):
                if each["id"] not in before[kind]:
                    _delete(f"{shell.api}/{kind}/{each[key]}")


def _delete(url: str) -> None:
    try:
        answered("DELETE", url)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:  # an automation goes with its deployment
            raise


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process that was started, and collect what it printed."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path, without what W&B keeps there."""
    found = (path for path in folder.rglob("*") if path.is_file() and "wandb" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def processes_with(variable: str) -> dict[int, str]:
    """Numbers and commands of the running processes that have a variable in their environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if variable.encode() in path.read_bytes().split(b"\0"):
                found[int(path.parent.name)] = (path.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found
