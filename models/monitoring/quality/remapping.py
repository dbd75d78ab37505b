"""Remapping: known values of a category that suddenly stand for one another.

A value is known by its company: in training, each went with its own values of the companion column. Days on which the
values keep other company than on any training day, and the usual one after they are exchanged, are broken. Where no
column goes with the category, the shares must do: values that exchange their shares, all at once. Two values can do
that for honest reasons, so there it takes three. Values that are equally frequent and keep the same company can be
exchanged unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.monitoring.quality.check import QualityCheck
from models.monitoring.quality.distances import Numbers, shares, total_variation
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.histories import MAX_LAG, ColumnHistory, bins
from models.monitoring.quality.layout import CategoryLayout
from models.monitoring.quality.profile import Profile
from models.monitoring.quality.tables import best_relabelling, conditional_distance
from models.monitoring.quality.units import follows_training

COMPANY_RATIO = 1.25
COMPANY_SLACK = 0.05
EXPLAINED = 0.5  # of the distance may stay after the exchange
STEP_RATIO = 2.0
STEP_SLACK = 0.1
SHARES_EXPLAINED = 0.25
MIN_MOVED = 3  # values that exchange shares
LONE = 1.5  # times as far from training as usual must a day be that is odd by itself
MIN_MOVE = 0.25  # of the largest move, for a value to have moved by more than chance


@dataclass
class _Walk:
    """Days one after the other: the shares of the last that were sound, to compare the next with."""

    history: ColumnHistory
    recent: list[Numbers] = field(default_factory=list)

    def is_remapped(self, row: Numbers) -> bool:
        """Whether one of the last sound days explains this one by an exchange of values."""
        found = any(self._exchanged(before, row) for before in reversed(self.recent))
        if not found:
            self.recent = [*self.recent, row][-MAX_LAG:]
        return found

    def _exchanged(self, before: Numbers, row: Numbers) -> bool:
        step, sorted_step = self.history.step, self.history.sorted_step
        if step is None or sorted_step is None:
            return False
        apart, moves = total_variation(before, row), np.abs(before - row)
        # Sorted shares are those of the best exchange: no other brings two rows of numbers closer together.
        after = total_variation(np.sort(before), np.sort(row))
        return (
            apart > STEP_RATIO * step + STEP_SLACK
            and after <= min(sorted_step, SHARES_EXPLAINED * apart)
            and int((moves > MIN_MOVE * moves.max()).sum()) >= MIN_MOVED
        )


def check_remapping(
    profiles: Sequence[Profile], expected: Expectations, earlier: Sequence[Profile] = ()
) -> list[QualityCheck]:
    """Days on which values of a category stand for one another; `found` and `limit` are shares of days.

    Args:
        profiles: the days to check, oldest first.
        expected: what training looked like.
        earlier: days just before them, for the first to be compared with.
    """
    return [
        _check(name, layout, expected, profiles, earlier)
        for name, layout in expected.layout.categories.items()
        if expected.columns[name].step is not None
    ]


def _check(
    name: str, layout: CategoryLayout, expected: Expectations, profiles: Sequence[Profile], earlier: Sequence[Profile]
) -> QualityCheck:
    history = expected.columns[name]
    by_company, moved = _by_company(name, layout, history, profiles)
    by_shares = _by_shares(name, layout, expected, [*earlier, *profiles]) if history.recent else set()
    days = tuple(day.day for day in profiles if day.day in by_company | by_shares)
    note = f"such as {moved} by their {layout.companion.column}" if moved and layout.companion else ""
    found = len(days) / len(profiles) if profiles else 0.0
    return QualityCheck("share of days with exchanged values", name, found, 0.0, bool(days), days, note)


def _by_company(
    name: str, layout: CategoryLayout, history: ColumnHistory, profiles: Sequence[Profile]
) -> tuple[set[str], str]:
    """Days with exchanged values, and one exchange in words."""
    if history.conditional is None:
        return set(), ""
    tables = {day.day: np.array(day.categories[name].table) for day in profiles if day.categories[name].table}
    tables = {day: table for day, table in tables.items() if table.sum() >= history.min_rows}
    odd = {day: table for day, table in tables.items() if _is_odd(history, table)}
    found = {day: words for day, table in odd.items() if (words := _exchange(layout, history, table))}
    # One value of many a day, as a column that follows the calendar has: only together do days show an exchange.
    if not found and len(odd) > 1 and (words := _exchange(layout, history, np.sum(list(odd.values()), axis=0))):
        found = dict.fromkeys(odd, words)
    if len(found) == 1 and len(tables) > 1:  # a crowd that is odd for a day goes home: alone it must be odder
        found = {day: words for day, words in found.items() if _is_odd(history, odd[day], LONE)}
    return set(found), next(iter(found.values()), "")


def _is_odd(history: ColumnHistory, table: np.ndarray, times: float = 1.0) -> bool:
    return conditional_distance(history.table, table) > times * _ordinary(history)


def _ordinary(history: ColumnHistory) -> float:
    assert history.conditional is not None
    return COMPANY_RATIO * history.conditional + COMPANY_SLACK


def _exchange(layout: CategoryLayout, history: ColumnHistory, table: np.ndarray) -> str:
    best = best_relabelling(history.table, table)
    if len(best.moved) < 2 or best.after > min(_ordinary(history), EXPLAINED * best.before):
        return ""
    value, meant = max(best.moved, key=lambda move: int(table[move[0]].sum()))
    return f"{layout.values[value]!r} for {layout.values[meant]!r}"


def _by_shares(name: str, layout: CategoryLayout, expected: Expectations, days: Sequence[Profile]) -> set[str]:
    history = expected.columns[name]
    walk = _Walk(history, [np.array(row) for row in history.recent] if follows_training(expected, days) else [])
    rows = {day.day: bins(day.categories[name], layout) for day in days}
    return {day for day, row in rows.items() if sum(row) >= history.min_rows and walk.is_remapped(shares(row))}
