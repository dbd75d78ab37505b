"""What a retrain does when the project or its labels have changed since the champion was trained."""

from __future__ import annotations

import pandas as pd
import pytest

from flows.replay import replay
from flows.retrain import retrain
from tasks.choose import choose_arms
from tasks.decide import begin, decide
from tasks.foresee import foresee
from tasks.ingest import ingest
from tasks.train import train
from tasks.turn import Turn
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
AS_OF = day("2025-05-25")


def test_a_network_of_another_shape_is_trained_from_scratch(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    entry = retrain(own.having("training.network.init_args.hidden=32"), as_of=AS_OF)
    assert entry.evidence["training"]["recipe"] == "scratch"
    assert own.registry.versions.lineage(entry.version)["parent"] is None


def test_another_feature_is_learned_from_scratch(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    for path in (own.folder / "rows").iterdir():
        rows = pd.read_parquet(path)
        rows.assign(tenure=rows["age"] / 2).to_parquet(path, index=False)
    entry = retrain(own.having("data.numbers=[age, usage, tenure]"), as_of=AS_OF)
    assert entry.evidence["training"]["recipe"] == "scratch"


def test_nothing_is_judged_by_the_few_labels_that_came_early(own: Own, prefect_here: Shell) -> None:
    rows = own_project.later_customers()
    own.add_rows(rows.assign(churned=rows["churned"].astype("Int64").where(rows["plan"] == "pro")))
    entry = retrain(own.project, as_of=AS_OF)
    assert entry.kind == "declined"
    assert "of the labels of the holdout have arrived" in entry.reason


def test_a_challenger_is_not_judged_on_its_own_training_rows_when_the_holdout_is_widened(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    attempt = begin.fn(own.project, AS_OF, "manual", Turn())
    before = ingest.fn(own.project, attempt.champion, AS_OF)
    [arm] = choose_arms(own.project, before, attempt.champion, attempt.id)
    challenger = train.fn(own.project, before, attempt.champion, arm, attempt.id, AS_OF)
    wider = own.having("gate.holdout_days=18")
    snapshot = ingest.fn(wider, attempt.champion, AS_OF)
    entry = decide.fn(wider, attempt, snapshot, [challenger], foresee.fn(wider, snapshot, attempt.champion))
    assert entry.kind == "inconclusive"
    assert f"were used to train {challenger}" in entry.reason
    assert not entry.evidence["judgement"]["tests"]


def test_a_replay_in_which_no_model_passes_ends_with_the_reason(fresh: Own, prefect_here: Shell) -> None:
    project = fresh.having("gate.first.min_auc=0.99", "schedule.end=2025-03-20")
    with pytest.raises(ValueError, match=r"no model of churn passed the gate in the whole replay: The challenger"):
        replay(project)
    kinds = [entry.kind for entry in fresh.registry.log.read().entries]
    assert kinds.count("rejected") == 2, "at first, and when the baseline was due again"
