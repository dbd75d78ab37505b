"""Several challengers in one attempt: trained once each, judged together, and one decision for all."""

from __future__ import annotations

import logging

import pytest

from configs.schema import Project
from flows.retrain import retrain
from models.data.windows import between
from models.evaluation.holm import holm_levels
from models.evaluation.metrics.proper import log_loss
from models.registry.log import Entry
from tasks.decide import begin
from tasks.evaluate import compete, set_up
from tasks.ingest import ingest
from tasks.require import metric_of
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
SECOND_CHAMPION = 6  # entries until then
AS_OF = day("2025-04-26")
BOTH = "training.recipes=[finetune, scratch]"


def _p_values(own: Own, project: Project, versions: list[str]) -> list[float]:
    """Of "no better", on the rows that were judged."""
    own.forget_after(SECOND_CHAMPION)
    state = own.registry.log.read()
    snapshot = ingest.fn(project, state.champion, AS_OF)
    bench = set_up(project, own.registry, snapshot, state)
    contests = [compete(bench, state.champion, version) for version in versions]  # type: ignore[arg-type]
    metric = metric_of(project.gate.primary)
    return [metric_compare(metric, contest) for contest in contests]


def metric_compare(metric: object, contest: object) -> float:
    from models.evaluation.comparison import compare

    return compare(metric, contest.paired).spread.p_above(0.0)  # type: ignore


def test_two_recipes_are_two_challengers_and_one_decision_at_holms_level(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH)
    entry = retrain(project, as_of=AS_OF)
    finetuned, scratched, decided = own.registry.log.read().entries[SECOND_CHAMPION:]
    assert decided == entry
    assert [each.attempt for each in (finetuned, scratched)] == [
        f"{entry.attempt} by finetune",
        f"{entry.attempt} by scratch",
    ]
    assert entry.evidence["challengers"] == [finetuned.version, scratched.version]
    assert entry.version in entry.evidence["challengers"]
    lineages = [own.registry.versions.lineage(each.version) for each in (finetuned, scratched)]
    assert [lineage["recipe"] for lineage in lineages] == ["finetune", "scratch"]
    assert lineages[0]["trained_until"] == lineages[1]["trained_until"]
    budget = entry.evidence["budget"]
    assert budget["after"]["num_tests"] == budget["before"]["num_tests"] + 1
    assert budget["after"]["spent"] == pytest.approx(budget["before"]["spent"] + 0.05)
    levels = holm_levels(_p_values(own, project, entry.evidence["challengers"]), budget["before"]["next_level"])
    assert sorted(levels) == [0.025, 0.05]
    assert entry.evidence["judgement"]["level"] == levels[entry.evidence["challengers"].index(entry.version)]
