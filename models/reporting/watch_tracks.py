"""How looks become tracks: what each look has seen of a number, champion by champion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TypeVar

from models.evaluation.metrics import METRICS
from models.evaluation.testing import EVERYWHERE
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.evidence import SeriesAlarm
from models.monitoring.performance import Change
from models.monitoring.series import Series
from models.monitoring.watches import Watched
from models.reporting.tracks import Group, Point, Spell, Stretch, Track, finite, mean

Found = TypeVar("Found")
FIRST = ("log_loss", "auc", "accuracy", "mae", "rmse")  # stand above every other metric
HALF_A_DAY = timedelta(hours=12)


def reigns(looks: Sequence[Watched]) -> list[list[Watched]]:
    """The looks, oldest first, cut where the champion changes."""
    return [list(run) for _, run in groupby(looks, key=lambda look: look.champion)]


def metrics(looks: Sequence[Watched]) -> list[Track]:
    """A track for each metric of all rows that was measured or estimated, those that are watched first."""
    names = [change.metric for look in looks for change in _changes(look)]
    names += [estimate.metric for look in looks for estimate in look.evidence.estimates]
    names += [series.name for look in looks for series in look.series if series.name in FIRST]
    known = set(names)
    ordered = [*(name for name in FIRST if name in known), *dict.fromkeys(name for name in names if name not in FIRST)]
    return [track for name in ordered if not (track := _metric(name, looks)).is_empty]


def groups(looks: Sequence[Watched]) -> list[Group]:
    """Every further series, those of one kind together: slices of a metric, inputs, numbers of the business."""
    whole = {track.name: track for track in metrics(looks)}
    newest = reigns(looks)[-1][-1]
    names = dict.fromkeys(series.name for look in (newest, *reversed(looks)) for series in look.series)
    found: dict[str, list[Track]] = {}
    for name in (name for name in names if name not in whole):
        track = _series(name, looks)
        if not track.is_empty:
            found.setdefault(_kind(name), []).append(track)
    slices_first = sorted(found.items(), key=lambda each: each[0] not in whole)
    return [_group(kind, tracks, whole) for kind, tracks in slices_first]


def named(label: str) -> tuple[str, str]:
    """A label and its unit.

    >>> named("log loss (nats)"), named("AUC")
    (('log loss', 'nats'), ('AUC', ''))
    """
    title, _, unit = label.rpartition(" (")
    return (title, unit.removesuffix(")")) if title and unit.endswith(")") else (label, "")


def _kind(name: str) -> str:
    """What a series is of: `log_loss.origin=JFK` of log loss, and `ctr` of nothing but itself."""
    head, dot, _ = name.partition(".")
    return head if dot else ""


def _group(kind: str, tracks: Sequence[Track], whole: dict[str, Track]) -> Group:
    titles = {"": "Numbers of the business", "drift": "Inputs, column by column"}
    title = f"{whole[kind].axis}, slice by slice" if kind in whole else titles.get(kind, kind.replace("_", " "))
    ordered = tuple(sorted(tracks, key=_urgency))
    return Group(kind or "business", title[:1].upper() + title[1:], ordered, is_alike=kind in whole)


def _urgency(track: Track) -> tuple[bool, float]:
    """What comes first: alarms, then by how much of what matters it got worse."""
    if track.alarm is None:
        return (True, 0.0)
    worse = finite(track.alarm.worse) or 0.0
    return (not track.is_raised, -worse / max(track.alarm.worth, 1e-12))


def _changes(look: Watched) -> list[Change]:
    """What labels say of all rows."""
    found = look.evidence.realised.changes if look.evidence.realised else ()
    return [change for change in found if change.scope == EVERYWHERE]


def _alarm(look: Watched, name: str) -> SeriesAlarm | None:
    return next((alarm for alarm in look.evidence.alarms if alarm.series == name), None)


def _newest(looks: Sequence[Watched], find: Callable[[Watched], Found | None]) -> Found | None:
    """The first that is found, newest look first."""
    return next((found for look in reversed(looks) if (found := find(look)) is not None), None)


def _metric(name: str, looks: Sequence[Watched]) -> Track:
    newest = looks[-1]
    estimator = _newest(looks, lambda look: look.evidence.estimate(name))
    change = _newest(looks, lambda look: _change(look, name))
    series = _newest(looks, lambda look: look.named(name))
    title, unit = named(change.label if change else series.label if series else _label(name))
    is_higher_better = _is_higher_better(name, looks)
    return Track(
        name=name,
        title=title,
        unit=unit,
        stretches=tuple(
            _stretch(name, reign, estimator.estimator if estimator else None, is_higher_better)
            for reign in reigns(looks)
        ),
        change=_change(newest, name),
        estimate=newest.evidence.estimate(name, estimator.estimator) if estimator else None,
        alarm=_alarm(newest, name),
    )


def _label(name: str) -> str:
    """How a metric is called before any label has come."""
    return METRICS[name].label if name in METRICS else name.replace("_", " ")


def _series(name: str, looks: Sequence[Watched]) -> Track:
    newest = _newest(looks, lambda look: look.named(name))
    assert newest, "named by one of the looks"
    head, _, part = name.partition(".")
    title, unit = (part, "") if part and head in FIRST else named(newest.label)  # the heading has a metric's unit
    return Track(
        name=name,
        title=title,
        unit=unit,
        stretches=tuple(_stretch(name, reign) for reign in reigns(looks)),
        alarm=_alarm(looks[-1], name),
    )


def _stretch(
    name: str, reign: Sequence[Watched], estimator: str | None = None, is_higher_better: bool = False
) -> Stretch:
    series = _newest(reign, lambda look: look.named(name))
    change = _newest(reign, lambda look: _change(look, name))
    known, days = finite(change.reference) if change else None, _days(series)
    return Stretch(
        start=min([reign[0].start, *(point.when for point in days[:1])]),
        end=reign[-1].as_of,
        reference=known if known is not None else mean(series.reference) if series else None,
        days=days,
        windows=_each(reign, lambda look: _window(look, name, is_higher_better)),
        estimates=_each(reign, lambda look: _estimated(look, name, estimator)) if estimator else (),
        spells=tuple(_spells(name, reign)),
    )


def _change(look: Watched, name: str) -> Change | None:
    return next((change for change in _changes(look) if change.metric == name), None)


def _each(reign: Sequence[Watched], point: Callable[[Watched], Point | None]) -> tuple[Point, ...]:
    return tuple(found for look in reign if (found := point(look)))


def _days(series: Series | None) -> tuple[Point, ...]:
    if series is None:
        return ()
    return tuple(
        Point(_noon(day), value) for day, value in zip(series.days, series.values, strict=True) if math.isfinite(value)
    )


def _noon(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + HALF_A_DAY


def _window(look: Watched, name: str, is_higher_better: bool) -> Point | None:
    """The value over one look's labelled days, with the interval of its difference from the reference laid about it."""
    change = _change(look, name)
    if change is None or finite(change.value) is None:
        return None
    lower, upper = finite(change.lower), finite(change.upper)
    if lower is None or upper is None or finite(change.reference) is None:
        return Point(_middle_of_labels(look, change), change.value)
    below, above = (-upper, -lower) if is_higher_better else (lower, upper)
    return Point(_middle_of_labels(look, change), change.value, change.reference + below, change.reference + above)


def _middle_of_labels(look: Watched, change: Change) -> datetime:
    """The middle of the newest days with labels, as many as were measured; of the look's own rows if none is known."""
    series = next(filter(None, map(look.named, (change.metric, *FIRST))), None)
    days = series.days[-max(change.num_days, 1) :] if series else ()
    if not days:
        return _middle(look)
    first, last = _noon(days[0]), _noon(days[-1])
    return first + (last - first) / 2


def _middle(look: Watched) -> datetime:
    return look.start + (look.as_of - look.start) / 2


def _estimated(look: Watched, name: str, estimator: str) -> Point | None:
    estimate = look.evidence.estimate(name, estimator)
    if estimate is None or finite(estimate.value) is None:
        return None
    heard = estimate.is_reliable and not is_silenced(look, estimate)
    return Point(_middle(look), estimate.value, finite(estimate.lower), finite(estimate.upper), heard)


def is_silenced(look: Watched, estimate: Estimate) -> bool:
    """Whether an estimator has been wrong too often, by that look, to be listened to."""
    return any(
        trust.is_silenced and (trust.estimator, trust.metric) == (estimate.estimator, estimate.metric)
        for trust in look.evidence.trust
    )


def _spells(name: str, reign: Sequence[Watched]) -> Iterable[Spell]:
    """Each run of looks at which the alarm was raised."""
    seen = [(look.as_of, alarm) for look in reign if (alarm := _alarm(look, name))]
    for is_raised, run in groupby(seen, key=lambda each: each[1].is_raised):
        if is_raised:
            found = list(run)
            raised, alarm = found[0]
            begins = _noon(alarm.since) - HALF_A_DAY if alarm.since else raised
            yield Spell(min(begins, raised), raised, found[-1][0])


def _is_higher_better(name: str, looks: Sequence[Watched]) -> bool:
    """Told from the numbers: whether a value below the reference was ever called worse."""
    changes = [change for look in looks if (change := _change(look, name))]
    return any((change.value - change.reference) * change.worse < 0 for change in changes)
