"""A person promotes or refuses a version against the gate, with a name and a reason."""

from __future__ import annotations

import logging
from typing import Literal

from configs.schema import Project
from models.registry.log import ChampionChanged, Entry, State
from models.registry.versions import VersionId
from tasks.step import load_version, now, registry_of, step

logger = logging.getLogger(__name__)
Word = Literal["promoted", "refused"]


@step
def override(project: Project, attempt: str, version: VersionId, answer: Word, by: str, reason: str) -> Entry:
    """Append a person's word about a version, after checking that it exists and can be loaded.

    Args:
        project: whose version it is.
        attempt: a name for this override, so that a run that is tried again says it once.
        version: the version that is promoted, or refused for good unless a person promotes it after all.
        answer: what is done with it.
        by: who answers for it.
        reason: why, for whoever reads the log.

    Raises:
        ValueError: without a name or a reason, for a version that does not exist, or when nothing would be left.
    """
    if not by.strip() or not reason.strip():
        raise ValueError(f"by={by!r} and reason={reason!r}: an override needs the name of who decides, and a reason")
    registry = registry_of(project)
    load_version(registry, version)
    state = registry.log.read()
    if earlier := (state.answer(attempt) or _said_before(state, version, answer)):
        return earlier
    if answer == "refused" and set(state.promotions) == {version}:
        raise ValueError(
            f"{version} is the only champion that {project.name} has ever had: refused, nothing would be left to "
            "score with; promote another version first"
        )
    moment = now()
    try:
        entry = registry.log.append(
            "overridden",
            f"{by} {answer} {version} against the gate: {reason}",
            attempt=attempt,
            version=version,
            against=state.champion,
            as_of=moment,
            now=moment,
            evidence={"by": by, "answer": answer, "said": reason},
        )
    except ChampionChanged as change:  # never tried again by itself: it would be said of a champion nobody looked at
        raise ValueError(f"nothing was overridden: {change}; look at it and say it again if it still holds") from change
    logger.info("overridden: %s", entry.reason)
    return entry


def _said_before(state: State, version: VersionId, answer: Word) -> Entry | None:
    """The entry that says the same already: the same command twice is one override."""
    is_so = state.champion == version if answer == "promoted" else version in state.refused
    if not is_so:
        return None
    return next(
        (
            entry
            for entry in reversed(state.entries)
            if entry.kind == "overridden" and entry.version == version and entry.evidence.get("answer") == answer
        ),
        None,
    )
