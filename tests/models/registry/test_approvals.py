"""Approvals in the log: a yes of the gate that waits promotes nothing, and one person's answer ends the wait."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.registry import history
from models.registry.log import CHAMPION_CHANGED, DecisionLog, Entry, LogBroken, approval_of
from models.registry.storage import Storage
from models.registry.versions import VersionId

AS_OF = datetime(2013, 5, 1, tzinfo=UTC)


def append(log: DecisionLog, kind: Any, attempt: str, version: str | None, **evidence: Any) -> Entry:
    name = VersionId(version) if version else None
    return log.append(
        kind,
        "Because.",
        attempt=attempt,
        version=name,
        against=log.read().champion,
        as_of=AS_OF,
        now=AS_OF,
        evidence=evidence,
    )


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    log = DecisionLog(Storage(tmp_path), "flights")
    append(log, "promoted", "one", "v1")
    return log


def test_a_yes_that_waits_promotes_nothing_until_it_is_approved(log: DecisionLog) -> None:
    waiting = append(log, "awaiting", "two", "v2")
    assert (log.read().champion, log.read().awaiting) == ("v1", [waiting])
    append(log, "approved", approval_of(waiting), "v2")
    state = log.read()
    assert (state.champion, state.previous_champion, state.awaiting) == ("v2", "v1", [])
    assert state.answer("two") == waiting, "the attempt keeps its answer"


def test_a_first_champion_may_be_approved_and_stays_the_first(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    waiting = append(log, "awaiting", "one", "v1")
    assert log.read().champion is None and log.read().first_champion is None
    append(log, "approved", approval_of(waiting), "v1")
    assert log.read().first_champion == "v1"


def test_what_was_refused_is_remembered(log: DecisionLog) -> None:
    waiting = append(log, "awaiting", "two", "v2")
    append(log, "refused", approval_of(waiting), "v2")
    assert (log.read().champion, log.read().refused, log.read().awaiting) == ("v1", {"v2"}, [])


def test_an_approval_of_no_version_is_not_written(log: DecisionLog) -> None:
    with pytest.raises(LogBroken, match="promotes no version"):
        append(log, "approved", "approval of 1", None)


def test_an_attempt_has_another_name_once_its_answer_is_void(log: DecisionLog) -> None:
    state = log.read()
    assert state.current("two") == "two"
    waiting = append(log, "awaiting", "two", "v2")
    assert log.read().current("two") == "two"
    void = append(log, "expired", approval_of(waiting), "v2", cause=CHAMPION_CHANGED)
    assert log.read().current("two") == f"two, again after {void.sequence}"
    append(log, "rejected", f"two, again after {void.sequence}", "v2")
    assert log.read().current("two") == f"two, again after {void.sequence}"
    late = append(log, "awaiting", "three", "v3")
    append(log, "expired", approval_of(late), "v3", cause="time")
    assert log.read().current("three") == "three", "nobody answered: that is the answer"


def test_a_test_spends_its_level_when_it_is_made_and_not_again_when_a_person_answers(log: DecisionLog) -> None:
    tests = {"judgement": {"tests": [{"level": 0.05}]}}
    waiting = append(log, "awaiting", "two", "v2", **tests)
    [spent] = history.tested(log.read())
    assert (spent.level, spent.is_promotion) == (0.05, True)
    append(log, "refused", approval_of(waiting), "v2")
    assert history.tested(log.read()) == [spent]


ANSWERS = st.lists(st.tuples(st.sampled_from(["approved", "refused", "expired"]), st.integers(0, 3)), max_size=10)


@given(answers=ANSWERS)
@settings(deadline=None, max_examples=30)
def test_of_several_answers_to_one_question_the_first_holds(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[Any, int]]
) -> None:
    log = DecisionLog(Storage(tmp_path_factory.mktemp("log")), "flights")
    asked = [append(log, "awaiting", f"attempt {place}", f"v{place}") for place in range(4)]
    first: dict[int, Entry] = {}
    for kind, place in answers:
        entry = append(log, kind, approval_of(asked[place]), f"v{place}")
        assert first.setdefault(place, entry) == entry
    state = log.read()
    assert state.awaiting == [entry for place, entry in enumerate(asked) if place not in first]
    assert {f"v{place}" for place, entry in first.items() if entry.kind == "approved"} == set(state.promotions)
    assert {f"v{place}" for place, entry in first.items() if entry.kind == "refused"} == state.refused
