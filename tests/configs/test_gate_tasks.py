"""The gate for each kind of label: what it asks by default, and what it is told that it cannot ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.gate import FAIR, GUARDRAILS, ONLY, First, Gate, Minima
from configs.schema import Project, load
from models.evaluation.metrics.catalogue import METRICS, names_for
from models.evaluation.metrics.metric import Task
from models.monitoring.measures import measures_of

MINIMAL: dict[str, Any] = {
    "name": "cards",
    "data": {"source": {"class_path": "models.data.cards.Cards"}, "label": "card", "numbers": ["stated_income"]},
    "schedule": {"start": date(2020, 5, 1), "first_champion": date(2020, 7, 1)},
}
OF_A_NUMBER = {"primary": {"metric": "rmse"}, "min_gain": 0.1, "anchor_margin": 1.0, "plausible_gain": None}
Loaded = Callable[..., Project]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Loads the smallest project of a task, with these values in its block `gate`."""

    def read(task: str, gate: dict[str, Any] | None = None, **data: Any) -> Project:
        values = MINIMAL | {"data": MINIMAL["data"] | {"task": task} | data}
        values |= {"gate": gate} if gate is not None else {}
        values |= {"watch": {"harm": 1.0}} if task == "regression" else {}
        path = tmp_path / "project.yaml"
        path.write_text(yaml.safe_dump(values))
        return load(path)

    return read


@pytest.mark.parametrize(("task", "gate"), [("binary", None), ("multiclass", {}), ("regression", OF_A_NUMBER)])
def test_what_is_guarded_by_default_suits_the_label(loaded: Loaded, task: Task, gate: dict[str, Any] | None) -> None:
    project = loaded(task, gate)
    asked = [each.model_dump(exclude_defaults=True) for each in project.gate.guardrails]
    assert asked == [dict(each) for each in GUARDRAILS[task]]
    assert all(task in METRICS[str(each.metric)].tasks for each in project.gate.guardrails)
    assert Project.model_validate(project.model_dump()) == project
    assert Project.model_validate_json(project.model_dump_json()) == project


def test_the_gate_by_itself_is_that_of_a_binary_label(loaded: Loaded) -> None:
    assert Gate() == loaded("binary").gate.model_copy(update={"guardrails": Gate().guardrails})
    assert Gate().guardrails == loaded("binary").gate.guardrails


def test_who_guards_something_else_guards_only_that(loaded: Loaded) -> None:
    project = loaded("multiclass", {"guardrails": [{"metric": "mcc", "margin": 0.01}]})
    assert [each.metric for each in project.gate.guardrails] == ["mcc"]
    assert loaded("multiclass", {"guardrails": []}).gate.guardrails == ()


def test_a_regression_must_say_what_is_better_and_in_which_unit(loaded: Loaded) -> None:
    with pytest.raises(ValueError) as error:
        loaded("regression")
    assert str(error.value).splitlines()[1:] == [
        "  gate.primary: log_loss is not defined for data.task=regression; choose one of correlation, mae, pinball, "
        "r2, rmse (found 'log_loss')"
    ]
    with pytest.raises(ValueError, match="primary is rmse; set anchor_margin, min_gain, plausible_gain in its unit"):
        loaded("regression", {"primary": {"metric": "rmse"}})


REFUSED: list[tuple[Task, dict[str, Any], str]] = [
    (
        "multiclass",
        {"guardrails": [{"metric": "accuracy", "margin": 0.1}, {"metric": "rmse", "margin": 1}]},
        f"  gate.guardrails.1: rmse is not defined for data.task=multiclass; choose one of "
        f"{', '.join(names_for('multiclass'))} (found 'rmse')",
    ),
    (
        "multiclass",
        {"guardrails": [{"metric": "f1", "init_args": {"threshold": 0.3}, "margin": 0.1}]},
        "  gate.guardrails.0: threshold of f1 means nothing where the largest of several scores decides; leave it out "
        "(found 'f1')",
    ),
    (
        "multiclass",
        {"fairness": [{"column": "stated_income", "calibration": 0.1, "equalised_odds": 0.1}]},
        "  gate.fairness.0.equalised_odds: equalised_odds is not defined for data.task=multiclass; choose one of "
        "calibration (found 0.1)",
    ),
    (
        "multiclass",
        {"threshold": 0.3},
        "  gate.threshold: threshold is not defined for data.task=multiclass, only for binary; leave it out (found",
    ),
    (
        "multiclass",
        {"first": {"min_auc": 0.6}},
        "  gate.first.min_auc: min_auc is not defined for data.task=multiclass, only for binary; leave it out (found",
    ),
    (
        "regression",
        OF_A_NUMBER | {"fairness": [{"column": "stated_income", "calibration": 0.1}]},
        "  gate.fairness.0.calibration: calibration is not defined for data.task=regression; leave gate.fairness out "
        "(found 0.1)",
    ),
    (
        "regression",
        OF_A_NUMBER | {"negative_flips": 0.02},
        "  gate.negative_flips: negative_flips is not defined for data.task=regression, only for binary and "
        "multiclass; leave it out (found 0.02)",
    ),
    (
        "regression",
        OF_A_NUMBER | {"hard_rows": {}},
        "  gate.hard_rows: hard_rows is not defined for data.task=regression, only for binary and multiclass; leave it "
        "out",
    ),
    (
        "binary",
        {"minima": {"class_rows": 60}},
        "  gate.minima.class_rows: class_rows is not defined for data.task=binary, only for multiclass; leave it out "
        "(found 60)",
    ),
]


@pytest.mark.parametrize(("task", "gate", "expected"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_means_nothing_for_a_label_is_told_with_its_place(
    loaded: Loaded, task: Task, gate: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError) as error:
        loaded(task, gate)
    [problem] = str(error.value).splitlines()[1:]
    assert problem.startswith(expected)


def test_several_mistakes_are_told_at_once(loaded: Loaded) -> None:
    with pytest.raises(ValueError) as error:
        loaded("regression", OF_A_NUMBER | {"negative_flips": 0.02, "first": {"min_auc": 0.6}})
    assert len(str(error.value).splitlines()) == 3


def test_only_a_regression_has_a_unit(loaded: Loaded) -> None:
    assert loaded("regression", OF_A_NUMBER, unit="minutes").data.unit == "minutes"
    with pytest.raises(ValueError, match="unit='minutes' is of a regression's label, and task is binary; leave unit"):
        loaded("binary", unit="minutes")


def test_a_task_that_does_not_exist_is_told_with_those_that_do(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match=r"data\.task: Input should be 'binary', 'multiclass' or 'regression'"):
        loaded("ranking")


def test_what_is_asked_of_some_labels_alone_is_there_in_the_schema() -> None:
    assert {place[1] for place in ONLY if place[0] == "first"} == set(First.model_fields) - {"baseline"}
    assert {place[1] for place in ONLY if place[0] == "minima"} == set(Minima.model_fields) - {"groups"}
    assert set(FAIR) == set(GUARDRAILS) == {"binary", "multiclass", "regression"}


@pytest.mark.parametrize("path", ["configs/cards.yaml", "configs/delays.yaml"])
def test_what_the_gate_lets_pass_in_a_demo_is_never_what_its_watch_calls_harm(path: str) -> None:
    project = load(path)
    gate, watch, second = project.gate, project.watch, measures_of(project.data.task).second.name
    worth = {"log_loss": watch.harm, "mae": watch.harm, second: watch.harm_second(project.data.task)}
    margins = {guardrail.metric: guardrail.margin for guardrail in gate.guardrails if guardrail.metric in worth}
    assert margins and all(margin <= worth[str(name)] for name, margin in margins.items() if margin is not None)
    assert gate.primary.metric in worth and gate.anchor_margin is not None
    assert gate.min_gain < gate.anchor_margin <= worth[str(gate.primary.metric)]
    assert gate.plausible_gain is not None and gate.plausible_gain > gate.min_gain


def test_the_demo_of_a_quantity_has_a_unit_and_more_days_to_judge() -> None:
    minutes, flights = load("configs/delays.yaml"), load("configs/flights.yaml")
    assert (minutes.data.task, minutes.data.unit) == ("regression", "minutes")
    assert minutes.gate.holdout_days == 2 * flights.gate.holdout_days
    assert minutes.gate.holdout_days == minutes.schedule.baseline_days, "no row is judged twice"
