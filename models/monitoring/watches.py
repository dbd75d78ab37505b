"""What each watch said, kept as one immutable record a look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from pydantic import TypeAdapter

from models.monitoring.diagnosis import Diagnosis
from models.monitoring.evidence import Evidence, Settled
from models.monitoring.quality import Profile, QualityCheck
from models.monitoring.series import Series
from models.registry.storage import Storage
from models.registry.versions import VersionId


@dataclass(frozen=True)
class Watched:
    """One look at the champion: the rows it scored in `[start, as_of)`, the evidence and the diagnosis.

    Attributes:
        as_of: the moment of the look, in the data's time.
        start: first moment of the rows it looked at.
        champion: whom it looked at.
        num_rows: rows that the champion scored in that span.
        evidence: what was found.
        diagnosis: what it comes to.
        series: every watched series since the champion came, with what earlier looks have seen of it.
        settled: estimates of this and earlier looks with what came true, of every champion.
        sound: where the feed is broken, the last days before it was; empty where it is not.
        faulty: days on which what was measured says nothing of the champion: broken, or served wrongly.
        wanted: why a retrain is wanted, by the trigger that fired; None if none did or a fault forbids it.
    """

    as_of: datetime
    start: datetime
    champion: VersionId
    num_rows: int
    evidence: Evidence
    diagnosis: Diagnosis
    series: tuple[Series, ...] = ()
    settled: tuple[Settled, ...] = ()
    sound: tuple[Profile, ...] = ()
    faulty: tuple[str, ...] = ()
    wanted: str | None = None

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal record."""
        return _adapter().dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Watched:
        """Read what `to_json` wrote, or what was written before days were watched: its verdict, and little else."""
        content = json.loads(text)
        if "mismatch_share" in content["evidence"]:
            checks = tuple(QualityCheck.from_dict(check) for check in content["evidence"]["quality"])
            share = content["evidence"]["labelled_share"]
            plain = {name: content[name] for name in ("as_of", "start", "champion", "num_rows", "diagnosis")}
            found = _adapter().validate_python(plain | {"evidence": Evidence()})
            return replace(found, evidence=Evidence(quality=checks, labelled_share=share))
        return _adapter().validate_json(text)

    def named(self, name: str) -> Series | None:
        """A series by its name."""
        return next((series for series in self.series if series.name == name), None)


class Watches:
    """The records of one project in a storage: `watches/<project>/<as_of>.json`."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"watches/{project}"

    def find(self, as_of: datetime) -> Watched | None:
        """The record of the look at `as_of`, if it was taken."""
        path = self._path(as_of)
        return self._read(path) if self.storage.exists(path) else None

    def add(self, watched: Watched) -> Watched:
        """Keep a record; the first for a moment stays, and is returned."""
        self.storage.create(self._path(watched.as_of), watched.to_json().encode())
        return self._read(self._path(watched.as_of))

    def last(self, until: datetime) -> Watched | None:
        """The newest record not after `until`, if any."""
        return next(self.backwards(until), None)

    def backwards(self, until: datetime) -> Iterator[Watched]:
        """The records not after `until`, newest first, each read when it is asked for."""
        limit = self._path(until)
        for path in reversed([path for path in self.storage.list(self.folder) if path <= limit]):
            yield self._read(path)

    def _read(self, path: str) -> Watched:
        return Watched.from_json(self.storage.read(path))

    def _path(self, as_of: datetime) -> str:
        return f"{self.folder}/{as_of.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"


@cache
def _adapter() -> TypeAdapter[Watched]:
    return TypeAdapter(Watched)
