"""What is said before a training: that the holdout could show nothing worth the time, or that it could."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from configs.schema import load
from flows.retrain import retrain
from models.registry.log import DecisionLog
from models.registry.storage import Storage
from models.registry.versions import VersionId
from tasks.foresee import narrow_guardrails
from tests import own_project
from tests.flows.commands import REPOSITORY, Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow


def test_nothing_is_trained_when_the_holdout_could_not_show_even_the_largest_plausible_gain(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    before = own.registry.log.read()
    entry = retrain(own.having("gate.plausible_gain=0.0001"), as_of=day("2025-05-25"))
    assert entry.kind == "declined"
    [(smallest, missing)] = re.findall(
        r"^Inconclusive before it began: the holdout could show a gain of ([\d.]+) or more, and "
        r"gate\.plausible_gain=0\.0001 is the largest that is thought possible; it needs about ([\d,]+) more mature "
        r"labels\.$",
        entry.reason,
    )
    outlook = entry.evidence["outlook"]
    assert float(smallest) == pytest.approx(outlook["smallest_gain"], abs=5e-5)
    assert int(missing.replace(",", "")) > outlook["num_rows"]
    assert own.registry.log.read().entries == (*before.entries, entry)
    assert entry.evidence["budget"]["before"]["num_tests"] == 3

    trained = retrain(own.having("gate.plausible_gain=null"), as_of=day("2025-05-24"))
    assert trained.evidence["judgement"]["tests"]
    assert trained.evidence["outlook"]["num_rows"] == trained.evidence["judgement"]["judged_on"]["num_rows"]


def test_who_is_told_that_labels_are_missing_is_told_how_many(own: Own, prefect_here: Shell) -> None:
    smallest = own.decisions()[-1].evidence["outlook"]["smallest_gain"]
    own.forget_after(6)
    entry = retrain(own.having(f"gate.plausible_gain={smallest * 0.99}"), as_of=day("2025-04-26"))
    assert entry.kind == "declined"
    assert "about 0 more mature labels" not in entry.reason, entry.reason


def test_the_error_of_a_gain_is_expected_to_be_what_it_was_before(own: Own) -> None:
    _, first, second, third = own.decisions()
    assert first.evidence["outlook"]["ratio"] == 0.3, "the first champion's test against a baseline says nothing"
    seen = [
        entry.evidence["judgement"]["tests"][0]["standard_error"] / entry.evidence["judgement"]["champion_error"]
        for entry in (first, second)
    ]
    assert second.evidence["outlook"]["ratio"] == pytest.approx(seen[0])
    assert third.evidence["outlook"]["ratio"] == pytest.approx(sum(seen) / 2)


def test_a_level_that_no_test_can_reach_with_so_few_groups_is_told_before_a_training(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    entry = retrain(own.having("gate.alpha=0.00001", "gate.plausible_gain=null"), as_of=day("2025-05-25"))
    assert entry.kind == "declined"
    assert "with 14 groups no test can reach level 1e-05; a longer gate.holdout_days" in entry.reason


def test_a_guardrail_that_days_like_the_last_ones_cannot_show_to_hold_is_named(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    for place, error in enumerate((0.9, 0.003, 0.003)):
        tests = [
            {"metric": name, "kind": kind, "scope": "all rows", "standard_error": size}
            for name, kind, size in (
                ("log loss (nats)", "superiority", 0.02),
                ("AUC", "non-inferiority", 0.005),
                ("squared calibration error", "non-inferiority", error),
            )
        ]
        log.append(
            "promoted",
            "Because.",
            attempt=f"attempt {place}",
            version=VersionId(f"v{place}"),
            against=log.read().champion,
            as_of=day("2025-03-01"),
            now=day("2025-03-01"),
            evidence={"judgement": {"tests": tests}},
        )
    flights = REPOSITORY / "configs" / "flights.yaml"
    project, state = load(flights), log.read()
    assert narrow_guardrails(project, state, level=0.1) == []
    narrow = load(flights, ("gate.guardrails=[{metric: squared_calibration_error, margin: 0.0004}]",))
    (sentence,) = narrow_guardrails(narrow, state, level=0.05)
    assert "squared calibration error may get worse by 0.0004" in sentence
    assert "would pass in 7% of tests" in sentence and "gate.guardrails" in sentence
