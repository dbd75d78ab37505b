"""Look for the arguments of a recipe by what trainings with them cost on validation rows, with Optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Value = float | int | str


@dataclass(frozen=True)
class Between:
    """A number between two others, whole if both are, on a logarithmic scale if asked."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Between | tuple[Value, ...]]


def search(space: Space, num_trials: int, seed: int, cost: Callable[[dict[str, Value]], float]) -> dict[str, Value]:
    """The arguments with the lowest cost of `num_trials`, suggested by a tree-structured Parzen estimator.

    Which arguments are tried depends on the seed and the costs alone: a search that was killed and is run again asks
    for the same trainings, whose costs the caller may have kept. Bergstra et al. 2011, "Algorithms for Hyper-Parameter
    Optimization"; Akiba et al. 2019, "Optuna", arXiv 1907.10902.

    Args:
        space: for each argument where it is looked for.
        num_trials: trainings.
        seed: of the suggestions.
        cost: of a training with these arguments; infinite where it diverged.

    Returns:
        The best arguments.

    Raises:
        ValueError: when no training had a finite cost.
    """
    import optuna  # takes a second, and few projects search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(num_trials):
        trial = study.ask()
        found = cost({name: _suggest(trial, name, where) for name, where in space.items()})
        is_finite = found < float("inf")
        study.tell(trial, found if is_finite else None, None if is_finite else optuna.trial.TrialState.FAIL)
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise ValueError(f"no training of {num_trials} had a finite loss; narrow training.search.space")
    best: dict[str, Value] = study.best_params
    return best


def _suggest(trial: Any, name: str, where: Between | tuple[Value, ...]) -> Value:
    if isinstance(where, tuple):
        return trial.suggest_categorical(name, where)
    if float(where.low).is_integer() and float(where.high).is_integer():
        return trial.suggest_int(name, int(where.low), int(where.high), log=where.log)
    return trial.suggest_float(name, where.low, where.high, log=where.log)
