"""Train a challenger, from the champion's checkpoint or from scratch, and keep it as a version."""

from __future__ import annotations

import hashlib
import io
import platform
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version as installed
from typing import Any

from configs.schema import Project
from models.data.scores import put_scores
from models.data.snapshots import Snapshot
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from models.training.choice import again
from models.training.cost import Cost, total
from models.training.recipes import Recipe, Trained
from tasks import track
from tasks.arms import Bench, recipe_of
from tasks.choose import Chosen
from tasks.ingest import expectations_of
from tasks.meter import device_name
from tasks.step import code_revision, columns_of, load_version, now, registry_of, step

REFERENCE_ROWS = 20_000
LIBRARIES = ("torch", "lightning", "pandas", "numpy", "nannyml")


@step
def train(
    project: Project,
    snapshot: Snapshot,
    champion: VersionId | None,
    chosen: Chosen,
    attempt: str,
    as_of: datetime,
    lease: int | None = None,
) -> VersionId:
    """Train a challenger on all rows: a run that was killed finds it in the log, or goes on with its training."""
    registry = registry_of(project)
    own_name = f"{attempt} by {chosen.arm.name}"
    earlier = registry.log.read().registered(own_name)
    if earlier and earlier.version:
        return earlier.version
    parent = load_version(registry, champion) if champion else None
    bench = Bench.of(project, registry, snapshot, parent)
    how = recipe_of(project, chosen.arm.recipe, chosen.arm.init_args)
    trained, cost = _all_rows(bench, snapshot, how, chosen, own_name)
    lineage = _lineage(project, snapshot, trained, chosen, parent if how.start == "champion" else None)
    version = _save(project, registry, snapshot, trained, lineage, as_of)
    entry = registry.log.append(
        "registered",
        f"Trained by {chosen.arm.name} on {trained.num_rows:,} rows.",
        attempt=own_name,
        version=version,
        against=champion,
        as_of=as_of,
        now=now(),
        evidence=_evidence(trained, chosen, cost),
        lease=lease,
    )
    bench.clear(own_name)
    track.summarise(**{f"training/{name}": value for name, value in entry.evidence["cost_with_trials"].items()})
    assert entry.version is not None
    return entry.version  # of two processes with the same attempt, that of the one that was first


def _all_rows(bench: Bench, snapshot: Snapshot, how: Recipe, chosen: Chosen, key: str) -> tuple[Trained, Cost]:
    """All rows up to the embargo; without a trial, one that stops by itself needs the last of them to be stopped by."""
    windows = snapshot.windows
    if chosen.epochs is not None:
        how = again(how, chosen.epochs)
    if how.patience is None:
        return bench.train(how, chosen.arm.history, windows.train_end, None, chosen.arm.name, key, on_epoch=track.log)
    validation = bench.known.after(windows.validation_start)
    return bench.train(
        how, chosen.arm.history, windows.validation_start, validation, chosen.arm.name, key, on_epoch=track.log
    )


def _evidence(trained: Trained, chosen: Chosen, cost: Cost) -> dict[str, Any]:
    """What the training took: the version's card."""
    whole = total([cost, *(trial.cost for trial in chosen.trials)])
    assert whole is not None
    return {
        "recipe": trained.recipe,
        "num_rows": trained.num_rows,
        "seconds": round(cost.seconds, 2),
        "device": cost.device,
        "cost": asdict(cost),
        "cost_with_trials": asdict(whole),
        "notes": list(trained.fitted.notes),
        "history": trained.fitted.history,
        **chosen.record,
    }


def _save(
    project: Project,
    registry: Registry,
    snapshot: Snapshot,
    trained: Trained,
    lineage: dict[str, Any],
    as_of: datetime,
) -> VersionId:
    columns, windows = columns_of(project), snapshot.windows
    expectations = expectations_of(project, snapshot)
    holdout = registry.snapshots.window(snapshot.id, None, columns.time, windows.holdout_start, windows.holdout_end)
    reference = holdout.sample(min(len(holdout), REFERENCE_ROWS), random_state=project.training.seed).sort_index()
    buffer = io.BytesIO()
    scored = put_scores(reference, trained.model.predict(reference), trained.model.target)
    scored.to_parquet(buffer, compression="zstd", index=False)
    return registry.versions.save(
        trained.model,
        network=project.training.network.model_dump(mode="json"),
        lineage=lineage,
        extras={"expectations.json": expectations.to_json().encode(), "reference.parquet": buffer.getvalue()},
        as_of=as_of,
    )


def _lineage(
    project: Project, snapshot: Snapshot, trained: Trained, chosen: Chosen, parent: Version | None
) -> dict[str, Any]:
    config = project.model_dump_json(exclude={"deploy"})  # where a project runs makes no other model
    return {
        "project": project.name,
        "trained_from": snapshot.windows.train_start.isoformat(),
        "trained_until": snapshot.windows.train_end.isoformat(),
        "snapshot": snapshot.id,
        "parent": parent.id if parent else None,
        "recipe": trained.recipe,
        "arm": chosen.arm.name,
        "num_rows": trained.num_rows,
        "seed": project.training.seed,
        "code_revision": code_revision(),
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "config": project.model_dump(mode="json", exclude={"deploy"}),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "hardware": device_name(project.training),
    }
