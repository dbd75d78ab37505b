"""Rows decide so many times and no more, and a model is not judged on rows that it was trained on."""

from __future__ import annotations

import re
from datetime import datetime

import pandas as pd
import pytest

from flows.retrain import retrain
from models.registry import history
from models.registry.log import Entry
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow


def _rows_between(own: Own, start: str, end: datetime | str) -> set[int]:
    rows = pd.concat([pd.read_parquet(path) for path in (own.folder / "rows").iterdir()])
    times = rows["event_time"]
    return set(rows["id"][(times >= pd.Timestamp(start)) & (times < pd.Timestamp(end))])


def _judged_rows(own: Own, entry: Entry) -> set[int]:
    return set(own.registry.holdouts.read(entry.evidence["holdout"])["id"])


def test_the_rows_of_each_decision_are_kept_and_are_those_of_its_holdout(own: Own) -> None:
    for entry in own.decisions():
        windows, judgement = entry.evidence["windows"], entry.evidence["judgement"]
        kept = own.registry.holdouts.read(entry.evidence["holdout"])
        assert list(kept.columns) == ["id"]
        assert set(kept["id"]) == _rows_between(own, windows["holdout_start"], windows["holdout_end"])
        assert len(kept) == judgement["judged_on"]["num_rows"] == judgement["tests"][0]["num_rows"]
        assert entry.evidence["num_rows_used_up"] == 0


def test_rows_that_have_decided_as_often_as_they_may_are_left_out(own: Own, prefect_here: Shell) -> None:
    entry = retrain(own.having("gate.max_uses=1"), as_of=day("2025-05-07"))
    used = _judged_rows(own, own.decisions()[-2])
    whole = _rows_between(own, "2025-04-22T00:00Z", "2025-05-06T00:00Z")
    assert entry.evidence["judgement"]["tests"]
    assert entry.evidence["num_rows_used_up"] == len(whole & used) > 0
    assert _judged_rows(own, entry) == whole - used
    assert entry.evidence["judgement"]["judged_on"]["num_groups"] == 11


def test_two_attempts_on_the_same_rows_are_one_too_many_when_they_may_decide_once(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    first = retrain(own.project, as_of=day("2025-05-24"))
    assert first.evidence["judgement"]["tests"]
    num_trained = len(own.registry.versions.ids())
    declined = retrain(own.having("gate.max_uses=1"), as_of=day("2025-05-25"))
    assert declined.kind == "declined"
    assert "rows of the holdout have decided 1 times, as often as gate.max_uses allows" in declined.reason
    assert "1 groups where 10 are needed" in declined.reason
    [fresh] = re.findall(r"About ([\d,]+) fresh labelled rows are needed", declined.reason)
    last_day = _rows_between(own, "2025-05-23T00:00Z", "2025-05-24T00:00Z")
    assert int(fresh.replace(",", "")) == 9 * len(last_day), "nine days more like the one that is left"
    assert len(own.registry.versions.ids()) == num_trained

    second = retrain(own.having("gate.max_uses=2"), as_of=day("2025-05-26"))
    assert second.evidence["judgement"]["tests"], "what was declined has used no row"
    assert second.evidence["num_rows_used_up"] == 0
    assert _judged_rows(own, first) & _judged_rows(own, second)


def test_a_model_is_not_judged_on_ids_that_it_was_trained_on_whatever_their_times_say(
    own: Own, prefect_here: Shell
) -> None:
    before = own.registry.log.read()
    entry = _with_old_ids(own)
    assert entry.kind == "inconclusive"
    [row, version] = re.findall(r"rows of the holdout, such as .*?(\d+)\)?, were used to train (\S+)\.$", entry.reason)[
        0
    ]
    assert version == before.champion
    assert int(row) in _rows_between(own, "2025-05-10T00:00Z", "2025-05-24T00:00Z")
    assert entry.evidence["judgement"]["tests"] == []
    assert not {"budget", "holdout"} & set(entry.evidence)
    state = own.registry.log.read()
    assert history.tested(state) == history.tested(before)
    assert history.holdouts(state) == history.holdouts(before)


def test_the_row_that_was_seen_is_named_as_the_source_names_it(own: Own, prefect_here: Shell) -> None:
    assert "np." not in _with_old_ids(own).reason


def _with_old_ids(own: Own) -> Entry:
    """A retrain after the source has given the ids of its oldest rows to its youngest."""
    own.add_rows(own_project.later_customers())
    own.rewrite(lambda rows: rows.assign(id=range(len(rows), 0, -1)))
    return retrain(own.project, as_of=day("2025-05-25"))
