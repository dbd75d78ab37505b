"""One retrain at a time: what is under way is told once, and a holder that was killed keeps nobody waiting."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.retrain import retrain
from models.registry.holder import Holder
from models.registry.leases import DURATION, Lease, Succeeded
from tasks import turn as turn_module
from tasks.step import now
from tasks.turn import Turn, turn
from tests.flows.commands import Shell, finish
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*without a flow run id")]
SECOND_CHAMPION = 6  # entries until then
UNDER_WAY, ASKED = day("2025-04-26"), day("2025-04-29")


def held_by(own: Own, holder: Holder, attempt: str = "retrain 2025-04-26T00:00:00+00:00") -> Lease:
    """A lease that somebody has, as of the clock."""
    return own.registry.leases.take(attempt, holder, now(), lambda other: False)


def test_a_retrain_that_comes_while_another_is_under_way_is_answered_once_and_says_which(
    own: Own, prefect_here: Shell
) -> None:
    own.forget_after(SECOND_CHAMPION)
    lease = held_by(own, Holder.here())
    entries = [retrain(own.project, as_of=ASKED) for _ in range(3)]
    assert entries[0] == entries[1] == entries[2] == own.decisions()[-1]
    assert len(own.registry.log.read().entries) == SECOND_CHAMPION + 1
    assert (entries[0].kind, entries[0].lease) == ("declined", None)
    assert entries[0].reason.startswith("Another retrain is under way: retrain 2025-04-26T00:00:00+00:00, begun ")
    assert f"by {lease.holder.name} under lease {lease.number};" in entries[0].reason
    assert own.registry.leases.last() == lease, "it was not touched"


def test_what_a_retrain_writes_carries_its_lease_which_is_given_back(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    retrain(own.project, as_of=UNDER_WAY)
    last = own.registry.leases.last()
    assert last and last.is_released
    assert last.attempt == "retrain 2025-04-26T00:00:00+00:00"
    assert [entry.lease for entry in own.registry.log.read().entries[SECOND_CHAMPION:]] == [last.number] * 2


def test_whoever_lost_the_lease_while_it_trained_decides_nothing(own: Own, prefect_here: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    with turn(own.project, UNDER_WAY) as mine:
        own.registry.leases.take("retrain 1", replace(Holder.here(), id="heir"), now() + 2 * DURATION, lambda _: False)
        with pytest.raises(Succeeded):
            own.registry.log.append(
                "declined",
                "Late.",
                attempt="retrain 2",
                version=None,
                against=own.registry.log.read().champion,
                as_of=UNDER_WAY,
                now=now(),
                lease=mine.lease,
            )
    last = own.registry.leases.last()
    assert last and last.holder.id == "heir" and not last.is_released


def test_a_retrain_that_was_killed_goes_on_at_once_on_the_same_machine(own: Own, shell: Shell) -> None:
    own.forget_after(SECOND_CHAMPION)
    killed = shell.start(own.folder, "retrain", "churn.yaml", "--as-of", "2025-04-26")
    while not _is_held(own) and killed.poll() is None:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    finish(killed)
    left = own.registry.leases.last()
    assert left and not left.is_released and left.expires_at > now()
    ended = shell.run(own.folder, "retrain", "churn.yaml", "--as-of", "2025-04-26")
    assert ended.returncode == 0, ended.stderr
    assert [entry.kind for entry in own.registry.log.read().entries[SECOND_CHAMPION:]] == ["registered", "promoted"]
    assert own.decisions()[-1].lease == left.number + 1


def _is_held(own: Own) -> bool:
    last = own.registry.leases.last()
    return last is not None and not last.is_released


def test_a_holder_elsewhere_is_believed_alive_only_when_its_lease_changes(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_module, "SECONDS_BETWEEN_LOOKS", 0.01)
    far = replace(Holder.here(), id="far", place="far away")
    lease, found, looked = held_by(own, far), list[Turn](), threading.Event()

    def ask() -> None:
        looked.set()
        with turn(own.project, ASKED) as mine:
            found.append(mine)

    asking = threading.Thread(target=ask)
    asking.start()
    assert looked.wait(10)
    time.sleep(0.2)
    assert not found, "nothing is known yet"
    own.registry.leases.renew(lease, now() + timedelta(seconds=1))
    asking.join(10)
    assert found[0].lease is None and found[0].under_way


def test_a_holder_elsewhere_that_fell_silent_is_succeeded_when_its_lease_runs_out(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_module, "SECONDS_BETWEEN_LOOKS", 0.01)
    far = replace(Holder.here(), id="far", place="far away")
    soon = now() - DURATION + timedelta(seconds=0.3)
    lease = own.registry.leases.take("retrain 1", far, soon, lambda other: True)
    with turn(own.project, ASKED) as mine:
        assert mine == Turn(lease.number + 1)


def test_a_lease_is_renewed_while_its_holder_works_and_given_back_when_it_fails(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_module, "RENEWED_EVERY", timedelta(seconds=0.01))
    with pytest.raises(KeyboardInterrupt), turn(own.project, ASKED):
        first = own.registry.leases.last()
        assert first
        while own.registry.leases.last() == first:
            time.sleep(0.01)
        raise KeyboardInterrupt
    last = own.registry.leases.last()
    assert last and last.number == first.number and last.is_released
