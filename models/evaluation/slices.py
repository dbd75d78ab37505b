"""Slices: parts of the rows in each of which a challenger may not be worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from models.evaluation.comparison import Paired
from models.evaluation.guardrails import NoWorse
from models.evaluation.holm import holm_levels
from models.evaluation.metrics.metric import Undefined
from models.evaluation.minima import Minima
from models.evaluation.testing import Test, untested

REST = "other values"
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty")  # as pandas infers them


@dataclass(frozen=True)
class Slice:
    """A named part of the rows: `rows` is a mask of shape (rows,), `expected` how many of them there ought to be.

    `is_rest` marks the rows of all values that are too rare for a slice of their own.
    """

    name: str
    rows: np.ndarray
    expected: float
    is_rest: bool = False


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
        why = self.lacking(paired, each)
        if not why:
            try:
                return self.guardrail.test(paired.take(each.rows), level, each.name)
            except Undefined as reason:
                why = str(reason)
        test = untested(self.guardrail.metric.label, each.name, "non-inferiority", why, self.guardrail.margin)
        return replace(test, num_rows=int(each.rows.sum()))

    def lacking(self, paired: Paired, each: Slice) -> str:
        """What one of the slices has too little of to be tested on these rows, in words; empty when nothing is."""
        num_rows = int(each.rows.sum())
        if num_rows < self.min_rows:
            share = f", where its share before would give {each.expected:,.0f}" if each.expected > num_rows else ""
            return f"only {num_rows:,} rows of {self.min_rows:,} needed{share}"
        return self.minima.lacking_in(paired.take(each.rows))


def by_value(column: str, current: pd.Series, before: pd.Series, min_rows: int) -> list[Slice]:
    """A slice for each value that, by its share before, should have `min_rows` rows now; the others are one slice.

    Args:
        column: the name that stands in the slices' names.
        current: the values of the rows that are judged.
        before: those of the training rows, which say what to expect; a value that has gone missing is noticed by it.
        min_rows: smallest slice that is tested by itself.
    """
    values = _values(current, before)
    is_own = values.largest >= min_rows
    found = [
        Slice(f"{column}={values.names[place]}", values.now == place, float(values.expected[place]))
        for place in np.flatnonzero(is_own)
    ]
    rest = ~is_own[values.now]
    return [*found, Slice(f"{column}={REST}", rest, 0.0, is_rest=True)] if rest.sum() >= min_rows else found


def too_rare(column: str, current: pd.Series, before: pd.Series, min_rows: int) -> tuple[str, ...]:
    """The names of those values among the current ones for which `by_value` has no slice of their own.

    >>> too_rare("dest", pd.Series(["A", "A", "B"]), pd.Series(["A"]), min_rows=2)
    ('dest=B',)
    """
    values = _values(current, before)
    is_rare = (values.largest < min_rows) & (values.counts > 0)
    return tuple(f"{column}={values.names[place]}" for place in np.flatnonzero(is_rare))


@dataclass(frozen=True)
class _Values:
    """The distinct values of a column, sorted by their text, shape (values,), and the number of each row's, `now`."""

    names: np.ndarray
    now: np.ndarray
    counts: np.ndarray
    expected: np.ndarray

    @property
    def largest(self) -> np.ndarray:
        """How many rows each has, or ought to have if that is more."""
        return np.maximum(self.expected, self.counts)


def _values(current: pd.Series, before: pd.Series) -> _Values:
    # Together, so that a whole number has one name also where the other rows lack some and are floats.
    numbers, names = _numbered(pd.concat([before, current], ignore_index=True))
    earlier, now = numbers[: len(before)], numbers[len(before) :]
    expected = np.bincount(earlier, minlength=len(names)) * (len(now) / max(len(earlier), 1))
    return _Values(names, now, np.bincount(now, minlength=len(names)), expected)


def _numbered(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's value, and the sorted values as text: made once a value, and not once a row."""
    codes, distinct = pd.factorize(values)  # -1 stands for missing, and picks the last of the texts
    texts = np.array([*pd.Series(distinct).astype(str), "missing"], dtype=object)
    names, merged = np.unique(texts, return_inverse=True)
    return merged[codes], names


def by_range(
    column: str, edges: Sequence[float], current: pd.Series, before: pd.Series, min_missing: int = 1
) -> list[Slice]:
    """A slice for each range between neighbouring edges, `[low, high)`, one below and above them, and one of gaps.

    The rows with a missing value are a slice when there are, or by their share before ought to be, `min_missing`.

    Raises:
        ValueError: when the column holds anything but numbers.
    """
    now, earlier = _as_numbers(column, current), _as_numbers(column, before)
    bounds = [-np.inf, *sorted(edges), np.inf]
    found = []
    for low, high in pairwise(bounds):
        name = f"{column} below {high:g}" if low == -np.inf else f"{column} from {low:g}"
        name += f" to {high:g}" if np.isfinite([low, high]).all() else ""
        is_last = high == np.inf
        rows, rows_before = ((low <= each) & ((each < high) | is_last) for each in (now, earlier))
        found.append(Slice(name, rows, _share(rows_before) * len(now)))
    is_missing, expected = np.isnan(now), _share(np.isnan(earlier)) * len(now)
    if max(is_missing.sum(), expected) >= min_missing:
        found.append(Slice(f"{column} missing", is_missing, expected))
    return found


def _share(rows: np.ndarray) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _kind(values: pd.Series) -> str:
    return pd.api.types.infer_dtype(np.asarray(values, dtype=object), skipna=True)


def _as_numbers(column: str, values: pd.Series) -> np.ndarray:
    """The values as floats, NaN where they are missing."""
    if not pd.api.types.is_numeric_dtype(values) and (kind := _kind(values)) not in NUMBERS:
        held = "text" if kind in ("string", "mixed", "mixed-integer") else f"values of the kind {kind}"
        raise ValueError(f"gate.slices: edges need a column of numbers, and {column} holds {held}")
    return values.to_numpy(dtype=float, na_value=np.nan)


def by_query(name: str, query: str, current: pd.DataFrame, before: pd.DataFrame) -> Slice:
    """The rows for which an expression over the columns is true, such as `distance > 1000 and carrier == "UA"`.

    Where a nullable column leaves the answer open, the row is not one of them.

    Raises:
        ValueError: when it names no columns of the frame, or does not say yes or no for each row.
    """
    return Slice(name, _truth(name, query, current), float(_truth(name, query, before).mean()) * len(current))


def _truth(name: str, query: str, frame: pd.DataFrame) -> np.ndarray:
    try:
        found = frame.eval(query, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # of every kind: NotImplementedError for a lambda, ZeroDivisionError for 1 / 0
        raise ValueError(f"slice {name!r}: {query!r} cannot be evaluated: {error}; change gate.slices") from error
    if isinstance(found, pd.Series) and isinstance(found.dtype, pd.BooleanDtype):
        return found.to_numpy(dtype=bool, na_value=False)
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
