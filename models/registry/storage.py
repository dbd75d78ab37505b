"""Storage: the one primitive that everything rests on is "create if and only if it does not exist yet"."""

from __future__ import annotations

from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore


class Storage:
    """Objects under a folder, each written whole or not at all, and never overwritten.

    obstore, because its conditional put has one winner among racing processes and shows readers no partial object, on
    a local disk as on S3; `open("xb")` shows partial content and fsspec's `mode="create"` had two winners.

    Args:
        root: a folder; it is made when it does not exist.
    """

    def __init__(self, root: Path | str) -> None:
        if "://" in str(root):
            raise ValueError(f"storage={str(root)!r} is a URL; this version stores on a folder, such as .perennial")
        self.root = Path(root)
        self._store = LocalStore(self.root, mkdir=True)

    def create(self, path: str, content: bytes) -> bool:
        """Write `content` at `path` if nothing is there. Returns whether this call was the one that wrote it."""
        try:
            obstore.put(self._store, path, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """The content at `path`. Raises `FileNotFoundError` when there is none."""
        return obstore.get(self._store, path).bytes().to_bytes()

    def exists(self, path: str) -> bool:
        """Whether `path` was written."""
        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """Paths under the folder `prefix`, sorted."""
        return sorted(entry["path"] for batch in obstore.list(self._store, prefix) for entry in batch)

    def local_path(self, path: str) -> Path:
        """Where `path` lies on this machine, to be shown to a person."""
        return self.root / path
