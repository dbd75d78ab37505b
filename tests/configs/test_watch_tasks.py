"""What the watch of a project may be asked, by what its label is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from configs.schema import Project, load
from models.monitoring.quality import Limits
from tasks.observe import limits_of

MADE = load("configs/cards.yaml").model_dump(mode="json", exclude_unset=True)


def project(task: str, **watch: Any) -> Project:
    data = MADE["data"] | {"task": task}
    gate = {"primary": {"metric": "rmse"}, "min_gain": 0.1, "anchor_margin": 1.0, "plausible_gain": 4.0}
    return Project.model_validate(MADE | {"data": data, "watch": watch, "gate": gate if task == "regression" else {}})


def test_of_a_number_nobody_but_the_project_knows_what_is_harm() -> None:
    with pytest.raises(ValidationError, match=r"set watch\.harm to the rise of its mean absolute error"):
        project("regression")
    assert project("regression", harm=2.0).watch.harm_second("regression") == 2.0


def test_the_second_metric_has_a_harm_of_its_own() -> None:
    assert project("multiclass", harm_accuracy=0.05).watch.harm_second("multiclass") == 0.05
    assert project("binary", harm_auc=0.03).watch.harm_second("binary") == 0.03


@pytest.mark.parametrize(
    ("task", "watch", "word"),
    [
        ("multiclass", {"harm_auc": 0.03}, "harm_auc is only for data.task=binary"),
        ("binary", {"harm_accuracy": 0.03}, "harm_accuracy is only for data.task=multiclass"),
        ("regression", {"harm": 1.0, "quality": {"label_noise": 0.1}}, "only for data.task=binary and multiclass"),
        ("regression", {"harm": 1.0, "quality": {"label_rate_ratio": 2}}, "only for data.task=binary and multiclass"),
        ("regression", {"harm": 1.0, "quality": {"new_class_share": 0.2}}, "only for data.task=multiclass"),
        ("binary", {"quality": {"new_class_share": 0.2}}, "new_class_share is only for data.task=multiclass"),
        ("multiclass", {"quality": {"label_shift": 0.5}}, "label_shift is only for data.task=regression"),
        ("binary", {"quality": {"label_spread_ratio": 2}}, "label_spread_ratio is only for data.task=regression"),
    ],
)
def test_what_means_nothing_for_a_label_is_refused(task: str, watch: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        project(task, **watch)


@pytest.mark.parametrize(
    ("task", "watch"),
    [
        ("multiclass", {"quality": {"label_noise": 0.1, "label_rate_ratio": 2, "new_class_share": 0.2}}),
        ("regression", {"harm": 1.0, "quality": {"label_shift": 0.5, "label_spread_ratio": 2}}),
    ],
)
def test_limits_of_labels_that_are_asked_for_reach_the_watch(task: str, watch: dict[str, Any]) -> None:
    limits = limits_of(project(task, **watch))
    assert {name: getattr(limits, name) for name in watch["quality"]} == watch["quality"]
    usual = limits_of(project(task, **{name: value for name, value in watch.items() if name != "quality"}))
    assert usual == Limits(), "and the defaults of the YAML are those of the checks"
