"""On a GPU the steps of a small network are CUDA graphs: they learn what plain steps learn, or give way to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.data.batches import Batches, Labelled
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training import graphs
from models.training.attempt import Job, _is_graphed
from models.training.fit import fit
from models.training.graphs import Graphed
from models.training.objectives import objective
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


def job(network: nn.Module, settings: FitSettings = SETTINGS) -> Job:
    return Job(network, BINARY, rows(), None, settings, NOTHING_ADDED, "training", None, "", None)


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


@pytest.mark.parametrize(
    "network, settings, device, is_graphed",
    [
        (network(), SETTINGS, "cuda:0", True),
        (network(TabM), SETTINGS, "cuda:0", True),
        (network(), SETTINGS, "cpu", False),
        (network(), replace(SETTINGS, devices=2), "cuda:0", False),
        (network(), replace(SETTINGS, graphs=False), "cuda:0", False),
        (network(Own), SETTINGS, "cuda:0", False),
        (nn.Linear(3, 1), SETTINGS, "cuda:0", False),
    ],
    ids=["mlp", "tabm", "on a cpu", "shared by two", "given up", "a subclass that does not say so", "another network"],
)
def test_only_a_network_that_says_so_is_recorded_and_only_on_one_gpu(
    network: nn.Module, settings: FitSettings, device: str, is_graphed: bool
) -> None:
    assert _is_graphed(job(network, settings), torch.device(device)) == is_graphed


CASES: dict[str, tuple[dict[str, Any], Hooks]] = {
    "plain": ({}, NOTHING_ADDED),
    "averaged, with validation": ({"ema_decay": 0.9, "patience": 3}, NOTHING_ADDED),
    "a rate that falls": ({}, Hooks(rate=lambda share: 1 - share)),
    "a penalty": ({}, Hooks(penalty=lambda network: 0.01 * sum(w.square().sum() for w in network.parameters()))),  # type: ignore[arg-type,misc]
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
            assert all(torch.equal(mine.cpu(), theirs) for mine, theirs in zip(on_gpu.tensors, on_cpu.tensors))  # noqa: B905
    there.load_state_dict({"epoch": 7, "position": 3})
    here.load_state_dict({"epoch": 7, "position": 3})
    assert torch.equal(next(iter(there)).targets.cpu(), next(iter(here)).targets)


def losses(fitted: Fitted) -> list[float]:
    return [epoch["train_loss"] for epoch in fitted.history]
