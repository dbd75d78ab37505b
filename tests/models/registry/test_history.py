"""What a small log says about the tests of its past, also where an entry states less than today's do."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.evaluation.budget import Tested, ledger
from models.registry import history
from models.registry.log import DecisionLog, State
from models.registry.storage import Storage
from models.registry.versions import VersionId

AS_OF = datetime(2013, 5, 1, tzinfo=UTC)
LOG_LOSS, AUC = "log loss (nats)", "AUC"


def made(metric: str = LOG_LOSS, standard_error: float | None = 0.01) -> dict[str, Any]:
    """One test as it stands in the log."""
    return {"metric": metric, "standard_error": standard_error}


def judged(*tests: dict[str, Any], own: float | None = 0.1, level: float = 0.05, **further: Any) -> dict[str, Any]:
    """The evidence of a judgement against a champion whose own value has the error `own`."""
    judgement = {"tests": list(tests), "champion_error": own}
    return {"judgement": judgement, "budget": {"before": {"next_level": level}}} | further


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(Storage(tmp_path), "flights")


def write(log: DecisionLog, *decisions: tuple[Any, str | None, dict[str, Any]]) -> State:
    """Kind, version and evidence of one entry after the other, each against the champion of its moment."""
    for kind, version, evidence in decisions:
        state = log.read()
        log.append(
            kind,
            "Because.",
            attempt=f"attempt {len(state.entries)}",
            version=None if version is None else VersionId(version),
            against=state.champion,
            as_of=AS_OF,
            now=AS_OF,
            evidence=evidence,
        )
    return log.read()


def test_an_empty_log_has_no_past(log: DecisionLog) -> None:
    state = log.read()
    assert (
        history.tested(state),
        history.ratios(state, LOG_LOSS),
        history.holdouts(state),
        history.hard_rows(state),
    ) == ([], [], [], [])


def test_a_test_against_a_champion_is_spent_and_a_first_champion_a_decline_or_a_judgement_without_a_test_is_not(
    log: DecisionLog,
) -> None:
    state = write(
        log,
        ("registered", "v1", {}),
        ("inconclusive", "v0", judged(made(AUC))),  # no champion yet: it would have replaced nobody
        ("promoted", "v1", judged(made(AUC))),
        ("declined", None, {"budget": {"before": {"next_level": 0.04}}, "judgement": None}),
        ("inconclusive", "v2", judged()),
        ("rejected", "v3", judged(made(), level=0.04)),
        ("inconclusive", "v4", judged(made(), level=0.03)),
        ("promoted", "v5", judged(made(), level=0.02)),
    )
    assert history.tested(state) == [Tested(0.04, False), Tested(0.03, False), Tested(0.02, True)]


def test_a_rollback_and_an_override_give_nothing_back(log: DecisionLog) -> None:
    before = write(
        log,
        ("promoted", "v1", judged(made(AUC))),
        ("rejected", "v2", judged(made())),
        ("promoted", "v3", judged(made())),
    )
    said = {"by": "Ada", "answer": "promoted"}
    after = write(log, ("rolled_back", "v1", {}), ("overridden", "v2", said), ("overridden", "v3", said))
    assert history.tested(after) == history.tested(before) == [Tested(0.05, False), Tested(0.05, True)]
    assert ledger("spending", 0.05, history.tested(after)) == ledger("spending", 0.05, history.tested(before))


def test_ratios_are_of_the_same_metric_against_a_champion_and_in_order(log: DecisionLog) -> None:
    state = write(
        log,
        ("promoted", "v1", judged(made(AUC, 0.9), own=1.0)),  # against a baseline
        ("rejected", "v2", judged(made(standard_error=0.02), own=0.1)),
        ("rejected", "v3", judged(made(AUC, 0.5), made(standard_error=0.07), own=1.0)),
        ("promoted", "v4", judged(made(standard_error=0.03), made(AUC, 0.5), own=0.1)),
    )
    assert history.ratios(state, LOG_LOSS) == pytest.approx([0.2, 0.3])
    assert history.ratios(state, AUC) == [0.5]
    assert history.ratios(state, "Brier score") == []


def test_an_error_that_is_unknown_or_zero_gives_no_ratio(log: DecisionLog) -> None:
    state = write(
        log,
        ("promoted", "v1", judged(made())),
        ("rejected", "v2", judged(made(standard_error=None))),
        ("rejected", "v3", judged(made(), own=None)),
        ("rejected", "v4", judged(made(), own=0.0)),
    )
    assert history.ratios(state, LOG_LOSS) == []
    assert len(history.tested(state)) == 3


def test_sets_of_rows_are_named_by_those_entries_that_kept_some(log: DecisionLog) -> None:
    state = write(
        log,
        ("promoted", "v1", judged(made(AUC), holdout="one")),
        ("inconclusive", "v2", judged(holdout="not judged")),
        ("rejected", "v3", judged(made(), holdout="two", hard_rows="hard")),
        ("promoted", "v4", judged(made(), holdout="two")),
        ("declined", None, {"holdout": "never"}),
    )
    assert history.holdouts(state) == ["one", "two", "two"], "the same rows twice have decided twice"
    assert history.hard_rows(state) == ["hard"]


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"judgement": None},
        {"judgement": "was good"},
        {"judgement": {}},
        {"judgement": {"tests": []}},
        {"judgement": {"tests": [{"metric": LOG_LOSS}]}},
        {"judgement": {"tests": [made()]}},
        {"judgement": {"tests": [made()]}, "budget": None},
        {"judgement": {"tests": [made()]}, "budget": {}},
        {"judgement": {"tests": [{}], "champion_error": 0.1}, "budget": {"before": {}}},
        {"judgement": {"tests": [made()], "champion_error": 0.1}, "holdout": None, "hard_rows": None},
    ],
    ids=str,
)
def test_an_entry_that_states_less_does_not_stop_the_next_decision(log: DecisionLog, evidence: dict[str, Any]) -> None:
    state = write(log, ("promoted", "v1", {}), ("rejected", "v2", evidence), ("rejected", "v3", judged(made())))
    assert history.tested(state)[-1] == Tested(0.05, False)
    assert history.ratios(state, LOG_LOSS)[-1] == pytest.approx(0.1)
    assert (history.holdouts(state), history.hard_rows(state)) == ([], [])


def test_a_test_without_a_ledger_has_spent_the_level_at_which_it_was_made(log: DecisionLog) -> None:
    old = {"judgement": {"tests": [made() | {"level": 0.03}, made(AUC) | {"level": 0.03}]}}
    state = write(log, ("promoted", "v1", old), ("rejected", "v2", old), ("promoted", "v3", old))
    assert history.tested(state) == [Tested(0.03, False), Tested(0.03, True)]


def test_the_errors_of_a_guardrail_are_those_of_all_rows_against_a_champion(log: DecisionLog) -> None:
    guardrail = {"kind": "non-inferiority", "scope": "all rows"}
    state = write(
        log,
        ("promoted", "v1", judged(made(), made(AUC, 0.5) | guardrail)),  # nobody was champion
        (
            "rejected",
            "v2",
            judged(made(), made(AUC, 0.02) | guardrail, made(AUC, 0.9) | guardrail | {"scope": "origin=JFK"}),
        ),
        ("inconclusive", "v3", judged(made(), made(AUC, None) | guardrail, made(LOG_LOSS, 0.3) | guardrail)),
        ("inconclusive", "v4", judged(made(), made(AUC, 0.04) | guardrail, made(AUC, 0.7))),
    )
    assert history.guardrail_errors(state, AUC) == [0.02, 0.04]
    assert history.guardrail_errors(state, LOG_LOSS) == [0.3]


NOW = {"scratch": "of scratch", "finetune": "of finetune"}


def tried(first_day: int, last_day: int, **costs: float | None) -> tuple[str, str, dict[str, Any]]:
    """A challenger whose arms were tried on the rows between two days of May."""
    since, until = (datetime(2013, 5, number, tzinfo=UTC).isoformat() for number in (first_day, last_day))
    trials = [
        {"arm": arm, "loss": cost, "since": since, "until": until, "setting": f"of {arm}", "is_hopeless": False}
        for arm, cost in costs.items()
    ]
    return ("registered", f"20130501-{first_day:010x}", {"trials": trials})


def test_windows_of_earlier_retrains_count_once_and_only_those_that_are_over(log: DecisionLog) -> None:
    state = write(
        log,
        tried(1, 5, scratch=0.5, finetune=0.6),
        tried(1, 5, scratch=0.5, finetune=0.6),  # several challengers of one attempt tell the same
        tried(4, 8, scratch=9.0, finetune=9.0),  # has rows of the next one, which is newer
        tried(7, 12, scratch=None, finetune=0.7),
        tried(12, 16, scratch=0.4, finetune=0.3),
        tried(14, 20, scratch=8.0, finetune=8.0),  # reaches into what is asked for
    )
    first, second = {"scratch": 0.5, "finetune": 0.6}, {"scratch": math.inf, "finetune": 0.7}
    third = {"scratch": 0.4, "finetune": 0.3}
    assert history.windows_tried(state, datetime(2013, 5, 17, tzinfo=UTC), NOW) == [first, second, third]
    assert history.windows_tried(state, datetime(2013, 5, 12, tzinfo=UTC), NOW) == [first, second]
    assert history.windows_tried(state, datetime(2013, 5, 4, tzinfo=UTC), NOW) == []


def test_trials_of_an_earlier_version_without_times_are_no_windows(log: DecisionLog) -> None:
    old = ("registered", "20130501-0000000001", {"trials": [{"arm": "scratch", "loss": 0.5}]})
    untried = ("registered", "20130501-0000000002", {"trials": []})
    state = write(log, old, untried, tried(1, 5, scratch=0.5))
    assert history.windows_tried(state, AS_OF.replace(day=20), NOW) == [{"scratch": 0.5}]


def test_trials_that_were_ended_early_or_of_another_network_are_not_compared(log: DecisionLog) -> None:
    kind, version, evidence = tried(1, 5, scratch=0.5, finetune=0.6, online=0.7)
    evidence["trials"][0]["is_hopeless"] = True
    evidence["trials"][1]["setting"] = "of another"
    state = write(log, (kind, version, evidence))
    assert history.windows_tried(state, AS_OF.replace(day=20), NOW | {"online": "of online"}) == [{"online": 0.7}]
