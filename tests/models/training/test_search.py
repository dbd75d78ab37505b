"""The search over the arguments of a recipe: it finds, it repeats itself, and it survives trainings that diverge."""

from __future__ import annotations

import math

import pytest

from models.training.search import Between, Space, Value, search

SPACE: Space = {
    "learning_rate": Between(1e-4, 1e-1, log=True),
    "epochs": Between(1, 8),
    "history": ("all", "recent"),
}


def bowl(arguments: dict[str, Value]) -> float:
    """Lowest at a learning rate of .003, five epochs and recent rows."""
    rate, epochs = float(arguments["learning_rate"]), float(arguments["epochs"])
    return abs(math.log10(rate / 0.003)) + abs(epochs - 5) / 4 + (arguments["history"] != "recent")


def test_it_comes_close_to_the_best_arguments() -> None:
    best = search(SPACE, 60, 0, bowl)
    assert bowl(best) < 0.4
    assert isinstance(best["epochs"], int)


def test_the_same_seed_and_costs_ask_for_the_same_trainings() -> None:
    asked: list[list[dict[str, Value]]] = [[], []]
    for tried in asked:

        def cost(arguments: dict[str, Value], tried: list[dict[str, Value]] = tried) -> float:
            tried.append(arguments)
            return bowl(arguments)

        search(SPACE, 15, 1, cost)
    assert asked[0] == asked[1]
    assert len(asked[0]) == 15
    other: list[dict[str, Value]] = []
    search(SPACE, 3, 2, lambda arguments: other.append(arguments) or bowl(arguments))
    assert other != asked[0][:3]


def test_a_training_that_diverges_is_not_the_best_one() -> None:
    best = search(SPACE, 20, 0, lambda each: math.inf if float(each["learning_rate"]) > 0.001 else bowl(each))
    assert float(best["learning_rate"]) <= 0.001


def test_when_all_diverge_it_says_what_to_change() -> None:
    with pytest.raises(ValueError, match=r"no training of 3 had a finite loss; narrow training.search.space"):
        search(SPACE, 3, 0, lambda arguments: math.inf)
