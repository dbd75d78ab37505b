"""Rows that were seen before: a batch that was loaded twice, or yesterday's that was sent again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LOOKBACK_DAYS = 7
SEQUENCE = 4  # rows: by chance one row repeats another in coarse data, four in the same order hardly ever
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth, TAOCP 6.4): spreads the bits of a hash


@dataclass(frozen=True)
class Repeats:
    """For each row, shape (rows,), whether it repeats an earlier one.

    `exact`: time and all features of an earlier row. `seen`: all features of an earlier row of this day or the seven
    before. `in_sequence`: it lies in a sequence of rows with the features of an earlier sequence of those days.
    """

    exact: np.ndarray
    seen: np.ndarray
    in_sequence: np.ndarray

    def of(self, rows: np.ndarray) -> Repeats:
        """Of some of the rows, given as a mask."""
        return Repeats(self.exact[rows], self.seen[rows], self.in_sequence[rows])


def find_repeats(hashes: np.ndarray, times: np.ndarray, day: np.ndarray) -> Repeats:
    """Find rows that repeat earlier ones.

    Args:
        hashes: of the features of each row, `uint64`, rows in time order.
        times: event times, whole numbers.
        day: ordinal of the local day of each row, ascending.
    """
    if len(hashes) < SEQUENCE:
        empty = np.zeros(len(hashes), dtype=bool)
        return Repeats(empty, empty, empty)
    exact = pd.Series(mix(hashes, pd.util.hash_array(times))).duplicated().to_numpy()
    starts = hashes[: len(hashes) - SEQUENCE + 1].copy()
    for offset in range(1, SEQUENCE):
        starts = mix(starts, hashes[offset : len(hashes) - SEQUENCE + 1 + offset])
    begins = _was_seen(starts, day[: len(starts)])
    in_sequence = np.zeros(len(hashes), dtype=bool)
    for offset in range(SEQUENCE):
        in_sequence[offset : offset + len(begins)] |= begins
    return Repeats(exact, _was_seen(hashes, day), in_sequence)


def mix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One hash of two, in which their order counts."""
    with np.errstate(over="ignore"):
        mixed: np.ndarray = (first * MULTIPLIER ^ (first >> np.uint64(29))) + second
    return mixed


def _was_seen(hashes: np.ndarray, day: np.ndarray) -> np.ndarray:
    order = np.argsort(hashes, kind="stable")
    again = np.zeros(len(hashes), dtype=bool)
    same = hashes[order][1:] == hashes[order][:-1]
    again[order[1:]] = same & (day[order[1:]] - day[order[:-1]] <= LOOKBACK_DAYS)
    return again
