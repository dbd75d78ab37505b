"""The benchmark of healthy years: looks follow the calendar, a stream's own fault is left out, counts are right."""

from __future__ import annotations

import pandas as pd

from benchmarks.watch import calendar
from benchmarks.watch.calendar import Looks, Piece, counted, play


def test_a_champion_is_looked_at_once_a_fortnight_while_there_are_days() -> None:
    first, last = (calendar._firsts("flights")[place] for place in (0, -1))
    assert first == pd.Timestamp("2013-02-27", tz="UTC")
    whole = play(Piece("flights", first))
    assert len(whole.found) == 6  # of fourteen days in ninety
    assert whole.found[0] == ()
    assert len(play(Piece("flights", last)).found) == 1, "the look with the day on which no weather came is left out"


def test_looks_with_a_broken_check_are_counted_once_and_named() -> None:
    unit, gap = ("share of days in another unit", "dewp"), ("rows a day", "")
    pieces = [Piece(name, pd.Timestamp("2013-03-01", tz="UTC")) for name in calendar.NAMES]
    found = counted([Looks(pieces[0], ((), (unit, gap), (unit,))), Looks(pieces[1], ((),)), Looks(pieces[2], ())])
    assert found["feed_false_alarms"] == 0.5
    assert found["streams"]["flights"] == {
        "looks": 3,
        "alarms": 2,
        "checks": {"share of days in another unit: dewp": 2, "rows a day: ": 1},
    }
    assert found["streams"]["car_loan"] == {"looks": 0, "alarms": 0, "checks": {}}
