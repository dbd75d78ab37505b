"""The checks of the chaos benchmark find what they are there to find; the benchmark itself is run by hand."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import small_project
from benchmarks.chaos import check
from benchmarks.chaos.rounds import SIGNALS, TARGETS, Wanted, kills
from configs.schema import load
from models.data.predictions import Batch
from models.registry.log import Entry
from models.registry.registry import Registry
from models.registry.versions import VersionId

AS_OF = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path, "churn")


def append(registry: Registry, kind: Any, attempt: str, version: str) -> Entry:
    champion = registry.log.read().champion
    return registry.log.append(
        kind, "Why.", attempt=attempt, version=VersionId(version), against=champion, as_of=AS_OF, now=AS_OF
    )


def forge(registry: Registry, place: int, **changes: Any) -> None:
    """Write an entry as a broken writer would: well formed, and wrong."""
    entries = registry.log.read().entries
    fields = {name: getattr(entries[-1], name) for name in entries[-1].__dataclass_fields__}
    forged = Entry(**fields | {"sequence": place, "previous": entries[-1].digest} | changes)
    assert registry.storage.create(f"registry/churn/log/{place:08}.json", forged.to_bytes())


def test_a_sound_log_has_no_faults(registry: Registry) -> None:
    append(registry, "registered", "retrain 1 by scratch", "v1")
    append(registry, "promoted", "retrain 1", "v1")
    append(registry, "rejected", "retrain 2", "v2")
    assert check.broken(registry) == []


def test_a_second_answer_a_decision_against_another_champion_and_falling_leases_are_found(registry: Registry) -> None:
    append(registry, "promoted", "retrain 1", "v1")
    forge(registry, 1, kind="rejected", against=VersionId("v0"), lease=4)
    forge(registry, 2, kind="rejected", against=VersionId("v1"), attempt="retrain 3", lease=3)
    assert check.broken(registry) == [
        "retrain 1 has 2 answers",
        "entry 1 was decided against v0 while v1 was champion",
        "leases do not rise: [4, 3]",
    ]


def test_a_broken_chain_is_one_fault_in_words(registry: Registry) -> None:
    append(registry, "promoted", "retrain 1", "v1")
    forge(registry, 1, previous="0" * 64)
    [fault] = check.broken(registry)
    assert "does not continue the entry before it" in fault


def test_versions_without_a_manifest_and_entries_that_vanish_are_found(registry: Registry) -> None:
    before = [append(registry, "promoted", "retrain 1", "v1"), append(registry, "rejected", "retrain 2", "v2")]
    registry.storage.create("registry/churn/versions/v1/weights.safetensors", b"half")
    assert check.incomplete(registry) == ["v1", "v2"]
    assert check.unfinished(registry) == 1
    assert check.vanished(before, registry.log.read().entries) == []
    assert check.vanished(before, before[:1]) == ["entry 1 is not what it was"]


def test_rows_that_were_scored_twice_are_counted(registry: Registry) -> None:
    for day in range(2):
        start = AS_OF + timedelta(days=day)
        rows = pd.DataFrame({"id": [1, 2 + day], "event_time": [start, start], "score": [0.5, 0.5]})
        registry.predictions.add(Batch(start, start + timedelta(days=1), VersionId("v1"), 2), rows, start)
    assert check.duplicates(registry) == 1
    assert Wanted("score", AS_OF + timedelta(days=2), []).is_there(registry)
    assert not Wanted("score", AS_OF + timedelta(days=3), []).is_there(registry)


def test_every_combination_is_killed_once_before_any_comes_again() -> None:
    drawn = list(itertools.islice(kills(random.Random(3)), 12))
    assert set(drawn[:6]) == set(drawn[6:]) == set(itertools.product(TARGETS, SIGNALS))


def test_the_small_project_is_one_that_loads(tmp_path: Path) -> None:
    project = load(small_project.write(tmp_path, num_days=3))
    assert project.name == small_project.NAME
    assert len(pd.read_parquet(tmp_path / "rows")) == 3 * small_project.ROWS_A_DAY
