"""Score a batch with the champion."""

from __future__ import annotations

import logging
from datetime import datetime

from configs.schema import Project
from models.data.predictions import SCORE_FILED, Batch
from models.data.scores import put_scores
from models.registry.registry import Registry
from tasks.fetch import fetch
from tasks.step import columns_of, load_version, now, registry_of, step

logger = logging.getLogger(__name__)


@step
def predict(project: Project, as_of: datetime) -> Batch | None:
    """Score everything between the last batch and `as_of`, once. None when there is nothing to score."""
    registry, columns = registry_of(project), columns_of(project)
    champion = registry.log.read().champion
    if champion is None:
        raise ValueError(f"{project.name} has no champion yet; run python -m flows.retrain first")
    start = _next_start(registry)
    if start >= as_of:
        return None
    frame = fetch(project, start, as_of, as_of, other=())
    version = load_version(registry, champion)
    scores, target = version.model.predict(frame), version.model.target
    rows = frame[[columns.id, columns.time]].set_axis(["id", "event_time"], axis=1)
    rows = put_scores(rows, scores, target, SCORE_FILED)
    batch = Batch(start, as_of, champion, len(rows))
    inputs = put_scores(frame.drop(columns=columns.label), scores, target)
    registry.inputs.add(batch, inputs, project.watch.logged_rows)
    batch = registry.predictions.add(batch, rows, now())
    logger.info("%s rows until %s scored by %s", f"{batch.num_rows:,}", f"{batch.end:%Y-%m-%d %H:%M}", batch.version)
    return batch


def _next_start(registry: Registry) -> datetime:
    last = registry.predictions.last()
    if last:
        return last.end
    first = registry.log.read().first_promotion
    assert first, "whoever scores has a champion"
    return datetime.fromisoformat(first.as_of)
