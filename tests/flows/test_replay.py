"""The whole loop, as a user with a project of their own runs it from outside the repository."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from models.reporting.pages import decision_file
from tasks.step import build_network
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell, files
from tests.flows.conftest import Own

pytestmark = pytest.mark.slow
PERIODS = 7


def test_replay_ends_well_and_shows_a_table_with_one_row_a_period(replayed: Replayed) -> None:
    run = replayed.run
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    rows = [line for line in run.stdout.splitlines() if re.match(r"\d\d-\d\d ", line)]
    assert len(rows) == PERIODS
    narrow = [line for line in run.stdout.splitlines() if not line.startswith("Report: ")]
    assert max(len(line.rstrip()) for line in narrow) <= 80
    assert "Report: .perennial/reports/churn/index.html" in run.stdout
    assert "3 promoted, 1 rejected." in run.stdout


def test_replay_says_one_short_line_for_each_step_and_nothing_of_prefect(replayed: Replayed) -> None:
    lines = [line for line in replayed.run.stderr.splitlines() if line.strip()]
    assert all(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in lines), lines
    assert not [line for line in lines if "Flow run" in line or "Task run" in line]
    assert sum("scored by" in line for line in lines) == PERIODS


def test_replay_promotes_what_is_better_and_refuses_what_is_not(own: Own) -> None:
    state = own.registry.log.read()
    decisions = [entry for entry in state.entries if entry.kind != "registered"]
    assert [entry.kind for entry in decisions].count("promoted") >= 2
    assert {"rejected", "inconclusive"} & {entry.kind for entry in decisions}
    promoted = [entry.version for entry in decisions if entry.kind == "promoted"]
    assert state.champion == promoted[-1]
    assert state.promotions == tuple(promoted)
    assert len({entry.attempt for entry in decisions}) == len(decisions)
    assert all(entry.reason.endswith((".", ")")) for entry in decisions)


def test_every_row_after_the_first_champion_is_scored_exactly_once(own: Own) -> None:
    batches = [own.registry.predictions.describe(start) for start in own.registry.predictions.starts()]
    scored = pd.concat([own.registry.predictions.read(batch) for batch in batches])
    rows = own_project.customers()
    expected = rows[rows["event_time"] >= pd.Timestamp(own.project.schedule.first_champion)]
    assert len(batches) == PERIODS
    assert all(first.end == second.start for first, second in pairwise(batches))
    assert not scored["id"].duplicated().any()
    assert sorted(scored["id"]) == sorted(expected["id"])
    assert (scored["version"] == [batch.version for batch in batches for _ in range(batch.num_rows)]).all()


def test_every_version_is_complete_and_can_be_loaded(own: Own) -> None:
    versions = own.registry.versions
    folders = {path.name for path in (own.folder / ".perennial/registry/churn/versions").iterdir()}
    registered = {entry.version for entry in own.registry.log.read().entries if entry.kind == "registered"}
    assert set(versions.ids()) == folders == registered
    rows = own_project.customers().head(10)
    for version in versions.ids():
        scores = versions.load(version, build_network).model.predict(rows)
        assert ((scores > 0) & (scores < 1)).all()


def test_no_row_was_in_both_the_training_and_the_holdout_of_a_decision(own: Own) -> None:
    judged = [entry for entry in own.registry.log.read().entries if "judgement" in entry.evidence]
    assert len(judged) >= 3
    for entry in judged:
        windows = dict(entry.evidence["windows"])
        embargo = timedelta(days=windows.pop("embargo_days"))
        train_end, holdout_start = (datetime.fromisoformat(windows[name]) for name in ("train_end", "holdout_start"))
        assert own.registry.versions.trained_until(entry.version) == train_end
        assert train_end + embargo <= holdout_start
        assert datetime.fromisoformat(windows["holdout_end"]) <= datetime.fromisoformat(entry.as_of)
        if entry.against:
            assert own.registry.versions.trained_until(entry.against) + embargo <= holdout_start


def test_there_is_a_report_and_a_page_for_each_decision(replayed: Replayed, own: Own) -> None:
    pages = replayed.storage / "reports" / "churn"
    report = (pages / "index.html").read_text()
    for entry in own.registry.log.read().entries:
        if entry.kind != "registered":
            assert entry.reason.split(":")[0] in (pages / decision_file(entry)).read_text()
            assert decision_file(entry) in report


def test_running_the_replay_again_changes_nothing_but_writes_a_page_that_is_missing(
    replayed: Replayed, shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(replayed.folder, folder)
    before = files(folder)
    (folder / ".perennial/reports/churn/decision-00000003.html").unlink()  # as if killed right after the decision
    again = shell.run(folder, "replay", "churn.yaml")
    after = files(folder)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert again.returncode == 0, again.stderr
    assert changed <= {".perennial/reports/churn/index.html"}  # which says how long the replay took
    assert again.stdout == replayed.run.stdout


def test_a_replay_with_other_settings_in_the_same_storage_is_refused(
    own: Own, prefect_here: Shell, here: Callable[..., CompletedProcess[str]]
) -> None:
    before = files(own.folder)
    refused = here("replay", "churn.yaml", "--set", "gate.alpha=0.01")
    assert refused.returncode == 2
    assert "storage='.perennial' holds a replay of churn with other settings" in refused.stderr
    assert "--set storage=" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert files(own.folder) == before
