"""How an object store is reached. What proves who asks is no part of it: a YAML is no place for a secret."""

from __future__ import annotations

import re
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from configs.section import Section

SECRETIVE = re.compile(r"key|secret|token|password|credential|account|sas", re.IGNORECASE)
BLOCK = re.compile(r"secret/[a-z0-9][a-z0-9-]*")
WHERE_CREDENTIALS_GO = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of whoever runs the flows, or put them into a "
    "Secret block of Prefect and write storage_options.credentials_block: secret/NAME"
)


class StorageOptions(Section):
    """How the bucket of an `s3://`, `gs://` or `az://` storage is reached; unused where the storage is a folder."""

    # The text of an error shows what was found, and what was found here may be a secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint: str | None = Field(None, description="URL of a service that speaks S3, where it is not Amazon's own")
    region: str | None = Field(None, description="of the bucket; by default AWS_REGION, else us-east-1")
    allow_http: bool = Field(False, description="whether requests may go unencrypted, on a network of one's own")
    virtual_hosted_style: bool = Field(
        False, description="whether the bucket's name is part of the host name; the endpoint then begins with it"
    )
    credentials_block: str | None = Field(
        None, description="secret/NAME, a Secret block on the Prefect server; by default credentials of the environment"
    )

    @model_validator(mode="before")
    @classmethod
    def _holds_no_secret(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for name in values:
            if name not in cls.model_fields and SECRETIVE.search(str(name)):
                raise ValueError(f"{name} is a credential, and not for a YAML; {WHERE_CREDENTIALS_GO}")
        if "@" in str(values.get("endpoint", "")):
            raise ValueError(f"endpoint holds a credential, and a YAML is no place for it; {WHERE_CREDENTIALS_GO}")
        block = values.get("credentials_block")
        if block is not None and not (isinstance(block, str) and BLOCK.fullmatch(block)):
            raise ValueError(
                "credentials_block is not the name of a Secret block on the Prefect server; write it as secret/NAME, "
                "lower case, digits and dashes"
            )
        return values

    @model_validator(mode="after")
    def _endpoint_is_a_url(self) -> Self:
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"endpoint={self.endpoint!r} is no URL; write it as https://s3.example.com")
            if parts.scheme == "http" and not self.allow_http:
                raise ValueError(
                    f"endpoint={self.endpoint!r} is not encrypted; write https://, or set allow_http: true if the way "
                    "to it is a network of your own"
                )
        return self


def holds_a_secret(storage: object) -> bool:
    """Whether a storage's URL has more in it than a bucket and a prefix: a user, or a query with a signature."""
    return isinstance(storage, str) and "://" in storage and bool(re.search(r"[@?#]", storage))
