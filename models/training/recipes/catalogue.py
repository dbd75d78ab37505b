"""Every recipe by its name, with its arguments and their defaults."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from models.training.recipes.ema import Average
from models.training.recipes.ingredient import Ingredient
from models.training.recipes.interpolate import Interpolate
from models.training.recipes.last_layers import LastLayers
from models.training.recipes.low_rank import LowRank
from models.training.recipes.pull import Pull
from models.training.recipes.replay import Replay
from models.training.recipes.rewarm import Rewarm
from models.training.recipes.shrink_perturb import ShrinkPerturb

# Chosen by `benchmarks.training.walk`, which has what else was tried.
EPOCHS, RATIO = 3, 2.5  # more epochs gain nothing and forget more; less replay forgets more
LEARNING_RATE, DECAY = 2e-3, 0.99
PEAK_RATE, WARM, FLOOR = 4e-3, 0.1, 0.0  # of a rate that rises and falls, and may be higher
NEW_EPOCHS = 5  # over new rows alone, which are few
SCRATCH_EPOCHS, SCRATCH_RATE, PATIENCE = 20, 1e-3, 3


@dataclass(frozen=True)
class Recipe:
    """How one training goes.

    Attributes:
        name: in the catalogue, or a user's own.
        start: from the champion's weights and vocabulary, or from new ones.
        epochs: over the rows, at most.
        learning_rate: of AdamW.
        ingredients: what is done beside, in this order.
        patience: epochs without a better validation loss before it stops; None: all epochs, and the last weights.
        is_ordered: whether the rows come in time order instead of shuffled.
    """

    name: str
    start: Literal["champion", "scratch"]
    epochs: int
    learning_rate: float
    ingredients: tuple[Ingredient, ...] = ()
    patience: int | None = None
    is_ordered: bool = False

    def passes(self, num_new: int, num_old: int) -> int:
        """Rows that go through its training steps, at most, when there are so many since the champion and before."""
        for ingredient in self.ingredients:
            num_new, num_old = ingredient.count(num_new, num_old)
        return self.epochs * (num_new + num_old)


def finetune(
    epochs: int = EPOCHS, learning_rate: float = LEARNING_RATE, ratio: float = RATIO, decay: float = DECAY
) -> Recipe:
    """The default: new rows and a sample of old ones, and the average of the weights along the training."""
    return _champion("finetune", epochs, learning_rate, Replay(ratio), Average(decay))


def plain(epochs: int = NEW_EPOCHS, learning_rate: float = LEARNING_RATE) -> Recipe:
    """New rows alone, at a constant rate."""
    return _champion("plain", epochs, learning_rate, Replay(0.0))


def replay(epochs: int = EPOCHS, learning_rate: float = LEARNING_RATE, ratio: float = RATIO) -> Recipe:
    """New rows and a sample of old ones, at a constant rate."""
    return _champion("replay", epochs, learning_rate, Replay(ratio))


def rewarm(
    epochs: int = EPOCHS,
    learning_rate: float = PEAK_RATE,
    ratio: float = RATIO,
    warm: float = WARM,
    floor: float = FLOOR,
) -> Recipe:
    """As replay, at a rate that rises and falls."""
    return _champion("rewarm", epochs, learning_rate, Replay(ratio), Rewarm(warm, floor))


def shrink_perturb(
    epochs: int = SCRATCH_EPOCHS,
    learning_rate: float = SCRATCH_RATE,
    shrink: float = 0.4,
    perturb: float = 0.1,
    patience: int | None = PATIENCE,
) -> Recipe:
    """All rows, from weights that are partly forgotten; needs as many epochs as a training from scratch."""
    return Recipe(
        "shrink_perturb", "champion", epochs, learning_rate, (ShrinkPerturb(shrink, perturb),), patience=patience
    )


def pull(
    epochs: int = EPOCHS, learning_rate: float = LEARNING_RATE, ratio: float = RATIO, strength: float = 0.01
) -> Recipe:
    """As replay, held near the champion's weights."""
    return _champion("pull", epochs, learning_rate, Replay(ratio), Pull(strength))


def last_layers(
    epochs: int = EPOCHS, learning_rate: float = LEARNING_RATE, ratio: float = RATIO, num_layers: int = 1
) -> Recipe:
    """As replay, for the last layers only."""
    return _champion("last_layers", epochs, learning_rate, Replay(ratio), LastLayers(num_layers))


def low_rank(epochs: int = EPOCHS, learning_rate: float = LEARNING_RATE, ratio: float = RATIO, rank: int = 4) -> Recipe:
    """As replay, with updates of few dimensions."""
    return _champion("low_rank", epochs, learning_rate, Replay(ratio), LowRank(rank))


def interpolate(
    epochs: int = EPOCHS,
    learning_rate: float = LEARNING_RATE,
    ratio: float = RATIO,
    decay: float = DECAY,
    share: float = 0.5,
) -> Recipe:
    """As finetune, and then part of the way back to the champion."""
    return _champion("interpolate", epochs, learning_rate, Replay(ratio), Average(decay), Interpolate(share))


def online(learning_rate: float = 1e-3) -> Recipe:
    """One pass over the new rows in time order."""
    return Recipe("online", "champion", 1, learning_rate, (Replay(0.0),), is_ordered=True)


def scratch(
    epochs: int = SCRATCH_EPOCHS, learning_rate: float = SCRATCH_RATE, patience: int | None = PATIENCE
) -> Recipe:
    """New weights and a new vocabulary from all rows, until the validation loss no longer falls."""
    return Recipe("scratch", "scratch", epochs, learning_rate, patience=patience)


def recipe(name: str, **changes: Any) -> Recipe:
    """A recipe of the catalogue, with some of its arguments changed.

    Raises:
        ValueError: for a name or an argument that does not exist, or a value that means nothing.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no recipe is called {name!r}; choose one of {', '.join(NAMES)}")
    arguments = inspect.signature(CATALOGUE[name]).parameters
    for argument, given in changes.items():
        if argument not in arguments:
            raise ValueError(f"the recipe {name} has no argument {argument!r}; it takes {', '.join(arguments)}")
        is_default = given is None and arguments[argument].annotation.endswith("None")
        holds, expected = _VALUES[argument]
        if not is_default and not (_is_number(given) and holds(given)):
            raise ValueError(f"{argument}={given!r} of the recipe {name} means nothing; give {expected}")
    return CATALOGUE[name](**changes)


def _champion(name: str, epochs: int, learning_rate: float, *ingredients: Ingredient) -> Recipe:
    return Recipe(name, "champion", epochs, learning_rate, ingredients)


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


def _is_count(given: Any) -> bool:
    return isinstance(given, int) and given >= 1


_COUNT = (_is_count, "a whole number from 1")
_SHARE = (lambda given: 0 <= given <= 1, "a number from 0 to 1")
_INNER_SHARE = (lambda given: 0 < given < 1, "a number between 0 and 1")
_POSITIVE = (lambda given: given > 0, "a number above 0")
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _COUNT,
    "patience": _COUNT,
    "num_layers": _COUNT,
    "rank": _COUNT,
    "learning_rate": _POSITIVE,
    "strength": _POSITIVE,
    "ratio": (lambda given: given >= 0, "a number from 0"),
    "warm": (lambda given: 0 <= given < 1, "a number from 0, below 1"),
    "floor": _SHARE,
    "share": _SHARE,
    "shrink": _SHARE,
    "perturb": _SHARE,
    "decay": _INNER_SHARE,
}
CATALOGUE: dict[str, Callable[..., Recipe]] = {
    each.__name__: each
    for each in (
        finetune,
        plain,
        replay,
        rewarm,
        shrink_perturb,
        pull,
        last_layers,
        low_rank,
        interpolate,
        online,
        scratch,
    )
}
NAMES = tuple(CATALOGUE)
