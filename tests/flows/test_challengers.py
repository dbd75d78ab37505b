"""Several challengers in one attempt: trained once each, judged together, and one decision for all."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest

from configs.schema import Project
from flows.retrain import retrain
from models.data.windows import between
from models.evaluation.comparison import compare
from models.evaluation.holm import holm_levels
from models.registry.history import windows_tried
from models.registry.versions import VersionId
from tasks.choose import choose_arms, costs_on, try_out, validation_start
from tasks.decide import begin
from tasks.evaluate import compete, set_up
from tasks.ingest import ingest
from tasks.require import metric_of
from tasks.step import columns_of, load_version
from tasks.turn import Turn
from tests.flows.commands import Shell, eventually, processes_with
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
SECOND_CHAMPION = 6  # entries until then
AS_OF = day("2025-04-26")
BOTH = "training.arms=[finetune, scratch]"
HOLM = "gate.several=holm"
SECONDS = 120  # a tenth, where nothing else runs


def _p_values(own: Own, project: Project, versions: list[VersionId]) -> list[float]:
    """Of "no better than the champion before", on the rows that were judged."""
    own.forget_after(SECOND_CHAMPION)
    state, metric = own.registry.log.read(), metric_of(project.gate.primary)
    bench = set_up(project, own.registry, ingest.fn(project, state.champion, AS_OF), state)
    return [compare(metric, compete(bench, state.champion, each).paired).spread.p_above(0.0) for each in versions]


def test_two_recipes_are_two_challengers_and_one_decision_at_holms_level(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having("training.arms=[scratch, finetune]", HOLM)
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
    assert sorted(levels) == [0.025, 0.05]
    place = entry.evidence["challengers"].index(entry.version)
    assert entry.evidence["judgement"]["level"] == levels[place]


def test_the_chosen_arm_is_trained_again_and_tested_alone_at_the_full_level(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH)
    entry = retrain(project, as_of=AS_OF)
    assert entry.evidence["judgement"]["level"] == 0.05
    assert entry.evidence["challengers"] == [entry.version]
    [registered] = own.registry.log.read().challengers(entry.attempt)
    trials = {trial["arm"]: trial for trial in registered.evidence["trials"]}
    assert set(trials) == {"finetune", "scratch"}
    chosen = trials["finetune"]
    assert registered.evidence["arm"] == "finetune"
    assert registered.evidence["choice"] == (
        f"finetune cost {chosen['loss']:.4g} a validation row; scratch must be better on 3 windows of validation rows, "
        "and has been tried on 1"
    )
    challenger = load_version(own.registry, registered.version)
    assert challenger.trained_until == day(entry.evidence["windows"]["train_end"][:10])
    assert challenger.lineage["arm"] == chosen["arm"]
    passes = registered.evidence["cost"]["num_passes"] + sum(trial["cost"]["num_passes"] for trial in trials.values())
    assert registered.evidence["cost_with_trials"]["num_passes"] == passes > 0
    assert entry.evidence["budget"]["after"]["num_tests"] == entry.evidence["budget"]["before"]["num_tests"] + 1


def test_windows_of_earlier_retrains_are_looked_up_in_the_log(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project, log = own.having(BOTH), own.registry.log
    champion = log.read().champion
    assert champion
    snapshot = ingest.fn(project, champion, AS_OF)
    until = validation_start(snapshot.windows, load_version(own.registry, champion))
    arms = project.training.arms
    settings = {arm.name: try_out.fn(project, snapshot, champion, arm, "an attempt").setting for arm in arms}
    for days, behind in ((8, 0.3), (4, 0.31)):  # as if a fine-tune had been worse twice before
        window = {"since": (until - timedelta(days)).isoformat(), "until": (until - timedelta(days - 4)).isoformat()}
        costs = {"finetune": 0.9, "scratch": 0.9 - behind}
        evidence = {
            "trials": [
                {"arm": arm, "loss": cost, "setting": settings[arm], "is_hopeless": False, **window}
                for arm, cost in costs.items()
            ]
        }
        log.append(
            "registered", "", attempt=f"{days}", version=None, against=None, as_of=until, now=until, evidence=evidence
        )
    assert [round(costs["scratch"], 2) for costs in windows_tried(log.read(), until, settings)] == [0.6, 0.59]
    [chosen] = choose_arms(project, snapshot, champion, "an attempt")
    assert "in the mean of 3 windows" in chosen.reason


def test_a_trial_is_what_training_without_the_validation_rows_costs_on_them(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH)
    champion = own.registry.log.read().champion
    assert champion
    snapshot = ingest.fn(project, champion, AS_OF)
    trial = try_out.fn(project, snapshot, champion, project.training.arms[0], "an attempt")
    columns, parent = columns_of(project), load_version(own.registry, champion)
    since = validation_start(snapshot.windows, parent)
    frame = own.registry.snapshots.read(snapshot)
    rows = between(frame, "event_time", since, snapshot.windows.train_end)
    assert parent.trained_until < since < snapshot.windows.train_end
    before = costs_on(parent.model, rows, columns).mean()
    assert trial.loss is not None
    assert trial.loss == pytest.approx(np.mean(trial.block_losses), rel=0.01)
    assert 0 < trial.loss < before  # the reason to leave has changed, and the champion does not know it yet
    assert not any((own.project.work / "trainings/churn").iterdir())


def test_an_arm_is_tried_once_an_attempt(own: Own, prefect_here: Shell, caplog: pytest.LogCaptureFixture) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH)
    first = retrain(project, as_of=AS_OF)
    own.forget_after(SECOND_CHAMPION)  # as if it had been killed between the trials and the training
    for page in (own.folder / ".perennial/reports/churn").glob("decision-00000008.*"):
        page.unlink()
    caplog.set_level(logging.INFO, logger="models.training")
    caplog.clear()
    again = retrain(project, as_of=AS_OF)
    assert "trial of" not in caplog.text
    assert again.version == first.version


def test_a_search_is_one_more_arm(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    search = "training.search={trials: 3, space: {learning_rate: {low: 0.001, high: 0.02, log: true}}}"
    entry = retrain(own.having(search), as_of=AS_OF)
    [registered] = own.registry.log.read().challengers(entry.attempt)
    plain, searched = sorted(registered.evidence["trials"], key=lambda trial: trial["arm"])
    assert (plain["arm"], searched["arm"]) == ("finetune", "search over finetune")
    assert 0.001 <= searched["init_args"]["learning_rate"] <= 0.02
    assert searched["cost"]["num_passes"] > plain["cost"]["num_passes"]
    kept = own.registry.searches.of(entry.attempt)
    assert [trial.arm for trial in kept] == [f"search over finetune, {number} of 3" for number in (1, 2, 3)]
    assert searched["loss"] == min(trial.loss for trial in kept if trial.loss is not None)


def test_arms_tried_side_by_side_in_processes_come_to_the_same(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    bars = "training.arms=[finetune, {recipe: finetune, ratio: 2.0}]"  # too close for one to be ended early
    one_by_one = retrain(own.having(bars), as_of=AS_OF)
    losses = {trial.arm: trial.loss for trial in own.registry.trials.of(one_by_one.attempt)}
    own.forget_after(SECOND_CHAMPION)
    shutil.rmtree(own.folder / ".perennial/trials")
    for page in (own.folder / ".perennial/reports/churn").glob("decision-00000008.*"):
        page.unlink()
    together = retrain(own.having(bars, "training.side_by_side=2"), as_of=AS_OF)
    assert {trial.arm: trial.loss for trial in own.registry.trials.of(together.attempt)} == losses
    assert together.evidence["training"]["arm"] == one_by_one.evidence["training"]["arm"]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_trainings_side_by_side_end_with_their_command(own: Own, shell: Shell, sent: signal.Signals) -> None:
    own.forget_after(SECOND_CHAMPION)
    endless = "{recipe: finetune, epochs: 1000000}, {recipe: finetune, epochs: 1000000, ratio: 2.0}"
    settings = ["--set", f"training.arms=[{endless}]", "--set", "training.side_by_side=2"]
    mark = {"PERENNIAL_TEST": str(own.folder)}
    command = shell.start(own.folder, "retrain", "churn.yaml", "--as-of", "2025-04-26", *settings, extra=mark)

    def trainings() -> list[str]:
        return [each for each in processes_with(f"PERENNIAL_TEST={own.folder}").values() if "spawn_main" in each]

    try:
        eventually(lambda: len(list((own.folder / ".perennial/trainings/churn").glob("*/epoch.state"))) == 2, SECONDS)
        assert len(trainings()) == 2
        command.send_signal(sent)
        eventually(lambda: not trainings(), SECONDS)
        assert command.wait(timeout=SECONDS) == -sent
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()


def test_a_run_that_was_killed_between_two_trainings_trains_only_the_one_that_is_missing(
    own: Own, prefect_here: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    own.forget_after(SECOND_CHAMPION)
    project = own.having(BOTH, HOLM)
    caplog.set_level(logging.INFO, logger="models.training")
    undisturbed = retrain(project, as_of=AS_OF)
    assert "finetune epoch" in caplog.text
    before = own.registry.log.read().entries
    own.forget_after(SECOND_CHAMPION + 1)  # what was kept when the second training was killed
    for page in (own.folder / ".perennial/reports/churn").glob("decision-00000008.*"):
        page.unlink()
    assert begin.fn(project, AS_OF, "manual", Turn()).champion == undisturbed.against
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
    entry = retrain(own.having(BOTH, HOLM, "training.network.init_args.hidden=12"), as_of=AS_OF)
    [registered] = own.registry.log.read().challengers(entry.attempt)
    assert registered.evidence["recipe"] == "scratch"
    assert entry.evidence["judgement"]["level"] == 0.05
