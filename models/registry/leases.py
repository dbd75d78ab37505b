"""Leases: whose turn it is to retrain a project, and for how long, should nothing more be heard of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from pydantic import TypeAdapter, ValidationError

from models.registry.holder import Holder
from models.registry.storage import Storage

DURATION = timedelta(minutes=2)
RENEWED_EVERY = DURATION / 4  # three renewals may be late before a living holder is taken for dead


class Succeeded(RuntimeError):
    """A later lease was taken: whoever holds this one was thought dead, and may decide nothing any more."""

    @classmethod
    def by(cls, number: int, last: Lease | None) -> Self:
        """What was to be written under lease `number`, and `last` is the newest."""
        later = f"lease {last.number}, taken by {last.holder.name} for {last.attempt}" if last else "another"
        return cls(
            f"lease {number} on the retrains of this project is over, and {later} has come after it: its holder was "
            "thought dead, and decides nothing any more"
        )


@dataclass(frozen=True)
class Lease:
    """The right to retrain a project.

    Attributes:
        number: that of the entry by which it was taken. Later leases have larger ones: what is written under a lease
            carries it, and the log refuses it once it has been succeeded.
        attempt: what it was taken for.
        holder: who has it.
        taken_at, expires_at: on the clocks of who wrote them.
        is_released: whether it was given back.
    """

    number: int
    attempt: str
    holder: Holder
    taken_at: datetime
    expires_at: datetime
    is_released: bool = False

    def is_free(self, now: datetime) -> bool:
        """Whether it was given back, or has run out."""
        return self.is_released or self.expires_at <= now


class Leases:
    """The leases of one project in a storage: `leases/<project>/00000000.json` and on.

    To take, renew or give back a lease is to add the next entry, which one of several writers can: the last entry says
    what holds. Nothing is overwritten, so that this works wherever the decision log does.

    A wrong clock costs a training and no more: who runs ahead takes a living holder for dead and trains a second time,
    but which of the two may decide follows from numbers alone. Clocks should agree to within a minute.
    """

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"leases/{project}"

    def last(self) -> Lease | None:
        """The newest lease, whether or not it still holds."""
        return self._read()[1]

    def take(self, attempt: str, holder: Holder, now: datetime, is_gone: Callable[[Holder], bool]) -> Lease:
        """Take the lease if it is free or its holder is gone. Returns the lease that holds: this one, or another's."""
        while True:
            sequence, last = self._read()
            if last and not last.is_free(now) and not is_gone(last.holder):
                return last
            lease = Lease(sequence, attempt, holder, now, now + DURATION)
            if self._add(sequence, lease):
                return lease

    def renew(self, lease: Lease, now: datetime) -> Lease:
        """Have it for longer; one that has run out too, as long as nobody took the next. Raises `Succeeded`."""
        return self._change(lease, expires_at=now + DURATION)

    def release(self, lease: Lease) -> None:
        """Give it back; nothing happens if it was succeeded."""
        try:
            self._change(lease, is_released=True)
        except Succeeded:
            return

    def _change(self, lease: Lease, **changes: object) -> Lease:
        while True:
            sequence, last = self._read()
            if last is None or last.number != lease.number or last.is_released:
                raise Succeeded.by(lease.number, last)
            changed = replace(last, **changes)  # type: ignore[arg-type]
            if self._add(sequence, changed):
                return changed

    def _read(self) -> tuple[int, Lease | None]:
        """How many entries there are, and what the last one says."""
        paths = self.storage.list(self.folder)
        if not paths:
            return 0, None
        sequence = len(paths)
        if paths[-1] != self._path(sequence - 1):
            raise RuntimeError(f"{paths[-1]} stands where {self._path(sequence - 1)} was expected; an entry is missing")
        try:
            return sequence, _ADAPTER.validate_json(self.storage.read(paths[-1]))
        except ValidationError as error:
            raise RuntimeError(f"{self.storage.place(paths[-1])} is not an entry of a lease: {error}") from error

    def _add(self, sequence: int, lease: Lease) -> bool:
        return self.storage.create(self._path(sequence), _ADAPTER.dump_json(lease, indent=1) + b"\n")

    def _path(self, sequence: int) -> str:
        return f"{self.folder}/{sequence:08}.json"


_ADAPTER = TypeAdapter(Lease)
