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
from models.networks.inputs import Inputs
from models.registry.registry import Registry
from models.registry.versions import Version
from models.training.cost import Cost
from models.training.fit import FitSettings
from models.training.histories import history
from models.training.recipes import Columns, Material, Recipe, Trained, cook, recipe
from tasks.meter import metered
from tasks.step import build_network, columns_of, features_of

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
        frame: all labelled rows from the start of the training window to its end, in time order.
        work: a folder for the state of trainings that are under way.
    """

    project: Project
    frame: pd.DataFrame
    parent: Version | None
    work: Path

    @classmethod
    def of(cls, project: Project, registry: Registry, frame: pd.DataFrame, parent: Version | None) -> Bench:
        """With its folder on this machine, wherever the project's storage is."""
        return cls(project, frame, parent, project.work / "trainings" / project.name)

    def train(
        self,
        how: Recipe,
        rows: History,
        until: datetime,
        validation: pd.DataFrame | None,
        name: str,
        key: str,
        bar: float | None = None,
        on_epoch: Callable[[dict[str, float]], None] = lambda numbers: None,
    ) -> tuple[Trained, Cost]:
        """Train once, on the rows of a history before `until`; a training that was killed goes on from its last state.

        `name` is that of its log lines; its state is kept under `key` until `clear`.
        """
        columns, parent = columns_of(self.project), self.parent if how.start == "champion" else None
        known = self.frame[self.frame[columns.time] < pd.Timestamp(until)]
        since = parent.trained_until if parent else None
        weighing = history(rows.name, **rows.init_args)
        return metered(
            self.project.training,
            lambda: cook(
                how,
                self.build,
                parent.model if parent else None,
                Material.of(known, columns.time, columns.label, weighing, since, until),
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
            ),
            lambda trained: trained.fitted.num_passes,
        )

    def build(self, inputs: Inputs) -> nn.Module:
        """The project's network for some inputs."""
        network = self.project.training.network
        return build_network(network.class_path, network.init_args, inputs)

    def clear(self, key: str) -> None:
        """Forget the state of a training whose result is kept."""
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def _folder(self, key: str) -> Path:
        return self.work / hashlib.sha256(key.encode()).hexdigest()[:16]


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
