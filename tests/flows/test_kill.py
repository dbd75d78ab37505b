"""A replay that is killed again and again ends where an undisturbed one ends."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from models.registry import history
from models.registry.log import Entry, State
from models.registry.registry import Registry
from tasks.step import build_network
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell, files, finish
from tests.flows.conftest import Own

pytestmark = pytest.mark.slow
NUM_KILLS, LONGEST_DELAY = 10, 0.4


@pytest.mark.timeout(500)
def test_a_replay_killed_at_ten_random_instants_ends_like_an_undisturbed_one(
    replayed: Replayed, shell: Shell, tmp_path: Path, enter: Callable[[Path], Own]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"kills drawn with seed={seed}")  # pytest shows it when the test fails
    folder = tmp_path / "killed"
    own_project.write(folder)
    for instant in _instants(random.Random(seed), len(files(replayed.storage))):
        _kill_at(shell, folder, *instant)
    ended = shell.run(folder, "replay", "churn.yaml")
    assert ended.returncode == 0, ended.stderr

    killed, undisturbed = enter(folder).registry, Registry.open(replayed.storage, "churn")
    state, expected = killed.log.read(), undisturbed.log.read()
    assert _answers(state) == _answers(expected)
    assert state.champion == expected.champion
    assert max(Counter((entry.attempt, entry.kind == "registered") for entry in state.entries).values()) == 1
    _check_versions(folder, killed, state)
    _check_predictions(killed, undisturbed)
    _check_rows_and_records(killed, undisturbed)
    assert _pages(folder / ".perennial") == _pages(replayed.storage)
    assert _without_times(ended.stdout) == _without_times(replayed.run.stdout)


def _without_times(printed: str) -> list[str]:
    """All lines but the one that says how long the trainings took, which is never the same twice."""
    kept = [line for line in printed.splitlines() if "of device time" not in line]
    assert len(kept) == len(printed.splitlines()) - 1
    return kept


def _instants(draw: random.Random, num_files: int) -> list[tuple[int, float]]:
    """Spread over the work and not over the imports: after so many files, one draw in each tenth, and a moment more."""
    step = 0.8 * num_files / NUM_KILLS  # the last fifth is left, so that every kill finds work to interrupt
    return [(1 + int((part + draw.random()) * step), draw.uniform(0, LONGEST_DELAY)) for part in range(NUM_KILLS)]


def _kill_at(shell: Shell, folder: Path, num_files: int, delay: float) -> None:
    found = _count(folder)
    process = shell.start(folder, "replay", "churn.yaml")
    while _count(folder) < max(num_files, found + 1) and process.poll() is None:
        time.sleep(0.005)
    time.sleep(delay)
    was_running = process.poll() is None
    print(f"killed with {_count(folder)} files ({found} at the start), {delay:.2f} s after no. {num_files}")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    finished = finish(process)
    assert was_running and process.returncode == -signal.SIGKILL, finished.stderr


def _count(folder: Path) -> int:
    storage = folder / ".perennial"
    return sum(len(names) for path, _, names in os.walk(storage) if "wandb" not in path)


def _answers(state: State) -> list[tuple[Any, ...]]:
    def content(entry: Entry) -> tuple[Any, ...]:
        judgement = entry.evidence.get("judgement")
        return entry.kind, entry.attempt, entry.version, entry.against, entry.as_of, entry.reason, judgement

    return [content(entry) for entry in state.entries]


def _check_versions(folder: Path, registry: Registry, state: State) -> None:
    complete = registry.versions.ids()
    folders = {path.name for path in (folder / ".perennial/registry/churn/versions").iterdir()}
    assert {entry.version for entry in state.entries if entry.version} == set(complete) <= folders
    for version in complete:
        assert registry.versions.load(version, build_network).id == version


def _check_predictions(killed: Registry, undisturbed: Registry) -> None:
    assert killed.predictions.starts() == undisturbed.predictions.starts()
    for start in killed.predictions.starts():
        batch = killed.predictions.describe(start)
        rows, expected = (each.predictions.read(batch).drop(columns="scored_at") for each in (killed, undisturbed))
        assert batch == undisturbed.predictions.describe(start)
        assert rows.equals(expected)
        assert rows["id"].is_unique


def _check_rows_and_records(killed: Registry, undisturbed: Registry) -> None:
    names = history.holdouts(killed.log.read())
    assert names == history.holdouts(undisturbed.log.read())
    for name in names:
        assert killed.holdouts.read(name).equals(undisturbed.holdouts.read(name))
    records = sorted(Path(killed.storage.place("reports/churn")).glob("decision-*.json"))
    assert len(records) == len(names)
    for record in records:
        assert json.loads(record.read_text())


def _pages(storage: Path) -> set[str]:
    return {path.name for path in (storage / "reports/churn").iterdir() if path.suffix == ".html"}
