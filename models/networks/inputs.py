"""What a network is told about its inputs, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """The shape of the features: bin edges of each number column, number of values of each category column."""

    bins: tuple[tuple[float, ...], ...]
    cardinalities: tuple[int, ...]

    @property
    def num_numbers(self) -> int:
        """Number of columns in `Encoded.numbers`."""
        return len(self.bins)


@dataclass(frozen=True)
class Encoded:
    """Encoded rows: `numbers` float32 (rows, numbers), `categories` int64 (rows, categories)."""

    numbers: Tensor
    categories: Tensor

    def __len__(self) -> int:
        return len(self.numbers)
