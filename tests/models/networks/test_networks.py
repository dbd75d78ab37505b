"""What every network must do to be trained, saved and served, checked on ours and on that of each configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from configs.schema import load
from models.networks.inputs import TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training.objectives import objective
from models.training.settings import seeded

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
EDGES = (-4.0, -1.0, 0.0, 0.5, 4.0)
SHAPES = {
    "numbers only": TableInputs((EDGES,) * 3, ()),
    "categories only": TableInputs((), (7, 2, 3)),
    "both": TableInputs((EDGES, (-4.0, 0.0, 4.0)), (5, 2)),
    "one number": TableInputs((EDGES,), ()),
    "one category": TableInputs((), (2,)),
}
Build = Callable[[TableInputs], nn.Module]


def _from(path: Path) -> Build:
    return lambda inputs: load(path).training.network.build(inputs)


NETWORKS: dict[str, Build] = {"default MLP": MLP, "default TabM": TabM} | {path.name: _from(path) for path in CONFIGS}


@pytest.fixture(params=NETWORKS)
def build(request: pytest.FixtureRequest) -> Build:
    return NETWORKS[request.param]


@pytest.fixture(params=SHAPES)
def inputs(request: pytest.FixtureRequest) -> TableInputs:
    return SHAPES[request.param]


def made(build: Build, inputs: TableInputs, seed: int = 0) -> nn.Module:
    with seeded(seed):
        return build(inputs)


def batch(inputs: TableInputs, num_rows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(num_rows, inputs.num_numbers, generator=generator).clamp(-4, 4)
    columns = [torch.randint(0, size, (num_rows,), generator=generator) for size in inputs.cardinalities]
    return numbers, torch.stack(columns, dim=1) if columns else torch.zeros(num_rows, 0, dtype=torch.int64)


def test_there_are_configurations_to_check() -> None:
    assert CONFIGS


def test_a_network_gives_finite_logits_one_for_each_row_or_each_member(build: Build, inputs: TableInputs) -> None:
    network = made(build, inputs)
    for mode in (network.train(), network.eval()):
        logits = mode(*batch(inputs))
        assert logits.shape[0] == 64
        assert logits.ndim in (1, 2)
        assert logits.is_floating_point()
        assert torch.isfinite(logits).all()
        assert objective("binary").scores(logits).shape == (64,)


@pytest.mark.parametrize("num_rows", [0, 1, 2])
def test_a_network_takes_few_rows_and_none(build: Build, inputs: TableInputs, num_rows: int) -> None:
    network = made(build, inputs).eval()
    assert objective("binary").scores(network(*batch(inputs, num_rows))).shape == (num_rows,)


def test_a_network_takes_the_ends_of_every_range(build: Build, inputs: TableInputs) -> None:
    network = made(build, inputs).eval()
    last = torch.tensor(inputs.cardinalities, dtype=torch.int64) - 1
    for numbers in (-4.0, 0.0, 4.0):
        for categories in (torch.zeros_like(last), last):
            logits = network(torch.full((3, inputs.num_numbers), numbers), categories.expand(3, -1))
            assert torch.isfinite(logits).all()


def test_a_row_gets_the_same_logit_alone_and_among_others(build: Build, inputs: TableInputs) -> None:
    network = made(build, inputs).eval()
    numbers, categories = batch(inputs)
    together = network(numbers, categories)
    assert torch.equal(network(numbers, categories), together)
    assert torch.allclose(network(numbers[5:6], categories[5:6]), together[5:6], atol=1e-5)
    assert torch.allclose(network(numbers.flip(0), categories.flip(0)).flip(0), together, atol=1e-5)


def test_gradients_reach_every_weight(build: Build, inputs: TableInputs) -> None:
    network = made(build, inputs).train()
    logits = network(*batch(inputs, 512))
    labels = (torch.arange(512) % 2).float()
    binary_cross_entropy_with_logits(
        logits, labels if logits.ndim == 1 else labels[:, None].expand_as(logits)
    ).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().sum() > 0, name


def test_weights_come_back_from_a_file_without_pickle(build: Build, inputs: TableInputs) -> None:
    network, other = made(build, inputs).eval(), made(build, inputs, seed=1).eval()
    assert not torch.equal(network(*batch(inputs)), other(*batch(inputs)))
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(network.state_dict())))
    assert torch.equal(network(*batch(inputs)), other(*batch(inputs)))


def test_building_is_repeatable(build: Build, inputs: TableInputs) -> None:
    one, same = made(build, inputs).eval(), made(build, inputs).eval()
    assert torch.equal(one(*batch(inputs)), same(*batch(inputs)))


def test_every_feature_can_change_the_logit(build: Build) -> None:
    inputs = SHAPES["both"]
    network = made(build, inputs).eval()
    numbers, categories = batch(inputs)
    before = network(numbers, categories)
    for column in range(2):
        moved = numbers.clone()
        moved[:, column] += 0.3
        assert not torch.equal(network(moved, categories), before)
    for column, size in enumerate(inputs.cardinalities):
        moved = categories.clone()
        moved[:, column] = (moved[:, column] + 1) % size
        assert not torch.equal(network(numbers, moved), before)


@pytest.mark.parametrize(("kind", "shape"), [(MLP, (64,)), (TabM, (64, 16))])
def test_ours_have_the_shapes_that_they_say(kind: Any, shape: tuple[int, ...], inputs: TableInputs) -> None:
    assert made(kind, inputs)(*batch(inputs)).shape == shape


def test_tabm_has_as_many_members_as_it_is_told() -> None:
    assert TabM(SHAPES["both"], members=3, width=8)(*batch(SHAPES["both"])).shape == (64, 3)
