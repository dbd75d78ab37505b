"""Which rows of history are learned from, and how much each counts.

A history gives every row a weight by its age, and of one kind by its label: zero is a row that is not used.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

SECONDS_A_DAY = 86_400
DAYS_A_YEAR = 365.25


class History(Protocol):
    """Weighs rows."""

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """A weight from zero for each row.

        Args:
            times: when each row happened, in UTC, before `until`.
            labels: of the rows.
            until: when the rows end.
        """
        ...


@dataclass(frozen=True)
class All:
    """Every row counts the same."""

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """Ones."""
        return np.ones(len(times))


@dataclass(frozen=True)
class Recent:
    """The rows of the last `days` days."""

    days: float

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """One or zero."""
        return (ages(times, until) <= self.days).astype(float)


@dataclass(frozen=True)
class Fading:
    """Every row, with half the weight for each `half_life_days` of its age.

    Exponential forgetting: Klinkenberg 2004, "Learning drifting concepts: example selection vs. example weighting".
    """

    half_life_days: float

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """From one down; a row of a thousand half-lives is not used."""
        return 0.5 ** (ages(times, until) / self.half_life_days)


@dataclass(frozen=True)
class Seasonal:
    """The rows of the last `days` days, and of the same season in earlier years.

    The season lasts from `days` days before the date of each year to `days` days after it: what followed a year ago
    is what comes next.
    """

    days: float

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """One or zero."""
        age = ages(times, until)
        from_anniversary = np.abs(age - DAYS_A_YEAR * np.round(age / DAYS_A_YEAR))
        return (from_anniversary <= self.days).astype(float)


@dataclass(frozen=True)
class Rare:
    """The rows of the last `days` days, and the older ones whose label is rare.

    Rare is a class with less than `share` of all rows; of a label that is a number, the lowest and the highest values
    that together are `share` of all rows.
    """

    days: float
    share: float = 0.1

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """One or zero."""
        return ((ages(times, until) <= self.days) | self._is_rare(labels)).astype(float)

    def _is_rare(self, labels: pd.Series) -> np.ndarray:
        if not len(labels):
            return np.zeros(0, dtype=bool)
        if labels.dtype.kind in "iuf" and not labels.isin((0, 1)).all():
            low, high = labels.quantile([self.share / 2, 1 - self.share / 2])
            return ((labels < low) | (labels > high)).to_numpy()
        return self.among(labels.value_counts()).is_rare(labels)

    def among(self, counts: pd.Series) -> RareAmong:
        """The same once it is known how many rows have each label, of a label that has few values.

        What it says of a row depends on that row alone.
        """
        return RareAmong(self.days, tuple(counts.index[counts < self.share * counts.sum()]))


@dataclass(frozen=True)
class RareAmong:
    """The rows of the last `days` days, and the older ones with one of some labels."""

    days: float
    labels: tuple[Any, ...]

    def weights(self, times: pd.Series, labels: pd.Series, until: datetime) -> np.ndarray:
        """One or zero."""
        return ((ages(times, until) <= self.days) | self.is_rare(labels)).astype(float)

    def is_rare(self, labels: pd.Series) -> np.ndarray:
        """For each row."""
        return labels.isin(self.labels).to_numpy()


def ages(times: pd.Series, until: datetime) -> np.ndarray:
    """Days from each time to `until`, not below zero."""
    seconds = (pd.Timestamp(until) - times).dt.total_seconds().to_numpy()
    return np.maximum(seconds, 0.0) / SECONDS_A_DAY


def history(name: str, **init_args: Any) -> History:
    """A history by its name.

    Raises:
        ValueError: for a name or an argument that does not exist, one that is missing, or a value that means nothing.
    """
    if name not in HISTORIES:
        raise ValueError(f"no history is called {name!r}; choose one of {', '.join(NAMES)}")
    signature = inspect.signature(HISTORIES[name])
    try:
        signature.bind(**init_args)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no arguments"
        raise ValueError(f"the history {name} takes {takes}: {error}") from error
    for argument, given in init_args.items():
        highest = 1.0 if argument == "share" else math.inf
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if not is_number or not 0 < given < highest:
            expected = "a number between 0 and 1" if highest == 1 else "a number above 0"
            raise ValueError(f"{argument}={given!r} of the history {name} means nothing; give {expected}")
    return HISTORIES[name](**init_args)


HISTORIES: dict[str, Callable[..., History]] = {
    each.__name__.lower(): each for each in (All, Recent, Fading, Seasonal, Rare)
}
NAMES = tuple(HISTORIES)
