"""Storage: the one primitive that everything rests on is "create if and only if it does not exist yet"."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from models.registry.copies import Copies, has_digest
from models.registry.store_errors import explained
from models.registry.stores import (
    CREDENTIALS,
    Credentials,
    Store,
    StoreOptions,
    open_folder,
    open_for_reading,
    open_for_writing,
)

T = TypeVar("T")
WORK = ".perennial"  # for copies, where objects do not lie on this machine
PATIENCE = 30.0  # seconds for which an object store that cannot be reached is asked again
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
READERS = 16  # requests at the same time
CHUNK = 8 * 2**20
PROBE = "conditional-create"


class Storage:
    """Objects under a folder or the prefix of a bucket, each written whole or not at all, and never overwritten.

    obstore, because its conditional put has one winner among racing processes and shows readers no partial object, on
    a local disk as on S3; `open("xb")` shows partial content and fsspec's `mode="create"` had two winners.

    What the world does to an object store ends in one sentence, a `ValueError` (no such bucket, no permission) or a
    `RuntimeError` (not to be reached), in which there is no credential.

    Args:
        root: a folder, which is made when it does not exist, or the URL of a bucket: `s3://bucket/prefix`.
        work: a folder on this machine for copies of what lies in a bucket.
        options: how the bucket is reached.
        credentials: for the bucket; by default those that obstore finds in the environment.
        patience: seconds for which a bucket that cannot be reached is asked again.

    Raises:
        ValueError: for a URL that is none of a bucket, or options and credentials that are none of such a store.
    """

    def __init__(
        self,
        root: Path | str,
        work: Path | str = WORK,
        options: StoreOptions | None = None,
        credentials: Credentials | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.is_remote = "://" in str(root)
        self.root = str(root).rstrip("/") if self.is_remote else str(root)
        self._options, self._credentials, self._patience = options or StoreOptions(), credentials, patience
        self._copies = Copies(Path(work) / "copies")
        self._writers = dict[int, Store]()
        self._is_sound = not self.is_remote
        if self.is_remote:
            require_bucket(self.root)
            self._reader = open_for_reading(self.root, self._options, credentials, patience)
        else:
            self._reader = open_folder(Path(root))

    def __repr__(self) -> str:
        return f"Storage({self.root!r})"

    def create(self, path: str, content: bytes) -> bool:
        """Write `content` at `path` if nothing is there. Returns whether this call was the one that wrote it.

        An object store may write and its answer be lost. Such a try is made again, which then finds an object: if it
        holds these very bytes, it is taken for this call's own.
        """
        self._require_conditional_create()
        return self._create(path, content)

    def replace(self, path: str, content: bytes, content_type: str) -> None:
        """Write `content` at `path`, whole, whatever is there: for pages alone, which can be drawn again."""
        attributes = {"Content-Type": content_type} if self.is_remote else None

        def put(store: Store) -> None:
            obstore.put(store, path, content, mode="overwrite", attributes=attributes, use_multipart=False)

        self._patiently(f"writing {path}", lambda is_first: put(self._writer(len(content))))

    def create_from(self, path: str, file: Path) -> bool:
        """The same with the content of a file from `workplace`, which is then no longer there.

        A folder takes the file as it is; an object store takes one request, so that it passes through memory.
        """
        if self.is_remote:
            is_ours = self.create(path, file.read_bytes())
            file.unlink()
            return is_ours
        target = Path(self.root) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        try:
            os.link(file, target)  # as obstore does: of two, one wins, and nobody sees a part of it
        except FileExistsError:
            return False
        finally:
            file.unlink()
        return True

    def workplace(self, prefix: str) -> Path:
        """A folder on this machine in which what becomes an object under `prefix` can be put together."""
        folder = self._copies.folder.parent / "gathered" / prefix if self.is_remote else Path(self.root) / prefix
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def read(self, path: str) -> bytes:
        """The content at `path`. Raises `FileNotFoundError` when there is none."""
        return self._ask(f"reading {path}", lambda: obstore.get(self._reader, path).bytes().to_bytes())

    def read_folder(self, prefix: str, suffix: str = "") -> dict[str, bytes]:
        """The content of each object under the folder `prefix` whose path ends with `suffix`, by its path, sorted.

        Of a bucket only what this machine has not read before is fetched, several objects at a time: the list says of
        each what it is now.
        """
        listed = {path: tag for path, tag in self._listed(prefix) if path.endswith(suffix)}
        if not self.is_remote:
            return {path: self.read(path) for path in listed}
        with ThreadPoolExecutor(READERS) as readers:
            return dict(zip(listed, readers.map(self._read_once, listed, listed.values()), strict=True))

    def exists(self, path: str) -> bool:
        """Whether `path` was written."""
        try:
            self._ask(f"looking for {path}", lambda: obstore.head(self._reader, path))
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """Paths under the folder `prefix`, sorted."""
        return [path for path, _ in self._listed(prefix)]

    def file(self, path: str, sha256: str) -> Path | None:
        """A file on this machine with the content at `path`; None if its SHA-256 does not begin with `sha256`.

        In a folder it is the object itself; of an object store it is a copy, made once. Raises `FileNotFoundError` when
        there is neither.
        """
        if self.is_remote:
            return self._copies.get(path, sha256, lambda file: self._download(path, file))
        if not self.exists(path):
            raise FileNotFoundError(self.place(path))
        file = Path(self.root) / path
        return file if has_digest(file, sha256) else None

    def place(self, path: str) -> str:
        """Where `path` lies, to be shown to a person: a file of this machine, or a URL."""
        return f"{self.root}/{path}" if self.is_remote else str(Path(self.root) / path)

    def _listed(self, prefix: str) -> Sequence[tuple[str, str | None]]:
        """Paths under a folder, sorted, each with what its store names this content of the object by, if it does."""

        def objects() -> Sequence[tuple[str, str | None]]:
            batches = obstore.list(self._reader, prefix, chunk_size=1000)
            return [(entry["path"], _plain(entry["e_tag"])) for batch in batches for entry in batch]

        # What consoles show as a folder can be an empty object of that name.
        return sorted(each for each in self._ask(f"listing {prefix}", objects) if each[0] != prefix)

    def _read_once(self, path: str, tag: str | None) -> bytes:
        """The content at a path, which is not fetched if this machine has kept what the tag stands for."""
        if tag and (kept := self._copies.recall(path, self.root, tag)) is not None:
            return kept
        got = self._ask(f"reading {path}", lambda: obstore.get(self._reader, path))
        content = self._ask(f"reading {path}", lambda: got.bytes().to_bytes())
        if now := _plain(got.meta["e_tag"]):  # which may be newer than the list
            self._copies.keep(path, content, self.root, now)
        return content

    def _create(self, path: str, content: bytes) -> bool:
        def put(is_first: bool) -> bool:
            try:
                obstore.put(self._writer(len(content)), path, content, mode="create")
            except (AlreadyExistsError, PreconditionError):
                # S3 also answers so (409) when another writer was in the way and has written nothing in the end.
                if not self.exists(path):
                    raise _Conflict from None
                return not is_first and self.read(path) == content
            return True

        return self._patiently(f"writing {path}", put)

    def _patiently(self, doing: str, put: Callable[[bool], T]) -> T:
        """Call `put(is_first)` until it is answered; it is not the first where an earlier one may have been heard."""
        deadline, pause, is_first = time.monotonic() + self._patience, FIRST_PAUSE, True
        while True:
            try:
                return self._ask(doing, partial(put, is_first))
            except _Conflict:
                problem = RuntimeError(f"storage={self.root!r}, {doing}: another writer was in the way; run it again")
            except RuntimeError as error:
                problem, is_first = error, False
            if not self.is_remote or time.monotonic() + pause > deadline:
                raise problem
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _ask(self, doing: str, call: Callable[[], T]) -> T:
        """What obstore answers, or what it did not find, or an error of ours instead of its own."""
        try:
            return call()
        except FileNotFoundError as error:
            problem: Exception = error
            if self.is_remote:
                is_bucket = "NoSuchBucket" in str(error) or "performing PUT" in str(error)
                problem = self._explained(error, doing) if is_bucket else FileNotFoundError(f"{self.root}, {doing}")
        except (AlreadyExistsError, PreconditionError):
            raise
        except BaseError as error:
            problem = self._explained(error, doing)
        raise problem  # outside the blocks above, or a traceback would show obstore's own error, and all that it holds

    def _explained(self, error: Exception, doing: str) -> Exception:
        if not self.is_remote:
            return RuntimeError(f"storage={self.root!r}, {doing}: {str(error).partition(chr(10))[0]}")
        return explained(error, self.root, doing, self._credentials.values.values() if self._credentials else ())

    def _writer(self, num_bytes: int) -> Store:
        if not self.is_remote:
            return self._reader
        limit = max(num_bytes, CHUNK)
        size = 1 << (limit - 1).bit_length()  # the time allowed goes by the size, in steps, each with its own client
        if size not in self._writers:
            self._writers[size] = open_for_writing(self.root, self._options, self._credentials, size)
        return self._writers[size]

    def _download(self, path: str, file: BinaryIO) -> None:
        def write() -> None:
            file.seek(0)
            file.truncate()
            for chunk in obstore.get(self._reader, path).stream(min_chunk_size=CHUNK):
                file.write(chunk)

        self._ask(f"reading {path}", write)

    def _require_conditional_create(self) -> None:
        """Raise `RuntimeError` for a store that overwrites an object when it is told to create one.

        Not every server that speaks S3 knows the header, and one that does not passes over it in silence. So the first
        write of a process creates an object of its own that is there already, and must be refused.
        """
        if self._is_sound:
            return
        for _ in range(2):  # in an empty bucket the first one makes it
            if not self._create(PROBE, f"Never written over, so this is by the first: {uuid.uuid4()}\n".encode()):
                self._is_sound = True
                return
        raise RuntimeError(
            f"storage={self.root!r} overwrites an object that it was told to create only if there is none "
            "(If-None-Match: *); without that two retrains could both be recorded under one number. Use a store that "
            "has conditional writes (docs/storage.md)"
        )


def _plain(tag: str | None) -> str | None:
    """An entity tag without quotation marks, which some stores leave out of their lists."""
    return tag and tag.strip('"')


class _Conflict(Exception):
    """Nothing was written, because another writer was at it; nor has that one written anything."""


def require_bucket(url: str) -> None:
    """Raise `ValueError` for a URL that is not that of a bucket and a prefix in it."""
    scheme, _, place = url.partition("://")
    if scheme not in CREDENTIALS or not place.strip("/"):
        raise ValueError(
            f"storage={url!r} is no bucket; write {', '.join(f'{each}://bucket/prefix' for each in CREDENTIALS)}, or a "
            "folder such as .perennial"
        )
