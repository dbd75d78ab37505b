"""What every trigger must do, asked in made-up situations; it runs on those that any configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

from models.monitoring.diagnosis import Verdict
from models.monitoring.triggers.situation import Look, Situation, Trigger

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NUM_LOOKS = 12


def check_trigger(trigger: Trigger, name: str) -> None:
    """Refuse a trigger that breaks the contract.

    It answers None or a sentence that is not empty, gives the same answer to the same question, does not fire before
    there is a champion, and raises in no situation: without a look, without a value, without an attempt.

    Args:
        trigger: an instance.
        name: as messages should call it.

    Raises:
        ValueError: saying what it did, and in which situation.
    """
    for situation in situations():
        where = _described(situation)
        try:
            first, second = trigger.reason(situation), trigger.reason(situation)
        except Exception as error:  # whatever a user's class may raise
            raise ValueError(f"{name} raised {error!r} {where}; answer None where it cannot say") from error
        if first is not None and (not isinstance(first, str) or not first.strip()):
            raise ValueError(f"{name} answered {first!r} {where}; answer None or a sentence")
        if first != second:
            raise ValueError(f"{name} answered {first!r} and then {second!r} {where}; the same must give the same")
        if first is not None and not situation.has_champion:
            raise ValueError(f"{name} answered {first!r} {where}; there is nothing to retrain yet")


def situations() -> Iterator[Situation]:
    """From before the first champion to a long life, calm and alarming."""
    yield Situation(NOW)
    yield Situation(NOW, attempts=(NOW - timedelta(days=400),), rows_a_day=1_000.0, training_hours=5.0)
    for verdict in get_args(Verdict):
        for num_looks in (0, 1, NUM_LOOKS):
            for attempts in ((), (NOW - timedelta(days=2),), (NOW - timedelta(days=400),)):
                yield Situation(
                    NOW,
                    looks=tuple(_look(verdict, place) for place in reversed(range(num_looks))),
                    attempts=attempts,
                    trained_until=NOW - timedelta(days=90),
                    rows_a_day=1_000.0,
                    training_hours=5.0 if num_looks else None,
                )


def _look(verdict: Verdict, days_ago: int) -> Look:
    is_known = days_ago % 3 != 2  # every third look had no labels
    return Look(
        NOW - timedelta(days=days_ago),
        verdict,
        values={"log_loss": 0.6, "auc": 0.7} if is_known else {},
        alarms=("log_loss",) if verdict == "concept_change" else (),
        new_labelled_rows=100 * (NUM_LOOKS - days_ago) if is_known else 0,
        regret=0.02 if is_known else None,
    )


def _described(situation: Situation) -> str:
    if not situation.has_champion:
        return "before there is a champion"
    verdict = situation.look.verdict if situation.look else "nothing"
    return f"after {len(situation.looks)} looks, {len(situation.attempts)} attempts, and the verdict {verdict}"
