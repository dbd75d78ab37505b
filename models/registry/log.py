"""The decision log: append-only, hash-chained, and the only place that says who the champion is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, Literal, get_args

from models.registry.leases import Leases, Succeeded
from models.registry.storage import Storage
from models.registry.versions import VersionId

Kind = Literal[
    "registered",
    "promoted",
    "rejected",
    "inconclusive",
    "declined",
    "rolled_back",
    "overridden",
    "awaiting",
    "approved",
    "refused",
    "expired",
]
CHAMPION_CHANGED = "the champion changed"  # why the question of an `expired` entry has no answer, beside its time
GENESIS = "0" * 64


class ChampionChanged(RuntimeError):
    """Another writer changed the champion after the decision was made; decide again against the new one."""


class Superseded(RuntimeError):
    """Another decision was recorded since this one was made, and the error budget is no longer what it was."""


class LogBroken(RuntimeError):
    """An entry is missing or does not carry the hash of the one before."""


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    `attempt` names what was attempted (a retrain as of a time), so that a run that was killed finds its own answer.
    `version` is what the entry is about; for `rolled_back` it is the version put back. `against` is the champion at
    the time. An `overridden` entry is a person's word against the gate: `evidence` has `by` and `answer`, "promoted" or
    "refused". An `awaiting` entry is the gate's yes where a person must approve; `approved`, `refused` or `expired`
    follows it, under the attempt `approval of <its number>`. `as_of` is the time in the data's world, `recorded_at` the
    clock's. `lease` is the number of the lease under which a retrain wrote it; what a person decides, or was answered
    without a turn, has none.
    """

    sequence: int
    previous: str
    kind: Kind
    reason: str
    attempt: str
    version: VersionId | None
    against: VersionId | None
    as_of: str
    recorded_at: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    lease: int | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON of the entry and its digest: the same entry always gives the same bytes."""
        return _json(self._content() | {"sha256": self.digest})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the entry, which its own file carries, so that the last one is held too, and the next one."""
        return hashlib.sha256(_json(self._content())).hexdigest()

    def _content(self) -> dict[str, Any]:
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.lease is None:  # as entries were before there were leases: their hashes stay what they are
            del content["lease"]
        return content | {"evidence": dict(self.evidence)}


@dataclass(frozen=True)
class State:
    """The fold of a log: what it says as a whole."""

    entries: tuple[Entry, ...]
    promotions: tuple[VersionId, ...]
    refused: frozenset[VersionId] = frozenset()

    @property
    def decisions(self) -> list[Entry]:
        """Entries that decide something, oldest first; a registration only states a fact."""
        return [entry for entry in self.entries if entry.kind != "registered"]

    @property
    def num_decisions(self) -> int:
        """How many there are."""
        return len(self.decisions)

    @property
    def lease(self) -> int:
        """The newest lease under which anything was written; -1 before the first."""
        return max((entry.lease for entry in self.entries if entry.lease is not None), default=-1)

    @property
    def champion(self) -> VersionId | None:
        """The version in force, if any."""
        return self.promotions[-1] if self.promotions else None

    @property
    def previous_champion(self) -> VersionId | None:
        """The version that a rollback would put back, if any."""
        return self.promotions[-2] if len(self.promotions) > 1 else None

    @property
    def first_promotion(self) -> Entry | None:
        """The entry that made the first champion, which never changes."""
        return next((entry for entry in self.entries if _promotes(entry)), None)

    @property
    def first_champion(self) -> VersionId | None:
        """The version that was champion first."""
        return self.first_promotion.version if self.first_promotion else None

    def answer(self, attempt: str) -> Entry | None:
        """The decision that ended `attempt`, if it has ended."""
        return next((entry for entry in self.entries if entry.attempt == attempt and entry.kind != "registered"), None)

    def current(self, attempt: str) -> str:
        """The name under which an attempt is decided now.

        A decision that waited for a person while the champion changed is made again, under a name of its own.
        """
        while (answer := self.answer(attempt)) and (end := self.settlement(answer)):
            if end.evidence.get("cause") != CHAMPION_CHANGED:
                break
            attempt = f"{attempt}, again after {end.sequence}"
        return attempt

    def settlement(self, waiting: Entry) -> Entry | None:
        """The entry that ended the wait for a person, if it has ended."""
        return self.answer(approval_of(waiting)) if waiting.kind == "awaiting" else None

    @property
    def awaiting(self) -> list[Entry]:
        """Entries that wait for a person, oldest first."""
        return [entry for entry in self.entries if entry.kind == "awaiting" and self.settlement(entry) is None]

    def registered(self, attempt: str) -> Entry | None:
        """The entry that registered what was trained under this name, if it was."""
        return next((entry for entry in self.entries if entry.attempt == attempt and entry.kind == "registered"), None)

    def challengers(self, attempt: str) -> list[Entry]:
        """The registrations that belong to `attempt`: their own names are `<attempt> by <recipe>`."""
        return [
            entry for entry in self.entries if entry.kind == "registered" and entry.attempt.startswith(f"{attempt} by ")
        ]


def fold(entries: Iterable[Entry]) -> State:
    """What a sequence of entries says.

    A rollback takes the last promotion back. A person's promotion counts like the gate's, and so does one of the gate
    that a person approved. A version that a person refused is champion no longer, nor will a rollback put it back,
    until a person promotes it after all.

    Raises:
        LogBroken: when an entry promotes no version, a rollback names another than the previous champion, or a person
            refuses the only champion there is.
    """
    seen, promotions, refused = tuple(entries), list[VersionId](), set[VersionId]()
    for entry in seen:
        if _promotes(entry):
            if entry.version is None:
                raise LogBroken(f"entry {entry.sequence} promotes no version")
            promotions = _without_repeats([*promotions, entry.version])
            refused.discard(entry.version)
        elif entry.kind == "overridden":
            if entry.version is None or set(promotions) == {entry.version}:
                raise LogBroken(f"entry {entry.sequence} refuses {entry.version}, and no other was ever champion")
            promotions = _without_repeats([version for version in promotions if version != entry.version])
            refused.add(entry.version)
        elif entry.kind == "refused" and entry.version is not None:
            refused.add(entry.version)
        elif entry.kind == "rolled_back":
            if len(promotions) < 2 or promotions[-2] != entry.version:
                raise LogBroken(
                    f"entry {entry.sequence} rolls back to {entry.version}, which was not the champion before"
                )
            promotions.pop()
    return State(seen, tuple(promotions), frozenset(refused))


def _without_repeats(promotions: Iterable[VersionId]) -> list[VersionId]:
    """A version that follows on itself once: what a rollback puts back is another one than what it takes away."""
    return [version for version, _ in groupby(promotions)]


def _promotes(entry: Entry) -> bool:
    is_override = entry.kind == "overridden" and entry.evidence.get("answer") == "promoted"
    return is_override or entry.kind in ("promoted", "approved")


def approval_of(waiting: Entry) -> str:
    """The attempt that a person's answer, or none, brings to its end."""
    return f"approval of {waiting.sequence}"


class DecisionLog:
    """The log of one project in a storage: `<project>/log/00000000.json` and on."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"registry/{project}/log"
        self.leases = Leases(storage, project)

    def read(self) -> State:
        """Read and check the whole log.

        Raises:
            LogBroken: for a gap, an entry changed after the fact, or one that cannot be read.
        """
        entries: list[Entry] = []
        previous = GENESIS
        for sequence, (path, content) in enumerate(self.storage.read_folder(self.folder).items()):
            if path != self._path(sequence):
                raise LogBroken(f"{path} stands where {self._path(sequence)} was expected; an entry is missing")
            entry = _parse(path, content)
            if entry.previous != previous or entry.sequence != sequence:
                raise LogBroken(f"{path} does not continue the entry before it; one of the two was changed by hand")
            previous = entry.digest
            entries.append(entry)
        return fold(entries)

    def append(
        self,
        kind: Kind,
        reason: str,
        *,
        attempt: str,
        version: VersionId | None,
        against: VersionId | None,
        as_of: datetime,
        now: datetime,
        evidence: Mapping[str, Any] | None = None,
        num_decisions: int | None = None,
        lease: int | None = None,
    ) -> Entry:
        """Add an entry that was decided while `against` was champion; an attempt is answered at most once.

        A test takes its level from the decisions before it: who gives `num_decisions`, their number at the time, is
        told when there are more by now.

        A registration states a fact and decides nothing: it is accepted whoever is champion.

        Nothing is written under a `lease` once another was taken, or once the log has an entry under a later one. The
        first is looked up, and a holder who is late by less than that look comes before the later one, who has not
        written yet; the second follows from the log that the entry continues, and holds whatever the timing.

        Whoever loses the race for a number reads the log again. Returns the entry written, or the one that already
        answers this attempt.

        Raises:
            ChampionChanged: when the champion is no longer `against`.
            Superseded: when another decision was recorded meanwhile.
            Succeeded: when the lease was succeeded by a later one.
            LogBroken: when the entry promotes no version, or rolls back to another than the previous champion.
        """
        while True:
            state = self.read()
            if earlier := (state.registered(attempt) if kind == "registered" else state.answer(attempt)):
                return earlier
            if lease is not None:
                self._hold(lease, state)
            if kind != "registered" and state.champion != against:
                raise ChampionChanged(f"decided against {against}, but the champion is now {state.champion}")
            if num_decisions is not None and state.num_decisions != num_decisions:
                raise Superseded(f"another decision was recorded meanwhile: {state.entries[-1].reason}")
            entry = Entry(
                sequence=len(state.entries),
                previous=state.entries[-1].digest if state.entries else GENESIS,
                kind=kind,
                reason=reason,
                attempt=attempt,
                version=version,
                against=against,
                as_of=as_of.isoformat(),
                recorded_at=now.isoformat(),
                evidence=json.loads(_json(evidence or {})),  # as it will be read, with text keys and lists
                lease=lease,
            )
            fold((*state.entries, entry))  # what would make the log unreadable for everyone is refused here
            if self.storage.create(self._path(entry.sequence), entry.to_bytes()):
                return entry

    def _hold(self, lease: int, state: State) -> None:
        last = self.leases.last()
        if last is None or max(state.lease, last.number) > lease:
            raise Succeeded.by(lease, last)

    def _path(self, sequence: int) -> str:
        return f"{self.folder}/{sequence:08}.json"


def _parse(path: str, content: bytes) -> Entry:
    try:
        entry = _entry(content)
    except (ValueError, TypeError, KeyError) as error:
        raise LogBroken(f"{path} is not an entry of a decision log: {error}") from error
    if entry is None:
        raise LogBroken(f"{path} was changed after it was written: it does not hash to its own sha256")
    if entry.kind not in get_args(Kind):
        raise LogBroken(f"{path} has kind={entry.kind!r}; this version knows {', '.join(get_args(Kind))}")
    return entry


@lru_cache(maxsize=10_000)
def _entry(content: bytes) -> Entry | None:
    """What bytes say, worked out once however often they are read; None if they do not hash to their own sha256."""
    fields = dict(json.loads(content))
    del fields["sha256"]
    entry = Entry(**fields)
    return entry if entry.to_bytes() == content else None


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
