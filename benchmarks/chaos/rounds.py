"""A round: several runs at once, one kill at a random instant, and reruns until everything has its answer."""

from __future__ import annotations

import itertools
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks import small_project
from benchmarks.chaos import check
from benchmarks.chaos.site import BreakableSite
from benchmarks.site import OVER
from models.registry.log import ChampionChanged, Entry
from models.registry.registry import Registry
from tasks.turn import attempt_of

STEP = timedelta(days=2)
APART = timedelta(hours=6)  # of the two moments that are retrained for at the same time
LATEST_KILL_SECONDS = 12.0  # runs of an idle machine end after about eight
ROUND_SECONDS = 300
STUCK_SECONDS = 240  # a run that is still Running so long after the last round has no process any more
TARGETS = ("worker", "flow", "server")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass
class Round:
    """What was done in one round and what came of it.

    Attributes:
        target, how, after: what was killed, by which signal, how many seconds after the runs were asked for.
        was_hit: whether there was something to kill.
        was_overruled: whether a person promoted another version meanwhile.
        num_reruns: runs that were asked for again.
        seconds: until everything had its answer.
        faults: what was lost or broken.
    """

    target: str
    how: str
    after: float
    was_hit: bool = False
    was_overruled: bool = False
    num_reruns: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass
class Wanted:
    """Something that must come about: a batch until a moment, or an answer as of one; and the runs asked to do it."""

    flow: str
    as_of: datetime
    runs: list[str]

    def is_there(self, registry: Registry) -> bool:
        """Whether it has come about."""
        if self.flow == "retrain":
            return registry.log.read().answer(attempt_of(self.as_of)) is not None
        last = registry.predictions.last()
        return last is not None and last.end >= self.as_of


def begin(site: BreakableSite, registry: Registry) -> None:
    """The first champion, undisturbed. Raises `RuntimeError` if there is none."""
    first = Wanted("retrain", small_project.FIRST, [site.wish("retrain", small_project.FIRST)])
    _until_there(site, registry, [first], time.monotonic() + ROUND_SECONDS)
    if registry.log.read().champion is None:
        raise RuntimeError(f"nothing was disturbed, and no champion came: see {site.folder}")


def kills(draw: random.Random) -> Iterator[tuple[str, signal.Signals]]:
    """What is killed and how, round by round: each combination once before any comes again."""
    while True:
        combinations = list(itertools.product(TARGETS, SIGNALS))
        draw.shuffle(combinations)
        yield from combinations


def play(
    site: BreakableSite, registry: Registry, number: int, kill: tuple[str, signal.Signals], draw: random.Random
) -> Round:
    """One round.

    Two runs race for each of score and retrain, a third retrain comes for another moment, and a person promotes another
    version while they are at work: of the two promoters one has to decide again.
    """
    played = Round(kill[0], kill[1].name, draw.uniform(0, LATEST_KILL_SECONDS))
    before, started = registry.log.read().entries, time.monotonic()
    as_of = small_project.FIRST + (number + 1) * STEP
    wanted = [
        Wanted("retrain", as_of, [site.wish("retrain", as_of) for _ in range(2)]),
        Wanted("retrain", as_of + APART, [site.wish("retrain", as_of + APART)]),
        Wanted("score", as_of, [site.wish("score", as_of) for _ in range(2)]),
    ]
    time.sleep(played.after)
    played.was_hit = site.kill(played.target, signal.Signals[played.how], draw.randrange(100))
    time.sleep(draw.uniform(0, LATEST_KILL_SECONDS / 5))
    played.was_overruled = _overrule(registry, number)
    site.mend()
    played.num_reruns = _until_there(site, registry, wanted, started + ROUND_SECONDS)
    played.seconds = time.monotonic() - started
    played.faults = _faults(site, registry, wanted, before)
    return played


def settle(site: BreakableSite) -> int:
    """Wait until no run is under way any more, and return how many still are after the time that is stated."""
    deadline = time.monotonic() + STUCK_SECONDS
    while time.monotonic() < deadline:
        site.mend()
        if not (left := [state for state in site.states().values() if state not in OVER]):
            return 0
        time.sleep(2)
    print(f"stuck: {left}", file=sys.stderr, flush=True)
    return len(left)


def _overrule(registry: Registry, number: int) -> bool:
    """Promote the newest version that is not champion, as a person does; False if none is, or it came too late."""
    state = registry.log.read()
    others = [
        entry.version for entry in state.entries if entry.kind == "registered" and entry.version != state.champion
    ]
    if not others:
        return False
    moment = datetime.now(UTC)
    try:
        registry.log.append(
            "overridden",
            "Promoted by hand.",
            attempt=f"override {number}",
            version=others[-1],
            against=state.champion,
            as_of=moment,
            now=moment,
            evidence={"by": "the benchmark", "answer": "promoted", "said": "to be in the way"},
        )
    except ChampionChanged:
        return False
    return True


def _until_there(site: BreakableSite, registry: Registry, wanted: list[Wanted], deadline: float) -> int:
    """Ask again for what nobody is working on any more. Returns how often."""
    num_reruns = 0
    while time.monotonic() < deadline:
        time.sleep(1)
        site.mend()
        missing = [each for each in wanted if not each.is_there(registry)]
        if not missing:
            break
        states, living = site.states(), {run for run, _ in site.runs()}
        for each in missing:
            waits = any(run in living or states.get(run) in ("SCHEDULED", "PENDING") for run in each.runs)
            if not waits:
                each.runs.append(site.wish(each.flow, each.as_of))
                num_reruns += 1
    return num_reruns


def _faults(site: BreakableSite, registry: Registry, wanted: list[Wanted], before: tuple[Entry, ...]) -> list[str]:
    states = site.states()
    found = [
        f"{each.flow} as of {each.as_of:%Y-%m-%d %H:%M} never came" for each in wanted if not each.is_there(registry)
    ]
    for each in wanted:
        ended_well = any(states.get(run) == "COMPLETED" for run in each.runs)
        if ended_well and not each.is_there(registry):
            found.append(f"{each.flow} as of {each.as_of:%Y-%m-%d %H:%M} ended well and left nothing")
    return [*found, *check.vanished(before, registry.log.read().entries), *check.broken(registry)]
