"""Recipes: a model from scratch, those that continue a champion without touching it, and what each ingredient does."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.model import Model
from models.networks.inputs import Inputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training.histories import history
from models.training.recipes import NAMES, Columns, Material, Recipe, Trained, cook, recipe
from models.training.recipes.catalogue import CATALOGUE
from models.training.recipes.cooking import _hooks
from models.training.recipes.interpolate import Interpolate
from models.training.recipes.last_layers import LastLayers
from models.training.recipes.low_rank import LowRank
from models.training.recipes.pull import Pull
from models.training.recipes.replay import Replay
from models.training.recipes.shrink_perturb import ShrinkPerturb
from models.training.settings import FitSettings, Hooks

COLUMNS = Columns("late", ("distance",), ("carrier",))
SETTINGS = FitSettings(epochs=1, batch_size=64, accelerator="cpu")
CONTINUING = tuple(name for name in NAMES if recipe(name).start == "champion")
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(num_rows: int, seed: int = 0, mean: float = 1_000.0, carriers: tuple[str, ...] = ("UA", "B6")) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    distance, carrier = generator.normal(mean, 300, num_rows), generator.choice(carriers, num_rows)
    late = (distance + 300 * (carrier == "UA") + generator.normal(0, 200, num_rows) > mean + 150).astype(float)
    times = pd.date_range(START, START + timedelta(days=100), periods=num_rows) if num_rows else pd.DatetimeIndex([])
    return pd.DataFrame({"distance": distance, "carrier": carrier, "late": late, "time": times})


def build(inputs: Inputs) -> nn.Module:
    return MLP(inputs, width=16)


def trained(
    how: Recipe | str,
    champion: Model | None = None,
    new: pd.DataFrame | None = None,
    old: pd.DataFrame | None = None,
    make: Any = build,
    **material: Any,
) -> Trained:
    how = recipe(how) if isinstance(how, str) else how
    material_ = Material(rows(300, seed=1) if new is None else new, rows(600) if old is None else old, **material)
    return cook(how, make, champion, material_, rows(200, seed=9), COLUMNS, SETTINGS)


def weights_of(network: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in network.parameters()]


def distance(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(weights_of(one), weights_of(other), strict=True)
    return float(sum((mine - theirs).square().sum() for mine, theirs in pairs)) ** 0.5


def accuracy(model: Model, frame: pd.DataFrame) -> float:
    return float(((model.predict(frame) > 0.5) == (frame["late"] == 1)).mean())


@pytest.fixture(scope="module")
def champion() -> Model:
    how = recipe("scratch", epochs=6, learning_rate=1e-2, patience=2)
    return trained(how, new=rows(600), old=rows(0)).model


def test_scratch_fits_the_encoder_on_the_training_rows_alone() -> None:
    found = trained(recipe("scratch", epochs=3), new=rows(600, mean=5_000), old=rows(0))
    assert (found.recipe, found.num_rows) == ("scratch", 600)
    assert found.model.encoder.numbers["distance"].mean == pytest.approx(5_000, abs=50)
    assert all("validation_loss" in epoch for epoch in found.history)
    assert not found.model.network.training


def test_scratch_learns_old_and_new_rows_and_does_not_look_at_the_champion(champion: Model) -> None:
    found = trained(recipe("scratch", epochs=2), champion)
    assert found.num_rows == 900
    assert found.model.encoder != champion.encoder


def test_scratch_depends_on_its_seed_and_its_rows_alone() -> None:
    torch.manual_seed(1)
    one = trained(recipe("scratch", epochs=2)).model.predict(rows(50, seed=5))
    torch.manual_seed(2)
    assert np.array_equal(trained(recipe("scratch", epochs=2)).model.predict(rows(50, seed=5)), one)


def test_what_was_learned_predicts(champion: Model) -> None:
    assert accuracy(champion, rows(500, seed=7)) > 0.75


@pytest.mark.parametrize("name", CONTINUING)
def test_every_recipe_leaves_the_champion_as_it_is_and_gives_an_ordinary_network(champion: Model, name: str) -> None:
    before, scores = copy.deepcopy(champion.network.state_dict()), champion.predict(rows(50))
    found = trained(name, champion, new=rows(300, seed=1, mean=1_300))
    assert all(torch.equal(weight, before[key]) for key, weight in champion.network.state_dict().items())
    assert all(weight.requires_grad for weight in champion.network.parameters())
    assert np.array_equal(champion.predict(rows(50)), scores)
    assert found.recipe == name
    assert found.model.encoder == champion.encoder
    assert not np.array_equal(found.model.predict(rows(50)), scores)
    assert {key: weight.shape for key, weight in found.model.network.state_dict().items()} == {
        key: weight.shape for key, weight in before.items()
    }
    assert all(weight.requires_grad for weight in found.model.network.parameters())
    assert not found.model.network.training


@pytest.mark.parametrize("name", CONTINUING)
def test_the_same_seed_cooks_the_same(champion: Model, name: str) -> None:
    one, again = (trained(name, champion).model.predict(rows(50)) for _ in range(2))
    assert np.array_equal(one, again)


@pytest.mark.parametrize("name", [name for name in CONTINUING if name != "shrink_perturb"])
def test_a_recipe_starts_from_the_champion(champion: Model, name: str) -> None:
    found = trained(recipe(name, learning_rate=1e-9), champion)
    assert found.model.predict(rows(50)) == pytest.approx(champion.predict(rows(50)), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_is_what_the_training_then_took(champion: Model, name: str) -> None:
    how = recipe(name, **({"patience": None} if "patience" in inspect.signature(CATALOGUE[name]).parameters else {}))
    assert trained(how, champion).fitted.num_passes == how.passes(300, 600)


def test_replay_needs_no_more_old_rows_than_there_are() -> None:
    assert recipe("replay", epochs=2, ratio=3).passes(100, 50) == 2 * 150


@given(num_new=st.integers(1, 60), num_old=st.integers(0, 60), ratio=st.floats(0, 3))
@settings(deadline=None, max_examples=40)
def test_replay_keeps_all_new_rows_and_draws_different_old_ones(num_new: int, num_old: int, ratio: float) -> None:
    new, old = rows(num_new, seed=1), rows(num_old, seed=2)
    found = Replay(ratio).rows(Material(new, old), seed=0)
    assert found.new is new
    assert len(found.old) == min(num_old, round(ratio * num_new))
    assert not found.old.index.has_duplicates
    assert found.old["time"].is_monotonic_increasing


def test_replay_draws_by_the_weights_of_a_history() -> None:
    old = rows(1_000)
    weights = np.where(np.arange(1_000) < 500, 0.01, 1.0)
    found = Replay(1.0).rows(Material(rows(300), old, np.ones(300), weights), seed=0)
    assert (found.old.index >= 500).mean() > 0.9
    assert found.old_weights is None


def test_weights_reach_the_training(champion: Model) -> None:
    new, old = rows(300, seed=1), rows(300, seed=2).assign(late=0.0)
    how = recipe("scratch", epochs=8, learning_rate=1e-2, patience=None)
    few = trained(how, None, new, old, new_weights=np.ones(300), old_weights=np.full(300, 0.01)).model
    many = trained(how, None, new, old, new_weights=np.full(300, 0.01), old_weights=np.ones(300)).model
    assert few.predict(rows(100, seed=3)).mean() > many.predict(rows(100, seed=3)).mean() + 0.1


def test_material_is_divided_where_the_champion_ended_and_leaves_out_unused_rows() -> None:
    frame, until = rows(101), START + timedelta(days=101)
    since = START + timedelta(days=90)
    found = Material.of(frame, "time", "late", history("recent", days=31), since, until)
    assert (len(found.old), len(found.new)) == (20, 11)
    assert found.old_weights is None
    fading = Material.of(frame, "time", "late", history("fading", half_life_days=10), None, until)
    assert (len(fading.old), len(fading.new)) == (0, 101)
    assert fading.new_weights is not None
    assert fading.new_weights[-1] == pytest.approx(0.5**0.1)


class Watched(nn.Module):
    """Keeps the distances of the rows that it was trained on, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        if self.training:
            SEEN.append(numbers[:, 0].clone())
        return self.weight.expand(len(numbers))


SEEN: list[Tensor] = []


def test_online_takes_the_new_rows_once_in_their_order(champion: Model) -> None:
    SEEN.clear()
    new = rows(200, seed=4)
    trained("online", Model(champion.encoder, Watched()), new)
    assert torch.equal(torch.cat(SEEN), champion.encoder.transform(new).tensors[0][:, 0])


def test_finetuning_shuffles_new_rows_and_a_sample_of_old_ones(champion: Model) -> None:
    SEEN.clear()
    new, old = rows(40, seed=1), rows(200, seed=2)
    trained(recipe("finetune", epochs=1, ratio=2), Model(champion.encoder, Watched()), new, old)
    used = torch.cat(SEEN)
    assert len(used.unique()) == len(used) == 120
    assert torch.isin(champion.encoder.transform(new).tensors[0][:, 0], used).all()
    assert torch.isin(used, champion.encoder.transform(pd.concat([new, old])).tensors[0][:, 0]).all()


def test_a_strong_pull_holds_the_weights(champion: Model) -> None:
    new = rows(300, seed=1, mean=2_000)
    gaps = [
        distance(trained(recipe("pull", strength=strength), champion, new).model.network, champion.network)
        for strength in (1e-6, 10.0)
    ]
    assert gaps[1] < 0.5 * gaps[0]


def test_a_pull_costs_nothing_at_its_start_and_grows_with_the_square_of_the_distance(champion: Model) -> None:
    network = copy.deepcopy(champion.network)
    penalty = Pull(2.0).penalty(network)
    assert penalty(network).item() == 0.0
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1)
    num_weights = sum(weight.numel() for weight in network.parameters())
    assert float(penalty(network).detach()) == pytest.approx(0.01 * num_weights, rel=1e-4)


def test_a_pull_replaces_weight_decay() -> None:
    assert Pull(1.0).settings(SETTINGS).weight_decay == 0


def test_only_the_last_layers_move(champion: Model) -> None:
    found = trained(recipe("last_layers", num_layers=1), champion).model.network
    moved = [
        name
        for name, weight in found.named_parameters()
        if not torch.equal(weight, dict(champion.network.named_parameters())[name])
    ]
    assert moved == ["layers.6.weight", "layers.6.bias"]


def test_last_layers_that_are_all_layers_are_refused(champion: Model) -> None:
    with pytest.raises(ValueError, match=r"num_layers=9 of last_layers leaves nothing frozen: MLP has \d layers"):
        LastLayers(9).prepare(copy.deepcopy(champion.network), seed=0)


def test_a_low_rank_update_has_that_rank_and_moves_linear_layers_only(champion: Model) -> None:
    found = dict(trained(recipe("low_rank", rank=2, learning_rate=1e-2), champion).model.network.named_parameters())
    for name, before in champion.network.named_parameters():
        change = (found[name] - before).detach()
        if name in ("layers.0.weight", "layers.3.weight"):
            assert torch.linalg.matrix_rank(change, atol=1e-4, rtol=0) == 2
        elif name != "layers.6.weight":
            assert torch.equal(change, torch.zeros_like(change))


def test_a_low_rank_update_predicts_the_same_before_and_after_it_is_merged(champion: Model) -> None:
    network = copy.deepcopy(champion.network)
    LowRank(3).prepare(network, seed=0)
    inputs = champion.encoder.transform(rows(50)).tensors
    assert torch.equal(network(*inputs), champion.network(*inputs))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(0.1)
    before = network(*inputs)
    LowRank(3).finish(network, champion.network)
    assert torch.allclose(network(*inputs), before, atol=1e-5)
    assert list(network.state_dict()) == list(champion.network.state_dict())


def test_low_rank_refuses_a_network_without_linear_layers(champion: Model) -> None:
    network = TabM(champion.encoder.inputs, members=2, width=8)
    with pytest.raises(ValueError, match=r"low_rank updates layers of torch\.nn\.Linear, and TabM has none; use the"):
        LowRank(2).prepare(network, seed=0)


@pytest.mark.parametrize("name", [name for name in CONTINUING if name != "low_rank"])
def test_an_ensemble_can_be_cooked_by_the_other_recipes(name: str) -> None:
    make = partial(TabM, width=8, members=2)
    first = trained(recipe("scratch", epochs=1), new=rows(300), old=rows(0), make=make).model
    assert np.isfinite(trained(name, first, make=make).model.predict(rows(20))).all()


def test_interpolation_ends_between_the_champion_and_the_trained_network(champion: Model) -> None:
    full, half, none = (
        trained(recipe("interpolate", share=share), champion).model.network for share in (0.0, 0.5, 1.0)
    )
    assert distance(none, champion.network) == pytest.approx(0, abs=1e-6)
    assert distance(half, champion.network) == pytest.approx(0.5 * distance(full, champion.network), rel=1e-4)
    with torch.no_grad():
        Interpolate(1.0).finish(full, champion.network)
    assert distance(full, champion.network) == pytest.approx(0, abs=1e-6)


def test_shrinking_scales_the_weights_and_perturbing_adds_new_ones(champion: Model) -> None:
    shrunk, perturbed = copy.deepcopy(champion.network), copy.deepcopy(champion.network)
    ShrinkPerturb(0.4, 0.0).prepare(shrunk, seed=0)
    for weight, before in zip(weights_of(shrunk), weights_of(champion.network), strict=True):
        assert torch.allclose(weight, 0.4 * before)
    ShrinkPerturb(1.0, 0.1).prepare(perturbed, seed=0)
    assert distance(perturbed, champion.network) > 0
    assert all(
        not torch.equal(mine, theirs)
        for mine, theirs in zip(weights_of(perturbed), weights_of(champion.network), strict=True)
    )


def test_a_shrunk_network_is_worse_until_it_has_trained_in_full(champion: Model) -> None:
    held_out = rows(1_000, seed=7)
    shrunk = copy.deepcopy(champion.network)
    ShrinkPerturb(0.4, 0.1).prepare(shrunk, seed=0)
    loss = nn.functional.binary_cross_entropy
    target = torch.from_numpy(held_out["late"].to_numpy())
    at_first, short, before = (
        float(loss(torch.from_numpy(each.predict(held_out)), target))
        for each in (
            Model(champion.encoder, shrunk),
            trained(recipe("shrink_perturb", epochs=1, patience=None), champion).model,
            champion,
        )
    )
    assert at_first > short > before


def test_a_recipe_learns_a_new_category(champion: Model) -> None:
    new = rows(600, seed=1, carriers=("UA", "B6", "AA"))
    found = trained("finetune", champion, new)
    assert found.model.encoder.categories["carrier"] == ("B6", "UA", "AA")
    assert champion.encoder.categories["carrier"] == ("B6", "UA")
    assert np.isfinite(found.model.predict(new)).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_recipe_adds_to_a_training_can_be_sent_to_another_process(champion: Model, name: str) -> None:
    network = copy.deepcopy(champion.network)
    how = recipe(name)
    for ingredient in how.ingredients:
        ingredient.prepare(network, seed=0)
    sent = pickle.loads(pickle.dumps((network, _hooks(how, network))))
    assert isinstance(sent[1], Hooks)


def test_a_users_own_ingredients_are_composed(champion: Model) -> None:
    how = Recipe("mine", "champion", 2, 1e-3, (Replay(1.0), Pull(0.1), LowRank(2), Interpolate(0.3)))
    found = trained(how, champion)
    assert (found.recipe, found.num_rows) == ("mine", 600)
    assert list(found.model.network.state_dict()) == list(champion.network.state_dict())


def test_training_without_new_rows_is_refused(champion: Model) -> None:
    with pytest.raises(ValueError, match="no rows since the champion was trained; wait for the next batch of labels"):
        trained("finetune", champion, new=rows(0))


def test_continuing_without_a_champion_is_refused() -> None:
    with pytest.raises(ValueError, match="the recipe pull continues a champion, and there is none; use scratch"):
        trained("pull")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tune", {}, r"no recipe is called 'tune'; choose one of finetune, plain, .*, scratch"),
        ("plain", {"ratio": 2}, r"the recipe plain has no argument 'ratio'; it takes epochs, learning_rate"),
        ("finetune", {"epochs": 0}, r"epochs=0 of the recipe finetune means nothing; give a whole number from 1"),
        ("finetune", {"epochs": 2.5}, r"epochs=2\.5 of the recipe finetune means nothing"),
        ("finetune", {"epochs": None}, r"epochs=None of the recipe finetune means nothing"),
        ("finetune", {"ratio": -1}, r"ratio=-1 of the recipe finetune means nothing; give a number from 0"),
        ("finetune", {"learning_rate": "fast"}, r"learning_rate='fast' of the recipe finetune means nothing"),
        ("finetune", {"decay": 1.0}, r"decay=1\.0 of the recipe finetune means nothing; give a number between 0 and 1"),
        ("rewarm", {"warm": 1}, r"warm=1 of the recipe rewarm means nothing; give a number from 0, below 1"),
    ],
)
def test_what_the_catalogue_does_not_know_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(name, **changes)


def test_changes_reach_the_ingredients() -> None:
    how = recipe("finetune", epochs=7, ratio=0.5)
    assert how.epochs == 7
    assert Replay(0.5) in how.ingredients
    assert recipe("scratch", patience=None).patience is None
