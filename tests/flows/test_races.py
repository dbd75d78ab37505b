"""Writers that meet: an attempt has one answer, and whoever decided against a past champion decides again."""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from configs.schema import Project
from models.data.snapshots import Snapshot
from models.evaluation.budget import Tested, ledger
from models.registry.log import Entry
from models.registry.versions import VersionId
from tasks.choose import choose_arms
from tasks.decide import Attempt, begin, decide
from tasks.foresee import Foresight, foresee
from tasks.ingest import ingest
from tasks.train import train
from tasks.turn import Turn
from tests.flows.commands import Shell, finish
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*without a flow run id")]
FIRST_CHAMPION = 2  # entries until then: one challenger and its promotion
SECOND_CHAMPION = 6  # entries until then: three challengers, two promotions and a rejection


def test_two_retrains_of_one_moment_at_once_have_one_answer(own: Own, shell: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    racers = [shell.start(own.folder, "retrain", "churn.yaml", "--as-of", "2025-04-26") for _ in range(2)]
    ended = [finish(racer) for racer in racers]
    assert [run.returncode for run in ended] == [0, 0], [run.stderr for run in ended]
    new = own.registry.log.read().entries[SECOND_CHAMPION:]
    assert [entry.kind for entry in new] == ["registered", "promoted"]
    assert ended[0].stdout == ended[1].stdout
    assert ended[0].stdout.startswith(f"promoted {new[-1].version}  ")


def test_who_loses_the_race_decides_again_against_the_new_champion(
    own: Own, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    own.forget_after(SECOND_CHAMPION)
    winner, loser = _race(own.project, monkeypatch, first=day("2025-04-26"), second=day("2025-04-29"))
    assert winner.kind == "promoted"
    assert loser.against == winner.version
    assert loser.kind in ("rejected", "inconclusive", "promoted")
    assert loser.evidence["judgement"]["tests"]
    assert f"but the champion is now {winner.version}" in caplog.text
    _check_log(own, winner, loser)


def test_who_loses_to_a_champion_that_has_seen_the_holdout_has_no_answer(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.forget_after(SECOND_CHAMPION)
    winner, loser = _race(own.project, monkeypatch, first=day("2025-04-29"), second=day("2025-04-26"))
    assert winner.kind == "promoted"
    assert (loser.kind, loser.against) == ("inconclusive", winner.version)
    assert "were used to train" in loser.reason
    _check_log(own, winner, loser)


def test_who_is_late_decides_again_at_the_level_that_the_log_then_says(
    own: Own, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    own.forget_after(FIRST_CHAMPION)
    project = own.having("gate.budget.rule=spending")
    winner, loser = _race(project, monkeypatch, first=day("2025-03-15"), second=day("2025-03-17"))
    assert (winner.kind, loser.kind) == ("rejected", "rejected")
    assert "another decision was recorded meanwhile: The challenger is not better" in caplog.text
    first, second = (ledger("spending", 0.05, [Tested(1e-9, False)] * number).next_level for number in range(2))
    assert winner.evidence["judgement"]["level"] == pytest.approx(first)
    assert loser.evidence["judgement"]["level"] == pytest.approx(second)
    assert loser.evidence["budget"]["before"] == winner.evidence["budget"]["after"]
    assert own.decisions()[1:] == [winner, loser]


def test_who_is_late_is_not_judged_on_rows_that_the_winner_has_used_up(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.forget_after(FIRST_CHAMPION)
    project = own.having("gate.max_uses=1")
    winner, loser = _race(project, monkeypatch, first=day("2025-03-15"), second=day("2025-03-17"))
    assert winner.kind == "rejected"
    assert loser.kind == "inconclusive"
    assert "rows of the holdout have decided 1 times, as often as gate.max_uses allows" in loser.reason
    assert not loser.evidence["judgement"]["tests"] and "budget" not in loser.evidence


def _race(project: Project, monkeypatch: pytest.MonkeyPatch, first: datetime, second: datetime) -> tuple[Entry, Entry]:
    """Let `second` begin to judge, and `first` write its answer before `second` can write its own."""
    ready = {moment: _trained(project, moment) for moment in (first, second)}
    is_judging, go_on = threading.Event(), threading.Event()
    network: Any = importlib.import_module("own_network").Linear
    build = network.__init__

    @functools.wraps(build)
    def build_slowly(self: Any, *args: Any, **arguments: Any) -> None:
        if threading.current_thread().name.startswith("second"):
            is_judging.set()
            assert go_on.wait(60)
        build(self, *args, **arguments)

    # Where a version is loaded the log has been read. (In `forward` a lock of `cached_property` would stop the winner.)
    monkeypatch.setattr(network, "__init__", build_slowly)
    with ThreadPoolExecutor(1, thread_name_prefix="second") as pool:
        late = pool.submit(decide.fn, project, *ready[second])
        assert is_judging.wait(60)
        winner = decide.fn(project, *ready[first])
        go_on.set()
        return winner, late.result(60)


def _trained(project: Project, as_of: datetime) -> tuple[Attempt, Snapshot, list[VersionId], Foresight]:
    attempt = begin.fn(project, as_of, "race", Turn())
    snapshot = ingest.fn(project, attempt.champion, as_of)
    foresight = foresee.fn(project, snapshot, attempt.champion)
    [arm] = choose_arms(project, snapshot, attempt.champion, attempt.id)
    return attempt, snapshot, [train.fn(project, snapshot, attempt.champion, arm, attempt.id, as_of)], foresight


def _check_log(own: Own, winner: Entry, loser: Entry) -> None:
    state = own.registry.log.read()
    answers = [entry for entry in state.entries[SECOND_CHAMPION:] if entry.kind != "registered"]
    assert answers == [winner, loser]
    assert state.champion == (loser.version if loser.kind == "promoted" else winner.version)
