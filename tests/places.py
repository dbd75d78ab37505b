"""The two kinds of place where a storage keeps its objects, and what somebody with a hand on them can do there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from models.registry.storage import Storage
from models.registry.stores import Credentials, StoreOptions

if TYPE_CHECKING:  # which takes a second, and racing processes have no need of it
    from tests.s3_server import S3Server

KEY_ID, SECRET, REGION = "AKIALOOPBACKONLY", "loopback-secret-8d1f02", "us-east-1"


@dataclass(frozen=True)
class Opening:
    """What a process needs to open the storage of a place."""

    root: str
    work: str
    options: StoreOptions | None = None
    credentials: Credentials | None = None
    patience: float = 10.0

    def storage(self) -> Storage:
        """The storage."""
        return Storage(self.root, self.work, self.options, self.credentials, self.patience)


@dataclass(frozen=True)
class Folder:
    """A folder on this machine."""

    root: Path
    work: Path

    @property
    def opening(self) -> Opening:
        return Opening(str(self.root), str(self.work))

    def storage(self) -> Storage:
        return self.opening.storage()

    def objects(self) -> dict[str, bytes]:
        """Every object by its path; what obstore has not finished is hidden, as it is from the storage."""
        found = (path for path in self.root.rglob("*") if path.is_file() and "#" not in path.name)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in sorted(found)}

    def put(self, path: str, content: bytes) -> None:
        """Set an object, whatever is there."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def remove(self, path: str) -> None:
        """Remove an object."""
        (self.root / path).unlink()


@dataclass(frozen=True)
class Bucket:
    """A prefix in a bucket of the server on loopback."""

    server: S3Server
    bucket: str
    work: Path
    prefix: str = "models/of us"
    patience: float = field(default=10.0)

    @property
    def opening(self) -> Opening:
        options = StoreOptions(endpoint=self.server.url, region=REGION, allow_http=True)
        credentials = Credentials({"access_key_id": KEY_ID, "secret_access_key": SECRET})
        root = f"s3://{self.bucket}/{self.prefix}"
        return Opening(root, str(self.work), options, credentials, self.patience)

    def storage(self) -> Storage:
        return self.opening.storage()

    def objects(self) -> dict[str, bytes]:
        """Every object by its path, without the one that every storage makes to try the store."""
        found = self.server.objects(self.bucket).items()
        paths = {key.removeprefix(f"{self.prefix}/"): content for key, content in found}
        return {path: content for path, content in paths.items() if path != "conditional-create"}

    def put(self, path: str, content: bytes) -> None:
        """Set an object, whatever is there."""
        self.server.put(self.bucket, f"{self.prefix}/{path}", content)

    def remove(self, path: str) -> None:
        """Remove an object."""
        self.server.remove(self.bucket, f"{self.prefix}/{path}")


Place = Folder | Bucket
