"""The error budget over the life of a project: what each attempt was given, and what gives nothing back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flows.override import override
from flows.retrain import retrain
from flows.rollback import rollback
from models.evaluation.budget import Tested, ledger
from tasks.foresee import ledger_of
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
FIRST_CHAMPION = 2  # entries until then
AS_OF = day("2025-05-25")


def test_each_test_against_a_champion_carries_the_budget_where_the_one_before_left_it(own: Own) -> None:
    first, *later = own.decisions()
    assert first.against is None and "budget" not in first.evidence
    assert len(later) == 3
    budgets = [entry.evidence["budget"] for entry in later]
    assert budgets[0]["before"]["num_tests"] == 0
    for entry, budget in zip(later, budgets, strict=True):
        before, after = budget["before"], budget["after"]
        assert entry.evidence["judgement"]["level"] == before["next_level"] == own.project.gate.alpha
        assert after["num_tests"] == before["num_tests"] + 1
        assert after["spent"] == pytest.approx(before["spent"] + before["next_level"])
        assert after["num_promotions"] == before["num_promotions"] + (entry.kind == "promoted")
    assert all(earlier["after"] == later["before"] for earlier, later in pairwise(budgets))


def test_the_levels_fall_from_attempt_to_attempt_and_neither_a_rollback_nor_a_person_gives_any_back(
    own: Own, prefect_here: Shell
) -> None:
    own.forget_after(FIRST_CHAMPION)
    project = own.having("gate.budget.rule=spending")
    refused = retrain(project, as_of=day("2025-03-15"))
    promoted = retrain(project, as_of=day("2025-03-29"))
    assert (refused.kind, promoted.kind) == ("rejected", "promoted")
    rollback(project)
    override(project, refused.version, "promoted", "Ada", "it was right at the weekend")
    last = retrain(project, as_of=day("2025-04-26"))
    assert last.against == refused.version
    assert last.evidence["budget"]["before"] == promoted.evidence["budget"]["after"]
    levels = [entry.evidence["judgement"]["level"] for entry in (refused, promoted, last)]
    assert levels[0] > levels[1] > levels[2]
    assert levels == pytest.approx(
        [ledger("spending", 0.05, [Tested(0.0, False)] * number).next_level for number in range(3)]
    )


def test_nothing_is_trained_once_the_ceiling_is_reached_and_the_last_test_below_it_is_made(
    own: Own, prefect_here: Shell
) -> None:
    own.add_rows(own_project.later_customers())
    before = own.registry.log.read()
    lower = own.having("gate.budget.ceiling=0.19")  # three tests at 0.05 were made, and a fourth is one too many
    declined = retrain(lower, as_of=AS_OF)
    assert declined.kind == "declined"
    assert declined.reason == ledger_of(lower, before).sentence
    assert "raise gate.budget.ceiling to go on" in declined.reason
    assert declined.evidence["budget"]["before"]["spent"] == pytest.approx(0.15)
    assert own.registry.log.read().entries == (*before.entries, declined)
    assert len(own.registry.versions.ids()) == len(before.entries) // 2
    judged = retrain(own.having("gate.budget.ceiling=0.2"), as_of=day("2025-05-24"))
    assert judged.evidence["budget"]["before"]["num_tests"] == 3, "what was declined has spent nothing"
    assert judged.evidence["judgement"]["tests"]
