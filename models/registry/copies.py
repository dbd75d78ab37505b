"""Copies on this machine of objects whose name says what is in them."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


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


def has_digest(path: Path, sha256: str) -> bool:
    """Whether there is a file whose SHA-256 begins with `sha256`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256)
    except FileNotFoundError:
        return False
