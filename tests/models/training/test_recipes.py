"""Recipes: a new model from scratch, and one that continues from the champion without touching it."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.model import Model
from models.networks.inputs import Inputs
from models.networks.mlp import MLP
from models.training.fit import FitSettings
from models.training.recipes import Trained, finetune, scratch

NUMBERS, CATEGORIES = ("distance",), ("carrier",)
FINETUNE = FitSettings(epochs=2, batch_size=128, ema_decay=0.9, accelerator="cpu")


def rows(num_rows: int, seed: int = 0, mean: float = 1_000.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    distance, carrier = generator.normal(mean, 300, num_rows), generator.choice(["UA", "B6"], num_rows)
    late = (distance + 300 * (carrier == "UA") + generator.normal(0, 200, num_rows) > mean + 150).astype(float)
    return pd.DataFrame({"distance": distance, "carrier": carrier, "late": late})


def build(inputs: Inputs) -> nn.Module:
    return MLP(inputs, width=16)


def from_scratch(train: pd.DataFrame, seed: int = 0) -> Trained:
    settings = FitSettings(epochs=6, batch_size=64, learning_rate=1e-2, patience=2, seed=seed, accelerator="cpu")
    return scratch(build, train, rows(200, seed=9), "late", NUMBERS, CATEGORIES, settings)


@pytest.fixture(scope="module")
def champion() -> Model:
    return from_scratch(rows(600)).model


def test_scratch_fits_the_encoder_on_the_training_rows_alone() -> None:
    trained = from_scratch(rows(600, mean=5_000))
    assert trained.recipe == "scratch"
    assert trained.num_rows == 600
    assert trained.model.encoder.numbers["distance"].mean == pytest.approx(5_000, abs=50)
    assert all("validation_loss" in epoch for epoch in trained.history)
    assert not trained.model.network.training


def test_scratch_depends_on_its_seed_and_its_rows_alone() -> None:
    torch.manual_seed(1)
    one = from_scratch(rows(600)).model.predict(rows(50, seed=5))
    torch.manual_seed(2)
    assert np.array_equal(from_scratch(rows(600)).model.predict(rows(50, seed=5)), one)
    assert not np.array_equal(from_scratch(rows(600), seed=1).model.predict(rows(50, seed=5)), one)


def test_what_was_learned_predicts(champion: Model) -> None:
    held_out = rows(500, seed=7)
    scores = champion.predict(held_out)
    assert scores[held_out["late"] == 1].mean() > scores[held_out["late"] == 0].mean() + 0.15


def test_finetuning_leaves_the_champion_as_it_is_and_keeps_its_encoder(champion: Model) -> None:
    before, scores = copy.deepcopy(champion.network.state_dict()), champion.predict(rows(50))
    trained = finetune(champion, rows(300, seed=1, mean=2_000), rows(600), "late", 2.0, FINETUNE)
    assert all(torch.equal(weight, before[name]) for name, weight in champion.network.state_dict().items())
    assert np.array_equal(champion.predict(rows(50)), scores)
    assert trained.model.encoder == champion.encoder
    assert not np.array_equal(trained.model.predict(rows(50)), scores)
    assert trained.recipe == "finetune"


def test_finetuning_starts_from_the_champion(champion: Model) -> None:
    settings = FitSettings(epochs=1, batch_size=128, learning_rate=1e-9, accelerator="cpu")
    trained = finetune(champion, rows(300, seed=1), rows(600), "late", 1.0, settings)
    assert trained.model.predict(rows(50)) == pytest.approx(champion.predict(rows(50)), abs=1e-5)


@given(num_new=st.integers(1, 60), num_old=st.integers(0, 60), ratio=st.floats(0, 3))
@settings(deadline=None, max_examples=12)
def test_finetuning_uses_all_new_rows_and_the_ratio_of_old_ones_as_far_as_there_are_any(
    champion: Model, num_new: int, num_old: int, ratio: float
) -> None:
    one_epoch = FitSettings(epochs=1, batch_size=64, accelerator="cpu")
    trained = finetune(champion, rows(num_new), rows(num_old), "late", ratio, one_epoch)
    assert trained.num_rows == num_new + min(num_old, round(ratio * num_new))


def test_replayed_rows_are_different_ones(champion: Model) -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        """Keeps what it was trained on; a copy keeps it in the same place."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
            seen.append(numbers[:, 0].clone())
            return self.weight.expand(len(numbers))

    new, old = rows(40, seed=1), rows(200, seed=2)
    finetune(Model(champion.encoder, Spy()), new, old, "late", 2.0, FitSettings(epochs=1, accelerator="cpu"))
    used = torch.cat(seen)
    assert len(used.unique()) == len(used) == 120
    assert torch.isin(champion.encoder.transform(new).numbers[:, 0], used).all()
    assert torch.isin(used, champion.encoder.transform(pd.concat([new, old])).numbers[:, 0]).all()


def test_finetuning_without_new_rows_is_refused(champion: Model) -> None:
    with pytest.raises(ValueError, match="no rows since the champion was trained; wait for the next batch of labels"):
        finetune(champion, rows(0), rows(600), "late", 2.0, FINETUNE)
