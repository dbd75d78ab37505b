"""Which arm goes on: what the budget allows to try, what did best on validation rows, and how that is trained again.

An arm is tried on rows before the validation window and compared there. The best is then trained again, on all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.distributions import t_point
from models.training.recipes.catalogue import Recipe

NUM_ERRORS = 1.0  # of one window's rows, as in the book
LEVEL = 0.05  # of all tests over windows of one arm; `docs/log.md` has what other rules came to
FEWEST_WINDOWS = 3
MOST_TIMES = 2.0  # the passes of another arm: what takes more has to be shown to be better on several windows
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


def choose(tried: Sequence[Tried], earlier: Sequence[Mapping[str, float]] | None = None) -> Choice:
    """The cheapest training, unless others are shown to be better; then the same is asked of those.

    The rows of one window have the weather of one window: on a stream that changes, what is many standard errors better
    on them may be worse on the next ones. So the draws are windows. An arm is better than another if Student's t of
    their differences on the windows that they share, this one among them, says so, one-sided, at 5 % shared by all that
    are compared with it (Bonferroni); there must be three. Until there are, one that takes more than twice the passes
    is not better, and of others the rows of this window decide: it is better if it costs less by more than a standard
    error over blocks of rows.

    Without a champion there is nothing to be continued or thrown away: the cheapest arm within one standard error of
    the lowest cost on this window's rows goes on (Breiman, Friedman, Olshen & Stone 1984, "Classification and
    Regression Trees", 3.4.3).

    No promise of an error rate is made here: validation rows choose, and the holdout judges what was chosen. Where arms
    do not differ, a retrain leaves the cheapest one for nothing in 5 % of cases at most, once there are windows. One in
    which an arm diverged, or was ended early, says nothing of it.

    Args:
        tried: the arms, each on the same rows.
        earlier: what the arms cost, by name, on earlier windows that do not overlap; None without a champion.

    Raises:
        ValueError: without arms or validation rows, or when no arm has a finite cost.

    >>> easy, hard = np.array([0.4, 0.5]), np.array([0.5, 0.6])
    >>> choose([Tried.of("finetune", easy, 10), Tried.of("scratch", hard, 90)]).reason
    'finetune cost 0.45 a validation row, 18.2 % less than scratch'
    >>> arms = [Tried.of("finetune", hard, 10), Tried.of("scratch", easy, 90)]
    >>> choose(arms, []).name
    'finetune'
    >>> choose(arms, [{"finetune": 0.6, "scratch": 0.49}, {"finetune": 0.7, "scratch": 0.61}]).name
    'scratch'
    """
    if not tried:
        raise ValueError("there is no arm to choose from; give training.arms at least one")
    if not len(tried[0].blocks):
        raise ValueError("there are no validation rows to choose by; raise training.validation_days")
    finite = [each for each in tried if np.isfinite(each.cost)]
    if not finite:
        names = ", ".join(each.name for each in tried)
        raise ValueError(f"no arm has a finite cost on the validation rows ({names}); lower the learning rate")
    if earlier is None:
        return _by_rows(finite)
    return _by_windows(finite, earlier)


def _by_windows(finite: Sequence[Tried], earlier: Sequence[Mapping[str, float]]) -> Choice:
    """The cheapest arm that none of those which beat the ones before it beats."""
    whole = [each for each in finite if not each.is_hopeless]
    windows = [*earlier, {each.name: each.cost for each in whole}]
    standing = whole or [min(finite, key=lambda each: each.cost)]
    while True:
        chosen = min(standing, key=lambda each: (each.num_passes, each.cost))
        level = LEVEL / max(1, len(standing) - 1)
        better = [each for each in standing if each is not chosen and _is_better(each, chosen, windows, level)]
        if not better:
            break
        standing = better
    others = sorted((each for each in finite if each is not chosen), key=lambda each: each.num_passes)
    said = [f"{chosen.name} cost {chosen.cost:.4g} a validation row"]
    return Choice(chosen.name, chosen.cost, "; ".join(said + [_compared(chosen, each, windows) for each in others]))


def _is_better(one: Tried, other: Tried, windows: Sequence[Mapping[str, float]], level: float) -> bool:
    """Whether one arm is shown to cost less than another."""
    behind = _behind(other, one, windows)
    if len(behind) >= FEWEST_WINDOWS:
        error = behind.std(ddof=1) / np.sqrt(len(behind))
        return bool(behind.mean() > t_point(level, len(behind) - 1) * error)
    if one.num_passes > MOST_TIMES * other.num_passes:
        return False
    return other.cost - one.cost > NUM_ERRORS * _error(one, other)


def _behind(one: Tried, other: Tried, windows: Sequence[Mapping[str, float]]) -> np.ndarray:
    """What one arm cost more than another on each window that they share, (windows,)."""
    costs = ((window.get(one.name, np.nan), window.get(other.name, np.nan)) for window in windows)
    return np.array([mine - theirs for mine, theirs in costs if np.isfinite(mine) and np.isfinite(theirs)])


def _compared(chosen: Tried, other: Tried, windows: Sequence[Mapping[str, float]]) -> str:
    """What speaks for the chosen arm, or not, against another one."""
    if other.is_hopeless:
        return f"{other.name} was ended early"
    behind = _behind(other, chosen, windows)
    if len(behind) >= FEWEST_WINDOWS:
        more = f"{abs(behind.mean()):.4g} {'more' if behind.mean() >= 0 else 'less'}"
        verdict = "" if behind.mean() >= 0 else ", which does not show it to be better"
        return f"{other.name} cost {more} in the mean of {len(behind)} windows{verdict}"
    if other.num_passes > MOST_TIMES * chosen.num_passes:
        return (
            f"{other.name} must be better on {FEWEST_WINDOWS} windows of validation rows, "
            f"and has been tried on {len(behind)}"
        )
    verdict = ", which is within one standard error" if other.cost < chosen.cost else ""
    return f"{other.name} cost {other.cost:.4g}{verdict}"


def _by_rows(finite: Sequence[Tried]) -> Choice:
    """The cheapest of the arms within one standard error of the lowest cost on this window."""
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
        passes = f"{chosen.num_passes:,} sample passes against {best.num_passes:,}"
        more = _more(chosen.cost, best.cost)
        return f"{said}, {more} than {best.name}, which is within one standard error, with {passes}"
    second = others[0]
    if second.cost == best.cost:
        return f"{said} as {second.name} did, with {best.num_passes:,} sample passes against {second.num_passes:,}"
    less = f"{1 - best.cost / second.cost:.1%}".replace("%", " %")
    return f"{said}, {less} less than {second.name}"


def _more(higher: float, lower: float) -> str:
    return f"{higher / lower - 1:.1%} more".replace("%", " %") if lower > 0 else "more"


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
