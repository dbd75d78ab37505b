"""Training rows that stay in a Parquet file: read, encoded and shuffled in blocks.

An epoch is one sequence of rows: the row groups in an order drawn for it, cut into blocks that memory allows, the rows
of each block in an order drawn for it. A row so moves among some hundred thousand others that come from row groups of
all times. Where a sequence is cut depends on nothing that was read before, so that it can be entered anywhere.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.data.batches import Labelled
from models.data.read_ahead import StreamedBatches
from models.data.table import MEMORY, SHARE_FOR_READING, Table, TooLittleMemory
from models.features.target import Target
from models.networks.inputs import Encoded

BLOCKS = 3  # one that is trained on, one that is filled, and what malloc keeps of those that were freed


class RowEncoder(Protocol):
    """From rows to the tensors that a network is called with."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        ...

    @property
    def categories(self) -> Iterable[str]:
        """Those of them that hold few different texts."""
        ...

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Encode rows."""
        ...

    def to_json(self) -> str:
        """All that it learned."""
        ...


class Changed(RuntimeError):
    """A file is not what it was when its rows were counted."""


class Streamed:
    """Rows of a Parquet file to train on, in bounded memory (`models.data.batches.Rows`).

    The rows of the window are counted when it is made, by their times and labels alone. Where all of them have weight 1
    they come without weights.

    Args:
        table: which rows.
        encoder: of features.
        target: of the label; rows of a class that it does not know are left out.
        memory: bytes that reading, encoding and shuffling may take; the order of rows depends on it.

    Raises:
        ValueError: when the file or a column is missing.
        TooLittleMemory: when memory is too small to read anything.
    """

    def __init__(self, table: Table, encoder: RowEncoder, target: Target, memory: int = MEMORY) -> None:
        self.table, self.encoder, self.target, self.memory = table, encoder, target, memory
        schema = table.require(encoder.columns)
        self._empty = encoder.transform(schema.empty_table().select(list(encoder.columns)).to_pandas())
        self._piece_rows = table.piece_rows(encoder.columns, int(memory * SHARE_FOR_READING))
        self._state, self._groups = self._state_of_file(), table.groups()
        self._counts, self._total_weight, self._has_weights = np.zeros(len(self._groups), dtype=np.int64), 0.0, False
        places = {group: place for place, group in enumerate(self._groups)}
        for piece in table.pieces(self._groups, (), knows=target.knows):
            self._counts[places[piece.group]] += len(piece.labels)
            if piece.weights is not None:
                self._total_weight += float(piece.weights.sum())
                self._has_weights |= bool((piece.weights != 1).any())
        self._rank, self._world_size = 0, 1

    def part(self, rank: int, world_size: int) -> Streamed:
        """The rows of one of several processes, which reads little more than them.

        Together the processes see each row once an epoch, and all have the same number of rows: up to `world_size - 1`
        rows, others in each epoch, are left out.
        """
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} is none of the processes 0 to {world_size - 1}")
        mine = copy.copy(self)  # the rows are counted already
        mine._rank, mine._world_size = rank, world_size
        return mine

    def __len__(self) -> int:
        return int(self._counts.sum()) // self._world_size

    def batches(self, batch_size: int, seed: int | None, device: torch.device) -> StreamedBatches:
        """Batches on `device`, read ahead of their use.

        Raises:
            TooLittleMemory: when memory does not hold two blocks of a batch.
        """
        return StreamedBatches(self, batch_size, seed, device)

    def fingerprint(self) -> str:
        """The same for the same rows in the same order: of what the file says of itself, encoder, target and window."""
        with self.table.path.open("rb") as file:
            file.seek(-8, 2)
            length = int.from_bytes(file.read(4), "little")
            file.seek(-8 - length, 2)
            footer = file.read(length)
        said = (
            self.encoder.to_json(),
            self.target.to_json(),
            str((self.table.label, self.table.time, self.table.start, self.table.end, self.table.draw)),
            str((self._counts.tolist(), self._total_weight, self.memory, self._rank, self._world_size)),
        )
        digest = hashlib.blake2b(footer, digest_size=16)
        for part in said:
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()

    @property
    def most_rows_a_batch(self) -> int:
        """The largest batch that memory allows."""
        return max(1, int(self.memory * (1 - SHARE_FOR_READING) / BLOCKS / self._bytes_a_row))

    def block_rows(self, batch_size: int) -> int:
        """Rows of a block: a whole number of batches, so that none lies in two blocks."""
        rows = int(self.memory * (1 - SHARE_FOR_READING) / BLOCKS / self._bytes_a_row)
        if rows < batch_size:
            fewest = int(BLOCKS * self._bytes_a_row * batch_size / (1 - SHARE_FOR_READING)) + BLOCKS
            raise TooLittleMemory(
                f"memory={self.memory} bytes hold blocks of {rows} rows, less than a batch of {batch_size}; "
                f"allow at least {fewest} for streaming, or make batches smaller"
            )
        return rows // batch_size * batch_size

    def blocks(
        self, block_rows: int, seed: int | None, epoch: int, first: int, stopped: threading.Event
    ) -> Iterator[Labelled]:
        """The blocks of an epoch from the one in place `first`, each with its rows in the order of training."""
        order = np.arange(len(self._groups)) if seed is None else _random(seed, epoch).permutation(len(self._groups))
        begin, end = self._rank * len(self) + first * block_rows, (self._rank + 1) * len(self)
        parts = self._parts(order, begin, end)
        rest: Labelled | None = None
        for number, start in enumerate(range(begin, end, block_rows), start=first):
            block = _Block(min(block_rows, end - start), None if seed is None else _random(seed, epoch, number))
            while not block.is_full and not stopped.is_set():
                rest = block.add(rest if rest is not None else next(parts))
            if stopped.is_set():
                return
            yield block.rows()
            del block  # what was yielded is freed when it has been trained on, not when the next block is full

    def _parts(self, order: np.ndarray, begin: int, end: int) -> Iterator[Labelled]:
        """Encoded rows of `[begin, end)` of the row groups in that order."""
        if self._state_of_file() != self._state:
            raise Changed(f"{self.table.path} was changed after its rows were counted; start the training again")
        ends, left = np.cumsum(self._counts[order]), end - begin
        place = int(np.searchsorted(ends, begin, side="right"))
        groups = [self._groups[each] for each in order[place:]]
        for piece in self.table.pieces(
            groups,
            self.encoder.columns,
            tuple(self.encoder.categories),
            self.target.knows,
            self._piece_rows,
            skip=begin - int(ends[place - 1]) if place else begin,
        ):
            taken = min(left, len(piece.labels))
            left -= taken
            yield Labelled(
                self.encoder.transform(piece.frame[:taken]),
                self.target.encode(piece.labels[:taken]),
                torch.from_numpy(piece.weights[:taken]) if piece.weights is not None and self._has_weights else None,
            )
            if not left:
                return

    @property
    def _bytes_a_row(self) -> int:
        tensors = (*self._empty.tensors, torch.empty(0), *([torch.empty(0)] if self._has_weights else []))
        return 8 + sum(tensor.element_size() * tensor.shape[1:].numel() for tensor in tensors)  # 8: its place

    def _state_of_file(self) -> tuple[int, int]:
        state = self.table.path.stat()
        return state.st_size, state.st_mtime_ns


class _Block:
    """Rows that are put in their places as they are read."""

    def __init__(self, num_rows: int, random: np.random.Generator | None) -> None:
        self._num_rows, self._filled = num_rows, 0
        self._places = torch.from_numpy(random.permutation(num_rows)) if random is not None else None
        self._tensors: list[Tensor] = []

    @property
    def is_full(self) -> bool:
        return self._filled == self._num_rows

    def add(self, part: Labelled) -> Labelled | None:
        """Put in as many of the rows as there is room for, and return the others."""
        stop = min(self._num_rows, self._filled + len(part))
        taken = stop - self._filled
        if not self._tensors:
            self._tensors = [each.new_empty((self._num_rows, *each.shape[1:])) for each in part.tensors]
            self._has_weights = part.weights is not None
        for whole, each in zip(self._tensors, part.tensors, strict=True):
            if self._places is None:
                whole[self._filled : stop] = each[:taken]
            else:
                whole.index_copy_(0, self._places[self._filled : stop], each[:taken])
        self._filled = stop
        if taken == len(part):
            return None
        weights = part.weights[taken:] if part.weights is not None else None
        return Labelled(part.encoded.map(lambda tensor: tensor[taken:]), part.targets[taken:], weights)

    def rows(self) -> Labelled:
        *inputs, targets = self._tensors[:-1] if self._has_weights else self._tensors
        return Labelled(Encoded(tuple(inputs)), targets, self._tensors[-1] if self._has_weights else None)


def _random(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)
