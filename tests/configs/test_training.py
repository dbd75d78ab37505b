"""What a YAML may say of arms, their recipes and histories, and of the search."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.training import Arm, History, Search, Training
from models.training.histories import NAMES as HISTORIES
from models.training.recipes import NAMES as RECIPES


def training(**values: Any) -> Training:
    return Training.model_validate(values)


def test_an_arm_is_a_name_or_a_name_with_arguments_beside_it() -> None:
    plain, changed = training(arms=["scratch", {"recipe": "finetune", "epochs": 5, "history": "all"}]).arms
    assert plain == Arm(recipe="scratch", history=History(name="all"))
    assert (changed.recipe, changed.init_args) == ("finetune", {"epochs": 5})
    assert training(arms="scratch").arms == (plain,)


def test_an_arm_is_called_what_it_does() -> None:
    recent = {"name": "recent", "days": 56}
    named = training(arms=["finetune", {"recipe": "scratch", "history": recent}, {"recipe": "online"}]).arms
    assert [arm.name for arm in named] == ["finetune", "scratch on recent(days=56)", "online"]


def test_arms_come_back_from_json() -> None:
    recent = {"name": "recent", "days": 56}
    before = training(arms=[{"recipe": "scratch", "epochs": 3, "history": recent}], search={"trials": 3})
    assert Training.model_validate_json(before.model_dump_json()) == before
    assert TypeAdapter(Training).validate_python(before.model_dump(mode="json")) == before


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"arms": ["magic"]}, ["'magic'", *RECIPES]),
        ({"arms": [{"recipe": "finetune", "epoch": 3}]}, ["'epoch'", "epochs", "ratio"]),
        ({"arms": [{"recipe": "finetune", "epochs": 0}]}, ["epochs=0", "from 1"]),
        ({"arms": [{"recipe": "finetune", "epochs": 2.5}]}, ["epochs=2.5", "whole number"]),
        ({"arms": [{"recipe": "finetune", "history": "nowhere"}]}, ["'nowhere'", *HISTORIES]),
        ({"arms": [{"recipe": "finetune", "history": {"name": "recent"}}]}, ["recent", "days"]),
        ({"arms": ["scratch", {"recipe": "scratch"}]}, ["'scratch' is there twice"]),
        ({"arms": []}, ["at least 1"]),
        ({"search": {"space": {}}}, ["at least 1"]),
        ({"search": {"space": {"learning_rat": {"low": 0.1, "high": 1}}}}, ["'learning_rat'", "learning_rate"]),
        ({"search": {"space": {"learning_rate": {"low": 1, "high": 0.1}}}}, ["low=1 is not below high=0.1"]),
        ({"search": {"space": {"ratio": {"low": 0, "high": 1, "log": True}}}}, ["low=0", "logarithmic"]),
        ({"search": {"space": {"ratio": {"low": 0}}}}, ["either low and high, or choices"]),
        ({"search": {"space": {"ratio": {"low": 0, "high": 1, "choices": [1]}}}}, ["either low and high, or choices"]),
        ({"search": {"space": {"epochs": {"choices": [0, 1]}}}}, ["epochs=0"]),
        ({"search": {"recipe": "scratch", "space": {"ratio": {"choices": [1]}}}}, ["'ratio'"]),
    ],
)
def test_what_means_nothing_is_refused_with_the_choices_there_are(values: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        training(**values)
    assert [part for part in expected if part not in str(refusal.value)] == []


def test_nothing_is_searched_and_one_arm_is_trained_unless_asked_for() -> None:
    plain = Training()
    assert (plain.search, [arm.name for arm in plain.arms]) == (None, ["finetune"])
    assert Search().name == "search over finetune"


def test_rare_labels_of_a_quantity_cannot_be_streamed() -> None:
    rare = {"recipe": "finetune", "history": {"name": "rare", "days": 30}}
    plan = training(arms=["scratch", rare], memory_mib=64)
    why = plan.why_not_streamed("regression", None)
    assert why is not None
    assert "'finetune on rare(days=30)' learns from rare labels" in why
    assert "choose another history, or leave training.memory_mib out" in why
    searched = training(search={"history": {"name": "rare", "days": 30}}, memory_mib=64)
    assert "'search over finetune'" in str(searched.why_not_streamed("regression", None))
    assert plan.why_not_streamed("binary", None) is plan.why_not_streamed("multiclass", None) is None
    assert training(arms=[rare]).why_not_streamed("regression", "images") is None
