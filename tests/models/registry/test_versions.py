"""Versions: what comes back is what was saved, or an error that names the file."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from models.features.encoder import Encoder
from models.model import Model
from models.networks.inputs import Inputs
from models.networks.mlp import MLP
from models.networks.tabm import TabM
from models.registry import log, storage, versions
from models.registry.versions import VersionId, Versions
from models.training.settings import seeded
from tests.places import Opening, Place

AS_OF = datetime(2013, 5, 1, tzinfo=UTC)
LINEAGE = {"trained_until": "2013-04-20T00:00:00+00:00", "seed": 3, "parent": None}
NETWORKS = {"MLP": MLP, "TabM": TabM}
FILES = ["encoder.json", "expectations.json", "lineage.json", "network.json", "weights.safetensors"]


def rows(num_rows: int = 200) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"distance": generator.normal(1_000, 300, num_rows), "carrier": ["UA", "B6"] * (num_rows // 2)}
    )
    frame.loc[::7, "distance"] = np.nan
    frame.loc[::11, "carrier"] = None
    return frame


def model(name: str = "MLP", seed: int = 0) -> Model:
    encoder = Encoder.fit(rows(), ("distance",), ("carrier",))
    with seeded(seed):
        return Model(encoder, NETWORKS[name](encoder.inputs, width=8).eval())


def build(class_path: str, init_args: dict[str, Any], inputs: Inputs) -> nn.Module:
    return NETWORKS[class_path](inputs, **init_args)


@pytest.fixture
def store(place: Place) -> Versions:
    return Versions(place.storage(), "flights")


def save(store: Versions, name: str = "MLP", seed: int = 0, as_of: datetime = AS_OF) -> VersionId:
    network = {"class_path": name, "init_args": {"width": 8}}
    return store.save(model(name, seed), network, LINEAGE, {"expectations.json": b"{}"}, as_of)


def path_of(version: VersionId, name: str) -> str:
    return f"registry/flights/versions/{version}/{name}"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_version_that_comes_back_predicts_bit_for_bit_the_same(store: Versions, name: str) -> None:
    version = store.load(save(store, name), build)
    assert np.array_equal(version.model.predict(rows()), model(name).predict(rows()))
    assert version.model.encoder == model(name).encoder
    assert not version.model.network.training
    assert version.lineage == LINEAGE == store.lineage(version.id)
    assert version.extras == {"expectations.json": b"{}"}
    assert version.trained_until == datetime(2013, 4, 20, tzinfo=UTC)


def test_saving_the_same_twice_gives_one_version(store: Versions) -> None:
    assert save(store) == save(store)
    assert len(store.ids()) == 1


def test_other_content_is_another_version_and_ids_come_oldest_first(store: Versions) -> None:
    late, early = save(store, as_of=datetime(2014, 1, 1, tzinfo=UTC)), save(store, seed=1)
    other = save(store, seed=2)
    assert len({late, early, other}) == 3
    assert store.ids()[-1] == late
    assert early.startswith("20130501-")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("position", [0, -1])
def test_one_changed_byte_is_refused_with_the_name_of_the_file(
    store: Versions, place: Place, name: str, position: int
) -> None:
    version = save(store)
    content = bytearray(place.objects()[path_of(version, name)])
    content[position] ^= 1
    place.put(path_of(version, name), bytes(content))
    with pytest.raises(ValueError, match=rf"{name} was changed after it was written: its SHA-256 is \w+, the manifest"):
        store.load(version, build)


def test_a_changed_lineage_is_refused_without_loading_the_weights(store: Versions, place: Place) -> None:
    version = save(store)
    path = path_of(version, "lineage.json")
    place.put(path, place.objects()[path].replace(b"2013-04-20", b"2013-04-10"))
    with pytest.raises(ValueError, match=r"lineage\.json was changed after it was written"):
        store.lineage(version)
    with pytest.raises(ValueError, match="there is no version 'other'"):
        store.lineage(VersionId("other"))


@pytest.mark.parametrize("name", FILES)
def test_a_lost_file_is_refused_with_its_name(store: Versions, place: Place, name: str) -> None:
    version = save(store)
    place.remove(path_of(version, name))
    with pytest.raises(ValueError, match=f"has lost {name}; restore it or roll back"):
        store.load(version, build)


@pytest.mark.parametrize("name", FILES)
def test_a_file_and_its_line_in_the_manifest_changed_together_are_refused(
    store: Versions, place: Place, name: str
) -> None:
    version = save(store)
    changed, manifest = place.objects()[path_of(version, name)] + b" ", path_of(version, "manifest.json")
    place.put(path_of(version, name), changed)
    content = json.loads(place.objects()[manifest])
    content["sha256"][name] = hashlib.sha256(changed).hexdigest()
    place.put(manifest, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    with pytest.raises(ValueError, match=r"manifest\.json"):
        store.load(version, build)


def test_a_manifest_that_forgets_a_file_is_refused(store: Versions, place: Place) -> None:
    version = save(store)
    manifest = path_of(version, "manifest.json")
    content = json.loads(place.objects()[manifest])
    del content["sha256"]["expectations.json"]
    place.put(manifest, json.dumps(content).encode())
    with pytest.raises(ValueError, match=r"manifest\.json"):
        store.load(version, build)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_manifest_that_is_none_is_refused(store: Versions, place: Place, content: bytes) -> None:
    version = save(store)
    place.put(path_of(version, "manifest.json"), content)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        store.load(version, build)


def test_without_its_manifest_a_version_does_not_exist(store: Versions, place: Place) -> None:
    version, other = save(store), save(store, seed=1)
    place.remove(path_of(version, "manifest.json"))
    assert store.ids() == [other]
    with pytest.raises(ValueError, match=f"there is no version '{version}'; there are {other}"):
        store.load(version, build)


def test_a_save_that_was_killed_half_way_is_finished_by_the_next_one(store: Versions, place: Place) -> None:
    version = save(store)
    place.remove(path_of(version, "manifest.json"))
    place.remove(path_of(version, "lineage.json"))
    assert save(store) == version
    assert np.array_equal(store.load(version, build).model.predict(rows()), model().predict(rows()))


def test_a_network_whose_code_has_changed_is_refused(store: Versions) -> None:
    def wider(class_path: str, init_args: dict[str, Any], inputs: Inputs) -> nn.Module:
        return MLP(inputs, width=9)

    with pytest.raises(ValueError, match="do not fit MLP; its code has changed since the version was trained"):
        store.load(save(store), wider)


def test_weights_are_saved_whatever_their_layout(store: Versions) -> None:
    network = model().network
    for weight in network.parameters():
        if weight.ndim == 2:
            weight.data = weight.data.t().contiguous().t()
    version = store.save(
        Model(model().encoder, network), {"class_path": "MLP", "init_args": {"width": 8}}, LINEAGE, {}, AS_OF
    )
    assert np.array_equal(store.load(version, build).model.predict(rows()), model().predict(rows()))


def save_same(argument: tuple[Opening, int]) -> str:
    return save(Versions(argument[0].storage(), "flights"))


def test_racing_writers_of_the_same_content_leave_one_whole_version(
    place: Place, race: Callable[..., list[Any]], store: Versions
) -> None:
    (version,) = set(race(save_same, [(place.opening, racer) for racer in range(4)]))
    assert store.ids() == [version]
    store.load(version, build)


@pytest.mark.parametrize("module", [versions, log, storage], ids=lambda module: module.__name__)
def test_nothing_is_unpickled(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {"pickle", "cloudpickle", "joblib", "dill", "shelve"} & {name.split(".")[0] for name in imported}
    assert not {"torch.load", "eval", "exec", "yaml.load"} & called


def test_a_model_predicts_each_row_by_itself_and_nothing_for_no_rows() -> None:
    frame = rows()
    together = model().predict(frame)
    assert together.shape == (200,)
    assert together.dtype == np.float64
    assert ((together >= 0) & (together <= 1)).all()
    assert model().predict(frame.iloc[3:4]) == pytest.approx(together[3:4], abs=1e-6)
    assert model().predict(frame.iloc[:0]).shape == (0,)


def test_predicting_leaves_a_dropout_network_in_eval_mode_and_draws_nothing() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = Model(model().encoder, model().network.train())
    assert np.array_equal(first.predict(rows()), first.predict(rows()))
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_two_names_share_are_saved_under_both(store: Versions) -> None:
    class Tied(MLP):
        def __init__(self, inputs: Inputs, width: int) -> None:
            super().__init__(inputs, width=width)  # type: ignore[arg-type]
            self.again = self.layers[0]

    encoder = model().encoder
    tied = Model(encoder, Tied(encoder.inputs, width=8).eval())
    version = store.save(tied, {"class_path": "Tied", "init_args": {"width": 8}}, LINEAGE, {}, AS_OF)
    loaded = store.load(version, lambda class_path, init_args, inputs: Tied(inputs, **init_args))
    assert np.array_equal(loaded.model.predict(rows()), tied.predict(rows()))
