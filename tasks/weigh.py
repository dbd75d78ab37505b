"""Weigh whether a retrain is wanted: what the project's triggers say of the looks so far."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace
from datetime import datetime, timedelta

from configs.schema import Project
from models.monitoring.daily import LABELLED_ROWS
from models.monitoring.measures import Measures, measures_of
from models.monitoring.standing import Standing, standing
from models.monitoring.triggers.compound import AnyOf
from models.monitoring.triggers.situation import Look, Situation
from models.monitoring.watches import Watched
from models.registry.log import State
from models.registry.registry import Registry
from tasks.step import registry_of, step

LOOKS = 100  # that a trigger can look back on
TRAININGS = 5  # by which the next one is forecast
ONE_DAY = timedelta(days=1)


@step
def weigh(project: Project, watched: Watched) -> Watched:
    """The look, with the reason why a retrain is wanted; none where a fault stands, whatever the triggers would say."""
    if watched.diagnosis.forbids_retrain:
        return watched
    triggers = AnyOf(tuple(each.build() for each in project.watch.triggers))
    return replace(watched, wanted=triggers.reason(situation_of(project, watched)))


def situation_of(project: Project, watched: Watched) -> Situation:
    """What the triggers see: the looks at the present champion, and the attempts to replace it."""
    registry = registry_of(project)
    state = registry.log.read()
    looks = [*_looks_before(registry, watched), watched][-LOOKS:]
    measures = measures_of(project.data.task)
    shown = tuple(_look(look, measures) for look in looks)
    days = max((watched.as_of - watched.start) / ONE_DAY, 1e-9)
    return Situation(
        as_of=watched.as_of,
        looks=shown,
        attempts=attempts_before(state, watched.as_of),
        trained_until=registry.versions.trained_until(watched.champion),
        series=tuple(sorted(_names(project, looks))),
        rows_a_day=watched.num_rows / days,
        training_hours=_training_hours(state),
    )


def attempts_before(state: State, as_of: datetime) -> tuple[datetime, ...]:
    """When retrains were tried that were not declined, oldest first."""
    begun = (entry for entry in state.entries if entry.attempt.startswith("retrain ") and entry.kind != "declined")
    return tuple(sorted({moment for entry in begun if (moment := datetime.fromisoformat(entry.as_of)) < as_of}))


def standing_at(project: Project, as_of: datetime) -> Standing:
    """Whether something was wrong with what was in production, and since when, after the looks until `as_of`."""
    looks = itertools.islice(registry_of(project).watches.backwards(as_of), LOOKS)
    return standing((look.as_of, look.diagnosis.verdict) for look in looks)


def unanswered_wish(project: Project, watched: Watched) -> Watched | None:
    """The newest look at this champion, this one included, that wanted a retrain and has no answer in the log.

    An event may be lost, and so may the run that it started: each look asks for what an earlier one has asked for,
    unless it found a fault, or a retrain as of that moment or a later one was answered.
    """
    if watched.diagnosis.forbids_retrain:
        return None
    registry = registry_of(project)
    wanting = (look for look in [watched, *_looks_before(registry, watched)[::-1]] if look.wanted)
    wish = next(wanting, None)
    if wish is None:
        return None
    answers = (entry for entry in registry.log.read().decisions if entry.attempt.startswith("retrain "))
    is_answered = any(datetime.fromisoformat(entry.as_of) >= wish.as_of for entry in answers)
    return None if is_answered else wish


def _training_hours(state: State) -> float | None:
    """The median of what the last trainings took; None before the first."""
    took = [entry.evidence["seconds"] for entry in state.entries if entry.kind == "registered"][-TRAININGS:]
    return statistics.median(took) / 3600 if took else None


def _looks_before(registry: Registry, watched: Watched) -> list[Watched]:
    """Earlier looks at the same champion, oldest first."""
    earlier = (look for look in registry.watches.backwards(watched.as_of) if look.as_of < watched.as_of)
    same = itertools.takewhile(lambda look: look.champion == watched.champion, earlier)
    return list(itertools.islice(same, LOOKS))[::-1]


def _look(watched: Watched, measures: Measures) -> Look:
    evidence = watched.evidence
    values = {series.name: series.last for series in watched.series}
    values |= {f"estimated_{each.metric}": each.value for each in reversed(evidence.estimates)}  # the first one counts
    loss = evidence.realised.of(measures.loss.name) if evidence.realised else None
    rows = watched.named(LABELLED_ROWS)
    return Look(
        as_of=watched.as_of,
        verdict=watched.diagnosis.verdict,
        values={name: value for name, value in values.items() if value is not None},
        alarms=tuple(alarm.series for alarm in evidence.alarms if alarm.is_raised),
        new_labelled_rows=int(sum(rows.values)) if rows else 0,
        regret=loss.worse if loss else None,
    )


def _names(project: Project, looks: list[Watched]) -> set[str]:
    """The series that a look of the project may have, whether it had a value yet or not."""
    seen = {series.name for look in looks for series in look.series}
    columns = {f"drift.{name}" for name in project.data.features}
    business = {each.name for each in project.watch.business}
    metrics = {metric.name for metric in measures_of(project.data.task).watched}
    estimated = {f"estimated_{name}" for name in metrics}
    return {LABELLED_ROWS} | metrics | estimated | columns | business | seen
