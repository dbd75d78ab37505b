"""The contract of networks: ours keep it, and each way to break it is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from configs.schema import Project, load
from models.data.batches import Batch
from models.features.encoding import Features
from models.networks.check import check_network, example
from models.networks.image import ImageClassifier
from models.networks.inputs import Inputs, TableInputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.networks.text import TextClassifier
from tests import modalities

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
TABLE = TableInputs(((-4.0, -1.0, 0.0, 4.0), (-4.0, 0.0, 4.0)), (5, 3))


class Plain(nn.Module):
    """A network that keeps the contract, to be broken in one way at a time."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__()
        self.inputs = inputs
        self.layer = nn.Linear(inputs.num_numbers, inputs.num_outputs)
        self.embedding = nn.Embedding(inputs.cardinalities[0], inputs.num_outputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        outputs: Tensor = self.layer(numbers) + self.embedding(categories[:, 0])
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs


class Own(L.LightningModule):
    """A LightningModule of the user's own that keeps the contract, and logs."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__()
        self.network = Plain(inputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        outputs: Tensor = self.network(numbers, categories)
        return outputs

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        outputs = self(*batch.inputs)
        loss = (cross_entropy if outputs.ndim == 2 else binary_cross_entropy_with_logits)(outputs, batch.targets)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_ours_and_a_users_own_keep_the_contract() -> None:
    for network in (MLP, TabM, Plain, Own):
        check_network(network, TABLE, network.__name__)


def of_project(project: Project) -> Inputs:
    data, backbone = project.data, project.training.network.init_args.get("backbone")
    if data.texts or data.images:
        features = Features((), (), data.texts, data.images, data.tokenizer, data.max_tokens, data.image_size, backbone)
        return features.fit(modalities.reviews(1)).inputs
    return TableInputs(((-4.0, 0.0, 1.0, 4.0),) * len(data.numbers), (6,) * len(data.categories))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_network_of_every_configuration_keeps_the_contract(path: Path) -> None:
    project = load(path)
    number = 3 if getattr(project.data, "task", "binary") == "multiclass" else 1
    check_network(project.training.network.build, of_project(project), path.name, (number,))


def broken(change: Callable[[Any], None], base: type[nn.Module] = Plain) -> Callable[[Inputs], nn.Module]:
    """A builder whose networks were changed after they were made."""

    def build(inputs: Inputs) -> nn.Module:
        network = base(inputs)
        change(network)
        return network

    return build


def of_forward(change: Callable[[Tensor], Any]) -> Callable[[Inputs], nn.Module]:
    """A builder of networks with changed outputs."""

    class Changed(Plain):
        def forward(self, numbers: Tensor, categories: Tensor) -> Any:
            return change(super().forward(numbers, categories))

    return Changed


class Keeps(Plain):
    """Has a weight that is no parameter."""

    def __init__(self, inputs: TableInputs) -> None:
        super().__init__(inputs)
        self.hidden = torch.randn(())

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return super().forward(numbers, categories) * self.hidden


class InPlace(Plain):
    """Works on what it is given."""

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return super().forward(numbers.mul_(2), categories)


class OfTwo(Plain):
    """Fails when the last batch has one row."""

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return super().forward(numbers, categories).squeeze()


BROKEN: dict[str, tuple[Callable[[Inputs], Any], str]] = {
    "no module": (lambda inputs: "text", "is a str, expected a torch.nn.Module"),
    "cannot be built": (lambda inputs: Plain(inputs.nothing), "cannot be built for TableInputs: AttributeError"),  # type: ignore[attr-defined]
    "nothing to train": (broken(lambda network: network.requires_grad_(False)), "there is nothing to train"),
    "one column": (of_forward(lambda found: found[..., None, None]), r"returned the shape .* expected \(32,\) or"),
    "sum of rows": (of_forward(lambda found: found.sum(0)), "returned the shape .* for 32 rows"),
    "tuple": (of_forward(lambda found: (found,)), "returned tuple, expected a tensor of floats"),
    "classes": (of_forward(lambda found: (found > 0).long()), r"returned torch\.int64, expected a tensor of floats"),
    "infinite": (of_forward(lambda found: found / 0), "outputs that are not finite"),
    "random": (of_forward(lambda found: found + torch.rand(())), "another output a second time"),
    "mean of batch": (of_forward(lambda found: found - found.mean(0)), "another output alone"),
    "place in batch": (
        of_forward(lambda found: found + torch.arange(len(found)).view(-1, *[1] * (found.ndim - 1))),
        "another output in the opposite order",
    ),
    "one row": (OfTwo, r"returned the shape \(\) for 1 rows|cannot be called"),
    "kept elsewhere": (Keeps, "other outputs after its weights were saved and loaded"),
    "in place": (InPlace, "changes the tensors that it is called with"),
    "unused weight": (
        broken(lambda network: network.register_parameter("idle", nn.Parameter(torch.ones(2)))),
        "no gradient reaches idle",
    ),
    "detached": (of_forward(torch.detach), "expected a finite scalar tensor with a gradient"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_network_that_breaks_the_contract_is_refused_by_name(how: str) -> None:
    build, message = BROKEN[how]
    with pytest.raises(ValueError, match=f"(?s)own.Network with [13] output.*{message}"):
        check_network(build, TABLE, "own.Network")


def lightning(**methods: Callable[..., Any]) -> Callable[[Inputs], nn.Module]:
    return type("Changed", (Own,), methods)


def two(network: Own) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(network.parameters(), lr=0.1), torch.optim.SGD(network.parameters(), lr=0.2)]


STEPS: dict[str, tuple[Callable[[Inputs], nn.Module], str]] = {
    "no loss": (lightning(training_step=lambda self, batch, place: None), "training_step returned None"),
    "a loss of rows": (
        lightning(training_step=lambda self, batch, place: self(*batch.inputs)),
        "expected a finite scalar tensor",
    ),
    "a number": (lightning(training_step=lambda self, batch, place: 0.5), r"training_step returned 0\.5"),
    "another batch": (
        lightning(training_step=lambda self, batch, place: batch["x"]),
        r"cannot do training_step\(batch, 0\): TypeError",
    ),
    "no optimizer": (lightning(configure_optimizers=lambda self: None), "configure_optimizers returned None"),
    "two optimizers": (lightning(configure_optimizers=two), "returned 2 optimizers, expected one"),
}


@pytest.mark.parametrize("how", STEPS)
def test_a_lightning_module_that_breaks_the_contract_is_refused_by_name(how: str) -> None:
    build, message = STEPS[how]
    with pytest.raises(ValueError, match=f"(?s)own.Module.*{message}"):
        check_network(build, TABLE, "own.Module", (1,))


@pytest.mark.parametrize(
    "returned",
    [
        lambda optimizer: [optimizer],
        lambda optimizer: {"optimizer": optimizer},
        lambda optimizer: ([optimizer], [torch.optim.lr_scheduler.ConstantLR(optimizer)]),
    ],
)
def test_a_lightning_module_may_return_its_optimizer_in_any_way_that_lightning_takes(returned: Any) -> None:
    def configure(self: Own) -> Any:
        return returned(torch.optim.SGD(self.parameters(), lr=0.1))

    check_network(lightning(configure_optimizers=configure), TABLE, "own.Module")


def test_texts_and_images_keep_the_contract(tmp_path: Path) -> None:
    text, image = modalities.text_backbone(tmp_path / "text"), modalities.image_backbone(tmp_path / "image")
    convolutions = modalities.image_backbone(tmp_path / "convolutions", "convnext")
    for is_frozen in (False, True):
        cases = {
            TextClassifier: [(text, Features(texts=("body",), backbone=text, max_tokens=24))],
            ImageClassifier: [(each, Features(images=("photo",), backbone=each)) for each in (image, convolutions)],
        }
        for network, backbones in cases.items():
            for backbone, features in backbones:
                inputs = features.fit(modalities.reviews(1)).inputs
                check_network(
                    lambda inputs, network=network, backbone=backbone, is_frozen=is_frozen: network(  # type: ignore[misc]
                        inputs, backbone=backbone, is_frozen=is_frozen
                    ),
                    inputs,
                    f"{network.__name__} of {backbone}, frozen: {is_frozen}",
                )


def test_checking_draws_nothing_and_leaves_its_rows_to_nobody() -> None:
    state = copy.deepcopy(torch.get_rng_state())
    check_network(MLP, TABLE, "MLP")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(example(TABLE).tensors, example(TABLE).tensors, strict=True))
    with pytest.raises(ValueError, match="no made-up rows for str; give TableInputs"):
        example("own")  # type: ignore[arg-type]
