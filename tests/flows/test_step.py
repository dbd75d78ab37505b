"""The moment for which a flow runs, whenever its process has come to ask for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from prefect.runtime import flow_run

from tasks.step import moment_of, now


def scheduled(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_run, "scheduled_start_time", pendulum.instance(at), raising=False)


def test_a_run_that_a_worker_begins_early_waits_for_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    scheduled(at, monkeypatch)
    assert moment_of(None) == at
    assert now() >= at


def test_a_run_that_begins_late_or_is_tried_again_has_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime.now(UTC) - timedelta(hours=3)
    scheduled(at, monkeypatch)
    assert moment_of(None) == moment_of(None) == at


def test_tomorrows_run_that_a_person_begins_today_is_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduled(datetime.now(UTC) + timedelta(days=1), monkeypatch)
    before = now()
    assert before <= moment_of(None) <= now()
