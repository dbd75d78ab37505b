"""One training by a recipe: rows, weights and hooks are put together, and a model comes out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from models.data.batches import Rows
from models.evaluation.metrics.metric import Task
from models.features.encoding import Features
from models.model import Model
from models.training.growth import Build
from models.training.recipes.catalogue import Recipe
from models.training.recipes.ingredient import Rate, Stock
from models.training.recipes.streamed import StreamedWindow
from models.training.settings import FitSettings, Fitted, Hooks, OnEpoch, Penalty, seeded


@dataclass(frozen=True)
class Columns:
    """What the columns of the rows are."""

    label: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    task: Task = "binary"
    features: Features | None = None  # by default those of a table of these numbers and categories


@dataclass(frozen=True)
class Trained:
    """A challenger, what it took, and what was seen on the way."""

    model: Model
    recipe: str
    num_rows: int
    fitted: Fitted

    @property
    def history(self) -> list[dict[str, float]]:
        """An epoch each."""
        return self.fitted.history


def cook(
    recipe: Recipe,
    build: Build | None,
    champion: Model | None,
    material: Stock,
    validation: pd.DataFrame | StreamedWindow | None,
    columns: Columns,
    settings: FitSettings,
    *,
    checkpoint: Path | None = None,
    name: str | None = None,
    on_epoch: OnEpoch = lambda numbers: None,
    on_pulse: Callable[[], None] = lambda: None,
) -> Trained:
    """Train one model; the champion stays as it is.

    Args:
        recipe: how.
        build: makes a network for the inputs of an encoder; None: the champion's vocabulary does not grow.
        champion: what a recipe that starts from it continues; else it is not looked at.
        material: the rows.
        validation: later rows, held or streamed, which stop a training that has patience and by which it can be
            compared.
        columns: what the rows' columns are.
        settings: batch size, seed and device; the recipe has the rest.
        checkpoint: a folder for the state of this training; one that was killed goes on from there.
        name: for its log lines; by default the recipe's.
        on_epoch: told each epoch's numbers.
        on_pulse: called while the network is trained, as of `fit`.

    Raises:
        ValueError: without rows, or without a champion where the recipe needs one.
    """
    if not material.num_new:
        raise ValueError("no rows since the champion was trained; wait for the next batch of labels")
    for ingredient in recipe.ingredients:
        material = ingredient.rows(material, settings.seed)
    start = _start(recipe, build, champion, material, columns, settings.seed)
    model = Model(start.encoder, copy.deepcopy(start.network), start.target)
    settings = replace(
        settings,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        patience=recipe.patience,
        is_ordered=recipe.is_ordered,
    )
    for ingredient in recipe.ingredients:
        ingredient.prepare(model.network, settings.seed)
    for ingredient in recipe.ingredients:
        settings = ingredient.settings(settings)
    from models.training.fit import fit  # Lightning, which takes seconds to load: a run that declines does without

    fitted = fit(
        model.network,
        model.objective,
        material.rows(model, columns.label),
        _labelled(model, validation, columns.label),
        settings,
        _hooks(recipe, model.network),
        checkpoint=checkpoint,
        name=name or recipe.name,
        on_epoch=on_epoch,
        on_pulse=on_pulse,
    )
    for ingredient in recipe.ingredients:
        ingredient.finish(model.network, start.network)
    model.network.eval()
    return Trained(model, recipe.name, material.num_old + material.num_new, fitted)


def _labelled(model: Model, validation: pd.DataFrame | StreamedWindow | None, label: str) -> Rows | None:
    if validation is None:
        return None
    if isinstance(validation, StreamedWindow):
        return validation.rows(model)
    return model.label(validation, validation[label])


def _start(
    recipe: Recipe, build: Build | None, champion: Model | None, material: Stock, columns: Columns, seed: int
) -> Model:
    """The model before its training."""
    with seeded(seed):
        if recipe.start == "champion":
            if champion is None:
                raise ValueError(f"the recipe {recipe.name} continues a champion, and there is none; use scratch")
            return material.grow(champion, columns.label, build) if build else champion
        assert build is not None, "a training from scratch builds its network"
        features = columns.features or Features(columns.numbers, columns.categories)
        encoder, target = material.learn(features, columns.task, columns.label)
        return Model(encoder, build(encoder.inputs.for_outputs(target.num_outputs)), target)


def _hooks(recipe: Recipe, network: nn.Module) -> Hooks:
    penalties = tuple(penalty for each in recipe.ingredients if (penalty := each.penalty(network)) is not None)
    rates = tuple(rate for each in recipe.ingredients if (rate := each.rate()) is not None)
    return Hooks(_Sum(penalties) if penalties else None, _Product(rates) if rates else None)


@dataclass(frozen=True)
class _Sum:
    """Penalties together; a class, because it may be sent to other processes."""

    penalties: tuple[Penalty, ...]

    @property
    def is_capturable(self) -> bool:
        """Whether all of them are."""
        return all(getattr(each, "is_capturable", False) for each in self.penalties)

    def __call__(self, network: nn.Module) -> Tensor:
        return torch.stack([each(network) for each in self.penalties]).sum()


@dataclass(frozen=True)
class _Product:
    """Rates together."""

    rates: tuple[Rate, ...]

    def __call__(self, share: float) -> float:
        return math.prod(each(share) for each in self.rates)
