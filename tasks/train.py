"""Train a challenger, from the champion's checkpoint or from scratch, and keep it as a version."""

from __future__ import annotations

import hashlib
import io
import platform
import time
from datetime import datetime
from importlib.metadata import version as installed
from typing import Any, Literal

import pandas as pd
import torch

from configs.schema import Project
from models.data.predictions import SCORE
from models.data.snapshots import Snapshot
from models.data.windows import between
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from models.training.fit import FitSettings
from models.training.recipes import Trained, finetune, scratch
from tasks import track
from tasks.ingest import expectations_of
from tasks.step import build_network, code_revision, columns_of, load_version, now, registry_of, step

Recipe = Literal["finetune", "scratch"]
REFERENCE_ROWS = 20_000
LIBRARIES = ("torch", "lightning", "pandas", "numpy", "nannyml")


@step
def train(
    project: Project, snapshot: Snapshot, champion: VersionId | None, attempt: str, as_of: datetime
) -> list[VersionId]:
    """Train a challenger by each recipe: a run that was killed finds them in the log, or trains the same again."""
    registry = registry_of(project)
    parent = load_version(registry, champion) if champion else None
    return [
        _challenger(project, registry, snapshot, parent, recipe, attempt, as_of) for recipe in recipes(project, parent)
    ]


def recipes(project: Project, parent: Version | None) -> list[Recipe]:
    """What is trained: as the YAML says, but from scratch where there is no champion that could be continued.

    A network of another shape, or other features, can only be trained from scratch.
    """
    if parent is None or not _continues(project, parent):
        return ["scratch"]
    return list(dict.fromkeys(project.training.recipes))


def _challenger(
    project: Project,
    registry: Registry,
    snapshot: Snapshot,
    parent: Version | None,
    recipe: Recipe,
    attempt: str,
    as_of: datetime,
) -> VersionId:
    own_name = f"{attempt} by {recipe}"
    earlier = registry.log.read().registered(own_name)
    if earlier and earlier.version:
        return earlier.version
    started = time.monotonic()
    frame = registry.snapshots.read(snapshot)
    if recipe == "finetune" and parent is not None:
        trained, until = _finetune(project, snapshot, frame, parent)
    else:
        trained, until = _scratch(project, snapshot, frame), snapshot.windows.train_end
    champion = parent.id if parent else None
    lineage = _lineage(project, snapshot, trained, champion, until)
    version = _save(project, registry, snapshot, frame, trained, lineage, as_of)
    evidence = {
        "recipe": trained.recipe,
        "num_rows": trained.num_rows,
        "seconds": round(time.monotonic() - started, 2),
        "device": _device(project),
        "history": trained.history,
    }
    entry = registry.log.append(
        "registered",
        f"Trained by {trained.recipe} on {trained.num_rows:,} rows.",
        attempt=own_name,
        version=version,
        against=champion,
        as_of=as_of,
        now=now(),
        evidence=evidence,
    )
    assert entry.version is not None
    return entry.version  # of two processes with the same attempt, that of the one that was first


def _scratch(project: Project, snapshot: Snapshot, frame: pd.DataFrame) -> Trained:
    columns, training, windows = columns_of(project), project.training, snapshot.windows
    return scratch(
        lambda inputs: build_network(training.network.class_path, training.network.init_args, inputs),
        windows.train(frame, columns.time),
        windows.validation(frame, columns.time),
        columns.label,
        columns.numbers,
        columns.categories,
        _settings(project, training.epochs, training.learning_rate, patience=training.patience),
        on_epoch=track.log,
    )


def _finetune(project: Project, snapshot: Snapshot, frame: pd.DataFrame, parent: Version) -> tuple[Trained, datetime]:
    """The fine-tuned model, and until when rows were used: not the validation rows when they are to choose by."""
    columns, training, windows = columns_of(project), project.training, snapshot.windows
    chooses = len(recipes(project, parent)) > 1 and project.gate.several == "validation"
    until = windows.validation_start if chooses else windows.train_end
    if until <= parent.trained_until:
        raise ValueError(
            f"gate.several=validation keeps the rows from {until:%Y-%m-%d %H:%M} on to choose by, and the champion was "
            f"trained until {parent.trained_until:%Y-%m-%d %H:%M}; wait, shorten training.validation_days, or set "
            "gate.several to holm"
        )
    tune = training.finetune
    trained = finetune(
        parent.model,
        new=between(frame, columns.time, parent.trained_until, until),
        old=between(frame, columns.time, windows.train_start, parent.trained_until),
        label=columns.label,
        replay_ratio=tune.replay_ratio,
        settings=_settings(project, tune.epochs, tune.learning_rate, ema_decay=tune.ema_decay),
        on_epoch=track.log,
    )
    return trained, until


def _continues(project: Project, parent: Version) -> bool:
    """Whether the YAML still asks for the network and the features that the champion has: else only scratch can."""
    columns, wanted = columns_of(project), project.training.network.model_dump(mode="json")
    has = (tuple(parent.model.encoder.numbers), tuple(parent.model.encoder.categories))
    return parent.network == wanted and has == (columns.numbers, columns.categories)


def _settings(project: Project, epochs: int, learning_rate: float, **kind: Any) -> FitSettings:
    training = project.training
    return FitSettings(
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=training.batch_size,
        weight_decay=training.weight_decay,
        seed=training.seed,
        accelerator=training.accelerator,
        **kind,
    )


def _save(
    project: Project,
    registry: Registry,
    snapshot: Snapshot,
    frame: pd.DataFrame,
    trained: Trained,
    lineage: dict[str, Any],
    as_of: datetime,
) -> VersionId:
    columns, windows = columns_of(project), snapshot.windows
    expectations = expectations_of(project, snapshot)
    holdout = windows.holdout(frame, columns.time)
    reference = holdout.sample(min(len(holdout), REFERENCE_ROWS), random_state=project.training.seed).sort_index()
    buffer = io.BytesIO()
    reference.assign(**{SCORE: trained.model.predict(reference)}).to_parquet(buffer, compression="zstd", index=False)
    return registry.versions.save(
        trained.model,
        network=project.training.network.model_dump(mode="json"),
        lineage=lineage,
        extras={"expectations.json": expectations.to_json().encode(), "reference.parquet": buffer.getvalue()},
        as_of=as_of,
    )


def _lineage(
    project: Project, snapshot: Snapshot, trained: Trained, champion: VersionId | None, until: datetime
) -> dict[str, Any]:
    config = project.model_dump_json()
    return {
        "project": project.name,
        "trained_from": snapshot.windows.train_start.isoformat(),
        "trained_until": until.isoformat(),
        "snapshot": snapshot.id,
        "parent": champion if trained.recipe == "finetune" else None,
        "recipe": trained.recipe,
        "num_rows": trained.num_rows,
        "seed": project.training.seed,
        "code_revision": code_revision(),
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "config": project.model_dump(mode="json"),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "hardware": _device(project),
    }


def _device(project: Project) -> str:
    uses_cuda = project.training.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return (
        torch.cuda.get_device_name() if uses_cuda else f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
    )
