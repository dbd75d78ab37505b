"""Copies of the replayed project to go on from, and flows in this process against the real Prefect server."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import torch
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    temporary_settings,
)

from configs.schema import Project, load
from models.registry.log import Entry
from models.registry.registry import Registry
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell


@dataclass(frozen=True)
class Own:
    """The user's project in a folder of its own, which is the working directory."""

    folder: Path
    project: Project

    @property
    def registry(self) -> Registry:
        """What the project has written."""
        return Registry.open(self.folder / ".perennial", self.project.name)

    def having(self, *overrides: str) -> Project:
        """The project with values of its YAML changed: `having("gate.alpha=0.01")`."""
        return load(self.folder / "churn.yaml", overrides)

    def decisions(self) -> list[Entry]:
        """The entries that decide something, oldest first."""
        return [entry for entry in self.registry.log.read().entries if entry.kind != "registered"]

    def rewrite(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change every row of the source, all files taken together."""
        paths = sorted((self.folder / "rows").iterdir())
        rows = change(pd.concat([pd.read_parquet(path) for path in paths]).sort_values("event_time"))
        for path in paths:
            path.unlink()
        rows.to_parquet(paths[0], index=False)

    def forget_after(self, num_entries: int) -> None:
        """Cut the log after so many entries: a moment of the replay at which there was no more."""
        for path in sorted((self.folder / ".perennial/registry/churn/log").iterdir())[num_entries:]:
            path.unlink()

    def add_rows(self, rows: pd.DataFrame) -> None:
        """A further file in the source."""
        rows.to_parquet(
            self.folder / "rows" / f"added-{len(list((self.folder / 'rows').iterdir()))}.parquet", index=False
        )


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in the commands: sums of floats depend on the number of threads."""
    torch.set_num_threads(1)


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Own]:
    """Go into a folder that holds the project, with its network on the path of imports."""

    def go(folder: Path) -> Own:
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        return Own(folder, load(folder / "churn.yaml"))

    return go


@pytest.fixture
def fresh(tmp_path: Path, enter: Callable[[Path], Own]) -> Own:
    """The project before anything was run."""
    own_project.write(tmp_path / "fresh")
    return enter(tmp_path / "fresh")


@pytest.fixture
def own(replayed: Replayed, tmp_path: Path, enter: Callable[[Path], Own]) -> Own:
    """A copy of the replayed project."""
    shutil.copytree(replayed.folder, tmp_path / "own", ignore=shutil.ignore_patterns("wandb"))
    return enter(tmp_path / "own")


@pytest.fixture(scope="session")
def _drained(shell: Shell) -> Iterator[None]:
    """What this process still has to tell the server is told before the server ends."""
    yield
    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


@pytest.fixture
def prefect_here(shell: Shell, _drained: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Flows called in this process report to the real server, without the second that each heartbeat thread costs."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    updates = {
        PREFECT_API_URL: shell.api,
        PREFECT_HOME: shell.home,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(updates):
        yield shell


@pytest.fixture
def here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`here("retrain", "--help")` is `python -m flows.retrain --help` without the seconds a new interpreter takes."""

    def run(flow: str, *args: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", [f"flows/{flow}.py", *args])
        monkeypatch.setitem(os.environ, "COLUMNS", "80")
        monkeypatch.delitem(sys.modules, f"flows.{flow}", raising=False)
        code: object = 0
        try:
            runpy.run_module(f"flows.{flow}", run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return subprocess.CompletedProcess([flow, *args], code, out, err)

    return run


def day(text: str) -> datetime:
    """Midnight UTC of a date."""
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")
