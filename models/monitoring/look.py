"""One look at a champion: from rows, scores and labels to the evidence. Pure: whoever calls it fetches and keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.monitoring.alarms import detect
from models.monitoring.daily import watched_series
from models.monitoring.drift import ColumnDrift, column_drift
from models.monitoring.estimation.track_record import widened
from models.monitoring.evidence import Evidence, SeriesAlarm, Settled, Unsaid
from models.monitoring.label_checks import label_checks, noise_check
from models.monitoring.performance import FEWEST_SLICE_ROWS, Realised, change
from models.monitoring.quality import (
    Profile,
    QualityCheck,
    check_days,
    check_scored,
    check_skew,
    profile_days,
)
from models.monitoring.replay import Replay
from models.monitoring.series import Series
from models.monitoring.view import A_WEEK, BEFORE, View
from models.monitoring.without_labels import trusted, without_labels

SKEW = "train/serve skew"
FAULTY = 400  # days that a record remembers
FEWEST_DAYS = 5  # in the reference of a series that can raise an alarm
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Looked:
    """What a look has found, and what the next one continues: the series, and the days before a fault."""

    evidence: Evidence
    series: tuple[Series, ...]
    sound: tuple[Profile, ...]
    faulty: tuple[str, ...]


def look(
    view: View,
    earlier: Sequence[Series] = (),
    settled: Sequence[Settled] = (),
    sound: Sequence[Profile] = (),
    further: Sequence[QualityCheck] = (),
) -> Looked:
    """Gather the evidence of one look.

    Args:
        view: what there is to look at.
        earlier: the series as the last look at the same champion has left them.
        settled: estimates of earlier looks with what came true.
        sound: where the last look has found a fault, the last days before it. A jump is told by what was before it:
            without them a column that stays in another unit would count as usual once the jump has left the window.
        further: checks that were made before.
    """
    profiles = _profiles(view, sound)
    noise = noise_check(view)
    unsaid, known = ((noise,), ()) if isinstance(noise, Unsaid) else ((), (noise,))
    checks, replay = _quality(view, profiles, (*known, *further)), _replay(view)
    faulty = _faulty(view, checks, replay)
    series = tuple(each.without(faulty) for each in watched_series(view, profiles, earlier))
    labels, expected = view.due.frame[view.columns.label], without_labels(view)
    trusts = [trusted(each, settled) for each in expected.estimates]
    alarms = tuple(_alarm(each, view.settings.rules.false_alarms) for each in series)
    evidence = Evidence(
        quality=checks,
        replay=replay,
        drift=_drift(view, {alarm.series for alarm in alarms if alarm.is_raised}),
        joint=expected.joint,
        estimates=tuple(widened(each, of.trust) for each, of in zip(expected.estimates, trusts, strict=True)),
        trust=tuple(trusts),
        realised=_realised(view),
        alarms=alarms,
        labelled_share=float(labels.notna().mean()) if len(labels) else None,
        unsaid=unsaid,
    )
    return Looked(evidence, series, _sound(profiles, checks), tuple(sorted(faulty)[-FAULTY:]))


def _profiles(view: View, sound: Sequence[Profile]) -> list[Profile]:
    """What each day looks like, after the last sound days before the newest window: they show whether a change is new.

    A day is profiled with the week before it at hand, in which its rows may have been delivered already.
    """
    part, layout = view.profiled, view.champion.expectations.layout
    days = [day for day in part.span if day.end > view.profiled_from]

    def fresh(places: Sequence[int]) -> list[Profile | None]:
        first, last = days[places[0]], days[places[-1]]
        rows = part.frame.iloc[part.rows_since(first.ordinal - A_WEEK.days, last)]
        found = {each.day: each for each in profile_days(rows, layout, view.columns, first.start, last.end)}
        return [found.get(days[place].iso) for place in places]  # an hour of a day may have no row, and no profile

    kept = view.memo.each("profile", [part.week_key(day) for day in days], Profile | None, fresh)
    found = [profile for profile in kept if profile]
    first = view.newest.span[0].iso if view.newest.span else ""
    last_sound = sound[-1].day if sound else first
    window = {each.day: each for each in found if each.day >= first}
    before = {each.day: each for each in (*sound, *found) if each.day < first and each.day <= last_sound}
    return [*sorted(before.values(), key=lambda each: each.day), *window.values()]


def _sound(profiles: Sequence[Profile], checks: Sequence[QualityCheck]) -> tuple[Profile, ...]:
    """The last whole days before the first faulty one; none where no day is faulty."""
    faulty = [day for check in checks if check.is_broken for day in check.days]
    if not faulty:
        return ()
    return tuple(each for each in profiles if each.is_complete and each.day < min(faulty))[-BEFORE.days :]


def _quality(view: View, profiles: Sequence[Profile], further: Sequence[QualityCheck]) -> tuple[QualityCheck, ...]:
    limits, newest = view.settings.limits, view.newest.frame
    first = view.newest.span[0].iso if view.newest.span else ""
    of_window = [profile for profile in profiles if profile.day >= first]
    earlier = [profile for profile in profiles if profile.day < first]
    num_scored = len(view.scored.frame) + int(newest[view.columns.id].isin(view.seen.by_others).sum())
    checks = [
        *check_days(of_window, view.champion.expectations, limits, earlier[-BEFORE.days :], view.seen.until),
        check_scored(len(newest), num_scored, limits),
        *label_checks(view, profiles),
        *further,
    ]
    if view.logged is not None:
        checks += check_skew(view.logged.frame, newest, view.columns.id, view.champion.features, limits.skew_share)
    return tuple(sorted(checks, key=lambda check: not check.is_broken))


def _faulty(view: View, checks: Sequence[QualityCheck], replay: Replay | None) -> frozenset[str]:
    """The days on which what was measured says nothing of the model, those of earlier looks among them."""
    broken = [day for check in checks if check.is_broken for day in check.days]
    has_skew = any(check.is_broken and check.name == SKEW for check in checks)
    window = [day.iso for day in view.newest.span] if has_skew else []
    is_served_wrongly = replay is not None and replay.mismatch_share > view.settings.rules.mismatch_share
    served = replay.days if replay and is_served_wrongly else ()
    return view.faulty | {*broken, *window, *served}


def _replay(view: View) -> Replay | None:
    """Computed at every look: what it asks is whether the code has changed since."""
    logged = view.logged
    if logged is None:
        return None
    scale = view.measures.scale(view.reference.judged.sample)
    return Replay.of(logged.scores, view.champion.predict(logged.frame), logged.days, scale)


def _drift(view: View, raised: Collection[str]) -> tuple[ColumnDrift, ...]:
    """Every column against the reference, by its distance; it has moved when its alarm says that this is no chance."""
    reference, newest, threshold = view.reference, view.newest, view.settings.drift_distance
    if not len(newest.frame) or not len(reference.frame):
        return ()
    found = view.memo.once("drift", newest.input_key(threshold), tuple[ColumnDrift, ...], lambda: _distances(view))
    sure = [replace(each, has_moved=each.has_moved and f"drift.{each.column}" in raised) for each in found]
    return tuple(sorted(sure, key=lambda each: (not each.has_moved, -each.harm, -each.distance)))


def _distances(view: View) -> tuple[ColumnDrift, ...]:
    champion, sample = view.champion, view.reference.judged.sample
    costs, threshold = view.measures.losses(sample), view.settings.drift_distance
    return tuple(
        column_drift(view.reference.frame, view.newest.frame, champion.numbers, champion.categories, threshold, costs)
    )


def _realised(view: View) -> Realised | None:
    """Metrics of the labelled rows against the reference, of all and of each slice that is large enough."""
    rows, before = view.labelled, view.reference
    if not len(rows.frame) or not len(before.frame):
        return None
    return view.memo.once("realised", rows.key(dict(view.settings.slices)), Realised, lambda: _measured(view))


def _measured(view: View) -> Realised:
    now, before = view.labelled.judged, view.reference.judged
    watched, further = view.measures.watched, view.measures.further
    changes = [change(metric, now, before) for metric in (*watched, *further)]
    earlier = view.slices(view.reference)
    for name, rows in view.slices(view.labelled).items():
        if rows.sum() >= FEWEST_SLICE_ROWS and name in earlier and earlier[name].sum() >= FEWEST_SLICE_ROWS:
            changes += [change(metric, now.take(rows), before.take(earlier[name]), name) for metric in watched]
    return Realised(
        num_rows=len(now.days),
        num_days=now.num_days,
        positive_share=float(now.sample.labels.mean()) if view.columns.task == "binary" else None,
        changes=tuple(each for each in changes if each is not None),
    )


def _alarm(series: Series, false_alarms: float) -> SeriesAlarm:
    """What the test that is valid at every look says of one series."""
    is_performance = not series.name.startswith("drift.")
    quiet = SeriesAlarm(series.name, series.label, 0.0, 0.0, False, None, None, None, 0.0, series.worth, is_performance)
    if not series.share or len(series.reference) < FEWEST_DAYS or not series.values:
        return quiet
    found = detect(
        np.array(series.reference),
        np.array(series.values),
        _years_covered(series.days),
        alpha=false_alarms,
        share=series.share,
        direction=series.direction,
    ).alarm(series.name, series.days)
    moved = (found.after or 0.0) - (found.before or 0.0)
    return replace(
        quiet,
        years=found.evidence,
        years_needed=found.threshold,
        is_raised=found.is_current,
        since=found.since,
        before=found.before,
        after=found.after,
        worse={"up": moved, "down": -moved, "both": abs(moved)}[series.direction],
    )


def _years_covered(days: Sequence[str]) -> np.ndarray:
    """The time since the day before, of each day; days without a value count for the next one that has one."""
    ordinals = np.array(days, dtype="datetime64[D]").astype(int)
    return np.diff(ordinals, prepend=ordinals[0] - 1) / DAYS_A_YEAR
