"""Training: repeatable, honest about its end, quiet, and without side effects."""

from __future__ import annotations

import copy
import logging
import re
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.data.batches import Labelled
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, seeded

INPUTS = TableInputs(bins=((-4.0, -1.0, 0.0, 1.0, 4.0),) * 3, cardinalities=(5, 4))
BINARY = objective("binary")
SETTINGS = FitSettings(epochs=3, batch_size=128, accelerator="cpu")


def rows(num_rows: int = 1_000, seed: int = 0, noise: float = 0.5) -> Labelled:
    """Rows whose label follows from one number and one category, with noise."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(num_rows, 3, generator=generator).clamp(-4, 4)
    categories = torch.stack([torch.randint(0, n, (num_rows,), generator=generator) for n in (5, 4)], dim=1)
    signal = numbers[:, 0] + (categories[:, 1] == 2) + noise * torch.randn(num_rows, generator=generator)
    return Labelled(Encoded((numbers, categories)), (signal > 0.25).float())


def network(seed: int = 0, kind: type[nn.Module] = MLP) -> nn.Module:
    with seeded(seed):
        return kind(INPUTS, width=16)


def loss_of(trained: nn.Module, held_out: Labelled) -> float:
    with torch.inference_mode():
        probabilities = BINARY.scores(trained(*held_out.encoded.tensors))
    return float(nn.functional.binary_cross_entropy(probabilities, held_out.targets))


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


class Spy(MLP):
    """Keeps the mode and the label-free size of each call."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__(inputs, width=8)
        self.modes: list[bool] = []
        self.seen: list[Tensor] = []

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.seen.append(numbers[:, 0].detach().clone())
        return super().forward(numbers, categories)


@pytest.mark.parametrize("kind", [MLP, TabM])
def test_the_same_seed_gives_the_same_weights_and_another_does_not(kind: type[nn.Module]) -> None:
    first, again, other = (network(kind=kind) for _ in range(3))
    torch.manual_seed(1)
    history = fit(first, BINARY, rows(), None, SETTINGS).history
    torch.manual_seed(2)
    repeated = fit(again, BINARY, rows(), None, SETTINGS).history
    fit(other, BINARY, rows(), None, replace(SETTINGS, seed=1))
    assert same(first, again)
    assert not same(first, other)
    assert [epoch["train_loss"] for epoch in history] == [epoch["train_loss"] for epoch in repeated]


@pytest.mark.parametrize("kind", [MLP, TabM])
def test_the_loss_falls_on_what_can_be_learned(kind: type[nn.Module]) -> None:
    trained = network(kind=kind)
    settings = replace(SETTINGS, epochs=8, learning_rate=5e-3)
    history = fit(trained, BINARY, rows(2_000, noise=0.1), None, settings).history
    losses = [epoch["train_loss"] for epoch in history]
    assert losses[0] > 2 * losses[-1]
    assert loss_of(trained, rows(2_000, seed=1, noise=0.1)) < 0.3


def test_nothing_is_learned_from_labels_that_are_noise() -> None:
    noise = replace(
        rows(), targets=torch.bernoulli(torch.full((1_000,), 0.5), generator=torch.Generator().manual_seed(3))
    )
    history = fit(network(), BINARY, noise, rows(500, seed=1), replace(SETTINGS, epochs=4, patience=2)).history
    assert min(epoch["validation_loss"] for epoch in history) > 0.6


def test_every_row_is_seen_once_an_epoch_and_the_order_changes() -> None:
    spy, data = Spy(INPUTS), rows(300)
    fit(spy, BINARY, data, None, replace(SETTINGS, epochs=2))
    epochs = torch.cat(spy.seen).split(300)
    assert [len(seen) for seen in spy.seen] == [128, 128, 44] * 2
    assert all(torch.equal(seen.sort().values, data.encoded.tensors[0][:, 0].sort().values) for seen in epochs)
    assert not torch.equal(*epochs)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_network_that_was_loaded_for_prediction_trains_with_its_dropout(epochs: int) -> None:
    spy = Spy(INPUTS).eval()
    fit(spy, BINARY, rows(300), rows(100, seed=1), replace(SETTINGS, epochs=epochs, patience=5))
    assert spy.modes == ([True] * 3 + [False]) * epochs
    assert not spy.training


def test_early_stopping_ends_with_the_weights_of_the_best_epoch() -> None:
    trained, held_out = network(), rows(300, seed=1, noise=3.0)
    settings = replace(SETTINGS, epochs=60, learning_rate=2e-2, patience=3)
    history = fit(trained, BINARY, rows(300, noise=3.0), held_out, settings).history
    losses = [epoch["validation_loss"] for epoch in history]
    assert len(history) < 60
    assert len(history) - 1 - int(np.argmin(losses)) == 3
    assert loss_of(trained, held_out) == pytest.approx(min(losses), abs=1e-6)
    assert losses[-1] > min(losses)


def test_averaged_weights_are_others_than_the_last_ones_and_lie_near_them() -> None:
    last, averaged, start = network(), network(), network()
    fit(last, BINARY, rows(), None, SETTINGS)
    fit(averaged, BINARY, rows(), None, replace(SETTINGS, ema_decay=0.9))
    assert not same(last, averaged)

    def distance(one: nn.Module, other: nn.Module) -> float:
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        return sum(float((mine - theirs).detach().square().sum()) for mine, theirs in pairs)

    assert 0 < distance(averaged, last) < distance(start, last)


def test_training_rows_are_needed() -> None:
    with pytest.raises(ValueError, match=r"no training rows; widen the window between schedule\.start and the holdout"):
        fit(network(), BINARY, rows(0), None, SETTINGS)


@pytest.mark.parametrize("held_out", [None, rows(0)])
def test_patience_needs_validation_rows(held_out: Labelled | None) -> None:
    with pytest.raises(ValueError, match=r"early stopping needs validation rows; raise training\.validation_days"):
        fit(network(), BINARY, rows(), held_out, replace(SETTINGS, patience=2))


@pytest.mark.parametrize(
    "accelerator",
    [
        pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")),
        pytest.param("gpu", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")),
        "tpu",
        "abacus",
    ],
)
def test_an_accelerator_that_is_not_here_is_named_with_those_that_are(accelerator: str) -> None:
    message = rf"training\.accelerator='{accelerator}' cannot be used here; set it to auto or cpu"
    with pytest.raises(ValueError, match=message):
        fit(network(), BINARY, rows(), None, replace(SETTINGS, accelerator=accelerator))


@pytest.mark.parametrize("settings", [{}, {"patience": 2}, {"ema_decay": 0.9}], ids=str)
def test_a_learning_rate_that_explodes_is_named(settings: dict[str, float]) -> None:
    with pytest.raises(RuntimeError, match=r"no longer finite after .*; lower the learning rate \(it is 1e\+30\)"):
        fit(
            network(),
            BINARY,
            rows(),
            rows(200, seed=1) if "patience" in settings else None,
            replace(SETTINGS, learning_rate=1e30, **settings),
        )


def test_the_callers_generators_and_loggers_are_left_alone() -> None:
    torch.manual_seed(5)
    state, lightning = torch.get_rng_state(), logging.getLogger("lightning.pytorch")
    level, filters = lightning.level, list(warnings.filters)
    fit(network(), BINARY, rows(), rows(100, seed=1), replace(SETTINGS, patience=2))
    assert torch.equal(torch.get_rng_state(), state)
    assert lightning.level == level
    assert list(warnings.filters) == filters


def test_rows_are_left_as_they_were() -> None:
    data = rows()
    before = copy.deepcopy(data)
    fit(network(), BINARY, data, None, SETTINGS)
    assert torch.equal(data.encoded.tensors[0], before.encoded.tensors[0])
    assert torch.equal(data.targets, before.targets)


def test_a_short_training_is_one_line_and_nothing_else_is_said(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Once flows are imported Prefect listens to `models`, and warns of each line that is said outside a flow.
    monkeypatch.setattr(logging.getLogger("models"), "handlers", [])
    told: list[dict[str, float]] = []
    with caplog.at_level(logging.INFO):
        settings = replace(SETTINGS, patience=3)
        held_out = rows(100, seed=1)
        history = fit(network(), BINARY, rows(), held_out, settings, name="scratch", on_epoch=told.append).history
    (line,) = caplog.messages
    assert re.fullmatch(r"scratch epoch 3/3  loss 0\.\d{4}  validation 0\.\d{4}  1,000 rows  \d+k rows/s", line)
    assert told == history
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert capfd.readouterr() == ("", "")
    assert [str(found.message) for found in recwarn if issubclass(found.category, UserWarning)] == []


def test_training_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit(network(), BINARY, rows(), None, SETTINGS)
    assert not list(tmp_path.iterdir())


def test_the_loss_of_the_history_is_the_mean_over_rows() -> None:
    settings = replace(SETTINGS, epochs=1, learning_rate=1e-12, patience=1)
    history = fit(network(), BINARY, rows(300), rows(300), settings).history
    untrained = network()
    expected = loss_of(untrained.eval(), rows(300))
    assert history[0]["validation_loss"] == pytest.approx(expected, abs=1e-6)
    assert history[0]["train_loss"] == pytest.approx(expected, abs=0.02)  # with dropout


def test_members_are_trained_side_by_side_and_judged_together() -> None:
    logits = torch.tensor([[0.0, 4.0], [-4.0, 0.0]])
    two = Labelled(Encoded((torch.zeros(2, 1),)), torch.tensor([1.0, 0.0]))
    history = fit(_Fixed(logits), BINARY, two, two, replace(SETTINGS, epochs=1, learning_rate=1e-12)).history
    losses = nn.functional.softplus(torch.tensor([0.0, -4.0, -4.0, 0.0]))
    assert history[0]["train_loss"] == pytest.approx(losses.mean().item())
    together = -np.log((0.5 + 1 / (1 + np.exp(-4))) / 2)
    assert history[0]["validation_loss"] == pytest.approx(together, abs=1e-6)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_network_that_is_certain_and_wrong_has_a_finite_validation_loss(probability: float) -> None:
    wrong = Labelled(Encoded((torch.zeros(1, 1),)), torch.tensor([1 - probability]))
    certain = _Fixed(torch.tensor([1e4 * (2 * probability - 1)]))
    history = fit(certain, BINARY, wrong, wrong, replace(SETTINGS, epochs=1, learning_rate=1e-12)).history
    assert history[0]["validation_loss"] == pytest.approx(100)


class _Fixed(nn.Module):
    """Says what it was told to say."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.logits[torch.arange(len(numbers))]


class Centring(nn.Module):
    """Keeps a mean of what it has seen, in a new tensor at each step."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, numbers: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * numbers.mean(dim=0)
        return self.layer(numbers - self.mean).squeeze(1)


def test_an_average_has_what_a_network_put_in_the_place_of_a_buffer() -> None:
    centring, high = Centring(), Labelled(Encoded((torch.full((2_000, 1), 5.0),)), torch.ones(2_000))
    fit(centring, BINARY, high, None, replace(SETTINGS, epochs=5, ema_decay=0.9))
    assert 4 < float(centring.mean) < 5


class Slow(nn.Linear):
    """Takes its time with held-out rows."""

    def forward(self, numbers: Tensor) -> Tensor:
        time.sleep(0.0 if self.training else 0.4)
        return super().forward(numbers).squeeze(1)


def test_a_pulse_is_told_at_the_start_while_steps_are_made_and_while_held_out_rows_are_looked_at() -> None:
    given = Labelled(Encoded((torch.randn(160, 1),)), torch.ones(160))
    pulses: list[str] = []
    fit(
        Slow(1, 1),
        BINARY,
        given,
        given,
        replace(SETTINGS, epochs=1, batch_size=2),  # held-out rows then come in batches of 32
        on_epoch=lambda numbers: pulses.append("epoch"),
        on_pulse=lambda: pulses.append("pulse"),
    )
    assert pulses[:3] == ["pulse"] * 3
    assert pulses[-1] == "epoch"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_the_same_and_gives_the_weights_back() -> None:
    trained = network()
    fit(
        trained,
        BINARY,
        rows(2_000, noise=0.1),
        None,
        replace(SETTINGS, epochs=8, learning_rate=5e-3, accelerator="cuda"),
    )
    assert next(trained.parameters()).device.type == "cpu"
    assert loss_of(trained, rows(2_000, seed=1, noise=0.1)) < 0.3
    with pytest.raises(RuntimeError, match="lower the learning rate"):
        settings = replace(SETTINGS, learning_rate=1e30, patience=2, accelerator="cuda")
        fit(network(), BINARY, rows(), rows(200, seed=1), settings)
