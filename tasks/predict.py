"""Score a batch with the champion."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from configs.schema import Project
from models.data.contract import read
from models.data.predictions import Batch
from models.registry.registry import Registry
from tasks.step import columns_of, load_version, now, registry_of, step

logger = logging.getLogger(__name__)


@step
def predict(project: Project, as_of: datetime) -> Batch | None:
    """Score everything between the last batch and `as_of`, once. None when there is nothing to score."""
    # What is kept for judging alone may come with the labels: scoring does not wait for it.
    registry, columns = registry_of(project), replace(columns_of(project), other=())
    champion = registry.log.read().champion
    if champion is None:
        raise ValueError(f"{project.name} has no champion yet; run python -m flows.retrain first")
    start = _next_start(registry)
    if start >= as_of:
        return None
    frame = read(project.data.source.build(), columns, start, as_of, as_of)
    version = load_version(registry, champion)
    rows = frame[[columns.id, columns.time]].set_axis(["id", "event_time"], axis=1)
    rows = rows.assign(score=version.model.predict(frame))
    batch = registry.predictions.add(Batch(start, as_of, champion, len(rows)), rows, now())
    logger.info("%s rows until %s scored by %s", f"{batch.num_rows:,}", f"{batch.end:%Y-%m-%d %H:%M}", batch.version)
    return batch


def _next_start(registry: Registry) -> datetime:
    last = registry.predictions.last()
    if last:
        return last.end
    first = registry.log.read().first_promotion
    assert first, "whoever scores has a champion"
    return datetime.fromisoformat(first.as_of)
