"""Profile: what the rows of one local day looked like, in counts small enough to keep for every day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class NumberProfile:
    """One number column on one day.

    Args:
        missing: rows without a value.
        counts: rows in each bin of the layout, below and above its range included; empty when none were learned.
        far_out: rows further outside the training range than its own width.
        deciles: 10 % to 90 %, None without a value.
        top: rows with the most frequent value, and `top_value` that value.
        distinct: number of different values.
        longest_run: most consecutive rows with one and the same value.
    """

    missing: int
    counts: tuple[int, ...]
    far_out: int
    deciles: tuple[float, ...] | None
    top: int
    top_value: float | None
    distinct: int
    longest_run: int


@dataclass(frozen=True)
class CategoryProfile:
    """One category column on one day.

    Args:
        missing: rows without a value.
        unseen: rows with a value that training did not have, and up to three `examples`.
        rare: rows with a known value that is not told apart.
        counts: rows with each known value that occurs.
        table: rows by value (the most frequent of training) and group of the companion; empty without a companion.
        top, top_value, longest_run: as for numbers.
    """

    missing: int
    unseen: int
    examples: tuple[str, ...]
    rare: int
    counts: Mapping[str, int]
    table: tuple[tuple[int, ...], ...]
    top: int
    top_value: str | None
    longest_run: int


@dataclass(frozen=True)
class Profile:
    """One local day.

    Args:
        day: ISO date.
        rows: all rows of the day.
        first, last: earliest and latest event time, ISO, in UTC; None without rows.
        longest_gap: seconds, the longest time without a row that ended on this day.
        labelled: rows with a known label.
        positives: of them, those with label 1; None when labels are not 0 and 1.
        repeated, seen, resent: rows that repeat earlier ones (`repeats.Repeats`: exact, seen, in_sequence).
        is_complete: whether the whole day lies in the span that was read.
        label: the labels of the day, of a number or of several classes; None of a binary label.
    """

    day: str
    rows: int
    first: str | None
    last: str | None
    longest_gap: float
    labelled: int
    positives: int | None
    repeated: int
    seen: int
    resent: int
    is_complete: bool
    numbers: Mapping[str, NumberProfile]
    categories: Mapping[str, CategoryProfile]
    label: NumberProfile | CategoryProfile | None = None

    def column(self, name: str) -> NumberProfile | CategoryProfile:
        """The profile of one column. Raises `KeyError` when the layout did not have it."""
        return self.numbers[name] if name in self.numbers else self.categories[name]

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold, without NaN."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` and JSON made of a profile."""
        numbers = {name: NumberProfile(**_tuples(column)) for name, column in content["numbers"].items()}
        categories = {name: CategoryProfile(**_tuples(column)) for name, column in content["categories"].items()}
        label = content.get("label")
        if label is not None:
            label = (NumberProfile if "deciles" in label else CategoryProfile)(**_tuples(label))
        return cls(**(dict(content) | {"numbers": numbers, "categories": categories, "label": label}))


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    if "table" in plain:
        plain["table"] = tuple(tuple(row) for row in plain["table"])
    return plain
