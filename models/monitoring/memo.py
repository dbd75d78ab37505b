"""What was computed is not computed again: results kept under the digest of everything that they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from models.registry.storage import Storage

T = TypeVar("T")
FORM = 1  # raise it whenever results are computed or written otherwise: kept ones are then computed anew


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Memo(Protocol):
    """`once("drift", key, list[Drift], compute)` is `compute()`, or what that was for the same key before."""

    def once(self, name: str, key: str, kind: Any, compute: Callable[[], T]) -> T: ...

    def each(
        self, name: str, keys: Sequence[str], kind: Any, compute: Callable[[Sequence[int]], Sequence[T]]
    ) -> list[T]: ...


class _Keeping:
    """What both memos share: `each`, from whether a result is there and `once`."""

    def once(self, name: str, key: str, kind: Any, compute: Callable[[], T]) -> T:
        raise NotImplementedError

    def has(self, name: str, key: str) -> bool:
        raise NotImplementedError

    def each(
        self, name: str, keys: Sequence[str], kind: Any, compute: Callable[[Sequence[int]], Sequence[T]]
    ) -> list[T]:
        """A result for each key; `compute` is called at most once, with the places of those that are not there."""
        missing = [place for place, key in enumerate(keys) if not self.has(name, key)]
        fresh: dict[int, T] = dict(zip(missing, compute(missing), strict=True)) if missing else {}
        return [self.once(name, key, kind, partial(fresh.__getitem__, place)) for place, key in enumerate(keys)]


class StoredMemo(_Keeping):
    """Results as JSON in a storage, written whole or not at all: `computed/<project>/<name>/<key>.json`."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"computed/{project}"

    def once(self, name: str, key: str, kind: Any, compute: Callable[[], T]) -> T:
        """`compute()`, of the type `kind`, which is called only when nothing is stored under the key."""
        path, adapter = self._path(name, key), _adapter(kind)
        try:
            return adapter.validate_json(self.storage.read(path))
        except FileNotFoundError:
            self.storage.create(path, adapter.dump_json(compute()))
            return adapter.validate_json(self.storage.read(path))

    def has(self, name: str, key: str) -> bool:
        """Whether a result is stored."""
        return self.storage.exists(self._path(name, key))

    def _path(self, name: str, key: str) -> str:
        return f"{self.folder}/{name}/{key}.json"


class HeldMemo(_Keeping):
    """Results held in memory, for as long as the memo itself."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Any] = {}

    def once(self, name: str, key: str, kind: Any, compute: Callable[[], T]) -> T:
        """`compute()`, which is called only when nothing is held under the key."""
        if (name, key) not in self.held:
            self.held[name, key] = compute()
        return self.held[name, key]

    def has(self, name: str, key: str) -> bool:
        """Whether a result is held."""
        return (name, key) in self.held


class Fingerprints:
    """Digests of parts of one frame, whose rows are hashed once.

    Two frames with equal rows in the same order have equal digests, in every process.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        self.names = ",".join(map(str, frame.columns))

    def of(self, rows: slice | np.ndarray, *further: object) -> str:
        """Digest of some of the rows and of everything else that a result depends on."""
        digest = hashlib.sha256(np.ascontiguousarray(self.hashes[rows]).tobytes())
        for each in (FORM, self.names, *further):
            digest.update(repr(each).encode())
        return digest.hexdigest()[:24]
