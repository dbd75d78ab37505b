"""Watch the champion: fetch what it scored, look at it, and say what it comes to."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import pandas as pd

from configs.schema import Project
from models.data.contract import BrokenContract
from models.data.predictions import Batch, with_scores
from models.monitoring import diagnosis, quality
from models.monitoring.business import Business
from models.monitoring.concept import with_concept
from models.monitoring.diagnosis import diagnose
from models.monitoring.evidence import Evidence, Settled
from models.monitoring.look import look
from models.monitoring.measures import measures_of
from models.monitoring.quality import Expectations
from models.monitoring.view import Champion, Seen, Settings, View, part_of
from models.monitoring.watches import Watched
from models.monitoring.without_labels import settle
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from tasks.fetch import fetch
from tasks.step import columns_of, load_version, registry_of, step

logger = logging.getLogger(__name__)
SETTLED = 200  # estimates with what came true that a record carries along


@step
def observe(project: Project, as_of: datetime) -> Watched | None:
    """Look at what the champion scored in the last days before `as_of`. None when it has scored no batch.

    Quality, inputs and the estimate are those of the newest rows; performance is that of as many days whose labels are
    due, which lie further back by the label delay. What an earlier look at the same rows has computed is not computed
    again.
    """
    registry, settings = registry_of(project), settings_of(project)
    champion, delay = registry.log.read().champion, columns_of(project).label_delay
    batches = registry.predictions.overlapping(as_of - delay - 2 * settings.window, as_of)
    own = [batch for batch in batches if batch.version == champion and batch.end > as_of - delay - settings.window]
    if champion is None or not own:
        return None
    until, earlier = min(own[-1].end, as_of), list(_earlier(registry, as_of, batches[0].start))
    try:
        rows = fetch(project, batches[0].start, until, as_of, other=_other(project))
        scored = _with_scores(project, registry, rows, own)
    except BrokenContract as error:
        return _broken(project, as_of, own, earlier, error, settings)
    version = load_version(registry, champion)
    first = max(own[0].start, as_of - delay - settings.window)
    seen = Seen(
        rows=rows,
        scored=scored,
        logged=registry.inputs.read(own),
        since=batches[0].start,
        first=first,
        until=until,
        due=as_of - delay,
        by_others=_ids(registry, [batch for batch in batches if batch.version != champion]),
    )
    last = _last_of(champion, earlier)
    faulty = frozenset(last.faulty if last else ())
    view = View(champion_of(version), columns_of(project), seen, settings, registry.memo, faulty)
    settled = [*_settled_before(earlier), *_settle(project, registry, earlier, rows, as_of - delay, faulty)][-SETTLED:]
    found = look(view, last.series if last else (), settled, last.sound if last else (), [_is_scoring(own, as_of)])
    evidence = with_concept(found.evidence, view)
    return Watched(
        as_of=as_of,
        start=view.start,
        champion=champion,
        num_rows=len(view.scored.frame),
        evidence=evidence,
        diagnosis=_said(diagnose(evidence, settings.rules)),
        series=found.series,
        settled=tuple(settled),
        sound=found.sound,
        faulty=found.faulty,
    )


def recall(project: Project, as_of: datetime) -> Watched | None:
    """The record of a look that was taken and published before, if there is one."""
    return registry_of(project).watches.find(as_of)


@step
def keep(project: Project, watched: Watched) -> Watched:
    """Keep the record, after everything that it gave rise to: a look that was killed before is taken again."""
    return registry_of(project).watches.add(watched)


def settings_of(project: Project) -> Settings:
    """What the YAML asks of a look."""
    watch = project.watch
    return Settings(
        rules=diagnosis.Rules(
            measures=measures_of(project.data.task, project.data.unit),
            harm=watch.harm,
            harm_second=watch.harm_second(project.data.task),
            min_labelled_share=watch.min_mature_share,
            mismatch_share=watch.mismatch_share,
            domain_auc=watch.domain_auc,
            false_alarms=watch.false_alarms,
        ),
        limits=limits_of(project),
        window=timedelta(days=watch.window_days),
        drift_distance=watch.drift_distance,
        slices={each.column: each.edges for each in watch.slices},
        business=tuple(Business(each.name, each.value, each.per) for each in watch.business),
    )


def limits_of(project: Project) -> quality.Limits:
    """What the project calls broken."""
    return quality.Limits(**project.watch.quality.model_dump())


def champion_of(version: Version) -> Champion:
    """A version as a look sees it."""
    return Champion(
        id=version.id,
        predict=version.model.predict,
        numbers=tuple(version.model.encoder.numbers),
        categories=tuple(version.model.encoder.categories),
        expectations=Expectations.from_json(version.extras["expectations.json"].decode()),
        reference=pd.read_parquet(io.BytesIO(version.extras["reference.parquet"])),
    )


def _broken(
    project: Project,
    as_of: datetime,
    own: Sequence[Batch],
    earlier: Sequence[Watched],
    error: BrokenContract,
    settings: Settings,
) -> Watched:
    """The look at rows that cannot even be read."""
    champion = own[-1].version
    last = _last_of(champion, earlier)
    evidence = Evidence(quality=(quality.QualityCheck.schema(error),))
    return Watched(
        as_of=as_of,
        start=max(own[0].start, as_of - settings.window),
        champion=champion,
        num_rows=0,
        evidence=evidence,
        diagnosis=_said(diagnose(evidence, settings.rules)),
        series=last.series if last else (),
        settled=tuple(_settled_before(earlier)),
        sound=last.sound if last else (),
        faulty=last.faulty if last else (),
    )


def _said(found: diagnosis.Diagnosis) -> diagnosis.Diagnosis:
    logger.info("%s: %s", found.verdict, found.reason)
    return found


def _with_scores(project: Project, registry: Registry, rows: pd.DataFrame, batches: Sequence[Batch]) -> pd.DataFrame:
    scored = pd.concat([registry.predictions.read(batch) for batch in batches], ignore_index=True)
    return with_scores(rows, project.data.id, scored)


def _ids(registry: Registry, batches: Sequence[Batch]) -> pd.Index:
    """Ids of the rows of some batches."""
    return pd.Index([name for batch in batches for name in registry.predictions.read(batch)["id"]])


def _is_scoring(batches: Sequence[Batch], as_of: datetime) -> quality.QualityCheck:
    """Whether batches still come as they used to: rows that nobody scores would not be looked at."""
    hour = timedelta(hours=1)
    usual = max((batch.end - batch.start) / hour for batch in batches)
    return quality.check_scoring(max((as_of - batches[-1].end) / hour, 0.0), usual)


def _other(project: Project) -> tuple[str, ...]:
    """The columns beside the features that the watch needs."""
    needed = set(project.watch.columns)
    return tuple(name for name in project.data.other if name in needed)


def _earlier(registry: Registry, as_of: datetime, since: datetime) -> Iterable[Watched]:
    """The looks before this one, oldest first, back to `since`; the last of all in any case."""
    found = []
    for before in registry.watches.backwards(as_of):
        if before.as_of < as_of:
            found.append(before)
            if before.start < since:
                break
    return reversed(found)


def _last_of(champion: VersionId, earlier: Sequence[Watched]) -> Watched | None:
    """The look before this one, if it was at the same champion."""
    return earlier[-1] if earlier and earlier[-1].champion == champion else None


def _settled_before(earlier: Sequence[Watched]) -> tuple[Settled, ...]:
    return earlier[-1].settled if earlier else ()


def _settle(
    project: Project,
    registry: Registry,
    earlier: Sequence[Watched],
    rows: pd.DataFrame,
    due: datetime,
    faulty: frozenset[str],
) -> list[Settled]:
    """What came true of earlier estimates whose rows are all due by now; periods that overlap count once."""
    columns, found = columns_of(project), list[Settled]()
    before = _settled_before(earlier)
    last = datetime.fromisoformat(before[-1].as_of) if before else None
    for look_before in earlier:
        start, end = look_before.start, look_before.as_of
        if not look_before.evidence.estimates or end > due or (last and start < last):
            continue
        if not len(rows) or pd.Timestamp(start) < rows[columns.time].iloc[0].floor("D"):
            continue
        batches = [
            batch for batch in registry.predictions.overlapping(start, end) if batch.version == look_before.champion
        ]
        scored = _with_scores(project, registry, rows, batches)
        part = part_of(scored, columns, start, end, look_before.champion)
        found += settle(look_before, part, faulty, project.watch.min_mature_share)
        last = end
    return found
