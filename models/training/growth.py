"""A vocabulary that grows: new categories and classes get weights, and everything else is predicted as before.

A new category starts as what it was until now, "unseen". A new class starts with a small chance, and the outputs of
the others are what they were, so that their chances keep their proportions.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from models.features.encoding import FeatureEncoder
from models.features.target import Target
from models.model import Model
from models.networks.inputs import Inputs

FIRST_CHANCE = 0.01  # of a new class, at most: all new ones together stay rare until they are learned
TOLERANCE = 1e-5  # sums over more inputs are added in another order
CHECKED_ROWS = 10_000
Build = Callable[[Inputs], nn.Module]
State = dict[str, Tensor]


def grow(model: Model, new_rows: pd.DataFrame, label: str, build: Build) -> Model:
    """The model with outputs and embeddings for what is new in `new_rows`; the same model where nothing is.

    A network whose layout shifts when it grows, as that of a first layer over several embeddings does, has a method
    `grow(old: Inputs, state: dict[str, Tensor]) -> dict[str, Tensor]`: called on the grown network, it returns the old
    weights with those of shifted layers moved to their new places.

    Args:
        model: stays as it is.
        new_rows: labelled rows with the model's columns.
        label: the column of the label.
        build: makes the network anew, for more inputs.

    Raises:
        ValueError: when the network's weights cannot be carried over so that it predicts as before.
    """
    return grow_to(model, model.encoder.grown(new_rows), model.target.grown(new_rows[label]), new_rows, build)


def grow_to(model: Model, encoder: FeatureEncoder, target: Target, rows: pd.DataFrame, build: Build) -> Model:
    """The same for an encoder and a target that have grown; `rows` are some to check on that it predicts as before."""
    if encoder == model.encoder and target == model.target:
        return model
    network = build(encoder.inputs.for_outputs(target.num_outputs))
    old = model.encoder.inputs.for_outputs(model.target.num_outputs)
    state = copy.deepcopy(model.network.state_dict())
    moves = getattr(network, "grow", None)
    state = moves(old, state) if moves is not None else state
    _carry(network, state, target.num_outputs - model.target.num_outputs)
    device = next(model.network.parameters()).device
    grown = Model(encoder, network.to(device).eval(), target)
    _check(model, grown, rows)
    return grown


def _carry(network: nn.Module, state: State, num_new_outputs: int) -> None:
    """Fill the grown network: old weights in the leading block of each tensor, and beyond it what predicts the same."""
    grown = network.state_dict()
    name = type(network).__name__
    if set(grown) != set(state):
        differ = ", ".join(sorted(set(grown) ^ set(state)))
        raise ValueError(f"{name} has other weights when it grows ({differ}); {_ADVICE.format(name=name)}")
    embeddings = {f"{place}.weight" for place, module in network.named_modules() if isinstance(module, nn.Embedding)}
    for key, new in grown.items():
        old = state[key].to(new.device)
        if new.ndim != old.ndim or any(now < before for now, before in zip(new.shape, old.shape, strict=True)):
            raise ValueError(
                f"{key} of {name} was {tuple(old.shape)} and is {tuple(new.shape)} when it grows; "
                f"{_ADVICE.format(name=name)}"
            )
        if key in embeddings:
            new.copy_(_embedding(old, new))
        elif new.shape != old.shape:
            new.copy_(_outputs(old, new, num_new_outputs, is_bias=key.rpartition(".")[2] == "bias"))
        else:
            new.copy_(old)


def _embedding(old: Tensor, new: Tensor) -> Tensor:
    """Rows of new categories as that of index 0; further dimensions are zero, and are learned."""
    filled = torch.zeros_like(new)
    filled[:, : old.shape[1]] = old[0]
    filled[: len(old), : old.shape[1]] = old
    return filled


def _outputs(old: Tensor, new: Tensor, num_new: int, is_bias: bool) -> Tensor:
    """Beyond the old block, new classes: the mean of the old ones, which is less than any softmax gives, and lowered.

    The mean of logits is at most that of their exponentials (Jensen), so that `mean - log(1 / chance)` has at most a
    chance of `chance / classes`, for every row.
    """
    filled = new.clone()
    filled[tuple(slice(size) for size in old.shape)] = old
    widened = [place for place, (now, before) in enumerate(zip(new.shape, old.shape, strict=True)) if now != before]
    if num_new and len(widened) == 1 and new.shape[widened[0]] - old.shape[widened[0]] == num_new:
        (place,) = widened
        mean = old.mean(dim=place, keepdim=True)
        lowered = mean - math.log(num_new / FIRST_CHANCE) if is_bias else mean
        filled.narrow(place, old.shape[place], num_new).copy_(lowered.expand_as(filled.narrow(place, 0, num_new)))
    return filled


def _check(model: Model, grown: Model, rows: pd.DataFrame) -> None:
    """That the outputs for the rows are those of the model, and that new classes have a small chance."""
    some = rows.iloc[
        np.linspace(0, len(rows) - 1, min(len(rows), CHECKED_ROWS, model.encoder.rows_at_once)).astype(int)
    ]
    before, after = _outputs_of(model, some), _outputs_of(grown, some)
    classes = len(model.target.classes)
    known = after[..., :classes] if classes else after
    gap = float((known - before).abs().max() / (1 + before.abs().max()))
    name = type(model.network).__name__
    if not gap <= TOLERANCE:
        raise ValueError(f"{name} predicts up to {gap:.2g} otherwise once it has grown; {_ADVICE.format(name=name)}")
    chance = float(grown.predict(some)[:, classes:].sum(axis=1).max()) if classes else 0.0
    if chance > 2 * FIRST_CHANCE:
        raise ValueError(f"{name} gives new classes a chance of up to {chance:.2g}; {_ADVICE.format(name=name)}")


def _outputs_of(model: Model, rows: pd.DataFrame) -> Tensor:
    """Not the scores: those of several members are means, whose proportions move a little with a new class."""
    device = next(model.network.parameters()).device
    inputs = model.encoder.transform(rows).map(lambda tensor: tensor.to(device))
    with torch.inference_mode():
        outputs: Tensor = model.network.eval()(*inputs.tensors)
    return outputs.float()


_ADVICE = "train it from scratch, or give {name} a method grow(old: Inputs, state) that moves its weights"
