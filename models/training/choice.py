"""Which arm goes on: what the budget allows to try, what did best on validation rows, and how that is trained again.

An arm is tried on rows before the validation window and compared there. The best is then trained again, on all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.training.recipes.catalogue import Recipe

NUM_ERRORS = 1.0  # as in the book; `docs/log.md` has what two of them, or earlier attempts as well, came to
NUM_BLOCKS = 20  # enough for a standard error, and long enough for neighbouring rows to lie in the same one


@dataclass(frozen=True)
class Tried:
    """An arm after its trial.

    Attributes:
        name: of the arm.
        cost: of a validation row, in the mean.
        blocks: the same over blocks of consecutive rows, (blocks,); those of all arms are of the same rows.
        num_passes: rows that went through its training steps.
        is_hopeless: whether it was ended early; it then goes on only if it costs less than all others.
    """

    name: str
    cost: float
    blocks: np.ndarray
    num_passes: int
    is_hopeless: bool = False

    @classmethod
    def of(cls, name: str, costs: np.ndarray, num_passes: int, is_hopeless: bool = False) -> Tried:
        """From what each validation row costs, in time order, (rows,)."""
        mean = float(np.mean(costs)) if len(costs) else np.nan
        return cls(name, mean, in_blocks(costs), num_passes, is_hopeless)


@dataclass(frozen=True)
class Choice:
    """The arm that goes on."""

    name: str
    cost: float
    reason: str


def in_blocks(costs: np.ndarray) -> np.ndarray:
    """Means of what rows in time order cost, over at most 20 blocks of consecutive rows: (rows,) to (blocks,).

    >>> in_blocks(np.arange(40.0))[:3]
    array([0.5, 2.5, 4.5])
    """
    parts = np.array_split(costs, min(len(costs), NUM_BLOCKS)) if len(costs) else []
    return np.array([part.mean() for part in parts])


def choose(tried: Sequence[Tried]) -> Choice:
    """The cheapest training among those whose cost is within one standard error of the lowest.

    The arm with the lowest cost is the best, or was lucky on these rows: one that is stopped by them more than others.
    The error is that of the paired difference to it over the blocks. No promise of an error rate is made here:
    validation rows choose, and the holdout judges what was chosen.

    The one-standard-error rule: Breiman, Friedman, Olshen & Stone 1984, "Classification and Regression Trees", 3.4.3.

    Raises:
        ValueError: without arms or validation rows, or when no arm has a finite cost.

    >>> choose([Tried.of("finetune", np.array([0.4, 0.5]), 10), Tried.of("scratch", np.array([0.5, 0.6]), 90)]).reason
    'finetune cost 0.45 a validation row, 18.2 % less than scratch'
    >>> choose([Tried.of("finetune", np.array([0.5, 0.5]), 10), Tried.of("scratch", np.array([0.4, 0.58]), 90)]).name
    'finetune'
    """
    if not tried:
        raise ValueError("there is no arm to choose from; give training.arms at least one")
    if not len(tried[0].blocks):
        raise ValueError("there are no validation rows to choose by; raise training.validation_days")
    finite = [each for each in tried if np.isfinite(each.cost)]
    if not finite:
        names = ", ".join(each.name for each in tried)
        raise ValueError(f"no arm has a finite cost on the validation rows ({names}); lower the learning rate")
    best, *others = sorted(finite, key=lambda each: (each.cost, each.num_passes))
    close = [
        each for each in others if not each.is_hopeless and each.cost - best.cost <= NUM_ERRORS * _error(each, best)
    ]
    chosen = min((best, *close), key=lambda each: (each.num_passes, each.cost))
    return Choice(chosen.name, chosen.cost, _reason(chosen, best, others))


def _error(one: Tried, other: Tried) -> float:
    """Standard error of the difference between two arms' costs of the same rows; zero where it cannot be told."""
    differences = one.blocks - other.blocks
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0


def _reason(chosen: Tried, best: Tried, others: Sequence[Tried]) -> str:
    said = f"{chosen.name} cost {chosen.cost:.4g} a validation row"
    if not others:
        return f"{said}; there was no other arm"
    if chosen is not best:
        more = f"{chosen.cost / best.cost - 1:.1%}".replace("%", " %")
        passes = f"{chosen.num_passes:,} sample passes against {best.num_passes:,}"
        return f"{said}, {more} more than {best.name}, which is within one standard error, with {passes}"
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
