"""A training that is killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from benchmarks.training.resume import CASES, Case, are_same, result, survive, train, whole
from models.data.batches import Batch, Labelled
from models.networks.inputs import Encoded
from models.training.checkpoints import EPOCH, PREFIX, STEP, Files, find
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, Fitted, seeded

BINARY = objective("binary")
SETTINGS = FitSettings(epochs=4, batch_size=50, accelerator="cpu")


def rows(num_rows: int = 400, seed: int = 0) -> Labelled:
    numbers = torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(seed))
    return Labelled(Encoded((numbers,)), (numbers[:, 0] > 0.2).float())


class Power(RuntimeError):
    """Went out."""


class Network(nn.Module):
    """Counts its training steps, and fails at one of them."""

    def __init__(self, fails_at: int | None = None, width: int = 8) -> None:
        super().__init__()
        with seeded(0):
            self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1))
        self.fails_at, self.num_steps = fails_at, 0

    def forward(self, numbers: Tensor) -> Tensor:
        if self.training:
            if self.num_steps == self.fails_at:
                raise Power
            self.num_steps += 1
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


def interrupted(folder: Path, at: int = 21, settings: FitSettings = SETTINGS, save_every: int = 5) -> Network:
    network = Network(at)
    with pytest.raises(Power):
        fit(network, BINARY, rows(), rows(100, 1), settings, checkpoint=folder, save_every=save_every)
    return network


def continued(folder: Path, settings: FitSettings = SETTINGS, train: Labelled | None = None) -> tuple[Network, Fitted]:
    network = Network()
    return network, fit(network, BINARY, train or rows(), rows(100, 1), settings, checkpoint=folder, save_every=5)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


def uninterrupted(settings: FitSettings = SETTINGS) -> tuple[Network, Fitted]:
    network = Network()
    return network, fit(network, BINARY, rows(), rows(100, 1), settings)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_process_that_is_killed_again_and_again_ends_with_the_same_weights(case: Case, tmp_path: Path) -> None:
    choose = random.Random(case.name)
    lives = [choose.randint(1, 14) for _ in range(5)]
    assert survive(case, tmp_path / "killed", lives) == 5
    found, expected = result(tmp_path / "killed"), result(whole(case, tmp_path))
    assert are_same(found, expected)
    assert found["num_steps"] < expected["num_steps"]


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment_ends_with_the_same_weights(tmp_path: Path) -> None:
    import multiprocessing

    context, choose, killed = multiprocessing.get_context("forkserver"), random.Random(4), 0
    place = tmp_path / "killed"
    for _ in range(40):  # also while a state is written
        process = context.Process(target=train, args=(CASES[1], place, None))
        process.start()
        while process.is_alive() and not any(place.glob("*.state")):
            time.sleep(0.002)
        time.sleep(choose.random() * 0.15)
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        killed += 1
    else:
        assert survive(CASES[1], place, []) == 0
    assert killed >= 1
    assert are_same(result(place), result(whole(CASES[1], tmp_path)))


@pytest.mark.parametrize("at", [1, 4, 5, 7, 8, 9, 16, 21, 31], ids="step {}".format)
@pytest.mark.parametrize("further", [{}, {"patience": 3, "ema_decay": 0.9}, {"is_ordered": True}], ids=str)
def test_whatever_the_step_weights_and_history_are_the_same(at: int, further: dict[str, float], tmp_path: Path) -> None:
    settings = replace(SETTINGS, **further)
    expected, fitted = uninterrupted(settings)
    interrupted(tmp_path, at, settings)
    network, resumed = continued(tmp_path, settings)
    assert same(network, expected)
    assert network.num_steps == 32 - (at // 8 * 8 + at % 8 // 5 * 5)  # 8 steps an epoch; a state at its 5th and its end
    assert resumed.num_passes == fitted.num_passes == 4 * 400
    assert resumed.best_epoch == fitted.best_epoch
    for mine, theirs in zip(resumed.history, fitted.history, strict=True):
        assert {**mine, "rows_per_second": 0} == {**theirs, "rows_per_second": 0}


def test_one_that_had_finished_does_nothing_and_says_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, patience=2, ema_decay=0.8)
    first, fitted = continued(tmp_path, settings)
    again, repeated = continued(tmp_path, settings)
    assert again.num_steps == 0
    assert same(first, again)
    assert repeated == fitted


def test_one_that_had_been_stopped_early_stays_stopped(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=50, learning_rate=0.3, patience=2)
    first, fitted = continued(tmp_path, settings)
    assert len(fitted.history) < 50
    again, repeated = continued(tmp_path, settings)
    assert (again.num_steps, repeated) == (0, fitted)
    assert same(first, again)


@pytest.mark.parametrize(
    ("settings", "num_rows", "width"),
    [
        (replace(SETTINGS, learning_rate=2e-3), 400, 8),
        (replace(SETTINGS, seed=1), 400, 8),
        (SETTINGS, 401, 8),
        (SETTINGS, 400, 9),
    ],
    ids=["other rate", "other seed", "other rows", "other shape"],
)
def test_a_state_of_another_training_is_not_continued(
    settings: FitSettings, num_rows: int, width: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(tmp_path)
    network, fresh = Network(width=width), Network(width=width)
    with caplog.at_level(logging.INFO):
        fit(network, BINARY, rows(num_rows), rows(100, 1), settings, checkpoint=tmp_path)
    assert "is of another training; started afresh" in caplog.text
    fit(fresh, BINARY, rows(num_rows), rows(100, 1), settings)
    assert network.num_steps == fresh.num_steps
    assert same(network, fresh)


def test_rows_of_the_same_number_that_differ_are_noticed(tmp_path: Path) -> None:
    interrupted(tmp_path)
    network, _ = continued(tmp_path, train=rows(400, seed=5))
    assert network.num_steps == 32


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "text"])
def test_a_spoilt_state_is_said_and_left_aside(spoil: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(tmp_path)
    path = tmp_path / STEP
    good = path.read_bytes()
    flipped = good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :]
    path.write_bytes({"cut": good[:-100], "flip": flipped, "empty": b"", "text": b"no state at all"}[spoil])
    network, _ = continued(tmp_path)
    assert "cannot be read" in caplog.text
    assert network.num_steps == 16  # from the end of the second epoch, whose state is whole
    assert same(network, uninterrupted()[0])


def test_a_state_is_never_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    Files().save_checkpoint({"perennial": {"fingerprint": "mine"}, "global_step": Trap()}, tmp_path / EPOCH)
    assert find(tmp_path, "mine", "training") is None
    assert not (tmp_path / "trapped").exists()


def test_what_was_left_half_written_is_swept(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}abc"
    left.write_bytes(b"half")
    continued(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [EPOCH]


@contextmanager
def full_disk() -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_the_state_before(tmp_path: Path) -> None:
    import signal

    path = tmp_path / EPOCH
    Files().save_checkpoint({"weights": torch.zeros(10)}, path)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with full_disk(), pytest.raises(OSError):
            Files().save_checkpoint({"weights": torch.zeros(10_000)}, path)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert torch.equal(Files().load_checkpoint(path)["weights"], torch.zeros(10))
    assert [each.name for each in tmp_path.iterdir()] == [EPOCH]


class Own(L.LightningModule):
    """A user's: its own optimizer, schedule, loss, and hyperparameters that a safe file refuses."""

    def __init__(self, folder: Path, fails_at: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network, self.batches = Network(fails_at), 0

    def forward(self, numbers: Tensor) -> Tensor:
        outputs: Tensor = self.network(numbers)
        return outputs

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self.batches += 1
        loss = nn.functional.mse_loss(self(*batch.inputs).sigmoid(), batch.targets)
        self.log("own_loss", loss)
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)}


def test_a_lightning_module_of_ones_own_trains_as_it_says_and_goes_on_too(tmp_path: Path) -> None:
    whole, killed, resumed = Own(tmp_path), Own(tmp_path, 21), Own(tmp_path)
    fitted = fit(whole, BINARY, rows(), rows(100, 1), SETTINGS)
    assert whole.batches == 32
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"] < 0.3  # a squared error
    with torch.inference_mode():
        costs = BINARY.costs(BINARY.scores(whole(*rows(100, 1).encoded.tensors)), rows(100, 1).targets)
    assert fitted.history[-1]["validation_loss"] == pytest.approx(costs.mean().item(), abs=1e-6)
    with pytest.raises(Power):
        fit(killed, BINARY, rows(), rows(100, 1), SETTINGS, checkpoint=tmp_path, save_every=5)
    fit(resumed, BINARY, rows(), rows(100, 1), SETTINGS, checkpoint=tmp_path, save_every=5)
    assert same(resumed, whole)
    assert resumed.batches == 11


def test_states_are_written_by_time_unless_asked_otherwise(tmp_path: Path) -> None:
    network = Network(21)
    with pytest.raises(Power):
        fit(network, BINARY, rows(), None, SETTINGS, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())  # killed within the first second
    continued(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [EPOCH]
