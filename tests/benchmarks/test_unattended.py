"""The whole of it: rows shift, and the champion changes without a hand, with SQLite and with Postgres."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import postgres, small_project
from benchmarks.unattended import DATABASES, site_on, told
from models.registry.registry import Registry

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("database", DATABASES)
def test_rows_that_shift_change_the_champion_without_a_hand(database: str, tmp_path: Path) -> None:
    if database == "postgres" and postgres.binaries() is None:
        pytest.skip("no PostgreSQL here: install Debian's package postgresql")
    with site_on(tmp_path, database, query_seconds=1) as site:
        found = told(site)
        assert (site.folder / "prefect" / "prefect.db").exists() == (database == "sqlite")
        runs = site.ask("flow_runs/filter", sort="START_TIME_ASC", flow_runs={"start_time": {"is_null_": False}})
    assert (found["verdict"], found["trigger"], found["decision"]) == ("concept_change", "concept_change", "promoted")
    log = Registry.open(tmp_path / ".perennial", small_project.NAME).log.read()
    assert [entry.version for entry in log.entries if entry.kind == "promoted"] == found["champions"]
    names = [run["name"] for run in runs]
    assert names == ["retrain-churn", "score-churn", "watch-churn", "retrain-churn"], "each ran once"
    assert 0 < found["seconds_to_run"] < found["seconds_to_first_line"] < found["seconds_to_champion"]
