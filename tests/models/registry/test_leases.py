"""Leases: one at a time has the turn, a dead holder blocks nobody for long, and who was succeeded decides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.registry.holder import Holder
from models.registry.leases import DURATION, Lease, Leases, Succeeded
from models.registry.log import ChampionChanged, DecisionLog
from models.registry.storage import Storage
from models.registry.versions import VersionId

START = datetime(2013, 5, 1, tzinfo=UTC)


def elsewhere(name: str) -> Holder:
    """A process of another machine, of which nobody here can see whether it lives."""
    return Holder(name, "far", "far away", 1, "7")


def nobody(_: Holder) -> bool:
    return False


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(Storage(tmp_path), "flights")


def take(leases: Leases, name: str, now: datetime = START, attempt: str = "one") -> Lease:
    return leases.take(attempt, elsewhere(name), now, nobody)


def decide(log: DecisionLog, lease: int | None, attempt: str = "one", kind: Any = "promoted") -> Any:
    state = log.read()
    return log.append(
        kind,
        "Better.",
        attempt=attempt,
        version=VersionId(f"v{len(state.entries)}"),
        against=state.champion,
        as_of=START,
        now=START,
        lease=lease,
    )


def test_a_lease_that_is_held_is_told_and_not_given(leases: Leases) -> None:
    first = take(leases, "ada")
    assert (first.holder.id, first.number, first.expires_at) == ("ada", 0, START + DURATION)
    assert take(leases, "bob", START + DURATION / 2, "two") == first
    assert leases.last() == first


def test_a_holder_of_whom_nothing_is_heard_blocks_nobody_for_longer_than_a_lease(leases: Leases) -> None:
    take(leases, "ada")
    assert take(leases, "bob", START + DURATION - timedelta(seconds=1)).holder.id == "ada"
    assert take(leases, "bob", START + DURATION).holder.id == "bob"


def test_a_renewed_lease_holds_from_then_on(leases: Leases) -> None:
    lease = take(leases, "ada")
    leases.renew(lease, START + DURATION / 2)
    assert take(leases, "bob", START + DURATION).holder.id == "ada"
    assert take(leases, "bob", START + 1.5 * DURATION).holder.id == "bob"


def test_a_lease_that_was_given_back_is_free_at_once(leases: Leases) -> None:
    leases.release(take(leases, "ada"))
    assert take(leases, "bob").holder.id == "bob"


def test_a_lease_that_ran_out_is_renewed_as_long_as_nobody_took_the_next(leases: Leases) -> None:
    lease = take(leases, "ada")
    assert leases.renew(lease, START + 5 * DURATION).expires_at == START + 6 * DURATION
    take(leases, "bob", START + 6 * DURATION)
    with pytest.raises(Succeeded, match="lease 2, taken by process 1 on far for one"):
        leases.renew(lease, START + 6 * DURATION)


def test_who_was_succeeded_gives_nothing_back_that_is_anothers(leases: Leases) -> None:
    lease = take(leases, "ada")
    second = take(leases, "bob", START + DURATION)
    leases.release(lease)
    assert leases.last() == second


def test_a_lease_that_was_given_back_is_not_renewed(leases: Leases) -> None:
    lease = take(leases, "ada")
    leases.release(lease)
    with pytest.raises(Succeeded):
        leases.renew(lease, START)


def test_a_zombie_promotes_nothing(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    zombie = take(log.leases, "ada")
    heir = take(log.leases, "bob", START + DURATION)
    with pytest.raises(Succeeded, match="lease 0 on the retrains of this project is over, and lease 1"):
        decide(log, zombie.number)
    assert log.read().entries == ()
    assert decide(log, heir.number).lease == heir.number


def test_a_zombie_registers_nothing_either_and_is_told_the_answer_if_there_is_one(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    zombie, heir = take(log.leases, "ada"), take(log.leases, "bob", START + DURATION)
    with pytest.raises(Succeeded):
        decide(log, zombie.number, "one by scratch", "registered")
    answer = decide(log, heir.number)
    assert decide(log, zombie.number) == answer


def test_the_log_alone_refuses_what_comes_after_a_later_lease(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    old, new = take(log.leases, "ada"), take(log.leases, "bob", START + DURATION)
    decide(log, new.number)
    for path in (tmp_path / "leases/flights").iterdir():  # as if the look at the leases had come a moment too early
        path.unlink()
    take(log.leases, "ada")
    with pytest.raises(Succeeded):
        decide(log, old.number, "two")


def test_a_person_needs_no_lease(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    decide(log, take(log.leases, "ada").number)
    assert decide(log, None, "by hand").lease is None


def test_entries_without_a_lease_are_written_as_they_were_before_there_were_leases(tmp_path: Path) -> None:
    log = DecisionLog(Storage(tmp_path), "flights")
    whole = "kind reason attempt version against as_of recorded_at evidence sequence previous sha256"
    assert set(json.loads(decide(log, None).to_bytes())) == set(whole.split())
    take(log.leases, "ada")
    assert set(json.loads(decide(log, 0, "two").to_bytes())) == {*whole.split(), "lease"}
    assert [entry.lease for entry in log.read().entries] == [None, 0]


def test_a_file_that_is_no_lease_is_named(leases: Leases, tmp_path: Path) -> None:
    take(leases, "ada")
    (tmp_path / "leases/flights/00000001.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"00000001\.json is not an entry of a lease"):
        leases.last()
    (tmp_path / "leases/flights/00000001.json").rename(tmp_path / "leases/flights/00000002.json")
    with pytest.raises(RuntimeError, match="an entry is missing"):
        leases.last()


def test_a_process_sees_of_another_on_its_machine_whether_it_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = Holder.here()
    assert here.is_near and not here.is_gone
    other = replace(here, pid=child.pid, started=_started(child.pid))
    assert not other.is_gone
    assert replace(other, started="1").is_gone, "the number belongs to another process by now"
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert other.is_gone, "it has ended, and nobody has collected it yet"
    child.wait()
    assert other.is_gone
    assert not replace(other, place="elsewhere").is_gone
    assert child.stdin
    child.stdin.close()


def _started(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat")
    return stat.read_text().rpartition(")")[2].split()[19] if stat.exists() else ""


def test_who_is_gone_blocks_nobody(leases: Leases) -> None:
    take(leases, "ada")
    assert leases.take("one", elsewhere("bob"), START, lambda other: other.id == "ada").holder.id == "bob"


class Retrains(RuleBasedStateMachine):
    """Three runs of two attempts that take, renew, give back, fall silent, wake up and decide in any order."""

    runs = st.sampled_from(["ada", "bob", "eve"])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.log = DecisionLog(Storage(self.folder.name), "flights")
        self.now = START
        self.held: dict[str, Lease] = {}
        self.newest = -1
        self.num_entries = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(run=runs, attempt=st.sampled_from(["one", "two"]))
    def take(self, run: str, attempt: str) -> None:
        holder = elsewhere(f"{run} {self.num_entries} {self.now}")
        lease = self.log.leases.take(attempt, holder, self.now, nobody)
        if lease.holder.id == holder.id and lease.taken_at == self.now and lease.number > self.newest:
            self.held[run], self.newest = lease, lease.number

    @rule(run=runs)
    def renew(self, run: str) -> None:
        if run in self.held:
            try:
                self.log.leases.renew(self.held[run], self.now)
                assert self.held[run].number == self.newest
            except Succeeded:
                last = self.log.leases.last()
                assert last and (last.number > self.held[run].number or last.is_released)

    @rule(run=runs)
    def release(self, run: str) -> None:
        if run in self.held:
            self.log.leases.release(self.held.pop(run))

    @rule(minutes=st.integers(1, 3))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(run=runs, attempt=st.sampled_from(["one", "two", "three"]), kind=st.sampled_from(["promoted", "rejected"]))
    def decide(self, run: str, attempt: str, kind: str) -> None:
        if run not in self.held:
            return
        before, answer = self.log.read(), self.log.read().answer(attempt)
        try:
            entry = decide(self.log, self.held[run].number, attempt, kind)
        except Succeeded:
            assert self.held[run].number < self.newest
            assert self.log.read() == before
        else:
            assert entry == answer or self.held[run].number == self.newest

    @invariant()
    def each_attempt_has_one_decision_and_leases_only_rise(self) -> None:
        entries = self.log.read().entries
        self.num_entries = len(entries)
        attempts = [entry.attempt for entry in entries]
        assert len(set(attempts)) == len(attempts)
        under = [entry.lease for entry in entries]
        assert under == sorted(under, key=int)  # type: ignore[arg-type]

    @invariant()
    def one_has_the_turn(self) -> None:
        last = self.log.leases.last()
        assert (last.number if last else -1) == self.newest


TestRetrains = Retrains.TestCase
TestRetrains.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@given(numbers=st.lists(st.integers(0, 5), min_size=2, max_size=6))
@settings(deadline=None, max_examples=20)
def test_a_log_takes_no_lower_lease_after_a_higher_one(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    log = DecisionLog(Storage(tmp_path_factory.mktemp("log")), "flights")
    take(log.leases, "ada")
    for place, number in enumerate(numbers):
        highest = max([0, *(entry.lease or 0 for entry in log.read().entries)])
        if number >= highest:
            decide(log, number, f"attempt {place}")
        else:
            with pytest.raises(Succeeded):
                decide(log, number, f"attempt {place}")


def race_for_it(argument: tuple[Path, int]) -> str:
    root, racer = argument
    return Leases(Storage(root), "flights").take("one", elsewhere(f"racer-{racer}"), START, nobody).holder.id


def test_one_of_several_processes_that_race_for_a_lease_has_it_and_all_know_who(
    tmp_path: Path, race: Callable[..., list[Any]]
) -> None:
    said = race(race_for_it, [(tmp_path, racer) for racer in range(8)])
    assert len(set(said)) == 1
    assert len(list((tmp_path / "leases/flights").iterdir())) == 1


def race_to_decide(argument: tuple[Path, int]) -> str:
    """Take what has run out, and promote under it, as two processes do that take each other for dead."""
    root, racer = argument
    log = DecisionLog(Storage(root), "flights")
    for turn in range(4):
        later = START + (turn + 1) * 2 * DURATION
        lease = log.leases.take("one", elsewhere(f"racer-{racer}-{turn}"), later, nobody)
        try:
            decide(log, lease.number, f"attempt-{racer}-{turn}")
        except (Succeeded, ChampionChanged):
            continue
    return "done"


def test_processes_that_take_each_other_for_dead_leave_leases_in_rising_order(
    tmp_path: Path, race: Callable[..., list[Any]]
) -> None:
    race(race_to_decide, [(tmp_path, racer) for racer in range(6)])
    under = [entry.lease for entry in DecisionLog(Storage(tmp_path), "flights").read().entries]
    assert under and under == sorted(under)  # type: ignore[type-var]
