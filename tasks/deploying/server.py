"""The Prefect server that a command talks to, and what is said when it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL


@contextmanager
def connected() -> Iterator[SyncPrefectClient]:
    """A client of the server that PREFECT_API_URL names.

    Raises:
        ValueError: when no server is named: what is deployed to a server inside this process ends with it.
        RuntimeError: when it does not answer, or refuses something.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise ValueError(
            "no Prefect server is named; start one with `prefect server start`, and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    try:
        with get_client(sync_client=True) as client:
            if problem := client.api_healthcheck():
                raise RuntimeError(
                    f"no Prefect server answers at PREFECT_API_URL={url}: {problem}; "
                    "start it with `prefect server start`, or correct the address"
                )
            yield client
    except PrefectHTTPStatusError as error:
        request = error.request
        raise RuntimeError(
            f"the Prefect server refused {request.method} {request.url}: {error.response.text[:500]}"
        ) from error
    except httpx.TransportError as error:
        raise RuntimeError(f"the Prefect server at PREFECT_API_URL={url} went away: {error}; run this again") from error
