"""Put the previous champion back."""

from __future__ import annotations

import logging

from configs.schema import Project
from models.registry.log import ChampionChanged, Entry
from tasks.step import load_version, now, registry_of, step

logger = logging.getLogger(__name__)


@step
def restore(project: Project, attempt: str, reason: str, of: str | None) -> Entry:
    """Append a rollback to the version that was champion before, after checking that it can still be loaded.

    Args:
        project: whose champion is taken back.
        attempt: a name for this rollback, so that a run that is tried again takes back one promotion and not two.
        reason: why, for whoever reads the log.
        of: the champion to take back, so that the same command twice takes back one promotion; None: whoever it is.
    """
    registry = registry_of(project)
    state = registry.log.read()
    if earlier := state.answer(attempt):
        return earlier
    if of and of != state.champion:
        taken_back = [entry for entry in state.entries if entry.kind == "rolled_back" and entry.against == of]
        if taken_back:
            return taken_back[-1]
        raise ValueError(f"of={of!r} is not the champion of {project.name}, which is {state.champion}")
    if state.previous_champion is None:
        raise ValueError(f"{project.name} has no champion before {state.champion}; there is nothing to roll back to")
    load_version(registry, state.previous_champion)
    moment = now()
    try:
        entry = registry.log.append(
            "rolled_back",
            reason,
            attempt=attempt,
            version=state.previous_champion,
            against=state.champion,
            as_of=moment,
            now=moment,
        )
    except ChampionChanged as change:  # never tried again by itself: a second try would take back one promotion more
        raise ValueError(
            f"nothing was rolled back: {change}; look at it and roll back again if it is wrong"
        ) from change
    logger.info("%s is champion again, in place of %s", entry.version, entry.against)
    return entry
