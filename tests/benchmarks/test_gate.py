"""The benchmark of the gate: its worlds are what they are said to be, and its result is whole or not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks import work
from benchmarks.gate import curse, false_promotions, guarded, harmful, life, poison, power, speed, truth
from benchmarks.gate.__main__ import GATE, HEADLINE
from benchmarks.gate.verdicts import DEFAULT, LEVEL, binary_metrics, default_gate, superiority_of
from benchmarks.gate.worlds import AUTOCORRELATION, ROWS_PER_CLUSTER, SIGNAL, World, autocorrelated
from benchmarks.parts import write
from models.evaluation.comparison import Paired
from models.evaluation.gate import Rules, judge
from models.evaluation.groups import by_key
from models.evaluation.metrics.metric import Task
from models.evaluation.minima import Minima

ROOT = Path(__file__).parents[2]
DEPENDENT = [World("autocorrelated", "days", 500), World("clustered", "clusters", 500)]
WORLDS = [World("independent", "rows", 500), World("independent", "ladder", 500), *DEPENDENT]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def name_of(world: World) -> str:
    return f"{world.dependence}, {world.unit}, {world.task}"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("world", [WORLDS[0], *DEPENDENT], ids=name_of)
def test_equal_challengers_gain_nothing_in_any_metric(world: World, task: Task) -> None:
    world = World(world.dependence, world.unit, 500, task=task)
    metrics = false_promotions.metrics_of(world)
    gains = {name: [] for name in metrics}
    for paired in world.samples(random(), 150):
        for name, metric in metrics.items():
            gain = superiority_of(metric, paired).gain
            assert gain is not None
            gains[name].append(gain)
    for name, found in gains.items():
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found)), name
        assert np.std(found) > 0, name


def test_rows_follow_one_another_with_the_autocorrelation_that_is_said() -> None:
    values = autocorrelated(random().standard_normal((200, 1_000)))
    assert np.isclose(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1], AUTOCORRELATION, atol=0.01)
    assert np.isclose(values[:, 0].std(), 1, atol=0.2), "it begins as it goes on"
    assert np.isclose(values.std(), 1, atol=0.03)


@pytest.mark.parametrize("world", DEPENDENT, ids=name_of)
def test_losses_differ_together_within_a_group(world: World) -> None:
    metric = binary_metrics(world.threshold)["log_loss"]
    naive = by_key(np.arange(world.num_rows), "rows")
    ratios = [
        superiority_of(metric, paired).standard_error / superiority_of(metric, _regrouped(paired, naive)).standard_error
        for paired in world.samples(random(), 50)
    ]
    assert np.mean(ratios) > 1.5, "an error that takes the rows for independent is far too small"


def _regrouped(paired: Paired, grouping) -> Paired:  # type: ignore[no-untyped-def]
    return Paired(paired.labels, paired.champion, paired.challenger, grouping)


@pytest.mark.parametrize("prevalence", [0.3, 0.03])
@pytest.mark.parametrize("world", [WORLDS[0], *DEPENDENT], ids=name_of)
def test_shares_of_positives_and_of_what_is_called_positive_are_as_asked(world: World, prevalence: float) -> None:
    world = World(world.dependence, world.unit, 2_000, prevalence)
    samples = list(world.samples(random(1), 300))
    positives = [sample.labels.mean() for sample in samples]
    called = [(sample.champion >= world.threshold).mean() for sample in samples]
    for shares in (positives, called):
        assert abs(np.mean(shares) - prevalence) < 4 * np.std(shares) / np.sqrt(len(shares))


def test_groups_are_days_clusters_or_single_rows() -> None:
    assert [World("autocorrelated", "days", num_rows).grouping.num_groups for num_rows in (500, 2_000, 10_000)] == [
        10,
        20,
        50,
    ]
    clusters = World("clustered", "clusters", 500).grouping
    assert clusters.num_groups == 12
    assert clusters.rows_per_group == ROWS_PER_CLUSTER
    assert World("independent", "rows", 500).grouping.num_groups == 500
    assert len(World("independent", "ladder", 500).grouping.ways) == 6


def test_the_truth_in_closed_form_is_what_a_large_sample_shows() -> None:
    world = harmful.worse(World("independent", "rows", 400_000))
    (paired,) = world.samples(random(), 1)
    metrics = binary_metrics(world.threshold)
    noises = (world.champion_noise, world.challenger_noise)
    measured = {name: superiority_of(metrics[name], paired) for name in ("accuracy", "auc", "log_loss")}
    for name, true in {
        "accuracy": -harmful.LOSS,
        "auc": truth.auc(0.3, SIGNAL, noises[1]) - truth.auc(0.3, SIGNAL, noises[0]),
        "log_loss": truth.log_loss(0.3, SIGNAL, noises[0]) - truth.log_loss(0.3, SIGNAL, noises[1]),
    }.items():
        assert measured[name].gain == pytest.approx(true, abs=4 * measured[name].standard_error), name
    differs = (paired.champion >= world.threshold) != (paired.challenger >= world.threshold)
    assert differs.mean() == pytest.approx(harmful.DISAGREEMENT, abs=0.003)


def test_a_rare_label_makes_the_harmful_challenger_worse_in_auc() -> None:
    world = harmful.worse_in_auc(World("independent", "rows", 500, 0.03))
    loss = truth.auc(0.03, SIGNAL, world.champion_noise) - truth.auc(0.03, SIGNAL, world.challenger_noise)
    assert loss == pytest.approx(harmful.LOSS, abs=1e-5)


def test_the_shortcut_answers_as_the_gate_does() -> None:
    worlds = [World(each.dependence, each.unit, 500, challenger_noise=0.35) for each in WORLDS]
    answers = set()
    for world in worlds:
        metrics = list(binary_metrics(world.threshold).values())
        for number, paired in enumerate(world.samples(random(2), 50)):
            metric = metrics[number % len(metrics)]
            rules = Rules(metric, LEVEL, 0.0, (), Minima())
            judged, ours = judge(paired, rules), superiority_of(metric, paired)
            assert (judged.answer == "promoted") == ours.is_promoted
            assert ours.is_refused == (not judged.tests)
            assert (judge(paired, DEFAULT).answer == "promoted") == default_gate(paired).is_promoted
            answers.add(judged.answer)
    assert {"promoted", "inconclusive"} <= answers


def test_the_minima_refuse_in_the_shortcut_too() -> None:
    (paired,) = World("independent", "rows", 500, 0.03).samples(random(), 1)
    assert superiority_of(DEFAULT.primary, paired).is_refused  # type: ignore[arg-type]
    assert default_gate(paired).is_refused


def test_a_cell_of_which_more_than_half_was_refused_has_no_rate() -> None:
    size = false_promotions.Size(20, (500,), (0.03,), (("independent", "rows"),), has_other_tasks=False)
    table = false_promotions.equal_challengers(size, jobs=1)
    assert all(cell["is_refused"] and cell["rate"] is None and not cell["counts"] for cell in table["cells"])
    assert not table["worst"]


@pytest.mark.slow
@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_jobs() -> None:
    assert life.run(life.Size(3), jobs=1) == life.run(life.Size(3), jobs=2)


def test_pieces_add_up_to_all_decisions() -> None:
    assert sum(work.cut(1_001)) == 1_001
    assert max(work.cut(12_345)) <= work.PIECE


def test_a_life_under_a_rule_sees_the_false_promotions_that_the_rule_allows() -> None:
    found = life.run(life.Size(100), 1)
    nothing = found["nothing_better"]
    assert nothing["fixed"]["mean_false"] == pytest.approx(2.6, abs=0.6)
    assert nothing["spending"]["any_false"] < 0.15
    assert nothing["point"]["any_false"] == 1
    reuse = {row["most_uses"]: row for row in found["reuse"] if row["likeness"] == 1}
    assert [reuse[uses]["tests"] for uses in (1, 2, 3, None)] == [3, 6, 9, 30]


def test_the_winners_curse_is_seen_and_corrected() -> None:
    better = curse.better(World("independent", "rows", 2_000), 0.004)
    sums = curse.simulate(curse.Piece(better, 0.004, 0, 400))
    assert sums.promoted > 20
    assert sums.measured > 1.5 * 0.004 * sums.promoted, "what is promoted was measured too large"
    assert sums.corrected < 0.7 * sums.measured


def test_an_oracle_is_told_the_deviation_of_the_gain() -> None:
    gains = random().standard_normal(20_000) + 2.0
    found = power.Found(gains, gains > 1.645)
    assert found.best == pytest.approx(0.639, abs=0.01)
    assert found.oracle == pytest.approx(found.power, abs=0.01)


def test_the_fast_auc_of_the_bootstrap_counts_ties_by_half() -> None:
    labels, scores = np.array([0, 1, 0, 1, 1]) == 1, np.array([0.2, 0.2, 0.4, 0.8, 0.4])
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]
    assert speed.auc_by_ranks(labels, scores) == pytest.approx(np.mean(pairs))


def test_everything_is_compared_on_all_rows_and_in_every_slice() -> None:
    found = speed.everything(speed.made(30_000), num_threads=2)
    assert len(found) == len(speed.METRICS) * (1 + sum(speed.VALUES.values()))
    assert found[0].num_groups == speed.NUM_DAYS
    assert sum(comparison.num_rows for comparison in found) == len(speed.METRICS) * 4 * 30_000


def test_a_poison_changes_what_it_says_and_leaves_the_holdout() -> None:
    course = poison.COURSES[1]
    project = course.project
    rows = poison._rows(course, project, poison.moments(course, 1)[0], back=timedelta(0))
    columns = poison._columns(project)
    champion = poison._train(project, poison.Spoilt(rows), seed=0, max_epochs=1)
    for kind, make in poison.POISONS.items():
        spoilt = make(rows, columns, random(), champion)
        assert spoilt.rows.holdout is rows.holdout
        if kind == "shuffled_labels":
            assert spoilt.rows.train[columns.label].sum() == rows.train[columns.label].sum()
            assert not spoilt.rows.train[columns.label].equals(rows.train[columns.label])
        if kind == "two_percent":
            assert len(spoilt.rows.train) == len(rows.train) // 50
        if kind == "learning_rate_x50":
            assert spoilt.learning_rate_factor == 50
        if kind == "scaled_feature":
            assert (spoilt.rows.validation["AGEP"] == 10 * rows.validation["AGEP"]).all()
    assert rows.train[columns.time].max() < rows.validation[columns.time].min()
    assert rows.validation[columns.time].max() < rows.holdout[columns.time].min()


def test_a_headline_number_of_a_part_that_was_not_run_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "QUICK", life.Size(2))
    result = GATE.measure(("life",), is_quick=True, jobs=1)
    assert [key for keys in HEADLINE.values() for key in keys if result[key] is not None] == ["life_false_promotion"]
    assert result["is_quick"] is True
    assert {"cpu", "cores", "python", "numpy"} <= set(result["machine"])


def test_the_last_line_is_the_json_that_the_file_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life, "QUICK", life.Size(2))
    GATE.main(["--quick", "--only", "life", "--jobs", "1", "--output", str(tmp_path / "new" / "gate.json")])
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == json.loads((tmp_path / "new" / "gate.json").read_text())


@pytest.mark.slow
def test_a_tiny_run_of_every_part_fills_every_headline_number(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = false_promotions.Size(20, (500,), (0.3,), has_other_tasks=False)
    monkeypatch.setattr(false_promotions, "QUICK", tiny)
    monkeypatch.setattr(harmful, "QUICK", tiny)
    monkeypatch.setattr(guarded, "QUICK", guarded.Size(2))
    monkeypatch.setattr(power, "QUICK", power.Size(40, 20, 5, (power.INDEPENDENT,)))
    monkeypatch.setattr(life, "QUICK", life.Size(5))
    monkeypatch.setattr(poison, "QUICK", poison.Size(1, 1, max_epochs=1))
    monkeypatch.setattr(poison, "COURSES", poison.COURSES[1:])
    monkeypatch.setattr(speed, "QUICK", speed.Size(20_000, (10_000, 20_000), 2, 1))
    result = GATE.measure(GATE.parts, is_quick=True, jobs=1)
    assert all(result[key] is not None for keys in HEADLINE.values() for key in keys)
    assert {part: result[part]["seconds"] > 0 for part in GATE.parts} == dict.fromkeys(GATE.parts, True)
    kinds = {one["kind"] for one in result["poison"]["decisions"]}
    assert kinds == {*poison.POISONS, poison.STALE, poison.CONTROL}
    json.dumps(result, allow_nan=False)


def test_parts_that_are_not_run_again_are_kept_and_those_that_are_replace_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(life, "QUICK", life.Size(2))
    first = GATE.measure(("life",), is_quick=True, jobs=1)
    (tmp_path / "earlier.json").write_text(json.dumps(first | {"guarded": {"seconds": 1.0, "cells": ["as it was"]}}))
    GATE.main(
        ["--quick", "--only", "life", "--jobs", "1", "--keep", f"{tmp_path}/earlier.json", "--output", f"{tmp_path}/g"]
    )
    found = json.loads((tmp_path / "g").read_text())
    assert found["guarded"]["cells"] == ["as it was"]
    assert found["life_false_promotion"] == first["life_false_promotion"]
    assert found["seconds"] == pytest.approx(1.0 + found["life"]["seconds"], rel=0.01)
    with pytest.raises(SystemExit, match="not both quick, or both full"):
        GATE.main(["--only", "life", "--keep", f"{tmp_path}/earlier.json"])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gate.json"
    write(path, "whole")
    with pytest.raises(TypeError):
        write(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path], "no half of a file is left beside it"


@pytest.mark.slow
@pytest.mark.slow
def test_a_run_that_is_killed_leaves_the_file_of_the_run_before(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text("before")
    run = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gate", "--only", "life", "--jobs", "1", "--output", str(path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(3)
    assert run.poll() is None, "the lives take longer than that"
    run.send_signal(signal.SIGKILL)
    run.wait(timeout=10)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
