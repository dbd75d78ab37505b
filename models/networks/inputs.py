"""What stands between an encoder and a network: the shape of the inputs, and the tensors of some rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor


class Inputs(Protocol):
    """What a network is built for; each encoder has its own kind."""

    @property
    def num_outputs(self) -> int:
        """Numbers that a network returns for a row: one for each class, else one."""
        ...

    def for_outputs(self, number: int) -> Self:
        """The same inputs for a network with so many outputs."""
        ...


@dataclass(frozen=True)
class TableInputs:
    """Columns of a table: bin edges of each number column, number of values of each category column, and outputs."""

    bins: tuple[tuple[float, ...], ...]
    cardinalities: tuple[int, ...]
    num_outputs: int = 1

    @property
    def num_numbers(self) -> int:
        """Number of columns in the tensor of numbers."""
        return len(self.bins)

    def for_outputs(self, number: int) -> TableInputs:
        """The same columns for a network with so many outputs."""
        return replace(self, num_outputs=number)


@dataclass(frozen=True)
class TextInputs:
    """Texts as tokens.

    Attributes:
        vocabulary: number of tokens; ids are smaller.
        max_tokens: of a row.
        padding: id of the token that fills short rows.
        backbone: the configuration of the backbone that the tokens are made for, as JSON, if there is one.
        is_restored: whether a version is being loaded: its own weights follow, and no others are looked for.
        num_outputs: numbers that a network returns for a row.
    """

    vocabulary: int
    max_tokens: int
    padding: int = 0
    backbone: str | None = None
    is_restored: bool = False
    num_outputs: int = 1

    def for_outputs(self, number: int) -> TextInputs:
        """The same texts for a network with so many outputs."""
        return replace(self, num_outputs=number)


@dataclass(frozen=True)
class ImageInputs:
    """Square RGB images.

    Attributes:
        size: pixels, height and width.
        mean, std: of each colour, from 0 to 1: what a backbone expects to be subtracted, and divided by.
        backbone, is_restored, num_outputs: as of `TextInputs`.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    backbone: str | None = None
    is_restored: bool = False
    num_outputs: int = 1

    def for_outputs(self, number: int) -> ImageInputs:
        """The same images for a network with so many outputs."""
        return replace(self, num_outputs=number)


@dataclass(frozen=True)
class Encoded:
    """Encoded rows: the tensors that a network is called with, in order, each with the rows as its first dimension.

    Of a table they are numbers, float32 (rows, numbers), and categories, int64 (rows, categories). Of texts they are
    tokens, int64 (rows, tokens), and which of them are text, bool of the same shape. Of images they are pixels, uint8
    (rows, 3, height, width).
    """

    tensors: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.tensors[0])

    def map(self, change: Callable[[Tensor], Tensor]) -> Encoded:
        """Each tensor changed, such as moved to a device."""
        return Encoded(tuple(map(change, self.tensors)))

    def take(self, rows: Tensor) -> Encoded:
        """Some of the rows, given by their places."""
        return self.map(lambda tensor: tensor[rows])


def joined(parts: list[Encoded]) -> Encoded:
    """Rows one after another."""
    return Encoded(tuple(torch.cat(each) for each in zip(*(part.tensors for part in parts), strict=True)))


def spread(old: Tensor, sizes: Sequence[int], grown: Sequence[int], fill: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Columns of a tensor moved apart, for a layer over several parts of which some have grown.

    Args:
        old: (..., sum of sizes).
        sizes: columns of each part.
        grown: columns of each part when it has grown.
        fill: `(old columns of the part, number) -> (..., number)`: the columns that follow them.

    Returns:
        (..., sum of grown).
    """
    parts = []
    for part, size, wide in zip(old.split(list(sizes), dim=-1), sizes, grown, strict=True):
        parts += [part, fill(part, wide - size)]
    return torch.cat(parts, dim=-1)
