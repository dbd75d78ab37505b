"""Prefect's SQLite through one connection: the same file, and no writer that waits for another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME, temporary_settings
from sqlalchemy.pool import QueuePool

from tasks.deploying.sqlite import FILE, URL, through_one_connection, usual_database

NUM_WRITERS = 12


@pytest.mark.parametrize("name", ["home", "a b?c#d%20e:ö&=;"])
def test_a_file_of_any_name_is_opened_once_however_many_write_into_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / name / FILE
    file.parent.mkdir()

    async def add(engine: sa.ext.asyncio.AsyncEngine) -> None:
        async with engine.begin() as connection:  # reads before it writes: with more connections it would be refused
            (number,) = (await connection.execute(sa.text("select count(*) from t"))).one()
            await asyncio.sleep(0.01)
            await connection.execute(sa.text("insert into t values (:number)"), {"number": number})

    async def write() -> list[int]:
        engine = await AioSqliteConfiguration(through_one_connection(file)).engine()
        assert isinstance(engine.sync_engine.pool, QueuePool)
        assert (engine.sync_engine.pool.size(), engine.sync_engine.pool._max_overflow) == (1, 0)
        async with engine.begin() as connection:
            await connection.execute(sa.text("create table t (number)"))
        await asyncio.gather(*(add(engine) for _ in range(NUM_WRITERS)))
        async with engine.connect() as connection:
            return [number for (number,) in await connection.execute(sa.text("select number from t order by 1"))]

    assert asyncio.run(write()) == list(range(NUM_WRITERS))
    assert [each.name for each in file.parent.iterdir() if each.suffix == ".db"] == [FILE]


def test_a_server_that_is_started_here_opens_the_usual_file_and_leaves_a_database_that_is_named(tmp_path: Path) -> None:
    with temporary_settings({PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_DATABASE_CONNECTION_URL}):
        assert usual_database() == {URL: through_one_connection(tmp_path / FILE)}
    for named in ("postgresql+asyncpg://ada@127.0.0.1/prefect", f"sqlite+aiosqlite:///{tmp_path}/other.db"):
        with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_DATABASE_CONNECTION_URL: named}):
            assert usual_database() == {}
