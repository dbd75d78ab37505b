"""The arms of a project: which ones can be trained, and one training of one of them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from configs.schema import Project
from configs.training import Arm, History, Search
from models.data.snapshots import Snapshot
from models.data.table import Table, TooLittleMemory
from models.data.windows import between
from models.networks.inputs import Inputs
from models.registry.registry import Registry
from models.registry.versions import Version
from models.training.cost import Cost
from models.training.histories import history
from models.training.known import Filed, Held, Known
from models.training.recipes import Columns, Recipe, StreamedWindow, Trained, cook, recipe
from models.training.settings import FitSettings
from tasks.limit import limited
from tasks.meter import metered
from tasks.step import build_network, columns_of, features_of, memory_of

SCRATCH = "scratch"


def arms_of(project: Project, parent: Version | None) -> list[Arm | Search]:
    """What is tried: as the YAML says, but from scratch alone where there is no champion that could be continued.

    A network of another shape, or other features, can only be trained from scratch.
    """
    training = project.training
    arms: list[Arm | Search] = [*training.arms, *([training.search] if training.search else [])]
    if parent is not None and continues(project, parent):
        return arms
    return [arm for arm in arms if recipe(arm.recipe).start == SCRATCH] or [Arm(recipe=SCRATCH)]


def continues(project: Project, parent: Version) -> bool:
    """Whether the YAML still asks for the network, the features and the label that the champion has."""
    wanted = project.training.network.model_dump(mode="json")
    return (
        parent.network == wanted
        and features_of(project).are_those_of(parent.model.encoder)
        and parent.model.target.task == project.data.task
    )


def recipe_of(project: Project, name: str, arguments: dict[str, Any]) -> Recipe:
    """A recipe with a project's settings; what its arm says goes before what `training` says of all."""
    training = project.training
    general = {"epochs": training.epochs, "patience": training.patience, "learning_rate": training.learning_rate}
    return recipe(name, **((general if name == SCRATCH else {}) | arguments))


@dataclass(frozen=True)
class Bench:
    """The rows that an attempt trains on, and the champion that it may continue.

    Attributes:
        known: all labelled rows from the start of the training window to its end.
        work: a folder for the state of trainings that are under way.
    """

    project: Project
    known: Known
    parent: Version | None
    work: Path

    @classmethod
    def of(cls, project: Project, registry: Registry, snapshot: Snapshot, parent: Version | None) -> Bench:
        """For the rows of a snapshot, with its folder on this machine, wherever the project's storage is."""
        return cls(project, known_rows(project, registry, snapshot), parent, project.work / "trainings" / project.name)

    def train(
        self,
        how: Recipe,
        rows: History,
        until: datetime,
        validation: pd.DataFrame | StreamedWindow | None,
        name: str,
        key: str,
        bar: float | None = None,
        on_epoch: Callable[[dict[str, float]], None] = lambda numbers: None,
    ) -> tuple[Trained, Cost]:
        """Train once, on the rows of a history before `until`; a training that was killed goes on from its last state.

        `name` is that of its log lines; its state is kept under `key` until `clear`.

        Raises:
            ValueError: when training.memory_mib is too little.
        """
        columns, parent = columns_of(self.project), self.parent if how.start == "champion" else None
        since = parent.trained_until if parent else None
        weighing = history(rows.name, **rows.init_args)

        def cooked() -> Trained:
            return cook(
                how,
                self.build,
                parent.model if parent else None,
                self.known.material(weighing, since, until),
                validation,
                Columns(
                    columns.label,
                    columns.numbers,
                    columns.categories,
                    self.project.data.task,
                    features_of(self.project),
                ),
                replace(settings_of(self.project), bar=bar),
                checkpoint=self._folder(key),
                name=name,
                on_epoch=on_epoch,
                on_pulse=on_pulse,
            )

        try:
            with limited(self.project.training) as on_pulse:
                return metered(self.project.training, cooked, lambda trained: trained.fitted.num_passes)
        except TooLittleMemory as error:
            given = self.project.training.memory_mib
            raise ValueError(f"training.memory_mib={given} is too little; raise it ({error})") from error

    def build(self, inputs: Inputs) -> nn.Module:
        """The project's network for some inputs."""
        network = self.project.training.network
        return build_network(network.class_path, network.init_args, inputs)

    def clear(self, key: str) -> None:
        """Forget the state of a training whose result is kept."""
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def _folder(self, key: str) -> Path:
        return self.work / hashlib.sha256(key.encode()).hexdigest()[:16]


def known_rows(project: Project, registry: Registry, snapshot: Snapshot) -> Known:
    """The rows of a snapshot that may be trained on: in memory, or in their file as training.memory_mib says."""
    columns, windows, memory = columns_of(project), snapshot.windows, memory_of(project)
    if memory is None:
        frame = between(registry.snapshots.read(snapshot), columns.time, windows.train_start, windows.train_end)
        return Held(frame, columns.time, columns.label)
    path = registry.snapshots.file(snapshot.id)
    return Filed(Table(path, columns.label, columns.time, windows.train_start, windows.train_end), memory)


def settings_of(project: Project) -> FitSettings:
    """What all trainings of a project have in common; the rest is in their recipe."""
    training = project.training
    return FitSettings(
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        weight_decay=training.weight_decay,
        seed=training.seed,
        accelerator=training.accelerator,
        devices=training.devices,
        strategy=training.strategy,
        precision=training.precision,
        compile=training.compile,
        stall_seconds=60 * training.stall_minutes,
    )
