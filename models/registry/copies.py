"""Copies on this machine of objects that are known by what is in them, or by what their store says of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DIGEST_BYTES = hashlib.sha256().digest_size


class Copies:
    """A folder with copies, each written whole; it may be removed at any time, and they are fetched again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, path: str, sha256: str, download: Callable[[BinaryIO], None]) -> Path | None:
        """A file with the content at `path`, downloaded if it is not there; None if that has another hash.

        Of several processes that want it one downloads, and the others wait. One that is killed leaves a part behind,
        which the next one writes over.

        Args:
            path: of the object.
            sha256: what the SHA-256 of its content begins with.
            download: writes the content into an open file.
        """
        target = self.folder / path
        if has_digest(target, sha256):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if has_digest(target, sha256):
                return target
            part = target.with_name(f"{target.name}.part")
            with part.open("wb") as file:
                download(file)
            if not has_digest(part, sha256):
                part.unlink()
                return None
            part.replace(target)
        return target

    def keep(self, path: str, content: bytes, *known_by: str) -> None:
        """Keep the content of the object at `path`, to be recalled by the same words: its store, and its entity tag.

        It spares a request and no more: what cannot be written is not kept.
        """
        target = self._recalled(path, known_by)
        part = target.with_name(f"{target.name}.part")  # of two that write at once, both write the same
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(target)

    def recall(self, path: str, *known_by: str) -> bytes | None:
        """What was kept of the object at `path` by these words, if it was, and is what it was."""
        try:
            kept = self._recalled(path, known_by).read_bytes()
        except OSError:
            return None
        digest, content = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None

    def _recalled(self, path: str, known_by: Sequence[str]) -> Path:
        return self.folder / f"{path}.{hashlib.sha256(json.dumps(known_by).encode()).hexdigest()[:16]}"


def has_digest(path: Path, sha256: str) -> bool:
    """Whether there is a file whose SHA-256 begins with `sha256`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256)
    except FileNotFoundError:
        return False
