"""What each watch said, kept as one immutable record a look."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from models.monitoring.diagnosis import Diagnosis, Evidence
from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation import Estimate
from models.monitoring.quality import QualityCheck
from models.monitoring.realised import Realised
from models.registry.storage import Storage
from models.registry.versions import VersionId


@dataclass(frozen=True)
class Watched:
    """One look at the champion: the rows it scored in `[start, as_of)`, the evidence and the diagnosis."""

    as_of: datetime
    start: datetime
    champion: VersionId
    num_rows: int
    evidence: Evidence
    diagnosis: Diagnosis

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal record."""
        content = asdict(self) | {"as_of": self.as_of.isoformat(), "start": self.start.isoformat()}
        return json.dumps(content, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        evidence = content["evidence"]
        return cls(
            as_of=datetime.fromisoformat(content["as_of"]),
            start=datetime.fromisoformat(content["start"]),
            champion=VersionId(content["champion"]),
            num_rows=content["num_rows"],
            evidence=Evidence(
                quality=tuple(QualityCheck(**check) for check in evidence["quality"]),
                drift=tuple(ColumnDrift(**column) for column in evidence["drift"]),
                estimate=Estimate(**evidence["estimate"]) if evidence["estimate"] else None,
                realised=Realised(**evidence["realised"]) if evidence["realised"] else None,
                labelled_share=evidence["labelled_share"],
                mismatch_share=evidence["mismatch_share"],
            ),
            diagnosis=Diagnosis(**content["diagnosis"]),
        )


class Watches:
    """The records of one project in a storage: `watches/<project>/<as_of>.json`."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"watches/{project}"

    def find(self, as_of: datetime) -> Watched | None:
        """The record of the look at `as_of`, if it was taken."""
        path = self._path(as_of)
        return Watched.from_json(self.storage.read(path)) if self.storage.exists(path) else None

    def add(self, watched: Watched) -> Watched:
        """Keep a record; the first for a moment stays, and is returned."""
        self.storage.create(self._path(watched.as_of), watched.to_json().encode())
        return Watched.from_json(self.storage.read(self._path(watched.as_of)))

    def last(self, until: datetime) -> Watched | None:
        """The newest record not after `until`, if any."""
        limit = self._path(until)
        paths = [path for path in self.storage.list(self.folder) if path <= limit]
        return Watched.from_json(self.storage.read(paths[-1])) if paths else None

    def _path(self, as_of: datetime) -> str:
        return f"{self.folder}/{as_of.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"
