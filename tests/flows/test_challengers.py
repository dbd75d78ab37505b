"""Several challengers in one attempt: trained once each, judged together, and one decision for all."""

from __future__ import annotations

import logging

import pytest

from configs.schema import Project
from flows.retrain import retrain
from models.data.windows import between
from models.evaluation.comparison import compare
from models.evaluation.holm import holm_levels
from models.evaluation.metrics.proper import log_loss
from models.registry.versions import VersionId
from tasks.decide import begin
from tasks.evaluate import compete, set_up
from tasks.ingest import ingest
from tasks.require import metric_of
from tasks.step import load_version
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
SECOND_CHAMPION = 6  # entries until then
AS_OF = day("2025-04-26")
BOTH = "training.recipes=[finetune, scratch]"


def _p_values(own: Own, project: Project, versions: list[VersionId]) -> list[float]:
    """Of "no better than the champion before", on the rows that were judged."""
    own.forget_after(SECOND_CHAMPION)
    state, metric = own.registry.log.read(), metric_of(project.gate.primary)
    bench = set_up(project, own.registry, ingest.fn(project, state.champion, AS_OF), state)
    return [compare(metric, compete(bench, state.champion, each).paired).spread.p_above(0.0) for each in versions]


def test_two_recipes_are_two_challengers_and_one_decision_at_holms_level(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having("training.recipes=[scratch, finetune]")
    entry = retrain(project, as_of=AS_OF)
    scratched, finetuned, decided = own.registry.log.read().entries[SECOND_CHAMPION:]
    assert decided == entry
    names = [f"{entry.attempt} by {recipe}" for recipe in ("scratch", "finetune")]
    assert [scratched.attempt, finetuned.attempt] == names
    assert entry.evidence["challengers"] == [scratched.version, finetuned.version]
    assert entry.version in entry.evidence["challengers"]
    lineages = [own.registry.versions.lineage(each.version) for each in (scratched, finetuned)]
    assert [lineage["recipe"] for lineage in lineages] == ["scratch", "finetune"]
    assert lineages[0]["trained_until"] == lineages[1]["trained_until"]
    assert entry.evidence["training"]["recipe"] == ("finetune" if entry.version == finetuned.version else "scratch")
    budget = entry.evidence["budget"]
    assert budget["after"]["num_tests"] == budget["before"]["num_tests"] + 1
    assert budget["after"]["spent"] == pytest.approx(budget["before"]["spent"] + 0.05)
    levels = holm_levels(_p_values(own, project, entry.evidence["challengers"]), budget["before"]["next_level"])
    assert levels == [0.025, 0.05]
    assert (entry.version, entry.evidence["judgement"]["level"]) == (scratched.version, 0.025)


def test_the_best_on_validation_rows_is_tested_alone_and_at_the_full_level(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH, "gate.several=validation")
    entry = retrain(project, as_of=AS_OF)
    assert entry.evidence["judgement"]["level"] == 0.05
    challengers = [load_version(own.registry, version) for version in entry.evidence["challengers"]]
    windows = entry.evidence["windows"]
    validation_start, train_end = (day(windows[name][:10]) for name in ("validation_start", "train_end"))
    assert [each.trained_until for each in challengers] == [validation_start, train_end]
    snapshot = ingest.fn(project, entry.against, AS_OF)
    assert snapshot.id == entry.evidence["snapshot"]["id"]
    rows = between(own.registry.snapshots.read(snapshot), "event_time", validation_start, train_end)
    losses = {each.id: log_loss(rows["churned"].to_numpy(), each.model.predict(rows)).value for each in challengers}
    assert entry.version == min(losses, key=losses.__getitem__)
    assert entry.evidence["budget"]["after"]["num_tests"] == entry.evidence["budget"]["before"]["num_tests"] + 1


def test_a_run_that_was_killed_between_two_trainings_trains_only_the_one_that_is_missing(
    own: Own, prefect_here: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH)
    caplog.set_level(logging.INFO, logger="models.training")
    undisturbed = retrain(project, as_of=AS_OF)
    assert "finetune epoch" in caplog.text
    before = own.registry.log.read().entries
    own.forget_after(SECOND_CHAMPION + 1)  # what was kept when the second training was killed
    for page in (own.folder / ".perennial/reports/churn").glob("decision-00000008.*"):
        page.unlink()
    assert begin.fn(project, AS_OF, "manual").champion == undisturbed.against
    caplog.clear()
    again = retrain(project, as_of=AS_OF)
    assert "finetune epoch" not in caplog.text
    after = own.registry.log.read().entries
    assert after[: SECOND_CHAMPION + 1] == before[: SECOND_CHAMPION + 1]
    assert [entry.version for entry in after] == [entry.version for entry in before]
    assert (again.reason, again.evidence["judgement"]) == (undisturbed.reason, undisturbed.evidence["judgement"])


def test_where_nothing_can_be_continued_every_recipe_is_one_training_from_scratch(
    own: Own, prefect_here: Shell
) -> None:
    own.forget_after(SECOND_CHAMPION)
    entry = retrain(own.having(BOTH, "training.network.init_args.hidden=12"), as_of=AS_OF)
    [registered] = own.registry.log.read().challengers(entry.attempt)
    assert registered.evidence["recipe"] == "scratch"
    assert entry.evidence["judgement"]["level"] == 0.05
