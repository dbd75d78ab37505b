"""How often the feed of a healthy year is called broken: real rows in their own order, with their seasons and storms.

`python -m benchmarks.watch --only calendar`. Every four weeks a champion is made that expects what the eight weeks
before were like, and is looked at once a fortnight for three months. Nothing is put in, so a look that finds the feed
broken is a false alarm, but for the day on which the stream itself lacks something (`episodes.BROKEN_DAYS`), whose
looks are left out. The streams are those with a calendar of their own: flights and their weather through 2013, four
years of employment, twenty months of car loans.

- feed_false_alarms: share of looks that call the feed broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from benchmarks.watch.episodes import BROKEN_DAYS, LABEL_DELAY
from benchmarks.watch.streams import stream
from benchmarks.work import error_of, share, spread_out
from models.data.contract import Columns
from models.monitoring.quality import Expectations, Limits, Profile, check_days, profile_days

NAMES = ("flights", "employment", "car_loan")
EVERY, LEARNED, WATCHED, STEP = 28, 56, 90, 14  # days
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Settings:
    """How many champions of each stream at most; all there are of a year and a bit."""

    champions: int


QUICK, FULL = Settings(champions=2), Settings(champions=15)


@dataclass(frozen=True)
class Piece:
    """A champion of a stream, by the day on which it takes over."""

    stream: str
    first: pd.Timestamp


@dataclass(frozen=True)
class Looks:
    """What the looks at one champion found broken: the names of the checks, and of the columns, of each look."""

    piece: Piece
    found: tuple[tuple[tuple[str, str], ...], ...]


def run(settings: Settings, jobs: int) -> dict[str, Any]:
    """Look at every champion and count."""
    pieces = [Piece(name, first) for name in NAMES for first in _firsts(name)[: settings.champions]]
    return counted(spread_out(play, pieces, jobs, "calendar"))


def play(piece: Piece) -> Looks:
    """Look at one champion's feed once a fortnight, with the days before each look to compare with."""
    found = stream(piece.stream)
    frame = found.frame.rename(columns={found.label: "label"})
    columns = Columns("id", "event_time", "label", found.numbers, found.categories, label_delay=LABEL_DELAY)
    last = frame["event_time"].max().ceil("D")
    start, end = piece.first - timedelta(days=LEARNED), min(piece.first + timedelta(days=WATCHED), last)
    learned, watched = (
        frame[(frame["event_time"] >= low) & (frame["event_time"] < high)].reset_index(drop=True)
        for low, high in ((start, piece.first), (piece.first, end))
    )
    expected = Expectations.learn(learned, columns, start.to_pydatetime(), piece.first.to_pydatetime())
    days = profile_days(watched, expected.layout, columns, piece.first.to_pydatetime(), end.to_pydatetime())
    looks = [days[max(0, place - STEP) : place + STEP] for place in range(0, len(days) - STEP + 1, STEP)]
    return Looks(piece, tuple(_broken(look, expected) for look in looks if not _lacks(piece.stream, look)))


def counted(played: Sequence[Looks]) -> dict[str, Any]:
    """Shares of looks with a false alarm, of all streams and of each, and which checks gave it on which column."""
    of_stream = {name: [look for each in played if each.piece.stream == name for look in each.found] for name in NAMES}
    looks = [look for many in of_stream.values() for look in many]
    alarms = sum(bool(look) for look in looks)
    return {
        "feed_false_alarms": share(alarms, len(looks)),
        "errors": {"feed_false_alarms": error_of(share(alarms, len(looks)), len(looks))},
        "streams": {
            name: {
                "looks": len(many),
                "alarms": sum(bool(look) for look in many),
                "checks": dict(Counter(f"{check}: {column}" for look in many for check, column in look)),
            }
            for name, many in of_stream.items()
        },
    }


def _firsts(name: str) -> list[pd.Timestamp]:
    times = stream(name).frame["event_time"]
    first, last = times.min().ceil("D") + timedelta(days=LEARNED), times.max().floor("D") - timedelta(days=STEP)
    return list(pd.date_range(first, last, freq=timedelta(days=EVERY)))


def _broken(look: Sequence[Profile], expected: Expectations) -> tuple[tuple[str, str], ...]:
    checks = check_days(look[-STEP:], expected, Limits(), look[:-STEP])
    return tuple((check.name, check.column or "") for check in checks if check.is_broken)


def _lacks(name: str, look: Sequence[Profile]) -> bool:
    return any((name, (date.fromisoformat(day.day) - EPOCH).days) in BROKEN_DAYS for day in look)
