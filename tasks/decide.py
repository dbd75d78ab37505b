"""Decide, and write the decision into the log: the only place that says who the champion is."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import Project
from models.data.contract import days
from models.data.snapshots import Snapshot
from models.data.windows import between
from models.evaluation.gate import Guardrail, Judgement, Minima, judge
from models.evaluation.metrics import AUC, LOG_LOSS
from models.monitoring.quality import QualityCheck
from models.registry.log import ChampionChanged, Entry, Kind
from models.registry.registry import Registry
from models.registry.versions import VersionId
from tasks.report import decision_path
from tasks.step import columns_of, load_version, now, registry_of, step

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One try to replace the champion: why, as of when, against whom, and the answer if it has one already."""

    id: str
    trigger: str
    as_of: datetime
    champion: VersionId | None
    diagnosis: dict[str, str] | None
    answer: Entry | None
    is_published: bool
    objection: str | None


@step
def begin(project: Project, as_of: datetime, trigger: str) -> Attempt:
    """Open an attempt, or find what a killed run had begun; a broken feed or a serving fault forbids a new one."""
    registry = registry_of(project)
    state, attempt = registry.log.read(), f"retrain {as_of.isoformat()}"
    registered = state.registered(attempt)
    watched, answer = registry.watches.last(as_of), state.answer(attempt)
    diagnosis = watched.diagnosis if watched and watched.champion == state.champion else None
    return Attempt(
        id=attempt,
        trigger=trigger,
        as_of=as_of,
        champion=registered.against if registered else state.champion,
        diagnosis=asdict(diagnosis) if diagnosis else None,
        answer=answer,
        is_published=answer is not None and decision_path(project, answer).exists(),
        objection=diagnosis.reason if diagnosis and diagnosis.forbids_retrain else None,
    )


@step
def object_to(
    project: Project, snapshot: Snapshot, faults: list[QualityCheck], champion: VersionId | None
) -> str | None:
    """Why nothing should be trained on this snapshot, or None: asked before any training time is spent."""
    if faults:
        found = ", ".join(fault.sentence for fault in faults[:3])
        return f"The rows new since the champion are not what it was trained on: {found}."
    if champion and not snapshot.num_new_rows:
        return "There are no labelled rows to learn from since the champion was trained, beyond those kept for judging."
    if snapshot.holdout_labelled_share < project.watch.min_mature_share:
        arrived = f"{snapshot.holdout_labelled_share:.0%} of the labels of the holdout have arrived"
        return f"Only {arrived}, and the rows that have one may be unlike the others."
    num_negatives = snapshot.holdout_rows - snapshot.holdout_positives
    lacking = _minima(project).lacking(snapshot.holdout_groups, snapshot.holdout_positives, num_negatives)
    return f"The holdout could not show anything: {lacking}." if lacking else None


@step
def decline(project: Project, attempt: Attempt, reason: str) -> Entry:
    """Record that a retrain was not begun, and why."""
    registry, evidence = registry_of(project), {"trigger": attempt.trigger, "diagnosis": attempt.diagnosis}
    return _append(registry, "declined", reason, attempt, registry.log.read().champion, None, evidence)


@step
def decide(project: Project, attempt: Attempt, snapshot: Snapshot, challenger: VersionId) -> Entry:
    """Judge the challenger against the champion in force and record the answer.

    When another writer changes the champion meanwhile, the challenger is judged again, against the new one.
    """
    registry = registry_of(project)
    while True:
        champion = registry.log.read().champion
        judgement = _judge(project, registry, snapshot, challenger, champion)
        evidence = _evidence(project, registry, attempt, snapshot, judgement)
        try:
            return _append(registry, judgement.answer, judgement.reason, attempt, champion, challenger, evidence)
        except ChampionChanged as change:
            logger.info("deciding again: %s", change)


def _judge(
    project: Project, registry: Registry, snapshot: Snapshot, challenger: VersionId, champion: VersionId | None
) -> Judgement:
    columns, windows = columns_of(project), snapshot.windows
    frame = registry.snapshots.read(snapshot)
    holdout = windows.holdout(frame, columns.time)
    labels, groups = holdout[columns.label].to_numpy(), days(holdout[columns.time], columns.timezone)
    seen = {version: registry.versions.trained_until(version) for version in (champion, challenger) if version}
    embargo = timedelta(days=project.embargo_days)
    if spoilt := [version for version, until in seen.items() if until + embargo > windows.holdout_start]:
        return Judgement(
            "inconclusive",
            f"Rows of this holdout, or of the embargo before it, were used to train {' and '.join(spoilt)}.",
            num_rows=len(labels),
            num_groups=len(np.unique(groups)),
            num_positives=int(labels.sum()),
        )
    return judge(
        labels,
        _champion_scores(project, registry, frame, holdout, windows.train_end, champion),
        load_version(registry, challenger).model.predict(holdout),
        groups,
        alpha=project.gate.alpha,
        minima=_minima(project),
        **(_against_champion(project) if champion else _against_constant(project)),
    )


def _champion_scores(
    project: Project,
    registry: Registry,
    frame: pd.DataFrame,
    holdout: pd.DataFrame,
    train_end: datetime,
    champion: VersionId | None,
) -> np.ndarray:
    if champion:
        return load_version(registry, champion).model.predict(holdout)
    columns = columns_of(project)
    # Without a champion the first model has to beat the share of positives among the rows it was trained on.
    prior = between(frame, columns.time, project.schedule.start, train_end)[columns.label].mean()
    return np.full(len(holdout), prior)


def _minima(project: Project) -> Minima:
    gate = project.gate
    return Minima(gate.min_groups, gate.min_positives, gate.min_negatives)


def _against_champion(project: Project) -> dict[str, Any]:
    gate = project.gate
    guardrails = (Guardrail("auc", gate.auc_margin), Guardrail("calibration_error", gate.calibration_margin))
    return {"primary": LOG_LOSS, "min_gain": gate.min_gain, "guardrails": guardrails}


def _against_constant(project: Project) -> dict[str, Any]:
    # A constant is hard to beat in log loss on two weeks of one season, and says nothing about any row: a first
    # champion must rank rows, and may not cost more than the constant by its margin.
    gate = project.gate
    guardrails = (Guardrail("log_loss", gate.first_log_loss_margin),)
    return {"primary": AUC, "min_gain": gate.first_min_auc - 0.5, "guardrails": guardrails}


def _evidence(
    project: Project, registry: Registry, attempt: Attempt, snapshot: Snapshot, judgement: Judgement
) -> dict[str, Any]:
    registered = registry.log.read().registered(attempt.id)
    windows = {name: moment.isoformat() for name, moment in asdict(snapshot.windows).items()}
    return {
        "trigger": attempt.trigger,
        "diagnosis": attempt.diagnosis,
        "windows": windows | {"embargo_days": project.embargo_days},
        "snapshot": {"id": snapshot.id, "num_rows": snapshot.num_rows},
        "training": dict(registered.evidence) if registered else None,
        "judgement": asdict(judgement),
    }


def _append(
    registry: Registry,
    kind: Kind,
    reason: str,
    attempt: Attempt,
    champion: VersionId | None,
    version: VersionId | None,
    evidence: dict[str, Any],
) -> Entry:
    entry = registry.log.append(
        kind,
        reason,
        attempt=attempt.id,
        version=version,
        against=champion,
        as_of=attempt.as_of,
        now=now(),
        evidence=evidence,
    )
    logger.info("%s: %s", entry.kind, entry.reason)
    return entry
