"""Everything that a project's gate can ask for at once, and what is asked from decision to decision."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest

from flows.retrain import retrain
from flows.rollback import rollback
from models.evaluation.testing import EVERYWHERE
from models.registry import history
from models.registry.log import Entry
from models.registry.versions import VersionId
from tasks.step import load_version
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
Here = Callable[..., CompletedProcess[str]]
HARD = "known-hard rows lost (share)"
FIRST_CHAMPION, SECOND_CHAMPION = 2, 6  # entries until then
EVERYTHING = (
    "gate.guardrails=[{metric: auc, margin: 0.1}, {metric: log_loss, relative_margin: 0.1}, "
    "{metric: recall, init_args: {threshold: 0.3}, margin: 0.3}]",
    "gate.slices=[{column: plan, margin: 0.2}, {column: usage, edges: [10, 20], margin: 0.2}, "
    "{query: 'age < 40 and plan == \"free\"', name: young and free, margin: 0.2}, {query: usage < 30, margin: 0.2}]",
    "gate.fairness=[{column: plan, demographic_parity: 0.5, equal_opportunity: 0.5, equalised_odds: 0.5, "
    "calibration: 0.5}]",
    "gate.negative_flips=0.4",
    "gate.hard_rows={margin: 0.9}",
    "gate.robustness={margin: 0.2}",
    "gate.serving={size_mb: 1, median_ms: 5000, p99_ms: 50000}",
)


def _asked(entry: Entry) -> set[tuple[str, str]]:
    return {(test["metric"], test["scope"]) for test in entry.evidence["judgement"]["tests"]}


def _of(entry: Entry, metric: str) -> list[dict[str, object]]:
    return [test for test in entry.evidence["judgement"]["tests"] if test["metric"] == metric]


def _is_right(own: Own, version: str | None, rows: pd.DataFrame) -> np.ndarray:
    scores = load_version(own.registry, VersionId(str(version))).model.predict(rows)
    return (scores >= 0.5) == (rows["churned"] == 1).to_numpy()


def test_every_guardrail_is_asked_in_one_decision_and_all_of_them_hold(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    entry = retrain(own.having(*EVERYTHING), as_of=day("2025-04-26"))
    first, loss = own.registry.log.read().first_champion, "log loss (nats)"
    slices = ["plan=basic", "plan=free", "plan=pro", "usage below 10", "usage from 10 to 20", "usage from 20"]
    gaps = ["demographic parity gap", "equal opportunity gap", "equalised odds gap", "worst squared calibration error"]
    assert _asked(entry) == {
        (loss, EVERYWHERE),
        ("AUC", EVERYWHERE),
        ("recall at 0.3", EVERYWHERE),
        ("negative flips (share of rows)", EVERYWHERE),
        (loss, f"all rows, against the first champion {first}"),
        *((loss, name) for name in (*slices, "young and free", "usage < 30")),
        *((name, "groups of plan") for name in gaps),
        (loss, "all rows with 10% of the values missing"),
        (loss, "all rows with noise of 0.1 standard deviations"),
        ("median time of a request of 1 rows (ms)", EVERYWHERE),
        ("99th percentile of it (ms)", EVERYWHERE),
        ("size of the weights (MB)", EVERYWHERE),
    }
    tests = entry.evidence["judgement"]["tests"]
    assert [test["verdict"] for test in tests] == ["holds"] * len(tests), entry.reason
    assert entry.kind == "promoted"
    assert [test["kind"] for test in _of(entry, loss)][:2] == ["superiority", "non-inferiority"]
    [size] = _of(entry, "size of the weights (MB)")
    assert 0 < size["challenger"] < size["margin"] == 1  # type: ignore[operator]


def test_known_hard_rows_grow_from_decision_to_decision_and_are_asked_from_the_next_one_on(
    own: Own, prefect_here: Shell
) -> None:
    own.forget_after(FIRST_CHAMPION)
    project = own.having("gate.hard_rows={per_decision: 3000, newest: 1000, margin: 0.5}")
    entries = [retrain(project, as_of=day(moment)) for moment in ("2025-03-15", "2025-03-29", "2025-04-26")]
    asked = [[test["note"] for test in _of(entry, HARD)] for entry in entries]
    names = history.hard_rows(own.registry.log.read())
    assert names == [entry.evidence["hard_rows"] for entry in entries]
    kept = [own.registry.hard_rows.read(name) for name in names]
    assert len(kept[0]) < 1000 < len(kept[0]) + len(kept[1])
    assert [len(notes) for notes in asked] == [0, 1, 1]
    for entry, rows in zip(entries, kept, strict=True):
        judged = own.registry.holdouts.read(entry.evidence["holdout"])
        assert set(rows["id"]) <= set(judged["id"])
    asked_last = pd.concat(kept[:2]).tail(1000)
    for entry, rows in zip(entries[1:], (kept[0], asked_last), strict=True):
        [test] = _of(entry, HARD)
        before, after = (_is_right(own, version, rows) for version in (entry.against, entry.version))
        assert test["note"] == f"the champion calls {before.sum():,} of {len(rows):,} rows right"
        assert test["challenger"] == pytest.approx((~after[before]).mean() if before.any() else 0.0)


def test_a_feature_that_came_later_is_missing_in_the_hard_rows_of_before(own: Own, prefect_here: Shell) -> None:
    own.forget_after(FIRST_CHAMPION)
    first = retrain(own.having("gate.hard_rows={}"), as_of=day("2025-03-15"))
    assert first.evidence["hard_rows"]
    own.rewrite(lambda rows: rows.assign(tenure=rows["age"] / 2, region="north"))
    wider = own.having("gate.hard_rows={}", "data.numbers=[age, usage, tenure]", "data.categories=[plan, region]")
    entry = retrain(wider, as_of=day("2025-03-29"))
    [test] = _of(entry, HARD)
    assert test["note"] == "the champion calls 0 of 20 rows right", "it gets wrong again what it got wrong"


def test_a_slice_that_has_gone_missing_is_named_before_anything_is_trained(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    start = pd.Timestamp("2025-04-11", tz="UTC")
    own.rewrite(lambda rows: rows[(rows["event_time"] < start) | (rows["plan"] != "pro")])
    entry = retrain(own.having("gate.slices=[{column: plan, margin: 0.2}]"), as_of=day("2025-04-26"))
    assert entry.kind == "declined"
    assert "could not show that no slice is worse off: plan=pro (only 0 rows of" in entry.reason
    assert len(own.registry.log.read().entries) == SECOND_CHAMPION + 1, "and nothing was trained"


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ("[{query: usge > 3, margin: 0.1}]", ("'usge > 3' cannot be evaluated", "usge", "change gate.slices")),
        ("[{query: usage + 1, name: mine, margin: 0.1}]", ("slice 'mine'", "is not true or false for each row")),
        ("[{query: __import__('os').getcwd(), margin: 0.1}]", ("cannot be evaluated", "change gate.slices")),
        ("[{column: tarif, margin: 0.1}]", ("names column 'tarif'", "data.other", "age, usage, plan")),
    ],
)
def test_a_slice_that_means_nothing_is_one_message_before_any_training(
    own: Own, prefect_here: Shell, here: Here, slices: str, words: tuple[str, ...]
) -> None:
    own.forget_after(SECOND_CHAMPION)
    run = here("retrain", "churn.yaml", "--as-of", "2025-04-26", "--set", f"gate.slices={slices}")
    assert run.returncode == 2
    assert [word for word in words if word not in run.stderr] == []
    assert (run.stdout + run.stderr).count("error: ") == 1
    assert "Traceback" not in run.stdout + run.stderr
    assert len(own.registry.log.read().entries) == SECOND_CHAMPION


def test_edges_of_a_column_that_holds_no_numbers_are_one_message(own: Own, prefect_here: Shell, here: Here) -> None:
    slices = "gate.slices=[{column: plan, edges: [1, 2], margin: 0.1}]"
    assert here("retrain", "churn.yaml", "--as-of", "2025-05-10", "--set", slices).returncode == 2


def test_a_class_of_torchmetrics_that_cannot_be_built_is_one_message_before_any_training(
    own: Own, prefect_here: Shell, here: Here
) -> None:
    own.forget_after(SECOND_CHAMPION)
    wrong = "{class_path: torchmetrics.classification.BinaryAUROC, init_args: {max_fbr: 0.5}, margin: 0.1}"
    run = here("retrain", "churn.yaml", "--as-of", "2025-04-26", "--set", f"gate.guardrails=[{wrong}]")
    assert run.returncode == 2
    assert len(own.registry.log.read().entries) == SECOND_CHAMPION


@pytest.mark.parametrize(
    ("settings", "unit"),
    [
        (("gate.groups=ladder",), "blocks of rows"),
        (("gate.groups=customer", "data.other=[customer]"), "values of customer"),
    ],
)
def test_the_rows_that_depend_on_one_another_are_those_the_project_says(
    own: Own, prefect_here: Shell, settings: tuple[str, ...], unit: str
) -> None:
    own.forget_after(SECOND_CHAMPION)
    own.rewrite(lambda rows: rows.assign(customer=rows["id"] % 40))
    entry = retrain(own.having(*settings), as_of=day("2025-04-26"))
    judged_on = entry.evidence["judgement"]["judged_on"]
    assert entry.kind == "promoted", entry.reason
    assert judged_on["group_unit"] == unit
    assert judged_on["num_groups"] == (40 if "customer" in unit else 16)
    assert entry.reason.endswith(f"; {judged_on['num_rows']:,} rows in {judged_on['num_groups']} {unit}.")
    assert {test["num_groups"] for test in entry.evidence["judgement"]["tests"]} == {judged_on["num_groups"]}


def test_too_few_groups_are_told_before_any_training(own: Own, prefect_here: Shell) -> None:
    entry = retrain(own.having("gate.groups=plan"), as_of=day("2025-05-10"))
    assert entry.kind == "declined"
    assert "The holdout could not show anything: 3 groups where 10 are needed." in entry.reason


def test_the_first_champion_is_the_anchor_of_every_replacement_but_its_own(own: Own, prefect_here: Shell) -> None:
    first, *later = own.decisions()
    scope = f"all rows, against the first champion {first.version}"
    assert [entry.against == first.version for entry in later] == [True, True, False]
    assert [scope in {where for _, where in _asked(entry)} for entry in later] == [False, False, True]
    [anchor] = [test for test in later[-1].evidence["judgement"]["tests"] if test["scope"] == scope]
    own_gain = later[-1].evidence["judgement"]["tests"][0]
    assert anchor["margin"] == own.project.gate.anchor_margin
    assert anchor["challenger"] == own_gain["challenger"]
    assert anchor["champion"] != own_gain["champion"]
    rollback(own.project)
    rollback(own.project)
    assert own.registry.log.read().champion == first.version
    again = retrain(own.project, as_of=day("2025-05-08"))
    assert scope not in {where for _, where in _asked(again)}
