"""Slices: parts of the rows in each of which a challenger may not be worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from models.evaluation.comparison import Paired
from models.evaluation.guardrails import NoWorse
from models.evaluation.holm import holm_levels
from models.evaluation.metrics.metric import Undefined
from models.evaluation.minima import Minima
from models.evaluation.testing import Test, untested

REST = "other values"


@dataclass(frozen=True)
class Slice:
    """A named part of the rows: `rows` is a mask of shape (rows,), `expected` how many of them there ought to be."""

    name: str
    rows: np.ndarray
    expected: float


@dataclass(frozen=True)
class Slices:
    """A guardrail that must hold in each slice.

    A slice that ought to be large enough and is not, is not tested and stays open: what is missing fails closed. That
    all must hold needs no correction (intersection-union), but that *any* of them is called broken does: a slice
    fails only when it does so after Holm's correction over all slices (Holm 1979).
    """

    guardrail: NoWorse
    slices: tuple[Slice, ...]
    min_rows: int
    minima: Minima

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test for each slice."""
        found = [self._test(paired, each, level) for each in self.slices]
        return _only_the_surely_broken(found, level)

    def _test(self, paired: Paired, each: Slice, level: float) -> Test:
        label, margin = self.guardrail.metric.label, self.guardrail.margin
        num_rows = int(each.rows.sum())
        if num_rows < self.min_rows:
            share = f", where its share before would give {each.expected:,.0f}" if each.expected > num_rows else ""
            why = f"only {num_rows:,} rows of {self.min_rows:,} needed{share}"
            return replace(untested(label, each.name, "non-inferiority", why, margin), num_rows=num_rows)
        part = paired.take(each.rows)
        if lacking := self.minima.lacking_in(part):
            return replace(untested(label, each.name, "non-inferiority", lacking, margin), num_rows=num_rows)
        try:
            return self.guardrail.test(part, level, each.name)
        except Undefined as reason:
            return replace(untested(label, each.name, "non-inferiority", str(reason), margin), num_rows=num_rows)


def by_value(column: str, current: pd.Series, before: pd.Series, min_rows: int) -> list[Slice]:
    """A slice for each value that, by its share before, should have `min_rows` rows now; the others are one slice.

    Args:
        column: the name that stands in the slices' names.
        current: the values of the rows that are judged.
        before: those of the training rows, which say what to expect; a value that has gone missing is noticed by it.
        min_rows: smallest slice that is tested by itself.
    """
    # Together, so that a whole number has one name also where the other rows lack some and are floats.
    numbers, names = _numbered(pd.concat([before, current], ignore_index=True))
    earlier, now = numbers[: len(before)], numbers[len(before) :]
    expected = np.bincount(earlier, minlength=len(names)) * (len(now) / max(len(earlier), 1))
    counts = np.bincount(now, minlength=len(names))
    is_own = np.maximum(expected, counts) >= min_rows
    found = [
        Slice(f"{column}={names[place]}", now == place, float(expected[place])) for place in np.flatnonzero(is_own)
    ]
    rest = ~is_own[now]
    return [*found, Slice(f"{column}={REST}", rest, 0.0)] if rest.sum() >= min_rows else found


def _numbered(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's value, and the sorted values as text: made once a value, and not once a row."""
    codes, distinct = pd.factorize(values)  # -1 stands for missing, and picks the last of the texts
    texts = np.array([*pd.Series(distinct).astype(str), "missing"], dtype=object)
    names, merged = np.unique(texts, return_inverse=True)
    return merged[codes], names


def by_range(column: str, edges: Sequence[float], current: pd.Series, before: pd.Series) -> list[Slice]:
    """A slice for each range between neighbouring edges, `[low, high)`, and one below and above them."""
    bounds = [-np.inf, *sorted(edges), np.inf]
    found = []
    for low, high in pairwise(bounds):
        name = f"{column} below {high:g}" if low == -np.inf else f"{column} from {low:g}"
        name += f" to {high:g}" if np.isfinite([low, high]).all() else ""
        ends: Literal["both", "left"] = "both" if high == np.inf else "left"
        share = float(before.between(low, high, inclusive=ends).mean())
        found.append(Slice(name, current.between(low, high, inclusive=ends).to_numpy(), share * len(current)))
    return found


def by_query(name: str, query: str, current: pd.DataFrame, before: pd.DataFrame) -> Slice:
    """The rows for which an expression over the columns is true, such as `distance > 1000 and carrier == "UA"`.

    Raises:
        ValueError: when it names no columns of the frame, or does not say yes or no for each row.
    """
    return Slice(name, _truth(name, query, current), float(_truth(name, query, before).mean()) * len(current))


def _truth(name: str, query: str, frame: pd.DataFrame) -> np.ndarray:
    try:
        found = frame.eval(query, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # of every kind: NotImplementedError for a lambda, ZeroDivisionError for 1 / 0
        raise ValueError(f"slice {name!r}: {query!r} cannot be evaluated: {error}; change gate.slices") from error
    if not isinstance(found, pd.Series) or found.dtype != bool:
        raise ValueError(f"slice {name!r}: {query!r} is not true or false for each row; change gate.slices")
    return found.to_numpy()


def _only_the_surely_broken(tests: list[Test], level: float) -> list[Test]:
    broken = [position for position, test in enumerate(tests) if test.verdict == "fails"]
    if not broken:
        return tests
    chances = {position: test.p_failure for position, test in enumerate(tests) if test.p_failure is not None}
    levels = dict(zip(chances, holm_levels([*chances.values()], level), strict=True))
    return [
        replace(test, verdict="open", note="worse here, but among so many slices one may be by chance")
        if test.verdict == "fails" and chances[position] > levels[position]
        else test
        for position, test in enumerate(tests)
    ]
