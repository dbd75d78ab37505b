"""The decision log: what it says, that it cannot be bent, and that racing writers lose nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.registry.log import ChampionChanged, DecisionLog, Entry, LogBroken, State, Superseded, fold
from models.registry.storage import Storage
from models.registry.versions import VersionId
from tests.places import Opening, Place

AS_OF = datetime(2013, 5, 1, tzinfo=UTC)


def append(log: DecisionLog, kind: Any, attempt: str, version: str | None = None, **changes: Any) -> Entry:
    """An entry decided against the champion of the moment, unless `against` says otherwise."""
    arguments: dict[str, Any] = {
        "against": log.read().champion,
        "as_of": AS_OF,
        "now": AS_OF + timedelta(hours=1),
        "evidence": {"gain": 0.01},
    }
    return log.append(kind, "Because.", attempt=attempt, version=version, **arguments | changes)


def path_of(number: int) -> str:
    return f"registry/flights/log/{number:08}.json"


@pytest.fixture
def log(place: Place) -> DecisionLog:
    return DecisionLog(place.storage(), "flights")


@pytest.fixture
def written(log: DecisionLog) -> DecisionLog:
    """A log with two promotions and a refusal."""
    append(log, "registered", "one", "v1")
    append(log, "promoted", "one", "v1")
    append(log, "rejected", "two", "v2")
    append(log, "promoted", "three", "v3")
    return log


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["promoted", "rolled_back", "rejected", "inconclusive", "declined", "allowed", "refused"]),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(steps=STEPS)
@settings(deadline=None, max_examples=40)
def test_any_interleaving_leaves_one_champion_that_nobody_refused_and_a_log_that_replays_to_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    storage = Storage(tmp_path_factory.mktemp("log"))
    log, stack, refused, first = DecisionLog(storage, "flights"), list[str](), set[str](), None
    for number, (kind, drawn) in enumerate(steps):
        attempt, version = f"attempt-{number}", f"v{drawn}"
        if kind == "rolled_back" and len(stack) > 1:
            stack.pop()
            append(log, kind, attempt, stack[-1])
        elif kind in ("promoted", "allowed"):
            stack.append(version)
            refused.discard(version)
            first = first or version
            append(log, kind, attempt, version) if kind == "promoted" else override(log, "promoted", version, attempt)
        elif kind == "refused" and set(stack) != {version}:
            stack = [each for each in stack if each != version]
            refused.add(version)
            override(log, "refused", version, attempt)
        elif kind in ("rejected", "inconclusive", "declined"):
            append(log, kind, attempt, version)
        stack = [each for place, each in enumerate(stack) if not place or each != stack[place - 1]]
        state = log.read()
        assert state.champion == (stack[-1] if stack else None)
        assert state.first_champion == first
        assert state.refused == refused
        assert state.champion not in refused and state.previous_champion not in refused
    state = DecisionLog(storage, "flights").read()
    assert fold(state.entries) == state
    assert [entry.sequence for entry in state.entries] == list(range(len(state.entries)))
    assert state.num_decisions == len(state.entries)


@given(steps=STEPS)
@settings(deadline=None, max_examples=60)
def test_a_rollback_puts_another_version_back_than_the_one_it_takes_back(steps: list[tuple[str, int]]) -> None:
    entries: list[Entry] = []
    for number, (kind, drawn) in enumerate(steps):
        state = fold(entries)
        answer = {"allowed": "promoted", "refused": "refused"}.get(kind)
        version = state.previous_champion if kind == "rolled_back" else VersionId(f"v{drawn}")
        evidence = {"answer": answer} if answer else {}
        entry = Entry(number, "", "overridden" if answer else kind, "", "", version, None, "", "", evidence)  # type: ignore[arg-type]
        with suppress(LogBroken):
            state = fold([*entries, entry])
            entries.append(entry)
        assert state.champion is None or state.previous_champion != state.champion


def test_what_a_person_promotes_is_champion_and_what_a_person_refuses_never_comes_back_by_itself(
    written: DecisionLog,
) -> None:
    override(written, "promoted", "v2", "four")
    assert promotions(written) == ("v1", "v3", "v2")
    override(written, "refused", "v3", "five")
    assert promotions(written) == ("v1", "v2")
    append(written, "rolled_back", "six", "v1")
    assert (written.read().champion, written.read().refused) == ("v1", {"v3"})
    override(written, "promoted", "v3", "seven")
    assert (written.read().champion, written.read().refused) == ("v3", set())


def test_the_first_champion_may_be_a_persons_and_stays_the_first_when_it_is_refused(log: DecisionLog) -> None:
    append(log, "rejected", "one", "v1")
    override(log, "promoted", "v1", "two")
    append(log, "promoted", "three", "v2")
    override(log, "refused", "v1", "four")
    state = log.read()
    assert (state.first_champion, state.champion, state.previous_champion) == ("v1", "v2", None)


def test_what_was_never_champion_can_be_refused_and_changes_no_champion(written: DecisionLog) -> None:
    override(written, "refused", "v9", "four")
    assert (promotions(written), written.read().refused) == (("v1", "v3"), {"v9"})


@pytest.mark.parametrize("answer", ["promoted", "refused"])
def test_an_override_of_no_version_is_not_written(written: DecisionLog, answer: str) -> None:
    before = written.read()
    with pytest.raises(LogBroken):
        override(written, answer, None, "four")
    assert written.read() == before


def test_the_only_champion_there_ever_was_cannot_be_refused(log: DecisionLog) -> None:
    append(log, "promoted", "one", "v1")
    with pytest.raises(LogBroken, match="refuses v1, and no other was ever champion"):
        override(log, "refused", "v1", "two")
    assert log.read().champion == "v1"


def override(log: DecisionLog, answer: str, version: str | None, attempt: str) -> Entry:
    """A person's word."""
    return append(log, "overridden", attempt, version, evidence={"by": "Ada", "answer": answer})


def promotions(log: DecisionLog) -> tuple[str, ...]:
    return log.read().promotions


def test_an_empty_log_has_no_champion(log: DecisionLog) -> None:
    state = log.read()
    assert (state.champion, state.previous_champion, state.first_champion) == (None, None, None)
    assert state.answer("one") is None
    assert state.registered("one") is None


def test_an_attempt_is_answered_once(written: DecisionLog) -> None:
    before = written.read()
    assert append(written, "rejected", "one") == before.entries[1]
    assert append(written, "registered", "one", "v9") == before.entries[0]
    assert append(written, "promoted", "two", "v2", against="long gone") == before.entries[2]
    assert written.read() == before


def test_a_registration_is_no_answer(log: DecisionLog) -> None:
    registered = append(log, "registered", "one", "v1")
    assert log.read().answer("one") is None
    assert log.read().registered("one") == registered
    assert append(log, "rejected", "one", "v1") == log.read().answer("one")


def test_the_entry_that_is_returned_is_the_one_that_is_read(log: DecisionLog) -> None:
    evidence = {"interval": (0.1, 0.2), "bins": {10: 1, 9: 2}, "name": "é", "nested": [{"b": 1, "a": None}]}
    assert append(log, "rejected", "one", evidence=evidence) == log.read().entries[0]
    append(log, "rejected", "two")
    assert len(log.read().entries) == 2


def test_challengers_are_those_of_their_attempt_alone_in_the_order_of_training(log: DecisionLog) -> None:
    for attempt, version in (
        ("one by finetune", "v1"),
        ("one by scratch", "v2"),
        ("ones by scratch", "v3"),
        ("two", "v4"),
    ):
        append(log, "registered", attempt, version)
    append(log, "rejected", "one", "v1")
    state = log.read()
    assert [entry.version for entry in state.challengers("one")] == ["v1", "v2"]
    assert state.challengers("two") == state.challengers("three") == []
    assert state.num_decisions == 1


def test_a_decision_made_before_another_was_recorded_is_superseded(written: DecisionLog) -> None:
    seen = written.read()
    append(written, "declined", "four", num_decisions=seen.num_decisions)
    with pytest.raises(Superseded, match="another decision was recorded meanwhile: Because"):
        append(written, "rejected", "five", "v5", num_decisions=seen.num_decisions)
    assert written.read().answer("five") is None
    assert append(written, "rejected", "five", "v5", num_decisions=seen.num_decisions + 1).kind == "rejected"


def test_a_registration_meanwhile_supersedes_nothing(written: DecisionLog) -> None:
    seen = written.read()
    append(written, "registered", "four by scratch", "v4")
    assert append(written, "rejected", "five", "v5", num_decisions=seen.num_decisions).kind == "rejected"


def test_who_is_late_with_an_answer_that_is_there_gets_it_whatever_was_decided_since(written: DecisionLog) -> None:
    seen = written.read()
    answered = append(written, "rejected", "four", "v4", num_decisions=seen.num_decisions)
    append(written, "promoted", "five", "v5")
    late = append(written, "promoted", "four", "v4", against="v3", num_decisions=seen.num_decisions)
    assert late == answered


def test_a_decision_against_an_old_champion_is_refused(written: DecisionLog) -> None:
    before = written.read()
    with pytest.raises(ChampionChanged, match="decided against v1, but the champion is now v3"):
        append(written, "promoted", "four", "v4", against="v1")
    assert written.read() == before


@pytest.mark.parametrize(
    ("kind", "version"), [("promoted", None), ("rolled_back", "v3"), ("rolled_back", "v9"), ("rolled_back", None)]
)
def test_an_entry_that_would_break_the_log_is_not_written(written: DecisionLog, kind: str, version: str | None) -> None:
    before = written.read()
    with pytest.raises(LogBroken):
        append(written, kind, "four", version)
    assert written.read() == before


def test_numbers_that_json_does_not_know_are_refused_before_anything_is_written(log: DecisionLog) -> None:
    with pytest.raises(ValueError, match="JSON"):
        append(log, "rejected", "one", evidence={"gain": float("nan")})
    assert log.read().entries == ()


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_changed_byte_anywhere_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("log")
    log = DecisionLog(Storage(root), "flights")
    append(log, "promoted", "one", "v1")
    append(log, "promoted", "two", "v2")
    path = root / path_of(data.draw(st.integers(0, 1)))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(LogBroken):
        log.read()


@pytest.mark.parametrize("number", range(4))
def test_an_entry_whose_version_was_changed_by_hand_is_found(written: DecisionLog, place: Place, number: int) -> None:
    content = json.loads(place.objects()[path_of(number)]) | {"version": "mine"}
    place.put(path_of(number), (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    with pytest.raises(LogBroken, match="changed"):
        written.read()


@pytest.mark.parametrize("number", range(3))
def test_a_removed_entry_is_found(written: DecisionLog, place: Place, number: int) -> None:
    place.remove(path_of(number))
    with pytest.raises(LogBroken, match="an entry is missing"):
        written.read()


@pytest.mark.parametrize("name", ["notes.txt", ".DS_Store", "00000004.json.bak", "00000005.json", "4.json"])
def test_a_foreign_file_is_found(written: DecisionLog, place: Place, name: str) -> None:
    place.put(f"registry/flights/log/{name}", place.objects()[path_of(3)])
    with pytest.raises(LogBroken):
        written.read()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff\xfe", b'{"kind": "promoted"}'])
def test_a_file_that_is_no_entry_is_named(written: DecisionLog, place: Place, content: bytes) -> None:
    place.put(path_of(4), content)
    with pytest.raises(LogBroken, match=r"00000004\.json is not an entry of a decision log"):
        written.read()


def test_entries_that_change_places_are_found(written: DecisionLog, place: Place) -> None:
    contents = place.objects()
    place.put(path_of(1), contents[path_of(2)])
    place.put(path_of(2), contents[path_of(1)])
    with pytest.raises(LogBroken):
        written.read()


def append_many(argument: tuple[Opening, int]) -> list[Entry]:
    opening, racer = argument
    log = DecisionLog(opening.storage(), "flights")
    return [
        log.append(
            "declined",
            "Nothing to do.",
            attempt=f"{racer}-{number}",
            version=None,
            against=None,
            as_of=AS_OF,
            now=AS_OF,
        )
        for number in range(5)
    ]


def test_racing_writers_leave_an_unbroken_chain_with_every_entry(place: Place, race: Callable[..., list[Any]]) -> None:
    returned = [
        entry for entries in race(append_many, [(place.opening, racer) for racer in range(8)]) for entry in entries
    ]
    state = DecisionLog(place.storage(), "flights").read()
    assert sorted(entry.attempt for entry in state.entries) == sorted(f"{r}-{n}" for r in range(8) for n in range(5))
    assert sorted(returned, key=lambda entry: entry.sequence) == list(state.entries)


def promote(argument: tuple[Opening, int]) -> str:
    opening, racer = argument
    try:
        return (
            DecisionLog(opening.storage(), "flights")
            .append(
                "promoted",
                "Better.",
                attempt=f"attempt-{racer}",
                version=VersionId(f"v{racer}"),
                against=None,
                as_of=AS_OF,
                now=AS_OF,
            )
            .version
            or ""
        )
    except ChampionChanged:
        return "lost"


def test_one_of_several_promotions_decided_against_the_same_champion_wins(
    place: Place, race: Callable[..., list[Any]]
) -> None:
    results = race(promote, [(place.opening, racer) for racer in range(8)])
    assert results.count("lost") == 7
    state = DecisionLog(place.storage(), "flights").read()
    assert state.champion in results
    assert len(state.entries) == 1


def spend(argument: tuple[Opening, int]) -> list[float]:
    """Decide three times, each at a level that follows from the decisions before it, and again when it is late."""
    opening, racer = argument
    log, levels = DecisionLog(opening.storage(), "flights"), list[float]()
    while len(levels) < 3:
        state = log.read()
        level = level_after(state)
        with suppress(Superseded):
            log.append(
                "rejected",
                "No better.",
                attempt=f"{racer}-{len(levels)}",
                version=VersionId("v1"),
                against=None,
                as_of=AS_OF,
                now=AS_OF,
                evidence={"level": level},
                num_decisions=state.num_decisions,
            )
            levels.append(level)
    return levels


def level_after(state: State) -> float:
    return 0.05 / (1 + state.num_decisions)


def test_racing_attempts_each_spend_a_level_of_their_own_that_the_log_then_gave(
    place: Place, race: Callable[..., list[Any]]
) -> None:
    returned = [level for levels in race(spend, [(place.opening, racer) for racer in range(6)]) for level in levels]
    entries = DecisionLog(place.storage(), "flights").read().entries
    expected = [0.05 / (1 + number) for number in range(6 * 3)]
    assert [entry.evidence["level"] for entry in entries] == expected
    assert sorted(returned, reverse=True) == expected
