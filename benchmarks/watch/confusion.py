"""What the watch says when one thing is put into an episode: the confusion matrix of its seven verdicts.

`python -m benchmarks.watch --only confusion`. Each episode is looked at two days after the change, when no label of the
changed rows has come, twice more, and last when every label has come. Four numbers stand at the top:

- retrain_on_fault: episodes with a broken feed or a serving bug in which a retrain was recommended at any look;
- harmful_found: share of harmful shifts and changes of concept, of 3 points of AUC or more, for which a retrain was
  recommended by the last look;
- benign_retrained: share of harmless shifts in which it was, at any look;
- found_before_labels: share of harmful shifts for which labels were asked for, or harm was found, when no label of the
  changed rows had come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from benchmarks.watch.episodes import CHANGED_DAYS, Episode, champion, views, world
from benchmarks.watch.injections import FAULTS, HARMFUL, INJECTIONS
from benchmarks.watch.streams import NAMES
from benchmarks.work import error_of, generator, share, spread_out
from models.monitoring.diagnosis import Diagnosis, Rules, diagnose
from models.monitoring.look import look
from models.monitoring.quality import Profile
from models.monitoring.series import Series

STEPS = (2, 9, 23, CHANGED_DAYS + 2)  # days after the change
BEFORE_LABELS = 2  # the look at which no label of the changed rows has come


@dataclass(frozen=True)
class Settings:
    """How many episodes of each kind, spread evenly over the streams."""

    episodes: int


QUICK, FULL = Settings(episodes=8), Settings(episodes=200)


@dataclass(frozen=True)
class Piece:
    """One episode to be played."""

    kind: str
    stream: str
    number: int


@dataclass(frozen=True)
class Played:
    """One episode, and the verdict of each look; None where the stream has no column for the injection."""

    piece: Piece
    size: str
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]


def run(settings: Settings, jobs: int) -> dict[str, Any]:
    """Play the episodes and count."""
    pieces = [
        Piece(kind, NAMES[number % len(NAMES)], number) for kind in INJECTIONS for number in range(settings.episodes)
    ]
    pieces.sort(key=lambda piece: piece.stream)  # a process reads few streams
    played = [each for each in spread_out(play, pieces, jobs, "confusion") if each.verdicts]
    return _counted(played)


def play(piece: Piece) -> Played:
    """Look at one episode as the watch would, week after week."""
    random = generator("injection", piece.kind, piece.stream, piece.number)
    scene = world(piece.stream, piece.number)
    episode = INJECTIONS[piece.kind](scene, random)
    if episode is None:
        return Played(piece, "", (), ())
    verdicts, reasons = _watch(episode)
    return Played(piece, episode.size, verdicts, reasons)


def _watch(episode: Episode) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rules, found = Rules(), list[Diagnosis]()
    series: tuple[Series, ...] = ()
    sound: tuple[Profile, ...] = ()
    faulty: tuple[str, ...] = ()
    as_ofs = [episode.world.change + timedelta(days=step) for step in STEPS]
    for _, view in views(episode, champion(episode.world), as_ofs):
        looked = look(replace(view, faulty=frozenset(faulty)), series, sound=sound)
        series, sound, faulty = looked.series, looked.sound, looked.faulty
        found.append(diagnose(looked.evidence, rules))
    return tuple(each.verdict for each in found), tuple(each.reason for each in found)


def _counted(played: Sequence[Played]) -> dict[str, Any]:
    of_kind = {kind: [each for each in played if each.piece.kind == kind] for kind in INJECTIONS}
    faults = [each for kind in FAULTS for each in of_kind[kind]]
    harmful = [each for kind in HARMFUL for each in of_kind[kind]]
    benign = of_kind["benign_shift"]
    found = sum(_recommends(each.verdicts[-1:]) for each in harmful)
    retrained = sum(_recommends(each.verdicts) for each in benign)
    place = STEPS.index(BEFORE_LABELS)
    warned = sum(each.verdicts[place] in ("labels_needed", "harmful_shift", "concept_change") for each in harmful)
    return {
        "retrain_on_fault": sum(_recommends(each.verdicts) for each in faults),
        "harmful_found": share(found, len(harmful)),
        "benign_retrained": share(retrained, len(benign)),
        "found_before_labels": share(warned, len(harmful)),
        "errors": {
            "harmful_found": error_of(share(found, len(harmful)), len(harmful)),
            "benign_retrained": error_of(share(retrained, len(benign)), len(benign)),
        },
        "days_after_the_change": STEPS,
        "matrix": {kind: _row(each) for kind, each in of_kind.items()},
        "streams": {
            kind: {
                name: _row([each for each in many if each.piece.stream == name])
                for name in NAMES
                if any(each.piece.stream == name for each in many)
            }
            for kind, many in of_kind.items()
        },
        "missed": [
            {
                "kind": each.piece.kind,
                "stream": each.piece.stream,
                "size": each.size,
                "verdicts": each.verdicts,
                "reason": each.reasons[-1],
            }
            for each in played
            if _is_missed(each)
        ],
    }


def _row(played: Sequence[Played]) -> dict[str, Any]:
    """How often each verdict was the gravest of an episode's looks, and how often a retrain was recommended."""
    return {
        "episodes": len(played),
        "gravest": dict(Counter(_gravest(each.verdicts) for each in played)),
        "last": dict(Counter(each.verdicts[-1] for each in played)),
        "retrain_recommended": sum(_recommends(each.verdicts) for each in played),
    }


GRAVITY = (
    "broken_feed",
    "serving_fault",
    "harmful_shift",
    "concept_change",
    "labels_needed",
    "benign_shift",
    "healthy",
)


def _gravest(verdicts: Sequence[str]) -> str:
    return min(verdicts, key=GRAVITY.index)


def _recommends(verdicts: Sequence[str]) -> bool:
    return any(verdict in ("harmful_shift", "concept_change") for verdict in verdicts)


def _is_missed(played: Played) -> bool:
    """Whether an episode came out otherwise than it should."""
    kind, verdicts = played.piece.kind, played.verdicts
    if kind in FAULTS:
        return _recommends(verdicts) or _gravest(verdicts) not in ("broken_feed", "serving_fault")
    if kind in HARMFUL:
        return not _recommends(verdicts[-1:])
    if kind == "late_labels":  # a feed of labels that brings one class alone is broken too
        return _recommends(verdicts) or _gravest(verdicts) == "serving_fault"
    if kind in ("nothing", "benign_shift"):
        return _recommends(verdicts) or _gravest(verdicts) in ("broken_feed", "serving_fault")
    return _gravest(verdicts) in ("broken_feed", "serving_fault")
