"""Prefect's SQLite through one connection, so that no writer of a server ever waits for another one of it.

With its usual fifteen a server whose writers collide can stand still for a minute at a time (docs/decisions/0020).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from prefect.settings import get_current_settings

URL, FILE = "PREFECT_API_DATABASE_CONNECTION_URL", "prefect.db"


def through_one_connection(file: Path) -> str:
    """The URL by which Prefect opens a file of SQLite once.

    Prefect does so with databases in memory, which it knows by the word in the URL; SQLite passes over parameters that
    it does not know.

    >>> through_one_connection(Path("/home/ada/.prefect/prefect.db"))
    'sqlite+aiosqlite:///file:/home/ada/.prefect/prefect.db?as=:memory:&uri=true'
    """
    return f"sqlite+aiosqlite:///file:{quote(str(file))}?as=:memory:&uri=true"


def usual_database() -> dict[str, str]:
    """Of the environment of a server that is started here: the usual file, unless the user names a database."""
    settings = get_current_settings()
    usual = f"sqlite+aiosqlite:///{settings.home}/{FILE}"
    database = settings.server.database.connection_url
    is_usual = database is not None and database.get_secret_value() == usual
    return {URL: through_one_connection(settings.home / FILE)} if is_usual else {}
