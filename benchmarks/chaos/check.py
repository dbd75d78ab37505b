"""What must hold of a project's storage whatever was killed: each fault in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from models.registry.log import Entry, LogBroken, fold
from models.registry.registry import Registry
from tasks.step import load_version


def broken(registry: Registry) -> list[str]:
    """Faults of the log: a chain that is not whole, two answers to one attempt, a decision against another champion."""
    try:
        entries = registry.log.read().entries
    except LogBroken as error:
        return [str(error)]
    counts = Counter((entry.attempt, entry.kind == "registered") for entry in entries)
    found = [f"{attempt} has {number} answers" for (attempt, _), number in counts.items() if number > 1]
    for place, entry in enumerate(entries):
        champion = fold(entries[:place]).champion
        if entry.kind not in ("registered", "declined") and entry.against != champion:
            found.append(f"entry {place} was decided against {entry.against} while {champion} was champion")
    leases = [entry.lease for entry in entries if entry.lease is not None]
    if leases != sorted(leases):
        found.append(f"leases do not rise: {leases}")
    return found


def without_a_champion(registry: Registry) -> list[str]:
    """A fault if there is no champion, or one that cannot be loaded."""
    champion = registry.log.read().champion
    return [] if champion and load_version(registry, champion) else ["nobody is champion"]


def incomplete(registry: Registry) -> list[str]:
    """Versions that the log names and that are not whole."""
    complete, entries = set(registry.versions.ids()), registry.log.read().entries
    return sorted({str(entry.version) for entry in entries if entry.version and entry.version not in complete})


def unfinished(registry: Registry) -> int:
    """Folders of versions that a killed run left without a manifest: they do not exist for anybody."""
    folder = Path(registry.storage.place(registry.versions.folder))
    return len([each for each in folder.iterdir() if each.is_dir()]) - len(registry.versions.ids())


def duplicates(registry: Registry) -> int:
    """Rows that were scored more than once."""
    batches = [registry.predictions.describe(start) for start in registry.predictions.starts()]
    ids = pd.concat([registry.predictions.read(batch)["id"] for batch in batches])
    return int(ids.duplicated().sum())


def vanished(before: Sequence[Entry], after: Sequence[Entry]) -> list[str]:
    """Entries that were in the log and are there no more, or not in their place."""
    later = after[: len(before)]
    return [f"entry {entry.sequence} is not what it was" for entry in before if entry not in later]
