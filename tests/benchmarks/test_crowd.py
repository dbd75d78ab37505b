"""What `benchmarks.crowd` counts: runs that are missing, double, late, or that have left no record of their watch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.crowd import counted
from benchmarks.site import Site
from models.monitoring.diagnosis import Diagnosis
from models.monitoring.evidence import Evidence
from models.monitoring.watches import Watched, Watches
from models.registry.registry import Registry
from models.registry.versions import VersionId

FIRST = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SHOPS = {"id-a": "shop-a", "id-b": "shop-b"}
NUM_MINUTES = 3


def run(shop: str, minute: int, state: str = "COMPLETED", late: float | None = 4.0) -> dict[str, Any]:
    due = FIRST + timedelta(minutes=minute)
    began = None if late is None else (due + timedelta(seconds=late)).isoformat()
    return {"deployment_id": shop, "state_type": state, "expected_start_time": due.isoformat(), "start_time": began}


ALL_RUNS = [run(shop, minute) for shop in SHOPS for minute in range(NUM_MINUTES)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder in which each shop has been watched in each minute."""
    for name in SHOPS.values():
        watches = Watches(Registry.open(tmp_path / ".perennial", name).storage, name)
        for minute in range(NUM_MINUTES):
            look = FIRST + timedelta(minutes=minute)
            found = Diagnosis("healthy", "nothing has changed")
            watches.add(Watched(look, look - timedelta(days=1), VersionId("20260501-aaaaaa"), 10, Evidence(), found))
    return Site(tmp_path)


def test_a_run_a_minute_with_its_record_is_all_that_is_expected(site: Site) -> None:
    found = counted(site, SHOPS, ALL_RUNS, FIRST, NUM_MINUTES)
    assert (found["missed"], found["doubled"], found["without_a_record"]) == (0, 0, 0)
    assert found["states"] == {"COMPLETED": 6}
    assert found["late_seconds"] == {"median": 4.0, "p95": 4.0, "most": 4.0}


@pytest.mark.parametrize("state", ["FAILED", "CRASHED", "SCHEDULED", "RUNNING"])
def test_what_has_not_completed_is_missed(site: Site, state: str) -> None:
    found = counted(site, SHOPS, [*ALL_RUNS[:-1], run("id-b", 2, state)], FIRST, NUM_MINUTES)
    assert (found["missed"], found["doubled"]) == (1, 0)


def test_what_was_never_planned_is_missed(site: Site) -> None:
    assert counted(site, SHOPS, ALL_RUNS[1:], FIRST, NUM_MINUTES)["missed"] == 1


def test_a_minute_of_one_shop_is_not_that_of_another(site: Site) -> None:
    found = counted(site, SHOPS, [*ALL_RUNS[:-1], run("id-a", 2)], FIRST, NUM_MINUTES)
    assert (found["missed"], found["doubled"]) == (1, 1)


def test_a_second_run_of_a_minute_is_one_too_many_whatever_became_of_it(site: Site) -> None:
    found = counted(site, SHOPS, [*ALL_RUNS, run("id-a", 1, "CANCELLED"), run("id-a", 1)], FIRST, NUM_MINUTES)
    assert (found["missed"], found["doubled"]) == (0, 2)


def test_a_completed_run_that_left_no_record_is_told(site: Site) -> None:
    next((site.folder / ".perennial").rglob("watches/shop-b/20260504T093100*")).unlink()
    assert counted(site, SHOPS, ALL_RUNS, FIRST, NUM_MINUTES)["without_a_record"] == 1


def test_lateness_is_that_of_the_runs_that_have_begun(site: Site) -> None:
    late = [run("id-a", 0, late=2.0), run("id-a", 1, late=64.0), run("id-a", 2, "SCHEDULED", late=None)]
    assert counted(site, SHOPS, late, FIRST, NUM_MINUTES)["late_seconds"]["most"] == 64.0
    assert counted(site, SHOPS, late[2:], FIRST, NUM_MINUTES)["late_seconds"] is None
