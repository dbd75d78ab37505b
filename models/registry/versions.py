"""Versions: immutable folders of weights, encoder, configuration and lineage, named after what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

import safetensors.torch
from torch import Tensor, nn

from models.features import encoding
from models.features.target import Target
from models.model import Model
from models.networks.inputs import Inputs
from models.registry.storage import Storage

VersionId = NewType("VersionId", str)
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Version:
    """A loaded version: the model, and the lineage that its manifest states."""

    id: VersionId
    model: Model
    network: Mapping[str, Any]
    lineage: Mapping[str, Any]
    extras: Mapping[str, bytes]

    @property
    def trained_until(self) -> datetime:
        """No row from here on was used to train it."""
        return datetime.fromisoformat(self.lineage["trained_until"])


class Versions:
    """The versions of one project in a storage: `registry/<project>/versions/<id>/`."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"registry/{project}/versions"

    def save(
        self,
        model: Model,
        network: Mapping[str, Any],
        lineage: Mapping[str, Any],
        extras: Mapping[str, bytes],
        as_of: datetime,
    ) -> VersionId:
        """Write a version, its manifest last: without one the folder does not exist.

        The id is the date and a hash of everything in the folder, so saving the same content again changes nothing
        and two writers cannot mix their files.

        Args:
            model: encoder and weights.
            network: class_path and init_args from which the network is built again.
            lineage: JSON values: snapshot, code, config, parent, seed, libraries, and `trained_until`.
            extras: further files by name.
            as_of: the time in the data's world for which it was trained.
        """
        weights = _without_sharing(model.network.state_dict())
        files = {
            "weights.safetensors": safetensors.torch.save(weights),
            "encoder.json": model.encoder.to_json().encode(),
            "target.json": model.target.to_json().encode(),
            "network.json": _json(network),
            "lineage.json": _json(lineage),
            **extras,
        }
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        version = VersionId(f"{as_of:%Y%m%d}-{_hash(digests)}")
        for name, content in files.items():
            self.storage.create(f"{self.folder}/{version}/{name}", content)
        self.storage.create(f"{self.folder}/{version}/{MANIFEST}", _json({"version": version, "sha256": digests}))
        return version

    def load(self, version: VersionId, build: Callable[[str, dict[str, Any], Inputs], nn.Module]) -> Version:
        """Read a version, checking every file against its manifest. Nothing is unpickled.

        Args:
            version: its id.
            build: makes the network from class_path, init_args and inputs.

        Raises:
            ValueError: when there is no such version, or a file is missing or was changed.
        """
        files = self._files(version)
        network = json.loads(files.pop("network.json"))
        lineage = json.loads(files.pop("lineage.json"))
        encoder = encoding.from_json(files.pop("encoder.json").decode())
        target = Target.from_json(files.pop("target.json", b"{}").decode())  # of a version from before: 0 or 1
        inputs = encoder.inputs.for_outputs(target.num_outputs)
        module = build(network["class_path"], network["init_args"], inputs)
        weights = safetensors.torch.load(files.pop("weights.safetensors"))
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the weights of version {version} do not fit {network['class_path']}; "
                f"its code has changed since the version was trained: {error}"
            ) from error
        return Version(version, Model(encoder, module.eval(), target), network, lineage, files)

    def lineage(self, version: VersionId) -> Mapping[str, Any]:
        """What a version was made from, without loading its weights. Raises as `load` does."""
        return json.loads(self._file(version, "lineage.json", self._digests(version)["lineage.json"]))

    def trained_until(self, version: VersionId) -> datetime:
        """No row from here on was used to train `version`."""
        return datetime.fromisoformat(self.lineage(version)["trained_until"])

    def ids(self) -> list[VersionId]:
        """All complete versions, oldest first."""
        paths = self.storage.list(self.folder)
        return [VersionId(path.split("/")[-2]) for path in paths if path.endswith(f"/{MANIFEST}")]

    def _files(self, version: VersionId) -> dict[str, bytes]:
        return {name: self._file(version, name, digest) for name, digest in self._digests(version).items()}

    def _digests(self, version: VersionId) -> dict[str, str]:
        path = f"{self.folder}/{version}/{MANIFEST}"
        try:
            content = self.storage.read(path)
        except FileNotFoundError:
            known = ", ".join(self.ids()) or "none"
            raise ValueError(f"there is no version {version!r}; there are {known}") from None
        try:
            digests = json.loads(content)["sha256"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.storage.place(path)} is not a manifest: {error!r}") from error
        if not version.endswith(f"-{_hash(digests)}"):  # or a file could be changed together with its line here
            raise ValueError(
                f"{self.storage.place(path)} was changed after it was written: its files hash to "
                f"{_hash(digests)}, which is not in the name of the version; restore the file or roll back"
            )
        return digests

    def _file(self, version: VersionId, name: str, expected: str) -> bytes:
        path = f"{self.folder}/{version}/{name}"
        try:
            content = self.storage.read(path)
        except FileNotFoundError:
            raise ValueError(f"version {version} has lost {name}; restore it or roll back") from None
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise ValueError(
                f"{self.storage.place(path)} was changed after it was written: its SHA-256 is "
                f"{found[:12]}, the manifest says {expected[:12]}; restore the file or roll back"
            )
        return content


def _without_sharing(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights on the CPU, each with memory of its own: safetensors refuses those that two names share."""
    found, taken = dict[str, Tensor](), set[int]()
    for name, weight in weights.items():
        own = weight.detach().cpu().contiguous()
        storage = own.untyped_storage().data_ptr()
        found[name] = own.clone() if storage in taken else own
        taken.add(storage)
    return found


def _hash(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(_json(digests)).hexdigest()[:10]


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
