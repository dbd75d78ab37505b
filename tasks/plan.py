"""Decide what is to be done when."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from configs.schema import Project
from models.monitoring.triggers.pace import Every
from models.monitoring.triggers.situation import Situation
from models.monitoring.watches import Watched
from tasks.fetch import fetch
from tasks.step import now, registry_of, step
from tasks.weigh import attempts_before


@step
def plan_steps(project: Project) -> list[datetime]:
    """The moments of a replay: the first champion's, then one a step until the end of the history.

    A replay that was interrupted continues; one with other settings in the same storage is refused, because half of
    its answers would be those of the old settings.
    """
    registry, schedule = registry_of(project), project.schedule
    settings = project.model_dump_json(exclude={"deploy"}).encode()
    path = f"replays/{project.name}.json"
    if not registry.storage.create(path, settings) and registry.storage.read(path) != settings:
        raise ValueError(
            f"storage={project.storage!r} holds a replay of {project.name} with other settings; "
            f"remove it, or use another: --set storage={project.storage}-{hashlib.sha256(settings).hexdigest()[:6]}"
        )
    end = schedule.end or _last_event(project)
    step_length, moment = timedelta(days=schedule.step_days), schedule.first_champion
    steps = [moment]
    while moment < end:
        moment = min(moment + step_length, end)
        steps.append(moment)
    return steps


def due(project: Project, watched: Watched | None, as_of: datetime) -> str | None:
    """Why a retrain is to be tried at `as_of`, or None: the watch wants it, or the calendar says so."""
    if watched and watched.wanted:
        return watched.wanted
    attempts = attempts_before(registry_of(project).log.read(), as_of)
    return Every(project.schedule.baseline_days).reason(Situation(as_of, attempts=attempts, trained_until=as_of))


def has_champion(project: Project) -> bool:
    """Whether a model of the project is in force."""
    return registry_of(project).log.read().champion is not None


def _last_event(project: Project) -> datetime:
    moment = now()
    frame = fetch(project, project.schedule.first_champion, moment, moment)
    if frame.empty:
        raise ValueError(
            f"the source has no rows after schedule.first_champion={project.schedule.first_champion:%Y-%m-%d}; "
            "set an earlier one"
        )
    last: datetime = frame[project.data.time].max().to_pydatetime()
    return last + timedelta(seconds=1)
