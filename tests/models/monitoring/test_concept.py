"""What a change of concept costs of several classes and of numbers, in worlds in which that is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from models.evaluation.metrics import METRICS, Sample
from models.evaluation.metrics.metric import Task
from models.monitoring.estimation.reverse_concept import concept_cost

NUMBERS = ("a", "b")
World = Callable[[pd.DataFrame, int, float], Sample]


def rows(num_rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=num_rows) + shift, "b": random.normal(size=num_rows)})
    return frame.assign(text=random.choice(["x", "y", None], num_rows))


def classes(frame: pd.DataFrame, seed: int, concept: float) -> Sample:
    """A model that knows the first concept, of labels that follow the second column too once it has changed."""

    def chances(by: float) -> np.ndarray:
        return softmax(np.column_stack((frame["a"] + by * frame["b"], -frame["a"], np.zeros(len(frame)))), axis=1)

    uniform = np.random.default_rng(seed).random(len(frame))[:, None]
    return Sample((chances(concept).cumsum(axis=1) < uniform).sum(axis=1).astype(float), chances(0.0))


def numbers(frame: pd.DataFrame, seed: int, concept: float) -> Sample:
    said = 3 * frame["a"].to_numpy()
    noise = np.random.default_rng(seed).normal(size=len(frame))
    return Sample(said + concept * np.maximum(frame["b"].to_numpy(), 0) + noise, said)


def cost(task: Task, world: World, concept: float, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    before, moved = rows(5_000, seed), rows(5_000, seed + 1, shift=0.4)
    sides = before, world(before, seed + 2, 0.0), moved, world(moved, seed + 3, concept)
    found = concept_cost(*sides, NUMBERS, ("text",), task=task, jobs=1)
    return {name: (each.lower, each.value, each.upper) for name, each in found.items()}


WORLDS = pytest.mark.parametrize(
    ("task", "world", "metrics"),
    [("multiclass", classes, ("log_loss", "accuracy")), ("regression", numbers, ("mae", "rmse"))],
)


@WORLDS
def test_a_shift_of_inputs_alone_costs_nothing(task: Task, world: World, metrics: tuple[str, ...]) -> None:
    found = cost(task, world, concept=0.0)
    assert tuple(found) == metrics
    assert all(lower < 0 < upper for lower, _, upper in found.values())


@WORLDS
def test_what_a_new_concept_costs_on_inputs_as_they_were_is_found(
    task: Task, world: World, metrics: tuple[str, ...]
) -> None:
    found, many = cost(task, world, concept=2.0), rows(100_000, 9)
    for metric in metrics:
        old, new = (METRICS[metric].measure(world(many, 10, concept)).value for concept in (0.0, 2.0))
        lower, value, upper = found[metric]
        assert lower < new - old < upper, metric
        assert abs(value - (new - old)) < 0.3 * abs(new - old), metric


def test_a_class_that_the_champion_does_not_know_costs_what_it_takes() -> None:
    """One label in twenty is new, whatever the inputs: each costs 16.1 nats, where it cost about one."""
    before, now = rows(5_000, 0), rows(5_000, 1)
    old, new = (classes(frame, seed, 0.0) for frame, seed in ((before, 2), (now, 3)))
    is_new = np.arange(5_000) % 20 == 7
    sides = [
        Sample(np.where(some, 3.0, side.labels), np.column_stack((side.scores, np.zeros(5_000))))
        for side, some in ((old, np.zeros(5_000, dtype=bool)), (new, is_new))
    ]
    found = concept_cost(before, sides[0], now, sides[1], NUMBERS, ("text",), task="multiclass", jobs=1)["log_loss"]
    truth = METRICS["log_loss"].measure(sides[1]).value - METRICS["log_loss"].measure(sides[0]).value
    assert found.p_value < 0.01
    assert found.value == pytest.approx(truth, rel=0.25)


def test_the_unit_of_a_number_is_that_of_its_cost() -> None:
    before, now = rows(2_000, 0), rows(2_000, 1)
    old, new = numbers(before, 2, 0.0), numbers(now, 3, 2.0)
    in_seconds = [Sample(60 * side.labels, 60 * side.scores) for side in (old, new)]
    first = concept_cost(before, old, now, new, NUMBERS, (), task="regression", jobs=1)
    second = concept_cost(before, in_seconds[0], now, in_seconds[1], NUMBERS, (), task="regression", jobs=1)
    for metric, each in first.items():
        assert second[metric].value == pytest.approx(60 * each.value, rel=0.02)
