"""Text and image networks: learning, freezing, loading without their folder, and what they refuse."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

from models.data.batches import Batch
from models.features.encoding import Features
from models.features.target import Target
from models.model import Model
from models.networks.check import check_network
from models.networks.image import ImageClassifier
from models.networks.inputs import Inputs, TableInputs, TextInputs
from models.networks.text import TextClassifier
from models.registry.storage import Storage
from models.registry.versions import Versions
from models.training.fit import fit
from models.training.growth import grow
from models.training.settings import FitSettings, seeded
from tests import modalities

NETWORKS: dict[str, Any] = {"text": TextClassifier, "image": ImageClassifier}


def build(class_path: str, init_args: dict[str, Any], inputs: Inputs) -> nn.Module:
    network: nn.Module = NETWORKS[class_path](inputs, **init_args)
    return network


def folder_of(kind: str, folder: Path) -> str:
    made = {"text": modalities.text_backbone, "image": modalities.image_backbone}
    return made[kind](folder)


def rows_of(kind: str, num_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    return (modalities.reviews if kind == "text" else modalities.photos)(num_rows, seed)


def untrained(kind: str, backbone: str, rows: pd.DataFrame, task: Any, **init_args: Any) -> Model:
    features = (
        Features(texts=("title", "body"), backbone=backbone, max_tokens=32)
        if kind == "text"
        else Features(images=("photo",), backbone=backbone)
    )
    encoder, target = features.fit(rows), Target.fit(task, rows["label"])
    inputs = encoder.inputs.for_outputs(target.num_outputs)
    with seeded(0):
        return Model(encoder, build(kind, {"backbone": backbone, **init_args}, inputs), target)


def trained(model: Model, rows: pd.DataFrame, epochs: int = 8) -> Model:
    settings = FitSettings(epochs=epochs, batch_size=16, learning_rate=3e-3, accelerator="cpu")
    fit(model.network, model.objective, model.label(rows, rows["label"]), None, settings)
    return model


def share_right(model: Model, rows: pd.DataFrame) -> float:
    scores = model.predict(rows)
    found = np.array(model.target.classes)[scores.argmax(axis=1)] if model.target.classes else scores > 0.5
    return float((found == rows["label"]).mean())


@pytest.mark.parametrize(("kind", "task"), [("text", "binary"), ("image", "multiclass")])
def test_a_simple_rule_is_learned_and_a_version_of_it_loads_without_the_folder(
    tmp_path: Path, kind: str, task: str
) -> None:
    backbone, rows, later = folder_of(kind, tmp_path / "backbone"), rows_of(kind), rows_of(kind, seed=1)
    model = trained(untrained(kind, backbone, rows, task), rows)
    assert share_right(model, later) > 0.9
    versions, init_args = Versions(Storage(tmp_path), "own"), {"backbone": backbone}
    lineage = {"trained_until": "2026-01-01T00:00:00+00:00"}
    network = {"class_path": kind, "init_args": init_args}
    version = versions.save(model, network, lineage, {}, datetime(2026, 1, 2, tzinfo=UTC))
    shutil.rmtree(backbone)
    loaded = versions.load(version, build)
    assert np.array_equal(loaded.model.predict(later), model.predict(later))
    assert loaded.model.encoder == model.encoder
    assert versions.save(loaded.model, network, lineage, {}, datetime(2026, 1, 2, tzinfo=UTC)) == version
    wanted = {name for name, weight in model.network.named_parameters() if weight.requires_grad}
    assert {name for name, weight in loaded.model.network.named_parameters() if weight.requires_grad} == wanted


def test_a_number_is_learned_from_texts_in_its_own_unit(tmp_path: Path) -> None:
    rows = modalities.reviews(400).assign(label=lambda frame: frame["label"] * 10 + 50)
    model = trained(untrained("text", modalities.text_backbone(tmp_path), rows, "regression"), rows)
    later = modalities.reviews(300, seed=1)
    errors = np.abs(model.predict(later) - (later["label"] * 10 + 50))
    assert errors.mean() < 2.5  # 5 for whoever says the mean


def test_training_twice_gives_the_same_weights(tmp_path: Path) -> None:
    backbone, rows = modalities.text_backbone(tmp_path), modalities.reviews(100)
    one, same = (trained(untrained("text", backbone, rows, "binary"), rows, epochs=2) for _ in range(2))
    assert np.array_equal(one.predict(rows), same.predict(rows))


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_weights_are_those_of_the_folder_unless_random_ones_are_asked_for(tmp_path: Path, kind: str) -> None:
    backbone, rows = folder_of(kind, tmp_path), rows_of(kind, 10)
    on_disk = sums(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    task = "binary" if kind == "text" else "multiclass"
    loaded, random = (
        untrained(kind, backbone, rows, task, is_pretrained=is_pretrained).network.backbone
        for is_pretrained in (True, False)
    )
    assert isinstance(loaded, nn.Module)
    assert isinstance(random, nn.Module)
    assert sums(loaded.state_dict()) == on_disk != sums(random.state_dict())


def sums(weights: dict[str, torch.Tensor]) -> list[float]:
    """Of each weight, whatever its name: `transformers` renames some when it reads them."""
    return sorted(float(weight.double().sum()) for weight in weights.values())


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_frozen_backbone_stays_as_it_was_and_the_head_learns(tmp_path: Path, kind: str) -> None:
    backbone, rows = folder_of(kind, tmp_path), rows_of(kind, 60)
    model = untrained(kind, backbone, rows, "binary" if kind == "text" else "multiclass", is_frozen=True)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    trained(model, rows, epochs=2)
    changed = {name for name, value in model.network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.1.weight", "head.1.bias"}
    inner = model.network.train().backbone
    assert isinstance(inner, nn.Module)
    assert not inner.training
    assert not any(weight.requires_grad for weight in inner.parameters())


def test_a_batch_is_cut_to_its_longest_text_and_scores_stay(tmp_path: Path) -> None:
    rows = modalities.reviews(40)
    model = untrained("text", modalities.text_backbone(tmp_path), rows, "binary")
    seen: list[int] = []
    inner = model.network.backbone
    assert isinstance(inner, nn.Module)
    inner.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    together = model.predict(rows)
    alone = np.concatenate([model.predict(rows.iloc[place : place + 1]) for place in range(40)])
    assert set(seen) == {16, 32}
    assert np.allclose(together, alone, atol=1e-5)
    assert model.predict(rows.iloc[:0]).shape == (0,)


def test_half_precision_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    backbone = modalities.image_backbone(tmp_path)
    path = tmp_path / "model.safetensors"
    halves = {name: value.half() for name, value in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(halves, path, {"format": "pt"})
    config = (tmp_path / "config.json").read_text().replace('"float32"', '"float16"')
    (tmp_path / "config.json").write_text(config)
    network = untrained("image", backbone, modalities.photos(5), "multiclass").network
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    backbone = modalities.text_backbone(tmp_path)
    torch.save(safetensors.torch.load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no model that can be read"):
        untrained("text", backbone, modalities.reviews(3), "binary")


def test_weights_that_the_checkpoint_lacks_are_not_silently_random(tmp_path: Path) -> None:
    backbone = modalities.text_backbone(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    lost = "encoder.layer.0.output.dense.weight"
    safetensors.torch.save_file(
        {name: value for name, value in weights.items() if name != lost}, path, {"format": "pt"}
    )
    for is_frozen in (False, True):
        with pytest.raises(ValueError, match=f"lacks 1 weights that are needed, first backbone.{lost}"):
            untrained("text", backbone, modalities.reviews(3), "binary", is_frozen=is_frozen)
    without_pooler = {name: value for name, value in weights.items() if "pooler" not in name}
    safetensors.torch.save_file(without_pooler, path, {"format": "pt"})
    untrained("text", backbone, modalities.reviews(3), "binary")


def test_what_does_not_fit_together_is_refused_with_what_to_change(tmp_path: Path) -> None:
    text, image = modalities.text_backbone(tmp_path / "text", 32), modalities.image_backbone(tmp_path / "image")
    rows = modalities.reviews(3)
    inputs = Features(texts=("body",), backbone=text, max_tokens=32).fit(rows).inputs
    table = TableInputs((), (2,))
    with pytest.raises(ValueError, match=r"TextClassifier takes texts, not TableInputs; name columns in data\.texts"):
        TextClassifier(table, text)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"ImageClassifier takes images, not TextInputs; name a column in data\.images"
    ):
        ImageClassifier(inputs, image)  # type: ignore[arg-type]
    longer = Features(texts=("body",), backbone=text, max_tokens=33).fit(rows).inputs
    with pytest.raises(ValueError, match=r"takes no rows of 33 tokens; lower data\.max_tokens"):
        TextClassifier(longer, text)  # type: ignore[arg-type]
    larger = Features(images=("photo",), backbone=image, image_size=32).fit(rows).inputs
    with pytest.raises(ValueError, match=r"takes no images of 32 pixels; set data\.image_size"):
        ImageClassifier(larger, image)  # type: ignore[arg-type]


class OwnModule(L.LightningModule):
    """A user's own way to train: plain gradient descent on the squared error of probabilities, in texts."""

    def __init__(self, inputs: TextInputs, width: int = 16) -> None:
        super().__init__()
        self.words = nn.Embedding(inputs.vocabulary, width)
        self.head = nn.Linear(width, inputs.num_outputs)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        weights = attention_mask[..., None].float()
        outputs: torch.Tensor = self.head((self.words(input_ids) * weights).sum(1) / weights.sum(1))
        return outputs.squeeze(1)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        return ((self(*batch.inputs).sigmoid() - batch.targets) ** 2).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.03)


def test_a_users_own_lightning_module_learns_its_own_way_and_comes_back(tmp_path: Path) -> None:
    rows, later = modalities.reviews(300), modalities.reviews(300, seed=1)
    backbone = modalities.text_backbone(tmp_path / "backbone")
    encoder = Features(texts=("title", "body"), tokenizer=backbone, max_tokens=32).fit(rows)
    check_network(OwnModule, encoder.inputs, "OwnModule", (1,))  # type: ignore[arg-type]
    with seeded(0):
        model = Model(encoder, OwnModule(encoder.inputs))  # type: ignore[arg-type]
    assert share_right(trained(model, rows), later) > 0.9
    versions = Versions(Storage(tmp_path), "own")
    network = {"class_path": "OwnModule", "init_args": {}}
    lineage = {"trained_until": "2026-01-01T00:00:00+00:00"}
    version = versions.save(model, network, lineage, {}, datetime(2026, 1, 2, tzinfo=UTC))
    loaded = versions.load(version, lambda class_path, init_args, inputs: OwnModule(inputs))  # type: ignore[arg-type]
    assert np.array_equal(loaded.model.predict(later), model.predict(later))


def test_a_new_class_is_grown_without_the_folder_of_the_backbone(tmp_path: Path) -> None:
    backbone, rows = modalities.image_backbone(tmp_path / "backbone"), modalities.photos(200)
    known = rows[rows["label"] != "blue"]
    model = trained(untrained("image", backbone, known, "multiclass"), known, epochs=2)
    versions, init_args = Versions(Storage(tmp_path), "own"), {"backbone": backbone}
    network = {"class_path": "image", "init_args": init_args}
    lineage = {"trained_until": "2026-01-01T00:00:00+00:00"}
    version = versions.save(model, network, lineage, {}, datetime(2026, 1, 2, tzinfo=UTC))
    shutil.rmtree(backbone)
    loaded = versions.load(version, build).model
    grown = grow(loaded, rows, "label", lambda inputs: build("image", init_args, inputs))
    assert grown.target.classes == ("green", "red", "blue")
    before, after = loaded.predict(known), grown.predict(known)[:, :2]
    assert np.allclose(after / after.sum(axis=1, keepdims=True), before, atol=1e-4)
    assert share_right(trained(grown, rows), modalities.photos(100, seed=1)) > 0.9
