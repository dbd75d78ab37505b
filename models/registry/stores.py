"""Where objects lie: a folder, or a bucket that is reached over HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

Store = LocalStore | S3Store | GCSStore | AzureStore
CREDENTIALS = {
    "s3": ("access_key_id", "secret_access_key", "session_token"),
    "gs": ("service_account_key",),
    "az": ("account_name", "account_key", "sas_token"),
}  # by scheme, as obstore names them
CONNECT_SECONDS, SILENCE_SECONDS, LONGEST_SECONDS = 5, 30, 24 * 3600
SLOWEST = 1_000_000  # bytes a second: an upload that is slower than this counts as lost


@dataclass(frozen=True)
class StoreOptions:
    """How a bucket is reached; what is left out comes from the environment, as obstore reads it.

    Attributes:
        endpoint: URL of the service, where it is not the provider's own.
        region: of the bucket.
        allow_http: whether requests may go unencrypted.
        virtual_hosted_style: whether the bucket's name is part of the host name, and not of the path.
    """

    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    virtual_hosted_style: bool = False

    def for_scheme(self, scheme: str) -> dict[str, Any]:
        """As obstore takes them. Raises `ValueError` for options that only S3 has."""
        given = {
            "endpoint": self.endpoint,
            "region": self.region,
            "virtual_hosted_style_request": self.virtual_hosted_style or None,
        }
        named = {name: value for name, value in given.items() if value is not None}
        if named and scheme != "s3":
            raise ValueError(f"storage options {', '.join(named)} are of s3://, and storage is {scheme}://")
        return named


@dataclass(frozen=True)
class Credentials:
    """What proves who asks; its text shows names alone.

    Attributes:
        values: by obstore's name, such as access_key_id.
    """

    values: Mapping[str, str] = field(repr=False)

    def for_scheme(self, scheme: str) -> dict[str, str]:
        """As obstore takes them. Raises `ValueError` for names that this kind of store does not have."""
        unknown = sorted(set(self.values) - set(CREDENTIALS[scheme]))
        if unknown or not all(isinstance(value, str) for value in self.values.values()):
            raise ValueError(
                f"credentials of {scheme}:// are texts named {', '.join(CREDENTIALS[scheme])}; "
                f"found {', '.join(map(repr, sorted(self.values)))}"
            )
        return dict(self.values)


def open_folder(root: Path) -> Store:
    """Objects as files under a folder, which is made when it does not exist."""
    return LocalStore(root, mkdir=True)


def open_for_reading(url: str, options: StoreOptions, credentials: Credentials | None, patience: float) -> Store:
    """A bucket to read from: whatever fails by the world's fault is asked again for `patience` seconds.

    A transfer may take long, as long as it does not stand still.
    """
    client = {"timeout": f"{LONGEST_SECONDS}s", "read_timeout": f"{SILENCE_SECONDS}s"}
    retries = {
        "max_retries": 100,
        "retry_timeout": timedelta(seconds=patience),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    return _open(url, options, credentials, client, retries)


def open_for_writing(url: str, options: StoreOptions, credentials: Credentials | None, num_bytes: int) -> Store:
    """A bucket to write an object of at most `num_bytes` to, with one try: who writes must know of every try."""
    client = {"timeout": f"{SILENCE_SECONDS + num_bytes // SLOWEST}s"}
    return _open(url, options, credentials, client, {"max_retries": 0, "retry_timeout": timedelta(0)})


def _open(
    url: str, options: StoreOptions, credentials: Credentials | None, client: dict[str, Any], retries: dict[str, Any]
) -> Store:
    scheme = url.partition("://")[0]
    config = options.for_scheme(scheme) | (credentials.for_scheme(scheme) if credentials else {})
    client = {"connect_timeout": f"{CONNECT_SECONDS}s", "allow_http": _allows_http(options), **client}
    opened: Any = from_url  # its types know each scheme apart
    try:
        return opened(url, config=config, client_options=client, retry_config=retries)
    except BaseError as error:
        problem = str(error).partition("\n")[0]
    # Outside the block above, or a traceback would show obstore's own error, and all that it holds.
    raise ValueError(f"storage={url!r} cannot be opened: {_without(problem, config.values())}")


def _allows_http(options: StoreOptions) -> bool:
    """obstore passes over this variable as soon as any option of the client is given."""
    return options.allow_http or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on")


def _without(text: str, values: Any) -> str:
    for value in values:
        if isinstance(value, str) and value:
            text = text.replace(value, "***")
    return text
