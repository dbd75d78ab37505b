"""Open a project's storage, with the credentials that its YAML does not hold."""

from __future__ import annotations

from functools import cache
from typing import Any

from prefect.blocks.system import Secret

from configs.schema import Project
from models.registry.storage import Storage
from models.registry.stores import Credentials, StoreOptions

SECRET = "secret/"


def storage_of(project: Project) -> Storage:
    """The project's storage; a bucket is opened once in a process, which keeps its connections."""
    if "://" not in project.storage:
        return Storage(project.storage, project.work)
    options = project.storage_options
    reached = StoreOptions(options.endpoint, options.region, options.allow_http, options.virtual_hosted_style)
    return _opened(project.storage, str(project.work), reached, options.credentials_block)


@cache
def _opened(storage: str, work: str, options: StoreOptions, block: str | None) -> Storage:
    return Storage(storage, work, options, _from_block(block) if block else None)


def _from_block(name: str) -> Credentials:
    """The credentials in a Secret block: a JSON object such as `{"access_key_id": ..., "secret_access_key": ...}`.

    Raises `ValueError` when there is no such block, or something else in it.
    """
    try:
        block: Any = Secret.load(name.removeprefix(SECRET))
    except ValueError:
        raise ValueError(
            f"storage_options.credentials_block={name!r} is no block on this Prefect server; make it in the UI under "
            "Blocks, of type Secret, or name another"
        ) from None
    content = block.get()
    if not isinstance(content, dict):
        raise ValueError(
            f"storage_options.credentials_block={name!r} does not hold a JSON object; write it there as "
            '{"access_key_id": "...", "secret_access_key": "..."}'
        )
    # Also as the environment names them; a token that is null is none.
    named = {name.lower().removeprefix("aws_"): value for name, value in content.items() if value is not None}
    return Credentials(named)
