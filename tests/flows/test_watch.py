"""The watch, on faults that are put into the rows of a project in production."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from configs.schema import load
from flows.retrain import retrain
from flows.score import score
from flows.watch import watch
from models.monitoring.watches import Watched
from tests import own_project
from tests.flows.commands import Shell, files
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
AS_OF = day("2025-05-25")


def _fine(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def _a_third_missing(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(age=rows["age"].where(np.arange(len(rows)) % 3 > 0))


def _another_unit(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(usage=rows["usage"] * 1000)


def _no_labels(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(churned=pd.array([None] * len(rows), dtype="Int64"))


def _watched(own: Own, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Watched:
    own.add_rows(change(own_project.later_customers()))
    score(own.project, AS_OF)
    found = watch(own.project, AS_OF)
    assert found is not None
    return found


def test_rows_like_those_before_are_no_fault(own: Own, prefect_here: Shell) -> None:
    found = _watched(own, _fine)
    assert not found.diagnosis.forbids_retrain
    assert found.diagnosis.verdict != "labels_needed"
    assert found.evidence.mismatch_share == 0


@pytest.mark.parametrize(
    ("change", "word"), [(_a_third_missing, "missing share of age"), (_another_unit, "far out of range of usage")]
)
def test_a_broken_feed_is_told_from_a_bad_model_and_nothing_is_trained_on_it(
    change: Callable[[pd.DataFrame], pd.DataFrame], word: str, own: Own, prefect_here: Shell
) -> None:
    found, before = _watched(own, change), own.registry.log.read()
    assert found.diagnosis.verdict == "broken_feed"
    assert word in found.diagnosis.reason
    entry = retrain(own.project, as_of=AS_OF, trigger="scheduled")
    state = own.registry.log.read()
    assert entry.kind == "declined"
    assert entry.reason == found.diagnosis.reason
    assert entry.evidence["diagnosis"]["verdict"] == "broken_feed"
    assert state.entries == (*before.entries, entry)
    assert state.champion == before.champion


def test_a_broken_feed_that_nobody_watched_is_found_before_training(own: Own, prefect_here: Shell) -> None:
    before = own.registry.log.read()
    own.add_rows(_another_unit(own_project.later_customers()))
    entry = retrain(own.project, as_of=AS_OF)
    assert entry.kind == "declined"
    assert "share far out of range of usage" in entry.reason
    assert own.registry.log.read().entries == (*before.entries, entry)


def test_rows_that_changed_after_they_were_scored_are_a_serving_fault(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    score(own.project, AS_OF)
    added = max((own.folder / "rows").glob("added-*"))
    rows = pd.read_parquet(added)
    rows.assign(age=rows["age"] + 1).to_parquet(added, index=False)
    found = watch(own.project, AS_OF)
    assert found.diagnosis.verdict == "serving_fault"
    assert found.evidence.mismatch_share > 0.01
    assert retrain(own.project, as_of=AS_OF).kind == "declined"


def test_labels_that_do_not_arrive_are_asked_for(own: Own, prefect_here: Shell) -> None:
    found = _watched(own, _no_labels)
    assert found.diagnosis.verdict == "labels_needed"
    assert found.evidence.labelled_share < 0.1  # the day before, whose labels did arrive


def test_a_watch_is_taken_once_whatever_happens_to_the_rows_later(own: Own, prefect_here: Shell) -> None:
    found, before = _watched(own, _fine), files(own.folder / ".perennial")
    added = max((own.folder / "rows").glob("added-*"))
    _another_unit(pd.read_parquet(added)).to_parquet(added, index=False)
    assert watch(own.project, AS_OF) == found
    assert files(own.folder / ".perennial") == before


def test_there_is_nothing_to_watch_before_anything_was_scored(fresh: Own, prefect_here: Shell) -> None:
    assert watch(fresh.project, day("2025-02-15")) is None


def test_one_corrected_row_is_no_serving_fault(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    score(own.project, AS_OF)
    added = max((own.folder / "rows").glob("added-*"))
    rows = pd.read_parquet(added)
    rows.loc[rows.index[-1], "age"] += 10
    rows.to_parquet(added, index=False)
    assert watch(own.project, AS_OF).diagnosis.verdict != "serving_fault"


def test_a_feed_that_died_is_broken_and_not_passed_over_in_silence(own: Own, prefect_here: Shell) -> None:
    score(own.project, AS_OF)
    found = watch(own.project, AS_OF)
    assert found.num_rows == 0
    assert found.diagnosis.verdict == "broken_feed"
    assert "rows a day is 0" in found.diagnosis.reason


def test_rows_that_came_after_their_batch_was_scored_are_counted(own: Own, prefect_here: Shell) -> None:
    rows = own_project.later_customers()
    own.add_rows(rows.iloc[::2])
    score(own.project, AS_OF)
    rows.to_parquet(max((own.folder / "rows").glob("added-*")), index=False)
    found = watch(own.project, AS_OF)
    assert found.diagnosis.verdict == "broken_feed"
    assert "share of rows without a prediction is 0.5" in found.diagnosis.reason


def test_harm_is_found_when_labels_take_a_week(fresh: Own, prefect_here: Shell) -> None:
    project = load(fresh.folder / "churn.yaml", ("data.label_delay_days=7",))
    assert retrain(project, as_of=day("2025-02-20")).kind == "promoted"
    score(project, day("2025-04-01"))
    assert watch(project, day("2025-04-01")).diagnosis.verdict == "concept_change"


def test_a_feature_may_be_called_score(fresh: Own, prefect_here: Shell) -> None:
    for path in (fresh.folder / "rows").iterdir():
        pd.read_parquet(path).rename(columns={"usage": "score"}).to_parquet(path, index=False)
    project = load(fresh.folder / "churn.yaml", ("data.numbers=[age, score]",))
    assert retrain(project, as_of=day("2025-02-15")).kind == "promoted"
    score(project, day("2025-02-28"))
    found = watch(project, day("2025-02-28"))
    assert found.diagnosis.verdict in ("healthy", "benign_shift")
    assert found.evidence.realised.log_loss < 0.6


def test_nobody_looks_into_the_future(own: Own, prefect_here: Shell) -> None:
    for flow in (score, watch, retrain):
        with pytest.raises(ValueError, match="lies in the future"):
            flow(own.project, as_of=day("2999-01-01"))
