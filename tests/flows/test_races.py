"""Writers that meet: an attempt has one answer, and whoever decided against a past champion decides again."""

from __future__ import annotations

import importlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from models.data.snapshots import Snapshot
from models.registry.log import Entry
from models.registry.versions import VersionId
from tasks.decide import Attempt, begin, decide
from tasks.ingest import ingest
from tasks.train import train
from tests.flows.commands import Shell, finish
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*without a flow run id")]
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
    winner, loser = _race(own, monkeypatch, first=day("2025-04-26"), second=day("2025-04-29"))
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
    winner, loser = _race(own, monkeypatch, first=day("2025-04-29"), second=day("2025-04-26"))
    assert winner.kind == "promoted"
    assert (loser.kind, loser.against) == ("inconclusive", winner.version)
    assert "were used to train" in loser.reason
    _check_log(own, winner, loser)


def _race(own: Own, monkeypatch: pytest.MonkeyPatch, first: datetime, second: datetime) -> tuple[Entry, Entry]:
    """Let `second` judge, and `first` write its answer before `second` can write its own."""
    ready = {moment: _trained(own, moment) for moment in (first, second)}
    is_judging, go_on = threading.Event(), threading.Event()
    network: Any = importlib.import_module("own_network").Linear
    forward = network.forward

    def slow_forward(self: Any, *tensors: Any) -> Any:
        if threading.current_thread().name.startswith("second"):
            is_judging.set()
            assert go_on.wait(60)
        return forward(self, *tensors)

    monkeypatch.setattr(network, "forward", slow_forward)
    with ThreadPoolExecutor(1, thread_name_prefix="second") as pool:
        late = pool.submit(decide.fn, own.project, *ready[second])
        assert is_judging.wait(60)
        winner = decide.fn(own.project, *ready[first])
        go_on.set()
        return winner, late.result(60)


def _trained(own: Own, as_of: datetime) -> tuple[Attempt, Snapshot, VersionId]:
    attempt = begin.fn(own.project, as_of, "race")
    snapshot = ingest.fn(own.project, attempt.champion, as_of)
    return attempt, snapshot, train.fn(own.project, snapshot, attempt.champion, attempt.id, as_of)


def _check_log(own: Own, winner: Entry, loser: Entry) -> None:
    state = own.registry.log.read()
    answers = [entry for entry in state.entries[SECOND_CHAMPION:] if entry.kind != "registered"]
    assert answers == [winner, loser]
    assert state.champion == (loser.version if loser.kind == "promoted" else winner.version)
