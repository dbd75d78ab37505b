"""Batches sliced from tensors that lie in memory: 25 times the rows per second of a DataLoader over a TensorDataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from models.data.transfer import Ahead, fits
from models.networks.inputs import Encoded


class Batch(NamedTuple):
    """What a training step gets: the network's inputs, the targets (rows,), and weights (rows,) if rows have any."""

    inputs: tuple[Tensor, ...]
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that the batch consists of."""
        return (*self.inputs, self.targets) if self.weights is None else (*self.inputs, self.targets, self.weights)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Each tensor changed, such as moved to a device."""
        weights = change(self.weights) if self.weights is not None else None
        return Batch(tuple(map(change, self.inputs)), change(self.targets), weights)


class Picked:
    """A batch that is taken from rows where it is used: a step that is recorded once takes each of them itself.

    Args:
        rows: all of them, where they stay.
        places: (rows of the batch,), int64, on the same device.
    """

    def __init__(self, rows: Labelled, places: Tensor) -> None:
        self.rows, self.places = rows, places

    def __len__(self) -> int:
        return len(self.places)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """As of a `Batch`."""
        return self.rows.encoded.take(self.places).tensors

    @property
    def targets(self) -> Tensor:
        """As of a `Batch`."""
        return self.rows.targets[self.places]

    @property
    def weights(self) -> Tensor | None:
        """As of a `Batch`."""
        return None if self.rows.weights is None else self.rows.weights[self.places]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What is another one for each batch: the places."""
        return (self.places,)

    def map(self, change: Callable[[Tensor], Tensor]) -> Picked:
        """The same rows with places that are changed, such as copied."""
        return Picked(self.rows, change(self.places))


class Loader(Protocol):
    """Batches, a new epoch each time it is iterated over, that can say where it is and go on from there."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def __iter__(self) -> Iterator[Batch | Picked]:
        """One epoch, or the rest of the one whose state was loaded."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where it is: numbers only, since it is kept in a file.

        After the last batch of an epoch it is the start of the next one, whatever the size of a batch: from there
        training may go on with smaller ones.
        """
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Rows(Protocol):
    """Rows that can be trained on, wherever they are.

    They may have a method `fingerprint() -> str`, by which a training that was killed knows its rows again, and
    `part(rank, world_size) -> Rows`, the rows of one of several processes, as many in each of them; and
    `most_rows_a_batch`, for rows that are read in batches of limited size.
    """

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def batches(self, batch_size: int, seed: int | None, device: torch.device) -> Loader:
        """Batches on `device`, in a new order in every epoch; in the order of the rows when the seed is None."""
        ...


@dataclass(frozen=True)
class Labelled:
    """Encoded rows with their targets, (rows,), and optionally a weight above zero for each, float32 (rows,)."""

    encoded: Encoded
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that the rows consist of."""
        weights = (self.weights,) if self.weights is not None else ()
        return (*self.encoded.tensors, self.targets, *weights)

    def to(self, device: torch.device) -> Labelled:
        """The same rows on `device`."""
        weights = self.weights.to(device) if self.weights is not None else None
        return Labelled(self.encoded.map(lambda tensor: tensor.to(device)), self.targets.to(device), weights)

    def take(self, rows: Tensor) -> Batch:
        """Some of the rows, given by their places."""
        weights = self.weights[rows] if self.weights is not None else None
        return Batch(self.encoded.take(rows).tensors, self.targets[rows], weights)

    def batches(self, batch_size: int, seed: int | None, device: torch.device) -> Loader:
        """Batches on `device`: from rows that lie there if they fit, else copied ahead of their use."""
        num_bytes = sum(tensor.nbytes for tensor in self.tensors)
        if self.targets.device == device or fits(num_bytes, device):
            return Batches(self.to(device), batch_size, seed)
        return Ahead(Batches(self, batch_size, seed), device)

    def fingerprint(self) -> str:
        """The same for the same rows, and for no others."""
        digest = hashlib.blake2b(digest_size=16)
        for tensor in self.tensors:
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()


class InEpochs:
    """Batches that know the epoch of the next one and its place in it, which is what a checkpoint keeps."""

    def __init__(self, num_rows: int, batch_size: int) -> None:
        self.batch_size, self._num_rows = batch_size, num_rows
        self._epoch, self._position, self._is_loaded = 0, 0, False

    def __len__(self) -> int:
        return -(-self._num_rows // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """The epoch of the next batch, from 0, and its place in it."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with that batch."""
        self._epoch, self._position, self._is_loaded = state["epoch"], state["position"], True

    def _enter(self) -> None:
        """Begin an epoch, or go on with the one that was loaded."""
        if self._position and not self._is_loaded:  # the epoch before was left in the middle
            self._epoch, self._position = self._epoch + 1, 0
        self._is_loaded = False

    def _count(self) -> None:
        """Count a batch, before it is given away."""
        is_last = self._position + 1 == len(self)
        self._epoch, self._position = self._epoch + is_last, 0 if is_last else self._position + 1


class Batches(InEpochs):
    """An iterable of batches, in a new order in every epoch when a seed is given.

    Args:
        rows: the rows; they stay where they are, so rows on a GPU are batched there.
        batch_size: rows a batch; the last may be smaller.
        seed: of the order, which depends on nothing but seed and epoch; None keeps the rows in order.

    Attributes:
        are_picked: whether batches in a new order are given as `Picked`; set it before the first one.
    """

    def __init__(self, rows: Labelled, batch_size: int, seed: int | None = None) -> None:
        super().__init__(len(rows), batch_size)
        self.rows, self.seed, self.are_picked = rows, seed, False
        # A GPU would wait for the order of an epoch: the CPU draws the next one meanwhile.
        self._shuffler = ThreadPoolExecutor(1, "shuffling") if rows.targets.is_cuda and seed is not None else None
        self._next_order: tuple[int, Future[Tensor]] | None = None

    def __iter__(self) -> Iterator[Batch | Picked]:
        self._enter()
        places = self._places()
        for number in range(self._position, len(self)):
            self._count()
            yield self._take(places, number)

    def _places(self) -> tuple[Tensor, ...] | None:
        if self.seed is None:
            return None
        epoch, made = self._next_order or (None, None)
        order = made.result() if made is not None and epoch == self._epoch else self._order(self._epoch)
        if self._shuffler is not None:
            self._next_order = self._epoch + 1, self._shuffler.submit(self._order, self._epoch + 1)
        return order.to(self.rows.targets.device, non_blocking=True).split(self.batch_size)

    def _order(self, epoch: int) -> Tensor:
        """The same on every device."""
        assert self.seed is not None
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.rows), generator=generator)
        if self._shuffler is None:
            return order
        try:
            return order.pin_memory()
        except RuntimeError:  # no more memory may be locked: it is then copied while the GPU waits
            return order

    def _take(self, places: tuple[Tensor, ...] | None, number: int) -> Batch | Picked:
        if places is not None:
            return Picked(self.rows, places[number]) if self.are_picked else self.rows.take(places[number])
        rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
        weights = self.rows.weights[rows] if self.rows.weights is not None else None
        return Batch(tuple(tensor[rows] for tensor in self.rows.encoded.tensors), self.rows.targets[rows], weights)


class Shared:
    """The part of each batch that one of several processes works on: together they see each row once an epoch.

    A batch with fewer rows than there are processes gives its first row to those that would have none, since all of
    them must take the same number of steps.

    Args:
        loader: gives the same batches in each process.
        rank: of this process, from 0.
        world: number of processes.
    """

    def __init__(self, loader: Loader, rank: int, world: int) -> None:
        self.loader, self.rank, self.world = loader, rank, world

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch | Picked]:
        for batch in self.loader:
            mine = slice(self.rank, None, self.world) if self.rank < len(batch) else slice(0, 1)
            yield batch.map(lambda tensor, mine=mine: tensor[mine])  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """That of the loader."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """That of the loader."""
        self.loader.load_state_dict(state)
