"""Which arm goes on: what the budget allows to try, what cost least on validation rows, and how that is trained again.

An arm is tried on rows before the validation window and compared there. The best is then trained again, on all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.training.recipes.catalogue import Recipe


@dataclass(frozen=True)
class Tried:
    """An arm after its trial: what each validation row cost, (rows,), and the rows that went through its steps."""

    name: str
    costs: np.ndarray
    num_passes: int

    @property
    def cost(self) -> float:
        """Of a validation row, in the mean."""
        return float(np.mean(self.costs))


@dataclass(frozen=True)
class Choice:
    """The arm that goes on."""

    name: str
    cost: float
    reason: str


def choose(tried: Sequence[Tried]) -> Choice:
    """The arm with the lowest mean cost; of two with the same cost the one that needed fewer passes.

    No test is made here: validation rows choose, and the holdout judges what was chosen.

    Raises:
        ValueError: without arms or validation rows, or when no arm has a finite cost.

    >>> choose([Tried("finetune", np.array([0.4, 0.4]), 10), Tried("scratch", np.array([0.5, 0.5]), 90)]).reason
    'finetune cost 0.4 a validation row, 20.0 % less than scratch'
    """
    if not tried:
        raise ValueError("there is no arm to choose from; give training.arms at least one")
    if not len(tried[0].costs):
        raise ValueError("there are no validation rows to choose by; raise training.validation_days")
    finite = [each for each in tried if np.isfinite(each.cost)]
    if not finite:
        names = ", ".join(each.name for each in tried)
        raise ValueError(f"no arm has a finite cost on the validation rows ({names}); lower the learning rate")
    best, *others = sorted(finite, key=lambda each: (each.cost, each.num_passes))
    return Choice(best.name, best.cost, _reason(best, others))


def _reason(best: Tried, others: Sequence[Tried]) -> str:
    said = f"{best.name} cost {best.cost:.4g} a validation row"
    if not others:
        return f"{said}; there was no other arm"
    second = others[0]
    if second.cost == best.cost:
        return f"{said} as {second.name} did, with {best.num_passes:,} sample passes against {second.num_passes:,}"
    return f"{said}, {1 - best.cost / second.cost:.1%} less than {second.name}".replace("%", " %")


@dataclass(frozen=True)
class Forecast:
    """What an arm would take: rows that go through its training steps."""

    name: str
    num_passes: int


@dataclass(frozen=True)
class Affordable:
    """What is tried, what is not, and why."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    reason: str


def affordable(arms: Sequence[Forecast], rows_per_second: float, budget_seconds: float | None) -> Affordable:
    """The arms that fit into the budget, the cheapest first; the cheapest of all always does.

    Args:
        arms: with their forecasts.
        rows_per_second: of earlier trainings of this project.
        budget_seconds: of device time for all arms together; None is no limit.

    Returns:
        Names in the order in which they were given.

    >>> affordable([Forecast("scratch", 9_000), Forecast("finetune", 1_000)], 100.0, 60.0).left_out
    ('scratch',)
    """
    if budget_seconds is None:
        return Affordable(tuple(arm.name for arm in arms), (), "there is no budget")
    kept: list[str] = []
    spent = 0.0
    for arm in sorted(arms, key=lambda each: each.num_passes):
        seconds = arm.num_passes / rows_per_second
        if kept and spent + seconds > budget_seconds:
            break  # what comes after costs even more
        kept.append(arm.name)
        spent += seconds
    left_out = tuple(arm.name for arm in arms if arm.name not in kept)
    needed = sum(arm.num_passes for arm in arms) / rows_per_second
    limit = f"of {budget_seconds / 60:.3g} minutes; all arms need about {needed / 60:.3g}"
    reason = f"{', '.join(left_out)} left out by the budget {limit}" if left_out else f"within the budget {limit}"
    return Affordable(tuple(arm.name for arm in arms if arm.name in kept), left_out, reason)


def again(recipe: Recipe, best_epoch: int) -> Recipe:
    """The recipe for training on all rows what won on the validation rows: as many epochs as were best, no more.

    A recipe without patience kept its last weights, and takes all its epochs again.
    """
    if recipe.patience is None:
        return recipe
    return replace(recipe, patience=None, epochs=max(1, best_epoch))
