"""Which rows may depend on one another: groups within which anything goes, and which are independent of each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

FEWEST_BLOCKS = 10  # a ladder ends before it has fewer: with fewer groups no test should be believed


@dataclass(frozen=True)
class Grouping:
    """One or more ways to cut rows into independent groups.

    A key that says what belongs together (a day, a customer) gives one way. Without a key there are several, and a
    test takes the largest p of all.

    Attributes:
        ways: for each way the number of each row's group, from 0 on, shape (rows,).
        unit: what a group is, in words: "days", "blocks of rows".
    """

    ways: tuple[np.ndarray, ...]
    unit: str

    @property
    def num_rows(self) -> int:
        """Rows that are grouped."""
        return len(self.ways[0])

    @property
    def num_groups(self) -> int:
        """Groups of the coarsest way: what there is at least."""
        return min(int(np.count_nonzero(sizes)) for sizes in self.sizes)

    @cached_property
    def sizes(self) -> tuple[np.ndarray, ...]:
        """Rows of each group, for each way; 0 for a number that no row has."""
        return tuple(np.bincount(way) for way in self.ways)

    @property
    def rows_per_group(self) -> float:
        """Median number of rows in a group of the coarsest way."""
        coarsest = min(self.sizes, key=np.count_nonzero)
        return float(np.median(coarsest[coarsest > 0])) if coarsest.any() else 0.0

    def take(self, rows: np.ndarray) -> Grouping:
        """The grouping of some of the rows, given as a mask or as positions; empty groups are forgotten."""
        return Grouping(tuple(way[rows] for way in self.ways), self.unit)


def by_key(keys: np.ndarray, unit: str) -> Grouping:
    """Rows with the same key depend on one another: the day of an event, or the customer whose row it is.

    >>> by_key(np.array(["a", "b", "a"]), "customers").num_groups
    2
    """
    return Grouping((np.unique(keys, return_inverse=True)[1],), unit)


def ladder(num_rows: int) -> Grouping:
    """Blocks of 1, 2, 4, ... consecutive rows, down to ten blocks: for rows in time order without a key.

    The largest p over all lengths is taken, so that a dependence that dies out within the longest block cannot make
    a test too sure. On independent rows it costs a little power (.80 became .73). A dependence that is longer than
    a tenth of the rows is beyond it, as it is beyond any method.

    >>> [int(way.max()) + 1 for way in ladder(80).ways]
    [80, 40, 20, 10]
    """
    lengths = [1]
    while num_rows // (2 * lengths[-1]) >= FEWEST_BLOCKS:
        lengths.append(2 * lengths[-1])
    positions = np.arange(num_rows)
    # What is left over at the end joins the last whole block: a short block would count for as much as a long one.
    return Grouping(
        tuple(np.minimum(positions // length, max(num_rows // length, 1) - 1) for length in lengths), "blocks of rows"
    )
