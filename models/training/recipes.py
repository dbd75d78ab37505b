"""The two ways to make a challenger: from scratch, and from the champion's checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from torch import nn

from models.features.encoder import Encoder
from models.model import Model
from models.networks.inputs import Inputs
from models.training.fit import FitSettings, fit, seeded

OnEpoch = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Trained:
    """A challenger, what it took, and what was seen on the way."""

    model: Model
    recipe: str
    num_rows: int
    history: list[dict[str, float]]


def scratch(
    build: Callable[[Inputs], nn.Module],
    train: pd.DataFrame,
    validation: pd.DataFrame,
    label: str,
    numbers: tuple[str, ...],
    categories: tuple[str, ...],
    settings: FitSettings,
    on_epoch: OnEpoch = lambda numbers: None,
) -> Trained:
    """Fit the encoder and a new network on `train`, stopped by the loss on the later rows of `validation`."""
    encoder = Encoder.fit(train, numbers, categories)
    with seeded(settings.seed):
        network = build(encoder.inputs)
    model = Model(encoder, network)
    history = fit(
        network,
        model.label(train, train[label]),
        model.label(validation, validation[label]),
        settings,
        name="scratch",
        on_epoch=on_epoch,
    )
    return Trained(model, "scratch", len(train), history)


def finetune(
    champion: Model,
    new: pd.DataFrame,
    old: pd.DataFrame,
    label: str,
    replay_ratio: float,
    settings: FitSettings,
    on_epoch: OnEpoch = lambda numbers: None,
) -> Trained:
    """Continue from the champion's weights and encoder on all `new` rows and a uniform sample of the `old` ones.

    The sample has `replay_ratio` rows for each new one, as far as there are any: experience replay (Rolnick et al.
    2019, arXiv 1811.11682) against forgetting. The optimiser is new. The averaged weights (EMA) are kept.
    """
    if new.empty:
        raise ValueError("no rows since the champion was trained; wait for the next batch of labels")
    num_replayed = min(len(old), round(replay_ratio * len(new)))
    rows = pd.concat([new, old.sample(num_replayed, random_state=settings.seed)], ignore_index=True)
    model = Model(champion.encoder, copy.deepcopy(champion.network))
    history = fit(model.network, model.label(rows, rows[label]), None, settings, name="finetune", on_epoch=on_epoch)
    return Trained(model, "finetune", len(rows), history)
