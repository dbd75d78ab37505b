"""On a GPU the steps of a small network are CUDA graphs: they learn what plain steps learn, or give way to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from models.data.batches import Batches, Labelled
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training import attempt, graphs, module
from models.training.attempt import Job, _is_graphed
from models.training.fit import fit
from models.training.graphs import Graphed, Unrecordable
from models.training.objectives import objective
from models.training.recipes.cooking import _Sum
from models.training.recipes.pull import Pull
from models.training.settings import NOTHING_ADDED, FitSettings, Fitted, Hooks, seeded

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
INPUTS = TableInputs(bins=((-4.0, -1.0, 0.0, 1.0, 4.0),) * 3, cardinalities=(5, 4))
BINARY = objective("binary")
# 2,100 rows: 16 whole batches and a smaller one, which becomes a graph of its own in the fourth epoch.
SETTINGS = FitSettings(epochs=6, batch_size=128, learning_rate=5e-3, accelerator="auto", precision="32")


def rows(num_rows: int = 2_100, seed: int = 0) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(num_rows, 3, generator=generator).clamp(-4, 4)
    categories = torch.stack([torch.randint(0, n, (num_rows,), generator=generator) for n in (5, 4)], dim=1)
    return Labelled(Encoded((numbers, categories)), (numbers[:, 0] + (categories[:, 1] == 2) > 0.25).float())


def network(kind: type[nn.Module] = MLP, **arguments: Any) -> nn.Module:
    with seeded(0):
        return kind(INPUTS, width=16, **arguments)


def job(network: nn.Module, settings: FitSettings = SETTINGS, hooks: Hooks = NOTHING_ADDED) -> Job:
    return Job(network, BINARY, rows(10), None, settings, hooks, "training", None, "", None)


def furthest(one: nn.Module, other: nn.Module) -> float:
    """The largest difference between their weights, relative to the largest weight of the same tensor."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(
        float((mine.detach() - theirs.detach()).abs().max() / theirs.detach().abs().max()) for mine, theirs in pairs
    )


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of each replay."""
    seen: list[int] = []
    replay = graphs._Recorded.__call__

    def counted(recorded: Any, batch: Any) -> Any:
        seen.append(len(batch))
        return replay(recorded, batch)

    monkeypatch.setattr(graphs._Recorded, "__call__", counted)
    return seen


class Own(MLP):
    """Adds to its parent what it has not said to be capturable."""


class Stepping(L.LightningModule):
    """Has a training step of its own, which is not ours to record."""

    is_capturable = True


def distance(network: nn.Module) -> Tensor:
    return torch.stack([weight.square().sum() for weight in network.parameters()]).sum()


class Distance:
    """A penalty that says that it can be captured."""

    is_capturable = True

    def __call__(self, network: nn.Module) -> Tensor:
        return 0.01 * distance(network)


def pulled(*penalties: Any) -> Hooks:
    return Hooks(penalty=_Sum(penalties))


JOBS: dict[str, tuple[Job, str, bool]] = {
    "mlp": (job(network()), "cuda:0", True),
    "tabm": (job(network(TabM)), "cuda:0", True),
    "on a cpu": (job(network()), "cpu", False),
    "shared by two": (job(network(), replace(SETTINGS, devices=2)), "cuda:0", False),
    "given up": (job(network(), replace(SETTINGS, graphs=False)), "cuda:0", False),
    "a subclass that does not say so": (job(network(Own)), "cuda:0", False),
    "another network": (job(nn.Linear(3, 1)), "cuda:0", False),
    "a LightningModule": (job(Stepping()), "cuda:0", False),
    "a penalty that says so": (job(network(), hooks=pulled(Distance(), Distance())), "cuda:0", True),
    "a penalty that does not": (job(network(), hooks=pulled(Distance(), distance)), "cuda:0", False),
    "our penalty": (job(network(), hooks=pulled(Pull(0.1).penalty(network()))), "cuda:0", True),
}


@pytest.mark.parametrize("name", JOBS)
def test_only_what_says_so_is_recorded_and_only_on_one_gpu(name: str) -> None:
    job, device, is_graphed = JOBS[name]
    assert _is_graphed(job, torch.device(device)) == is_graphed


CASES: dict[str, tuple[dict[str, Any], Hooks]] = {
    "plain": ({}, NOTHING_ADDED),
    "averaged, with validation": ({"ema_decay": 0.9, "patience": 3}, NOTHING_ADDED),
    "a rate that falls": ({}, Hooks(rate=lambda share: 1 - share)),
    "a penalty": ({}, Hooks(penalty=Distance())),
}


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("kind", [MLP, TabM])
@pytest.mark.parametrize("case", CASES)
def test_graphs_learn_what_plain_steps_learn(case: str, kind: type[nn.Module], replays: list[int]) -> None:
    further, hooks = CASES[case]
    settings = replace(SETTINGS, **further)
    graphed, plain = network(kind), network(kind)
    fitted = fit(graphed, BINARY, rows(), rows(500, 1), settings, hooks)
    assert replays.count(128) == 6 * 16 - 3
    assert replays.count(52) == 3
    expected = fit(plain, BINARY, rows(), rows(500, 1), replace(settings, graphs=False), hooks)
    assert len(replays) == 6 * 16 - 3 + 3
    assert fitted.notes == ()
    assert fitted.num_passes == expected.num_passes == 6 * 2_100
    assert losses(fitted) == pytest.approx(losses(expected), rel=1e-3)
    assert furthest(graphed, plain) < 0.02


@pytest.mark.gpu
@needs_cuda
def test_in_bfloat16_graphs_learn_too() -> None:
    trained = network()
    fitted = fit(trained, BINARY, rows(), None, replace(SETTINGS, precision="auto", epochs=10))
    assert losses(fitted)[-1] < 0.2
    assert {weight.dtype for weight in trained.parameters()} == {torch.float32}


@pytest.mark.gpu
@needs_cuda
def test_a_rate_of_zero_stops_graphs_as_it_stops_plain_steps() -> None:
    trained = network()
    before = [weight.detach().clone() for weight in trained.parameters()]
    fit(trained, BINARY, rows(), None, SETTINGS, Hooks(rate=lambda share: 0.0))
    assert all(torch.equal(now, then) for now, then in zip(trained.parameters(), before, strict=True))


class Power(RuntimeError):
    """Went out."""


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("at", [2, 4, 40, 100])
def test_a_graphed_training_that_was_killed_ends_within_a_thousandth_of_its_weights(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, ema_decay=0.9)
    whole, network_ = network(), network()
    expected = fit(whole, BINARY, rows(), None, settings)
    call, calls = Graphed.__call__, list[int]()

    def failing(graphed: Graphed, batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == at:
            raise Power
        return call(graphed, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Graphed, "__call__", failing)
        with pytest.raises(Power):
            fit(network_, BINARY, rows(), None, settings, checkpoint=tmp_path, save_every=7)
    continued = network()
    fitted = fit(continued, BINARY, rows(), None, settings, checkpoint=tmp_path, save_every=7)
    assert fitted.num_passes == expected.num_passes
    assert losses(fitted) == pytest.approx(losses(expected), rel=1e-3)
    assert furthest(continued, whole) < 1e-3
    print(f"killed at step {at}: weights differ by {furthest(continued, whole)} at most")


class Waiting(nn.Module):
    """Says that it is capturable, and looks at a number."""

    is_capturable = True

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        if float(numbers[0, 0]) > 100:
            raise AssertionError("numbers are between -4 and 4")
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


class Breaking(Waiting):
    """Does while it is recorded what a recording does not bear."""

    is_capturable = True

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


class Greedy(Waiting):
    """Wants more memory than there is while it is recorded."""

    is_capturable = True

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            torch.empty(2**45, dtype=torch.uint8, device=numbers.device)
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("kind", [Waiting, Breaking, Greedy])
def test_a_network_that_cannot_be_recorded_is_trained_without_and_that_is_said(kind: type[nn.Module]) -> None:
    with seeded(0):
        trained = kind()
    fitted = fit(trained, BINARY, rows(), None, SETTINGS)
    (note,) = fitted.notes
    assert note.startswith("a step of this training")
    assert note.endswith("went on without CUDA graphs")
    assert losses(fitted)[-1] < losses(fitted)[0]
    again = fit(network(), BINARY, rows(), None, SETTINGS)  # and the device is as it was
    assert again.notes == ()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() - torch.cuda.memory_allocated() < 2**25


@pytest.mark.gpu
@needs_cuda
def test_memory_that_is_not_enough_on_a_real_gpu_halves_the_batch() -> None:
    large, num_rows = network(TabM, members=32), 200_000
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(600 * 2**20 / total)
    try:
        fitted = fit(large, BINARY, rows(num_rows), None, replace(SETTINGS, epochs=1, batch_size=65_536))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert fitted.notes[:2] == tuple(f"out of memory at batch {n}: went on with {n // 2}" for n in (65_536, 32_768))
    # A recording holds what it needs beside all else: it may find no room where a plain step does.
    given_up = "a step of this training has no room to be recorded: went on without CUDA graphs"
    assert fitted.notes[2:] in ((), (given_up,))
    assert fitted.num_passes == num_rows


@pytest.mark.gpu
@needs_cuda
def test_rows_come_in_the_same_order_on_every_device() -> None:
    given = rows(1_000)
    there, here = Batches(given.to(torch.device("cuda:0")), 64, seed=3), Batches(given, 64, seed=3)
    for _ in range(3):
        for on_gpu, on_cpu in zip(there, here, strict=True):
            pairs = zip(on_gpu.tensors, on_cpu.tensors, strict=True)
            assert all(torch.equal(mine.cpu(), theirs) for mine, theirs in pairs)
    there.load_state_dict({"epoch": 7, "position": 3})
    here.load_state_dict({"epoch": 7, "position": 3})
    assert torch.equal(next(iter(there)).targets.cpu(), next(iter(here)).targets)


class StandIn:
    """In the place of `Graphed` where there is no GPU: each step is made as it is, and one of them may fail."""

    def __init__(self, step: Callable[[Any], Any], device: torch.device) -> None:
        self.step, self.num_calls = step, 0

    failures: ClassVar[dict[int, Exception]] = {}
    has_recorded: ClassVar[bool] = True

    def __call__(self, batch: Any) -> Any:
        self.num_calls += 1
        if error := self.failures.pop(self.num_calls, None):
            raise error
        return self.step(batch)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """Has trainings on a CPU go the way of those by CUDA graphs, but for the graphs themselves."""

    class Fresh(StandIn):
        failures: ClassVar[dict[int, Exception]] = {}

    monkeypatch.setattr(module, "Graphed", Fresh)
    monkeypatch.setattr(attempt, "_is_graphed", lambda job, device: _is_graphed(job, torch.device("cuda:0")))
    return Fresh


ON_A_CPU = replace(SETTINGS, accelerator="cpu", epochs=3)
STEPS = 17  # an epoch


def trained(
    settings: FitSettings = ON_A_CPU, folder: Path | None = None, hooks: Hooks = NOTHING_ADDED
) -> tuple[nn.Module, Fitted]:
    mine = network()
    return mine, fit(mine, BINARY, rows(), rows(300, 1), settings, hooks, checkpoint=folder, save_every=5)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("at", [1, 5, 7, 17, 18, 24, 51])
@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_step_the_way_of_graphs_ends_with_the_same_weights(
    case: str, at: int, stand_in: type[StandIn], tmp_path: Path
) -> None:
    further, hooks = CASES[case]
    settings = replace(ON_A_CPU, **further)
    expected, whole = trained(settings, hooks=hooks)
    stand_in.failures[at] = Power()
    with pytest.raises(Power):
        trained(settings, tmp_path, hooks)
    continued, fitted = trained(settings, tmp_path, hooks)
    assert same(continued, expected)
    assert losses(fitted) == losses(whole)
    assert fitted.num_passes == whole.num_passes


def test_what_cannot_be_recorded_goes_on_with_plain_steps_from_its_last_epoch(
    stand_in: type[StandIn], tmp_path: Path
) -> None:
    stand_in.failures[2 * STEPS + 4] = Unrecordable("a step of this training cannot be recorded")
    _, fitted = trained(folder=tmp_path)
    assert fitted.notes == ("a step of this training cannot be recorded: went on without CUDA graphs",)
    assert [epoch["epoch"] for epoch in fitted.history] == [1, 2, 3]
    assert fitted.num_passes == 3 * 2_100


def test_what_gave_up_graphs_and_is_killed_goes_on_from_its_newest_state_without_trying_again(
    stand_in: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.failures[2 * STEPS + 4] = Unrecordable("a step of this training cannot be recorded")
    step, num_steps = module.Learner.training_step, list[int]()

    def failing(learner: Any, batch: Any, index: int) -> Any:
        num_steps.append(index)
        if len(num_steps) == 2 * STEPS + 3 + 12:  # three of the third epoch, and twelve when it began again
            raise Power
        return step(learner, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(module.Learner, "training_step", failing)
        with pytest.raises(Power):
            trained(folder=tmp_path)
    stand_in.failures[1] = AssertionError("it is not tried again")
    caplog.set_level(logging.INFO)
    _, fitted = trained(folder=tmp_path)
    assert f"was ended after {2 * STEPS + 10} steps" in caplog.text
    assert fitted.notes == ("a step of this training cannot be recorded: went on without CUDA graphs",)
    assert fitted.num_passes == 3 * 2_100


def test_memory_that_a_graph_takes_is_given_back_before_the_batch_is_halved(
    stand_in: type[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.failures[20] = torch.OutOfMemoryError("CUDA out of memory")
    mine, fitted = trained()
    assert fitted.notes == ("a recorded step leaves too little memory for the rest: went on without CUDA graphs",)
    assert same(mine, trained(replace(ON_A_CPU, graphs=False))[0])
    monkeypatch.setattr(stand_in, "has_recorded", False)
    stand_in.failures[2] = torch.OutOfMemoryError("CUDA out of memory")
    assert trained()[1].notes == ("out of memory at batch 128: went on with 64",)


def losses(fitted: Fitted) -> list[float]:
    return [epoch["train_loss"] for epoch in fitted.history]
