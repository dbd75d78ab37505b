"""Decide what is to be done when."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from configs.schema import Project
from models.data.contract import read
from models.monitoring.triggers import retrain_trigger
from models.monitoring.watches import Watched
from tasks.step import columns_of, now, registry_of, step


@step
def plan_steps(project: Project) -> list[datetime]:
    """The moments of a replay: the first champion's, then one a step until the end of the history.

    A replay that was interrupted continues; one with other settings in the same storage is refused, because half of
    its answers would be those of the old settings.
    """
    registry, schedule = registry_of(project), project.schedule
    settings = project.model_dump_json().encode()
    path = f"replays/{project.name}.json"
    if not registry.storage.create(path, settings) and registry.storage.read(path) != settings:
        raise ValueError(
            f"storage={project.storage!r} holds a replay of {project.name} with other settings; "
            f"remove it, or use another folder: --set storage=.perennial-{hashlib.sha256(settings).hexdigest()[:6]}"
        )
    end = schedule.end or _last_event(project)
    step_length, moment = timedelta(days=schedule.step_days), schedule.first_champion
    steps = [moment]
    while moment < end:
        moment = min(moment + step_length, end)
        steps.append(moment)
    return steps


def due(project: Project, watched: Watched | None, as_of: datetime) -> str | None:
    """Why a retrain is to be tried at `as_of`, or None."""
    entries = registry_of(project).log.read().entries
    begun = [entry for entry in entries if entry.attempt.startswith("retrain ") and entry.kind != "declined"]
    earlier = [datetime.fromisoformat(entry.as_of) for entry in begun if datetime.fromisoformat(entry.as_of) < as_of]
    return retrain_trigger(
        watched.diagnosis if watched else None,
        max(earlier, default=None),
        as_of,
        timedelta(days=project.schedule.baseline_days),
    )


def has_champion(project: Project) -> bool:
    """Whether a model of the project is in force."""
    return registry_of(project).log.read().champion is not None


def _last_event(project: Project) -> datetime:
    moment = now()
    frame = read(project.data.source.build(), columns_of(project), project.schedule.first_champion, moment, moment)
    if frame.empty:
        raise ValueError(
            f"the source has no rows after schedule.first_champion={project.schedule.first_champion:%Y-%m-%d}; "
            "set an earlier one"
        )
    last: datetime = frame[project.data.time].max().to_pydatetime()
    return last + timedelta(seconds=1)
