"""What a project is made of on a server: pools, queues, deployments and automations, each as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

Kind = Literal["work pool", "work queue", "deployment", "automation"]
KINDS: tuple[Kind, ...] = ("work pool", "work queue", "deployment", "automation")  # each needs those before it


@dataclass(frozen=True)
class Piece:
    """One thing on the server, by what it says: values as JSON has them, in which `<name>` stands for an id.

    Ids are the server's, and a deployment that does not exist yet has none; names can be compared before.

    Attributes:
        values: what is compared, and written when it differs.
        id: the server's, of a piece that was found there.
        owner: of an automation: the mark by which it is found again, which the server keeps and does not show.
    """

    kind: Kind
    name: str
    values: dict[str, Any] = field(repr=False)
    id: UUID | None = None
    owner: str | None = None

    @property
    def key(self) -> tuple[Kind, str]:
        """What makes two pieces the same thing."""
        return self.kind, self.name


def reference(name: str) -> str:
    """How a piece names another whose id it needs.

    >>> reference("retrain-flights")
    '<retrain-flights>'
    """
    return f"<{name}>"


def by_key(pieces: Iterable[Piece]) -> dict[tuple[Kind, str], Piece]:
    """Pieces by kind and name, in the order in which they can be made."""
    ordered = sorted(pieces, key=lambda piece: (KINDS.index(piece.kind), piece.name))
    return {piece.key: piece for piece in ordered}
