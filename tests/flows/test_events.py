"""Events: docs/events.md says what they say, and a breach lasts until a look finds nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from configs import events
from models.monitoring.diagnosis import Verdict
from models.monitoring.standing import IS_BREACHED, standing
from tasks.events import EVENTS, Payload, name_of

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
KINDS = [kind for kind, _ in EVENTS.values()]
START = datetime(2013, 5, 1, tzinfo=UTC)


def lines_of(fields: dict[str, FieldInfo]) -> str:
    """As they stand on the page."""

    def typed(field: FieldInfo) -> str:
        name = str(field.annotation).removeprefix("<class '").removesuffix("'>").removeprefix("typing.")
        return name.replace(" | ", " or ")  # a bar would end the cell

    return "\n".join(f"| `{name}` | {typed(field)} | {field.description} |" for name, field in fields.items())


def section_of(event: str) -> str:
    """What the page says of an event."""
    [found] = [part for part in PAGE.split("\n## ")[1:] if part.partition("`")[2].partition("`")[0].startswith(event)]
    return found


def test_every_event_that_has_a_name_has_a_payload() -> None:
    named = {value for value in vars(events).values() if isinstance(value, str) and value.startswith("perennial.")}
    assert named == set(EVENTS)


def test_the_page_lists_what_all_payloads_have_in_common() -> None:
    assert f"\n{lines_of(Payload.model_fields)}\n" in PAGE.partition("\n## ")[0]


@pytest.mark.parametrize("event", EVENTS)
def test_the_page_lists_exactly_the_fields_and_labels_of_an_event(event: str) -> None:
    kind, labels = EVENTS[event]
    own = {name: field for name, field in kind.model_fields.items() if name not in Payload.model_fields}
    section = section_of(event)
    assert str(kind.__doc__).strip() in section
    assert f"Labels: {', '.join(f'`{label}`' for label in labels)}.\n" in section
    table = section.partition("|---|---|---|\n")[2].partition("\n\n")[0]
    assert table.strip() == lines_of(own)


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload_cannot_be_changed_says_its_version_and_takes_no_field_that_it_does_not_know(
    kind: type[Payload],
) -> None:
    values: dict[str, Any] = {
        name: 1 if field.annotation is int else "x"
        for name, field in kind.model_fields.items()
        if name != "schema_version"
    }
    payload = kind(**values)
    assert payload.model_dump()["schema_version"] == 1
    with pytest.raises(ValidationError, match="frozen"):
        payload.project = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        kind(**values, surprise=1)
    with pytest.raises(ValidationError, match="schema_version"):
        kind(**values, schema_version=2)


@pytest.mark.parametrize("event", EVENTS)
def test_what_a_replay_tells_has_a_name_that_no_automation_waits_for(event: str) -> None:
    assert name_of(event, is_replayed=False) == event
    assert name_of(event, is_replayed=True).startswith("perennial.replayed.")


def test_every_verdict_says_whether_it_is_a_breach() -> None:
    assert set(IS_BREACHED) == set(get_args(Verdict))


VERDICTS = st.lists(st.sampled_from(get_args(Verdict)), max_size=12)


@given(verdicts=VERDICTS)
def test_a_breach_begins_once_is_known_by_its_first_look_and_ends_with_one_recovery(verdicts: list[Verdict]) -> None:
    looks = [(START + timedelta(days=number), verdict) for number, verdict in enumerate(verdicts)]
    found = [standing(looks[number::-1]) for number in range(len(looks))]
    state, since = None, None
    for (as_of, verdict), each in zip(looks, found, strict=True):
        before = state
        state = state if IS_BREACHED[verdict] is None else IS_BREACHED[verdict]
        since = None if not state else as_of if not before else since
        assert (each.is_breached, each.was_breached, each.since) == (state, before, since)
        assert each.has_recovered == (before is True and state is False)


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (("healthy", "labels_needed", "harmful_shift"), "sound"),
        (("healthy", "benign_shift"), "sound"),
        (("broken_feed", "harmful_shift", "healthy"), "breached"),
    ],
)
def test_no_more_looks_are_read_than_are_needed(verdicts: tuple[Verdict, ...], word: str) -> None:
    def looks() -> Iterator[tuple[datetime, Verdict]]:
        for verdict in verdicts:
            yield START, verdict
        raise AssertionError("one look too many was read")

    assert standing(looks()).word == word
