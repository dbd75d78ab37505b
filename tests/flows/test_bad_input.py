"""What goes wrong by a user's hand ends with one message that says what, where and what was expected instead."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from prefect import flow

from configs.schema import Project, load
from flows.command import run
from flows.retrain import retrain
from models.registry.log import LogBroken
from models.registry.registry import Registry
from models.training.errors import Diverged
from tasks.step import step
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

Here = Callable[..., CompletedProcess[str]]
FIRST = ("retrain", "churn.yaml", "--as-of", "2025-02-15")


@dataclass(frozen=True)
class Mistake:
    """Something that is done to the folder of a project, the command that meets it, and what it then has to say."""

    make: Callable[[Path], None]
    command: tuple[str, ...]
    words: tuple[str, ...]
    code: int = 2


def _rewrite(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for path in sorted((folder / "rows").iterdir()):
            change(pd.read_parquet(path)).to_parquet(path, index=False)

    return make


def _misspell(folder: Path) -> None:
    yaml = folder / "churn.yaml"
    yaml.write_text(yaml.read_text().replace("min_gain", "min_gian"))


def _write_a_number_in_words(folder: Path) -> None:
    yaml = folder / "churn.yaml"
    yaml.write_text(yaml.read_text().replace("hidden: 16", "hidden: sixteen"))


def _change_a_weight(folder: Path) -> None:
    storage = folder / ".perennial"
    champion = Registry.open(storage, "churn").log.read().champion
    weights = storage / "registry/churn/versions" / str(champion) / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def _change_the_log(folder: Path) -> None:
    entry = folder / ".perennial/registry/churn/log/00000003.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"kind": "promoted"}, indent=1, sort_keys=True) + "\n")


NEW_PROJECT = {
    "a misspelt key": Mistake(_misspell, FIRST, ("churn.yaml", "gate.min_gian", "unknown key", "min_gain")),
    "a source without the label": Mistake(
        _rewrite(lambda rows: rows.drop(columns="churned")), FIRST, ("no column 'churned'", "age, usage", "data.label")
    ),
    "a window without rows": Mistake(
        _rewrite(lambda rows: rows[rows["event_time"] >= "2025-03-01"]),
        FIRST,
        ("no rows from 2025-01-01 00:00 to 2025-02-14 00:00 UTC", "for training", "schedule.start"),
    ),
    "rows out of order": Mistake(
        _rewrite(lambda rows: rows[::-1]), FIRST, ("not in time order", "id=", "follows", "sort the source")
    ),
    "an id that repeats": Mistake(
        _rewrite(lambda rows: rows.assign(id=rows["id"] // 2)), FIRST, ("repeat an id", "first id=0", "data.id")
    ),
    "a number in words": Mistake(
        _write_a_number_in_words, FIRST, ("own_network.Linear cannot be built with", "{'hidden': 'sixteen'}")
    ),
    "a number that became text": Mistake(
        _rewrite(lambda rows: rows.assign(age="old")), FIRST, ("'age'", "was a number and holds 'old'", "categories")
    ),
}
REPLAYED_PROJECT = {
    "a changed checkpoint": Mistake(
        _change_a_weight,
        ("score", "churn.yaml", "--as-of", "2025-05-20"),
        ("weights.safetensors was changed", "SHA-256", "the manifest says", "roll back"),
    ),
    "a log changed by hand": Mistake(
        _change_the_log, ("rollback", "churn.yaml"), ("log/00000003.json was changed after it was written",), code=1
    ),
}


@pytest.fixture(scope="module")
def ended(
    replayed: Replayed, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], CompletedProcess[str]]]:
    """The command of each mistake, two at a time, because most of it is imports."""

    def run(item: tuple[str, Mistake]) -> CompletedProcess[str]:
        name, mistake = item
        folder = tmp_path_factory.mktemp("mistake")
        if name in REPLAYED_PROJECT:
            shutil.copytree(replayed.folder, folder, dirs_exist_ok=True)
        else:
            own_project.write(folder)
        mistake.make(folder)
        return shell.run(folder, *mistake.command)

    with ThreadPoolExecutor(2) as pool:
        futures = {item[0]: pool.submit(run, item) for item in (NEW_PROJECT | REPLAYED_PROJECT).items()}
        yield lambda name: futures[name].result()


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW_PROJECT | REPLAYED_PROJECT)
def test_a_mistake_ends_with_one_message_that_names_it(
    name: str, ended: Callable[[str], CompletedProcess[str]]
) -> None:
    mistake, run = (NEW_PROJECT | REPLAYED_PROJECT)[name], ended(name)
    assert run.returncode == mistake.code, run.stderr
    _says_once(run, mistake.words)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ("--set", "data.source.class_path=models.data.source.Parket"),
            ("data.source", "'models.data.source.Parket'", "has no 'Parket'", "Parquet"),
        ),
        (
            ("--set", "data.source.class_path=nowhere.Rows"),
            ("data.source", "'nowhere.Rows'", "no module 'nowhere'", "PYTHONPATH"),
        ),
        (
            ("--set", "training.network.init_args={width: 3}"),
            ("training.network", "own_network.Linear", "'width'", "it takes inputs, hidden"),
        ),
        (
            ("--set", "training.network.init_args={inputs: 3}"),
            ("training.network", "own_network.Linear", "multiple values for argument 'inputs'", "may have hidden"),
        ),
        (
            ("--set", "data.source.init_args={}"),
            ("data.source", "models.data.source.Parquet", "missing a required argument: 'path'", "may have path, time"),
        ),
        (("--set", "gate.alpha=5"), ("gate.alpha", "less than", "found 5")),
        (("--set", "gate.alpha"), ("'gate.alpha' has no '='", "gate.alpha=0.01")),
        (("--as-of", "the day before yesterday"), ("--as-of", "'the day before yesterday' is no time", "YYYY-MM-DD")),
    ],
)
def test_a_mistake_on_the_command_line_is_told_before_anything_runs(
    args: tuple[str, ...], words: tuple[str, ...], fresh: Own, here: Here
) -> None:
    run = here("retrain", "churn.yaml", *args)
    assert run.returncode == 2
    _says_once(run, words)
    assert not (fresh.folder / ".perennial").exists()


def test_a_yaml_that_does_not_exist_is_named(here: Here) -> None:
    run = here("score", "no-such.yaml")
    assert run.returncode == 2
    _says_once(run, ("no-such.yaml does not exist", "configs/flights.yaml"))


def test_what_the_world_did_is_one_line_and_another_exit_code(
    fresh: Own, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(project: Project) -> None:
        """Fail as a training that diverges does."""
        raise RuntimeError(f"{project.name}: loss is no longer finite [/nan] :bug:")

    monkeypatch.setattr(sys, "argv", ["flows/diverge.py", "churn.yaml"])
    with pytest.raises(SystemExit) as stop:
        run(diverge)
    assert stop.value.code == 1
    assert capsys.readouterr() == ("", "error: churn: loss is no longer finite [/nan] :bug:\n")


@pytest.mark.slow
def test_score_before_any_champion_says_what_to_run_first(fresh: Own, prefect_here: Shell, here: Here) -> None:
    run = here("score", "churn.yaml")
    assert run.returncode == 2
    _says_once(run, ("churn has no champion yet", "python -m flows.retrain"))


@pytest.mark.slow
def test_status_of_a_log_changed_by_hand_says_where(own: Own, here: Here) -> None:
    _change_the_log(own.folder)
    run = here("status", "churn.yaml")
    assert run.returncode == 1
    _says_once(run, ("log/00000003.json",))


@pytest.mark.slow
def test_a_users_mistake_is_not_tried_again(fresh: Own, prefect_here: Shell, caplog: pytest.LogCaptureFixture) -> None:
    _rewrite(lambda rows: rows.drop(columns="churned"))(fresh.folder)
    with pytest.raises(ValueError, match="no column 'churned'"):
        retrain(fresh.project, as_of=day("2025-02-15"))
    assert "Retry" not in caplog.text


@pytest.mark.slow
def test_a_training_that_diverged_is_not_tried_again(
    fresh: Own, prefect_here: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    project = load(fresh.folder / "churn.yaml", ("training.learning_rate=1.0e+30",))
    with pytest.raises(Diverged, match="lower the learning rate"):
        retrain(project, as_of=day("2025-02-15"))
    assert "Retry" not in caplog.text


@pytest.mark.slow
def test_what_the_world_did_is_tried_again_and_a_broken_log_is_not(prefect_here: Shell) -> None:
    calls: list[str] = []

    @step
    def reach() -> str:
        calls.append("reach")
        if len(calls) == 1:
            raise OSError("the disk was away for a moment")
        return "reached"

    @step
    def read_log() -> str:
        calls.append("read")
        raise LogBroken("an entry is missing")

    @flow
    def touch_the_world() -> str:
        return reach()

    @flow
    def touch_the_log() -> str:
        return read_log()

    assert touch_the_world() == "reached"
    assert calls == ["reach", "reach"]
    with pytest.raises(LogBroken):
        touch_the_log()
    assert calls.count("read") == 1


def _says_once(run: CompletedProcess[str], words: tuple[str, ...]) -> None:
    said = run.stdout + run.stderr
    assert "Traceback" not in said
    assert [word for word in words if word not in run.stderr] == []
    assert said.count("error: ") == 1
