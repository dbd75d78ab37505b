"""Try the arms on validation rows, and choose the one that becomes the challenger."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import Project
from configs.training import Arm, Search
from models.data.contract import Columns
from models.data.scores import as_sample
from models.data.snapshots import Snapshot
from models.data.windows import Windows
from models.evaluation.metrics.proper import log_losses
from models.model import Model
from models.registry.history import windows_tried
from models.registry.registry import Registry
from models.registry.trials import Trial
from models.registry.versions import Version, VersionId
from models.training.choice import Forecast, Tried, affordable, choose, in_blocks
from models.training.cost import Cost, total
from models.training.errors import Diverged
from models.training.histories import history
from models.training.recipes import Recipe, StreamedWindow
from models.training.search import Between, Space, Value, search
from tasks import track
from tasks.arms import Bench, arms_of, known_rows, recipe_of
from tasks.side_by_side import side_by_side
from tasks.step import columns_of, load_version, registry_of, step

logger = logging.getLogger(__name__)
BEHIND = 1.05  # times the best arm's loss so far, at half its epochs: such an arm is not worth the other half


@dataclass(frozen=True)
class Chosen:
    """An arm to be trained on all rows, and what its trial has found.

    Attributes:
        arm: with the arguments that a search has found.
        epochs: as many as were best on the validation rows; None without a trial: as the recipe says.
        reason: why this one.
        trials: of all arms.
    """

    arm: Arm
    epochs: int | None = None
    reason: str = ""
    trials: tuple[Trial, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """For the log."""
        return {"arm": self.arm.name, "choice": self.reason, "trials": [asdict(trial) for trial in self.trials]}


def choose_arms(project: Project, snapshot: Snapshot, champion: VersionId | None, attempt: str) -> list[Chosen]:
    """The arms that become challengers: the best on validation rows, or all of them where Holm's levels judge.

    One arm alone is not tried.
    """
    registry = registry_of(project)
    parent = load_version(registry, champion) if champion else None
    arms = arms_of(project, parent)
    if len(arms) == 1 and isinstance(arms[0], Arm):
        return [Chosen(arms[0])]
    if project.gate.several == "holm":
        return [_as_chosen(project, snapshot, champion, arm, attempt) for arm in arms]
    arms = _within_budget(project, registry, snapshot, parent, arms)
    trials = side_by_side(try_out, [(project, snapshot, champion, arm, attempt) for arm in arms], project.training)
    since = validation_start(snapshot.windows, parent)
    settings = {trial.arm: trial.setting for trial in trials}
    earlier = windows_tried(registry.log.read(), since, settings) if parent else None
    choice = choose([_tried(trial) for trial in trials], earlier)
    logger.info("%s", choice.reason)
    place = next(number for number, each in enumerate(trials) if each.arm == choice.name)
    return [_chosen(arms[place], trials[place], choice.reason, tuple(trials))]


@step
def try_out(project: Project, snapshot: Snapshot, champion: VersionId | None, arm: Arm | Search, attempt: str) -> Trial:
    """Train an arm on the rows before the validation rows, and see what it costs on these. Once an attempt."""
    registry = registry_of(project)
    earlier = registry.trials.find(attempt, arm.name)
    if earlier:
        return earlier
    parent = load_version(registry, champion) if champion else None
    bench = Bench.of(project, registry, snapshot, parent)
    windows = snapshot.windows
    trying = _Trying(bench, registry, attempt, validation_start(windows, parent), windows.train_end)
    found = trying.search(arm) if isinstance(arm, Search) else trying.once(arm, arm.name, arm.init_args)
    trial = registry.trials.keep(attempt, found)
    track.log({f"trial/{trial.arm}/loss": _loss(trial)})
    said = trial.problem or f"costs {trial.loss:.4f} a validation row"
    logger.info("%s %s%s", trial.arm, said, ", ended early" if trial.is_hopeless else "")
    return trial


def validation_start(windows: Windows, parent: Version | None) -> datetime:
    """From where on rows are kept to choose by: half of what is new since the champion at most."""
    if parent is None:
        return windows.validation_start
    middle = parent.trained_until + (windows.train_end - parent.trained_until) / 2
    return max(windows.validation_start, middle)


@dataclass(frozen=True)
class _Trying:
    """The trials of one attempt: trainings on rows before `until`, looked at on those from there to `end`."""

    bench: Bench
    registry: Registry
    attempt: str
    until: datetime
    end: datetime

    def once(self, arm: Arm | Search, name: str, arguments: Mapping[str, Any]) -> Trial:
        """One training; the best loss of the attempt so far is the bar for it."""
        project, columns = self.bench.project, columns_of(self.bench.project)
        how = recipe_of(project, arm.recipe, dict(arguments))
        validation = self.bench.known.after(self.until)
        key = f"{self.attempt}, trial of {name}"
        try:
            trained, cost = self.bench.train(
                how, arm.history, self.until, validation, f"trial of {name}", key, self._bar(how)
            )
        except Diverged as error:
            nothing = Cost(0.0, 0.0, "", 0)
            return self._told(arm, Trial(name, dict(arguments), None, 0, 0, False, nothing, problem=str(error)))
        self.bench.clear(key)
        fitted, costs = trained.fitted, costs_on(trained.model, validation, columns)
        mean = float(costs.mean()) if len(costs) else math.nan
        trial = Trial(
            arm=name,
            init_args=dict(arguments),
            loss=mean if math.isfinite(mean) else None,
            best_epoch=fitted.best_epoch,
            num_rows=trained.num_rows,
            is_hopeless=fitted.is_hopeless,
            cost=cost,
            notes=fitted.notes,
            block_losses=tuple(in_blocks(costs).tolist()) if math.isfinite(mean) else (),
        )
        return self._told(arm, trial)

    def search(self, arm: Search) -> Trial:
        """Many trainings, each of them kept under a name of its own; the result has the best arguments."""
        tried: list[Trial] = []

        def cost(arguments: dict[str, Value]) -> float:
            name = f"{arm.name}, {len(tried) + 1} of {arm.trials}"
            earlier = self.registry.searches.find(self.attempt, name)
            tried.append(earlier or self.registry.searches.keep(self.attempt, self.once(arm, name, arguments)))
            return _loss(tried[-1])

        search(_space(arm), arm.trials, self.bench.project.training.seed, cost)
        best = min(tried, key=_loss)
        together = total(each.cost for each in tried)
        assert together is not None
        return replace(best, arm=arm.name, cost=together)

    def _told(self, arm: Arm | Search, trial: Trial) -> Trial:
        """With the times of its validation rows, and what decides beside its name what it costs."""
        data, training = self.bench.project.data, self.bench.project.training
        general = {"network", "epochs", "patience", "learning_rate", "weight_decay", "batch_size"}
        parts = [
            arm.model_dump(mode="json"),
            data.model_dump(mode="json", include={"task", "label", "numbers", "categories", "texts", "images"}),
            training.model_dump(mode="json", include=general),
        ]
        setting = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return replace(trial, since=self.until.isoformat(), until=self.end.isoformat(), setting=setting)

    def _bar(self, how: Recipe) -> float | None:
        """The loss above which a training is hopeless, in the unit that the network learns in."""
        losses = [each.loss for each in self.registry.trials.of(self.attempt) if each.loss is not None]
        if not losses:
            return None
        return BEHIND * min(losses) / self._squared_scale(how)

    def _squared_scale(self, how: Recipe) -> float:
        if self.bench.project.data.task != "regression":
            return 1.0
        if how.start == "champion" and self.bench.parent:
            return self.bench.parent.model.target.scale**2
        return self.bench.known.label_variance() or 1.0


def costs_on(model: Model, rows: pd.DataFrame | StreamedWindow, columns: Columns) -> np.ndarray:
    """What a model costs each row, (rows,): nats, or the square of the label's unit."""
    if isinstance(rows, StreamedWindow):
        costs = [costs_on(model, frame, columns) for frame in rows.frames(model)]
        return np.concatenate(costs) if costs else np.empty(0)
    sample = as_sample(model.target.task, rows[columns.label], model.predict(rows), model.target.classes)
    is_quantity = model.target.task == "regression"
    return (sample.labels - sample.scores) ** 2 if is_quantity else log_losses(sample.labels, sample.scores)


def _tried(trial: Trial) -> Tried:
    # A trial that was kept by an earlier version has no blocks: it is compared by its mean alone.
    blocks = trial.block_losses or (_loss(trial),)
    return Tried(trial.arm, _loss(trial), np.array(blocks), trial.cost.num_passes, trial.is_hopeless)


def _loss(trial: Trial) -> float:
    return math.inf if trial.loss is None else trial.loss


def _chosen(arm: Arm | Search, trial: Trial, reason: str, trials: tuple[Trial, ...]) -> Chosen:
    as_tried = Arm(recipe=arm.recipe, history=arm.history, init_args=dict(trial.init_args))
    return Chosen(as_tried, trial.best_epoch, reason, trials)


def _as_chosen(
    project: Project, snapshot: Snapshot, champion: VersionId | None, arm: Arm | Search, attempt: str
) -> Chosen:
    if isinstance(arm, Arm):
        return Chosen(arm)
    trial = try_out(project, snapshot, champion, arm, attempt)
    return _chosen(arm, trial, f"the best of {arm.trials} trainings", (trial,))


def _space(arm: Search) -> Space:
    return {
        name: where.choices or Between(float(where.low or 0.0), float(where.high or 0.0), where.log)
        for name, where in arm.space.items()
    }


def _within_budget(
    project: Project, registry: Registry, snapshot: Snapshot, parent: Version | None, arms: list[Arm | Search]
) -> list[Arm | Search]:
    """The arms that the budget allows, the cheapest first, so that the others have a bar."""
    rate = _rows_per_second(registry)
    forecasts = _forecasts(project, registry, snapshot, parent, arms)
    ordered = sorted(arms, key=lambda arm: forecasts[arm.name])
    minutes = project.training.budget_minutes
    if minutes is None or rate is None:
        return ordered
    allowed = affordable([Forecast(name, passes) for name, passes in forecasts.items()], rate, 60 * minutes)
    if allowed.left_out:
        logger.info("%s", allowed.reason)
    return [arm for arm in ordered if arm.name in allowed.names]


def _forecasts(
    project: Project, registry: Registry, snapshot: Snapshot, parent: Version | None, arms: list[Arm | Search]
) -> dict[str, int]:
    """Rows that would go through the training steps of each arm, at most."""
    known, found = known_rows(project, registry, snapshot), {}
    for arm in arms:
        how = recipe_of(project, arm.recipe, {} if isinstance(arm, Search) else arm.init_args)
        since = parent.trained_until if parent and how.start == "champion" else None
        weighing = history(arm.history.name, **arm.history.init_args)
        rows = known.material(weighing, since, snapshot.windows.train_end)
        times = arm.trials if isinstance(arm, Search) else 1
        found[arm.name] = times * how.passes(rows.num_new, rows.num_old)
    return found


def _rows_per_second(registry: Registry) -> float | None:
    """Of the trainings of this project, the newest first; None before there was one."""
    for entry in reversed(registry.log.read().entries):
        cost = entry.evidence.get("cost") if entry.kind == "registered" else None
        if cost and cost["seconds"]:
            return float(cost["num_passes"] / cost["seconds"])
    return None
