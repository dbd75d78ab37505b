"""Growth: what is new gets weights, and what was known is predicted as before."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from models.features.encoder import Encoder
from models.features.target import Target
from models.model import Model
from models.networks.inputs import Inputs, TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.training.growth import FIRST_CHANCE, grow

NETWORKS = {
    "mlp": partial(MLP, width=16),
    "mlp without hidden layers": partial(MLP, width=16, depth=0),
    "tabm": partial(TabM, width=16, members=4),
}
each_network = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
each_task = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])


def rows(num_rows: int, carriers: list[str | None], classes: list[str], task: str = "multiclass") -> pd.DataFrame:
    generator = np.random.default_rng(3)
    distance = generator.normal(1_000, 300, num_rows)
    labels = {
        "binary": (distance > 1_000).astype(float),
        "multiclass": generator.choice(classes, num_rows),
        "regression": distance + 100,
    }
    return pd.DataFrame(
        {
            "distance": np.where(generator.random(num_rows) < 0.1, np.nan, distance),
            "seats": generator.normal(150, 40, num_rows),
            "carrier": generator.choice(np.array(carriers, dtype=object), num_rows),
            "origin": generator.choice(["EWR", "JFK"], num_rows),
            "label": labels[task],
        }
    )


OLD = (["UA", "B6", None], ["late", "on time"])
NEW = (["UA", "B6", None, "AA", "DL", "WN", "VX", "F9"], ["late", "on time", "cancelled", "diverted"])


def model(build: partial[nn.Module], task: str = "multiclass") -> Model:
    frame = rows(400, *OLD, task)
    encoder, target = Encoder.fit(frame, ("distance", "seats"), ("carrier", "origin")), Target.fit(task, frame["label"])
    torch.manual_seed(0)
    network = build(encoder.inputs.for_outputs(target.num_outputs))
    with torch.no_grad():  # far from a new network, whose biases and embeddings could hide a misplaced block
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return Model(encoder, network.eval(), target)


@each_network
@each_task
def test_what_was_known_is_predicted_as_before(build: partial[nn.Module], task: str) -> None:
    old = model(build, task)
    new = rows(600, *NEW, task)
    grown = grow(old, new, "label", build)
    assert grown.encoder.categories["carrier"] == ("B6", "UA", "AA", "DL", "F9", "VX", "WN")
    before, after = old.predict(new), grown.predict(new)
    if task == "multiclass":
        assert grown.target.classes == ("late", "on time", "cancelled", "diverted")
        assert (after[:, 2:].sum(axis=1) <= FIRST_CHANCE).all()
        assert (after[:, 2:] > 1e-4).all()
        after = after[:, :2] / after[:, :2].sum(axis=1, keepdims=True)
    # The mean over members moves a little where they differ in how much of a chance a new class has.
    is_mean = task == "multiclass" and isinstance(old.network, TabM)
    assert after == pytest.approx(before, rel=1e-4, abs=FIRST_CHANCE if is_mean else 1e-5)


@each_network
def test_new_categories_alone_leave_every_probability_as_it_was(build: partial[nn.Module]) -> None:
    old = model(build)
    new = rows(600, NEW[0], OLD[1])
    assert grow(old, new, "label", build).predict(new) == pytest.approx(old.predict(new), abs=1e-5)


@each_network
def test_a_new_category_can_learn_to_differ(build: partial[nn.Module]) -> None:
    new = rows(600, *NEW)
    grown = grow(model(build), new, "label", build)
    places = grown.encoder.categories["carrier"]
    inputs = grown.encoder.transform(new).tensors
    grown.objective.loss(grown.network(*inputs), grown.target.encode(new["label"])).backward()
    by_name = dict(grown.network.named_parameters())
    if "categories.0.weight" in by_name:
        gradient = by_name["categories.0.weight"].grad
        assert (gradient.abs().sum(dim=1)[2 + places.index("AA") :] > 0).all()
        assert (gradient[2:].abs().sum(dim=0) > 0).all()  # the new dimensions too
    else:
        gradient = by_name["network.backbone.blocks.0.0.weight"].grad
        first = gradient.shape[1] - sum(grown.encoder.inputs.cardinalities) + 2
        assert (gradient.abs().sum(dim=0)[first : first + len(places)] > 0).all()


@each_network
def test_nothing_new_gives_the_same_model(build: partial[nn.Module]) -> None:
    old = model(build)
    assert grow(old, rows(300, *OLD), "label", build) is old


@each_network
def test_the_old_model_stays_as_it_is(build: partial[nn.Module]) -> None:
    old = model(build)
    before = copy.deepcopy(old.network.state_dict())
    grown = grow(old, rows(600, *NEW), "label", build)
    with torch.no_grad():
        for weight in grown.network.parameters():
            weight.zero_()
    assert all(torch.equal(weight, before[name]) for name, weight in old.network.state_dict().items())


def test_a_few_rows_of_a_category_or_a_class_grow_nothing() -> None:
    build = NETWORKS["mlp"]
    old, few = model(build), rows(60, *OLD)
    few.loc[:8, "carrier"], few.loc[:8, "label"] = "AA", "cancelled"
    assert grow(old, few, "label", build) is old


def test_growing_twice_keeps_the_first_places() -> None:
    build = NETWORKS["mlp"]
    once = grow(model(build), rows(600, ["UA", "AA"], ["late", "cancelled"]), "label", build)
    twice = grow(once, rows(600, ["UA", "DL", "A0"], ["late", "absent"]), "label", build)
    assert twice.encoder.categories["carrier"] == ("B6", "UA", "AA", "A0", "DL")
    assert twice.target.classes == ("late", "on time", "cancelled", "absent")


def test_missing_values_in_a_column_that_had_none_need_no_growth() -> None:
    build = NETWORKS["mlp"]
    old, new = model(build), rows(300, *OLD)
    new.loc[:50, "seats"] = np.nan
    assert grow(old, new, "label", build) is old
    assert np.isfinite(old.predict(new)).all()


class Flat(nn.Module):
    """One-hot categories into one layer, without a method that moves its weights."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__()
        self.cardinalities = inputs.cardinalities
        self.layer = nn.Linear(sum(inputs.cardinalities), inputs.num_outputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        columns = [nn.functional.one_hot(categories[:, i], n) for i, n in enumerate(self.cardinalities)]
        return self.layer(torch.cat(columns, dim=1).float())


class Fresh(nn.Module):
    """A network that has another weight for each number of categories."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, inputs.num_outputs) for _ in range(inputs.cardinalities[0])])

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return self.layers[0](numbers[:, :1])


class Shrinking(nn.Module):
    """A network whose layer becomes smaller as its inputs grow."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(2, 40 - inputs.cardinalities[0]), nn.LazyLinear(inputs.num_outputs)
        self.last(torch.zeros(1, 40 - inputs.cardinalities[0]))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return self.last(self.layer(numbers))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Flat, r"Flat predicts up to 0\.\d+ otherwise once it has grown; train it from scratch, or give Flat a method"),
        (Fresh, r"Fresh has other weights when it grows \(layers\.\d\.bias"),
        (Shrinking, r"layer\.\w+ of Shrinking was \(.*\) and is \(.*\) when it grows; train it from scratch"),
    ],
)
def test_a_network_that_would_predict_otherwise_is_refused(kind: type[nn.Module], message: str) -> None:
    def build(inputs: Inputs) -> nn.Module:
        return kind(inputs)

    with pytest.raises(ValueError, match=message):
        grow(model(partial(kind)), rows(600, NEW[0], OLD[1]), "label", build)
