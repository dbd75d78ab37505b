"""The watch, on faults that are put into the rows of a project in production."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from configs.schema import load
from flows.retrain import retrain
from flows.score import score
from flows.watch import watch
from models.model import Model
from models.monitoring import daily as daily_module
from models.monitoring import look as look_module
from models.monitoring import without_labels as without_labels_module
from models.monitoring.quality import Profile
from models.monitoring.watches import Watched, Watches
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
    assert found.evidence.replay.num_rows > 1_000
    assert found.evidence.replay.mismatch_share == 0
    assert found.wanted is None


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


def test_inputs_that_were_scored_otherwise_than_the_source_has_them_are_skew(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    score(own.project, AS_OF)
    added = max((own.folder / "rows").glob("added-*"))
    rows = pd.read_parquet(added)
    rows.assign(age=rows["age"] + 1).to_parquet(added, index=False)
    found = watch(own.project, AS_OF)
    assert found.diagnosis.verdict == "broken_feed"
    assert "train/serve skew of age is 1 (limit 0.01)" in found.diagnosis.reason
    assert found.evidence.replay.mismatch_share == 0, "the champion does what it did, on other inputs"
    assert retrain(own.project, as_of=AS_OF).kind == "declined"


def test_scores_that_the_champion_does_not_reproduce_are_a_serving_fault(
    own: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.add_rows(own_project.later_customers())
    with monkeypatch.context() as release:  # a release in which the served model forgets a column
        whole = Model.predict
        release.setattr(Model, "predict", lambda model, frame: whole(model, frame.assign(age=45.0)))
        score(own.project, AS_OF)
    found = watch(own.project, AS_OF)
    assert found.diagnosis.verdict == "serving_fault"
    assert found.evidence.replay.mismatch_share > 0.5
    assert found.wanted is None
    assert retrain(own.project, as_of=AS_OF).kind == "declined"


def test_ids_that_come_twice_are_a_broken_feed_and_no_crash(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    score(own.project, AS_OF)
    added = max((own.folder / "rows").glob("added-*"))
    rows = pd.read_parquet(added)
    pd.concat([rows, rows.tail(5)]).sort_values("event_time").to_parquet(added, index=False)
    found = watch(own.project, AS_OF)
    assert found.diagnosis.verdict == "broken_feed"
    assert "5 rows repeat an id" in found.diagnosis.reason


def test_a_watch_that_was_killed_is_repeated_and_computes_nothing_twice_but_the_replay(
    own: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.add_rows(own_project.later_customers())
    score(own.project, AS_OF)
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(Watches, "add", _dies)
        watch(own.project, AS_OF)
    before = files(own.folder / ".perennial" / "computed")
    for module, name in [
        (without_labels_module, "_expected"),
        (look_module, "_distances"),
        (look_module, "_measured"),
        (look_module, "profile_days"),
        (daily_module, "_values_of_one_day"),
    ]:
        monkeypatch.setattr(module, name, _not_again)
    found = watch(own.project, AS_OF)
    assert own.registry.watches.find(AS_OF) == found
    assert files(own.folder / ".perennial" / "computed") == before
    assert [look.as_of for look in own.registry.watches.backwards(AS_OF)].count(AS_OF) == 1


def test_an_hour_later_only_what_concerns_new_labels_is_computed(
    own: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, later = _watched(own, _fine), AS_OF + timedelta(hours=1)
    for module, name in [
        (without_labels_module, "_expected"),
        (look_module, "_distances"),
        (daily_module, "_values_of_one_day"),
    ]:
        monkeypatch.setattr(module, name, _not_again)
    again = watch(own.project, later)
    assert again.as_of == later
    assert again.evidence.drift == found.evidence.drift
    assert again.evidence.replay == found.evidence.replay


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def _not_again(*_: object, **__: object) -> None:
    raise AssertionError("this was computed before")


def test_a_new_day_is_profiled_alone(own: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = own_project.later_customers()
    own.add_rows(rows)
    for last in (AS_OF - timedelta(days=1), AS_OF):
        score(own.project, last)
        counted = _Counted(look_module.profile_days)
        with monkeypatch.context() as counting:
            counting.setattr(look_module, "profile_days", counted)
            watch(own.project, last)
    assert counted.num_days <= 4, "the new day, and the days whose labels have come since"


class _Counted:
    """A function of days that counts how many it has profiled."""

    def __init__(self, whole: Callable[..., list[Profile]]) -> None:
        self.whole, self.num_days = whole, 0

    def __call__(self, *arguments: object) -> list[Profile]:
        found = self.whole(*arguments)
        self.num_days += len(found)
        return found


def test_labels_that_do_not_arrive_are_asked_for(own: Own, prefect_here: Shell) -> None:
    found = _watched(own, _no_labels)
    assert found.diagnosis.verdict == "labels_needed"
    assert found.evidence.labelled_share < 0.1  # the day before, whose labels did arrive
    folder = own.folder / ".perennial" / "wanted" / "churn"
    wanted = pd.read_csv(max(folder.glob("*.csv")))
    assert len(wanted) == own.project.watch.asking.rows
    assert wanted["churned"].isna().all()


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
    assert not watch(own.project, AS_OF).diagnosis.forbids_retrain


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
    assert found.evidence.realised.of("log_loss").value < 0.6


def test_nobody_looks_into_the_future(own: Own, prefect_here: Shell) -> None:
    for flow in (score, watch, retrain):
        with pytest.raises(ValueError, match="lies in the future"):
            flow(own.project, as_of=day("2999-01-01"))
