"""What a training does about its device: memory that is not enough, precision, compilation, hopeless trainings."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import config as dynamo

from models.data.batches import Labelled
from models.networks.inputs import Encoded
from models.training import devices
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, Hooks, seeded

BINARY = objective("binary")
SETTINGS = FitSettings(epochs=3, batch_size=128, accelerator="cpu")


def rows(num_rows: int = 500, seed: int = 0) -> Labelled:
    numbers = torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(seed))
    return Labelled(Encoded((numbers,)), (numbers[:, 0] > 0.2).float())


class Hungry(nn.Module):
    """Has memory for some rows in training only, from a step on."""

    def __init__(self, most: int, from_step: int = 0) -> None:
        super().__init__()
        with seeded(0):
            self.layer = nn.Linear(3, 1)
        self.most, self.from_step, self.sizes = most, from_step, list[int]()
        self.dtypes = set[torch.dtype]()

    def forward(self, numbers: Tensor) -> Tensor:
        if self.training:
            if len(numbers) > self.most and len(self.sizes) >= self.from_step:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            self.sizes.append(len(numbers))
        outputs: Tensor = self.layer(numbers)
        self.dtypes.add(outputs.dtype)
        return outputs.squeeze(1)


class Smooth(nn.Module):
    """Nothing but tensors, as a compiler likes it."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(0):
            self.layers = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 1))

    def forward(self, numbers: Tensor) -> Tensor:
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


def test_memory_that_is_not_enough_halves_the_batch_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    hungry, modest = Hungry(40), Hungry(1_000)
    fitted = fit(hungry, BINARY, rows(), None, SETTINGS, name="scratch")
    assert fitted.notes == ("out of memory at batch 128: went on with 64", "out of memory at batch 64: went on with 32")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"scratch: {note}" for note in fitted.notes
    ]
    assert max(hungry.sizes) == 32
    fit(modest, BINARY, rows(), None, replace(SETTINGS, batch_size=32))
    assert same(hungry, modest)
    assert fitted.num_passes == 3 * 500


@pytest.mark.parametrize("from_step", [4, 6], ids=["at the start of an epoch", "within an epoch"])
def test_after_the_end_of_an_epoch_it_goes_on_from_there(from_step: int, tmp_path: Path) -> None:
    hungry = Hungry(100, from_step)
    fitted = fit(hungry, BINARY, rows(), None, SETTINGS, checkpoint=tmp_path, save_every=1)
    assert hungry.sizes[:from_step] == ([128, 128, 128, 116] * 2)[:from_step]
    assert hungry.sizes[from_step:] == ([64] * 7 + [52]) * 2
    assert [epoch["epoch"] for epoch in fitted.history] == [1, 2, 3]
    assert fitted.num_passes == 3 * 500
    again = Hungry(100)
    repeated = fit(again, BINARY, rows(), None, SETTINGS, checkpoint=tmp_path)
    assert repeated.notes == fitted.notes  # a later process knows what was noted
    assert (again.sizes, same(again, hungry)) == ([], True)


def test_no_memory_for_a_single_row_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="out of memory even at batch 1; use a smaller network or a larger device"):
        fit(Hungry(0), BINARY, rows(20), None, replace(SETTINGS, batch_size=8))


def test_other_errors_of_a_step_are_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), BINARY, rows(), None, SETTINGS)


@pytest.mark.parametrize(("precision", "expected"), [("auto", "32-true"), ("32", "32-true"), ("bf16", "bf16-mixed")])
def test_precision_is_full_on_a_cpu_unless_asked_otherwise(precision: devices.Precision, expected: str) -> None:
    assert devices.lightning_precision(precision, "cpu") == expected
    network = Hungry(1_000)
    fitted = fit(network, BINARY, rows(), rows(100, 1), replace(SETTINGS, precision=precision, learning_rate=0.05))
    assert network.dtypes == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert fitted.history[-1]["validation_loss"] < fitted.history[0]["validation_loss"]


@pytest.mark.slow
def test_compilation_that_fails_is_noted_and_done_without() -> None:
    torch.compiler.reset()
    compiled = Smooth()
    plain = copy.deepcopy(compiled)
    with dynamo.patch(error_on_recompile=True):  # for the last batch of an epoch, which is smaller
        fitted = fit(compiled, BINARY, rows(), None, replace(SETTINGS, compile=True))
    (note,) = fitted.notes
    assert note.startswith("torch.compile failed (")
    assert note.endswith("): went on without it")
    fit(plain, BINARY, rows(), None, SETTINGS)
    assert same(compiled, plain)


@pytest.mark.slow
def test_a_compiled_network_learns_the_same_and_keeps_the_names_of_its_weights() -> None:
    torch.compiler.reset()
    compiled, plain = Smooth(), Smooth()
    fitted = fit(compiled, BINARY, rows(), rows(100, 1), replace(SETTINGS, compile=True, patience=3))
    fit(plain, BINARY, rows(), rows(100, 1), replace(SETTINGS, patience=3))
    assert fitted.notes == ()
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for mine, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_a_training_above_the_bar_ends_after_half_of_its_epochs() -> None:
    settings = replace(SETTINGS, epochs=9)
    hopeless = fit(Hungry(1_000), BINARY, rows(), rows(100, 1), replace(settings, bar=0.01))
    assert (len(hopeless.history), hopeless.is_hopeless) == (5, True)
    good = fit(Hungry(1_000), BINARY, rows(), rows(100, 1), replace(settings, bar=5.0))
    assert (len(good.history), good.is_hopeless) == (9, False)
    with pytest.raises(ValueError, match="a bar for hopeless trainings needs validation rows"):
        fit(Hungry(1_000), BINARY, rows(), None, replace(settings, bar=1.0))


def test_rows_in_order_are_taken_in_order() -> None:
    class Seeing(Hungry):
        def forward(self, numbers: Tensor) -> Tensor:
            self.seen = [*getattr(self, "seen", []), numbers]
            return super().forward(numbers)

    seeing = Seeing(1_000)
    fit(seeing, BINARY, rows(), None, replace(SETTINGS, epochs=1, is_ordered=True))
    assert torch.equal(torch.cat(seeing.seen), rows().encoded.tensors[0])


def test_a_penalty_holds_weights_where_it_wants_them_and_is_not_in_the_loss_that_is_told() -> None:
    held, free = Hungry(1_000), Hungry(1_000)
    settings = replace(SETTINGS, learning_rate=0.05, weight_decay=0.0)
    told = fit(held, BINARY, rows(), None, settings, Hooks(penalty=lambda net: 1e4 * net.layer.weight.square().sum()))
    fit(free, BINARY, rows(), None, settings)
    assert held.layer.weight.abs().max() < 0.2 < free.layer.weight.abs().max()
    assert all(epoch["train_loss"] < 1 for epoch in told.history)


def test_the_learning_rate_follows_its_hook() -> None:
    shares: list[float] = []

    def rate(share: float) -> float:
        shares.append(share)
        return 0.0

    network, start = Hungry(1_000), Hungry(1_000)
    fit(network, BINARY, rows(), None, SETTINGS, Hooks(rate=rate))
    assert same(network, start)
    assert shares == pytest.approx([step / 12 for step in range(12)])


def test_without_patience_the_last_weights_stay_and_the_best_epoch_is_told() -> None:
    settings = replace(SETTINGS, epochs=6, learning_rate=3.0)
    network = Hungry(1_000)
    fitted = fit(network, BINARY, rows(), rows(100, 1), settings)
    losses = [epoch["validation_loss"] for epoch in fitted.history]
    assert fitted.best_epoch == 1 + losses.index(min(losses))
    with torch.inference_mode():
        costs = BINARY.costs(BINARY.scores(network(*rows(100, 1).encoded.tensors)), rows(100, 1).targets)
    assert costs.mean().item() == pytest.approx(losses[-1], abs=1e-5)


def test_the_best_averaged_weights_are_kept_where_both_are_asked_for() -> None:
    settings = replace(SETTINGS, epochs=40, learning_rate=0.5, patience=4, ema_decay=0.9)
    network = Hungry(1_000)
    fitted = fit(network, BINARY, rows(), rows(100, 1), settings)
    losses = [epoch["validation_loss"] for epoch in fitted.history]
    with torch.inference_mode():
        costs = BINARY.costs(BINARY.scores(network(*rows(100, 1).encoded.tensors)), rows(100, 1).targets)
    assert costs.mean().item() == pytest.approx(min(losses), abs=1e-5)


def test_an_early_end_is_said_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fitted = fit(
            Hungry(1_000), BINARY, rows(), rows(100, 1), replace(SETTINGS, epochs=200, learning_rate=1.0, patience=2)
        )
    assert len(fitted.history) < 200
    assert caplog.messages[-1].startswith(f"training epoch {len(fitted.history)}/200  loss")


@pytest.mark.parametrize("strategy", ["no such", "fsdp"])
def test_a_strategy_that_is_not_for_this_device_is_named(strategy: str) -> None:
    message = rf"'cpu' with training\.devices=2 and training\.strategy='{strategy}' cannot be used here"
    with pytest.raises(ValueError, match=message):
        fit(Hungry(1_000), BINARY, rows(), None, replace(SETTINGS, devices=2, strategy=strategy))


def fail(word: str, rank: int, tell: devices.Tell) -> None:
    tell("line", word)
    if rank == 1:
        raise KeyError(word)


def run_out(rank: int, tell: devices.Tell) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def die(rank: int, tell: devices.Tell) -> None:
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def hang(folder: Path, rank: int, tell: devices.Tell) -> None:
    """The first process is getting on for a while, and then waits for the second."""
    child = subprocess.Popen(["sleep", "300"])
    (folder / str(rank)).write_text(f"{os.getpid()} {child.pid}")
    while len(list(folder.iterdir())) < 2:
        tell(devices.ALIVE, None)
        time.sleep(0.1)
    tell(devices.ALIVE, None)
    time.sleep(300)


def living(folder: Path) -> list[int]:
    """Of the processes that hang, and what they have started, those that live."""
    numbers = [int(number) for path in folder.iterdir() for number in path.read_text().split()]
    states = [Path(f"/proc/{number}/stat") for number in numbers]
    return [number for number, stat in zip(numbers, states, strict=True) if _lives(stat)]


def _lives(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_processes_that_get_stuck_are_ended_with_all_that_they_have_started(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(
        devices.Failed, match=r"no step .* and its 2 processes were ended: .* see training\.stall_minutes"
    ):
        devices.on_each(2, hang, (tmp_path,), lambda kind, value: told.append(kind), 3.0)
    assert set(told) == {devices.ALIVE} and len(list(tmp_path.iterdir())) == 2 and not multiprocessing.active_children()
    time.sleep(0.2)
    assert living(tmp_path) == []


@pytest.mark.slow
def test_processes_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = multiprocessing.get_context("spawn").Process(target=devices.on_each, args=(2, hang, (tmp_path,), print))
    parent.start()
    while len(list(tmp_path.iterdir())) < 2 or len(living(tmp_path)) < 4:
        assert parent.is_alive()
        time.sleep(0.05)
    parent.kill()
    parent.join()
    deadline = time.monotonic() + 30
    while living(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living(tmp_path) == []


@pytest.mark.slow
def test_a_process_of_several_that_fails_ends_all_and_is_said() -> None:
    told: list[tuple[str, object]] = []
    with pytest.raises(devices.Failed, match="process 1 of 2: KeyError: 'lost'"):
        devices.on_each(2, fail, ("lost",), lambda kind, value: told.append((kind, value)))
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        devices.on_each(2, run_out, (), lambda kind, value: None)
    started = time.monotonic()
    with pytest.raises(devices.Failed, match="of 2 ended with code -9"):
        devices.on_each(2, die, (), lambda kind, value: None)
    assert time.monotonic() - started < 50
    assert not multiprocessing.active_children()


def test_what_cannot_be_handed_to_processes_is_named() -> None:
    hooks = Hooks(penalty=lambda network: network.layer.weight.square().sum())
    with pytest.raises(ValueError, match=r"cannot be handed to them .*, or set training\.devices to 1"):
        fit(Hungry(1_000), BINARY, rows(), None, replace(SETTINGS, devices=2), hooks)
    assert not multiprocessing.active_children()
