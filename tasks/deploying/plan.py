"""The difference between what a project should be on a server and what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from tasks.deploying.pieces import Kind, Piece, by_key
from tasks.deploying.pools import OURS

What = Literal["added", "changed", "removed", "unchanged"]


@dataclass(frozen=True)
class Difference:
    """One value that is not as it should be; None is a value that is not there."""

    place: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """What is to happen to one piece."""

    what: What
    piece: Piece
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to happen to a project on a server, in the order in which it can happen.

    Attributes:
        notes: what a reader would otherwise wonder about, one sentence each.
    """

    project: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the server is as it should be."""
        return all(change.what == "unchanged" for change in self.changes)


@dataclass(frozen=True)
class Deployed:
    """A plan that was shown, and carried out unless it was only to be shown."""

    plan: Plan
    is_dry: bool = False

    @property
    def sentence(self) -> str:
        """What became of it."""
        if self.plan.is_empty:
            return f"Nothing to change: {self.plan.project} is on the server as its YAML says."
        counts = ((what, sum(change.what == what for change in self.plan.changes)) for what in get_args(What))
        done = ", ".join(f"{count} {what}" for what, count in counts if count)
        return f"{self.plan.project}: {done}. " + ("Nothing was done: this was a dry run." if self.is_dry else "Done.")


def compare(project: str, wanted: Iterable[Piece], found: Iterable[Piece], notes: Iterable[str] = ()) -> Plan:
    """What must be added, changed and removed so that `found` becomes `wanted`.

    Pools and queues are never removed, for others may use them. Of two found pieces of one name, which only a race or a
    hand can have made, one is kept. A pool whose description is not ours belongs to a person, who keeps its template.
    """
    is_there: dict[tuple[Kind, str], Piece] = {}
    doubles = []
    for piece in found:
        if piece.key in is_there:
            doubles.append(piece)
        is_there.setdefault(piece.key, piece)
    should_be = by_key(wanted)
    changes = [_change(piece, is_there.get(key)) for key, piece in should_be.items()]
    gone = [piece for key, piece in by_key(is_there.values()).items() if key not in should_be]
    removed = [
        Change("removed", piece) for piece in [*reversed(gone), *doubles] if piece.kind in ("deployment", "automation")
    ]
    return Plan(project, (*changes, *removed), tuple(notes))


def differences(old: Any, new: Any, place: str = "") -> Iterator[Difference]:
    """Every value in which two trees of JSON differ, with its place: `schedules.0.cron`.

    >>> [*differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})]
    [Difference(place='a.b', old=1, new=3)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(each, dict) for each in old + new):
        for index in range(max(len(old), len(new))):
            before, after = (each[index] if index < len(each) else None for each in (old, new))
            yield from differences(before, after, f"{place}.{index}".lstrip("."))
    elif old != new:
        yield Difference(place, old, new)


def _change(want: Piece, there: Piece | None) -> Change:
    if there is None:
        return Change("added", want)
    values = want.values
    if want.kind == "work pool" and not str(there.values["description"] or "").startswith(OURS):
        values = {name: value for name, value in values.items() if name not in ("description", "base_job_template")}
    kept = replace(want, values=values, id=there.id)
    found = {name: there.values.get(name) for name in values}
    different = tuple(differences(found, values))
    return Change("changed" if different else "unchanged", kept, different)
