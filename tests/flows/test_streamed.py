"""A retrain whose training window is never held all at once: it comes to a decision, killed or not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from configs.schema import Project
from flows.retrain import retrain
from models.data.snapshots import Snapshot, Snapshots
from models.registry.log import Entry
from models.registry.versions import VersionId
from models.training import checkpoints
from models.training.callbacks import Rate
from tasks.choose import Chosen, try_out
from tasks.decide import begin, decide
from tasks.foresee import foresee
from tasks.ingest import expectations_of, ingest, inspect
from tasks.train import train
from tasks.turn import Turn
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
FIRST, SECOND = day("2025-02-15"), day("2025-04-12")
STREAMED = "training.memory_mib=64"


def _whole(*arguments: Any, **named: Any) -> pd.DataFrame:
    raise AssertionError("all rows of the window were held")


@pytest.fixture
def nothing_holds_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("read", "freeze"):
        monkeypatch.setattr(Snapshots, name, _whole)


def _step_by_step(project: Project, as_of: Any, arm: int = 0) -> tuple[Snapshot, VersionId, Entry]:
    """What `retrain` does, without its trials and its server."""
    attempt = begin.fn(project, as_of, "manual", Turn())
    snapshot = ingest.fn(project, attempt.champion, as_of)
    assert inspect.fn(project, snapshot, attempt.champion, as_of) == []
    foresight = foresee.fn(project, snapshot, attempt.champion)
    assert foresight.objection is None
    chosen = Chosen(project.training.arms[arm])
    challenger = train.fn(project, snapshot, attempt.champion, chosen, attempt.id, as_of)
    return snapshot, challenger, decide.fn(project, attempt, snapshot, [challenger], foresight)


def test_champions_are_found_on_streamed_rows(fresh: Own, nothing_holds_the_window: None) -> None:
    project = fresh.having(STREAMED, "training.arms=[scratch, finetune]")
    _, first, promoted = _step_by_step(project, FIRST)
    assert (promoted.kind, promoted.version) == ("promoted", first)
    _, second, decided = _step_by_step(project, SECOND, arm=1)
    lineage = fresh.registry.versions.lineage(second)
    assert (lineage["parent"], lineage["recipe"]) == (first, "finetune")
    assert decided.kind == "promoted", decided.reason  # the reason to leave has changed between them


def test_what_is_frozen_learned_and_found_is_what_a_frame_gives(fresh: Own) -> None:
    found = []
    computed = fresh.folder / ".perennial/computed/churn/expectations"
    for project in (fresh.project, fresh.having(STREAMED)):
        snapshot = ingest.fn(project, None, SECOND)
        of_all = expectations_of(project, snapshot)
        for path in computed.iterdir():
            path.unlink()
        of_labelled = expectations_of(project, snapshot)  # what was kept is gone
        for path in computed.iterdir():
            path.unlink()
        foresight = foresee.fn(project, snapshot, None)
        found.append((snapshot, of_all, of_labelled, inspect.fn(project, snapshot, None, SECOND), foresight))
    assert found[0] == found[1]


class _Killed(BaseException):
    """Stands for a signal in the middle of an epoch."""


def test_a_streamed_training_that_was_killed_goes_on_to_the_same_weights(
    fresh: Own, monkeypatch: pytest.MonkeyPatch, nothing_holds_the_window: None
) -> None:
    project = fresh.having(STREAMED, "training.arms=[scratch, rewarm]")
    _, champion, _ = _step_by_step(project, FIRST)
    snapshot, arm, steps = ingest.fn(project, champion, SECOND), project.training.arms[1], 0

    def tried(attempt: str) -> dict[str, Any]:
        trial = try_out.fn(project, snapshot, champion, arm, attempt)
        return {"loss": trial.loss, "rows": trial.num_rows, "epoch": trial.best_epoch}

    undisturbed = tried("one attempt")
    with monkeypatch.context() as patch:
        whole = Rate.on_train_batch_start

        def until_killed(self: Rate, *arguments: Any, **named: Any) -> None:
            nonlocal steps
            steps += 1
            if steps == 40:
                raise _Killed
            whole(self, *arguments, **named)

        patch.setattr(Rate, "on_train_batch_start", until_killed)
        patch.setattr(checkpoints, "SECONDS_BETWEEN_STATES", 0.0)
        with pytest.raises(_Killed):
            tried("another attempt")
    assert any((fresh.project.work / "trainings/churn").iterdir())
    assert tried("another attempt") == undisturbed


def test_memory_that_is_too_little_is_told_with_the_key(fresh: Own) -> None:
    project = fresh.having("training.memory_mib=1", "training.batch_size=100000", "training.arms=[scratch]")
    snapshot = ingest.fn(project, None, FIRST)
    with pytest.raises(ValueError, match=r"training\.memory_mib=1 is too little; raise it .*allow at least"):
        train.fn(project, snapshot, None, Chosen(project.training.arms[0]), "an attempt", FIRST)


def test_the_flow_tries_arms_on_streamed_rows_and_decides(
    fresh: Own, prefect_here: Shell, nothing_holds_the_window: None
) -> None:
    arms = "training.arms=[scratch, {recipe: scratch, history: {name: fading, half_life_days: 20}}]"
    entry = retrain(fresh.having(STREAMED, arms), as_of=FIRST)
    assert entry.kind == "promoted"
    assert len(fresh.registry.trials.of(entry.attempt)) == 2
