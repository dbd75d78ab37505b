"""Batches of rows that stay in a Parquet file: while the network trains on one block, a thread fills the next one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from models.data.batches import Batch, InEpochs, Labelled
from models.networks.inputs import Encoded

if TYPE_CHECKING:
    from models.data.streaming import Streamed


class StreamedBatches(InEpochs):
    """Batches of streamed rows, which know their place in the epoch.

    Args:
        rows: which rows.
        batch_size: rows a batch; the last may be smaller.
        seed: of the order, which depends on nothing but seed, epoch and the sizes of blocks; None keeps the rows in
            order.
        device: where the batches are needed; blocks are copied there by the thread.
    """

    def __init__(self, rows: Streamed, batch_size: int, seed: int | None, device: torch.device) -> None:
        super().__init__(len(rows), batch_size)
        self.rows, self.seed, self.device = rows, seed, device
        self._block_rows = rows.block_rows(batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self._enter()
        first, skip = divmod(self._position * self.batch_size, self._block_rows)
        epoch, stream = self._epoch, _stream(self.device)

        def blocks(stopped: threading.Event) -> Iterator[Labelled]:
            made = self.rows.blocks(self._block_rows, self.seed, epoch, first, stopped)
            return map(
                partial(_sent, device=self.device, stream=stream), made
            )  # a loop would hold on to its last block

        reader = _Reader(blocks)
        try:
            while (block := reader.take()) is not None:
                _received(block, stream)
                for start in range(skip, len(block), self.batch_size):
                    self._count()
                    yield _batch(block, slice(start, start + self.batch_size))
                    if start == skip:  # only now has the caller let go of the last batch of the block before
                        reader.go_on()
                skip = 0
                del block
        finally:
            reader.close()


class _Reader:
    """Runs a generator of blocks in a thread, one block ahead; what it raises is raised where blocks are taken."""

    def __init__(self, blocks: Callable[[threading.Event], Iterator[Labelled]]) -> None:
        self._ready: queue.SimpleQueue[Labelled | BaseException | None] = queue.SimpleQueue()
        self._room, self._stopped = threading.Semaphore(1), threading.Event()
        # A daemon: a program that ends with an error elsewhere does not wait for it.
        self._thread = threading.Thread(target=self._run, args=(blocks,), name="streaming", daemon=True)
        self._thread.start()

    def take(self) -> Labelled | None:
        """The next block, None after the last. The one after it is not begun before `go_on`."""
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def go_on(self) -> None:
        """Let the thread fill another block."""
        self._room.release()

    def close(self) -> None:
        """End the thread: at most a piece is still read."""
        self._stopped.set()
        self._room.release()
        self._thread.join()

    def _run(self, blocks: Callable[[threading.Event], Iterator[Labelled]]) -> None:
        try:
            made = blocks(self._stopped)
            while self._room.acquire() and not self._stopped.is_set():
                block = next(made, None)
                self._ready.put(block)
                if block is None:
                    return
                del block
        except BaseException as error:
            self._ready.put(error)


def _batch(block: Labelled, rows: slice) -> Batch:
    weights = block.weights[rows] if block.weights is not None else None
    return Batch(tuple(tensor[rows] for tensor in block.encoded.tensors), block.targets[rows], weights)


def _stream(device: torch.device) -> Any:
    return torch.cuda.Stream(device) if device.type == "cuda" else None


def _sent(block: Labelled, device: torch.device, stream: Any) -> Labelled:
    """The block on the device: on CUDA by way of pinned memory and a stream of its own, beside what computes there."""
    if stream is None:
        return block.to(device)
    with torch.cuda.stream(stream):
        copies = [tensor.pin_memory().to(device, non_blocking=True) for tensor in block.tensors]
    # This thread waits, the training does not. It waits for an event: while a step has to show that it waits for no
    # GPU, torch takes waiting for a stream for an error, in whatever thread.
    stream.record_event().synchronize()
    *inputs, targets = copies[:-1] if block.weights is not None else copies
    return Labelled(Encoded(tuple(inputs)), targets, copies[-1] if block.weights is not None else None)


def _received(block: Labelled, stream: Any) -> None:
    if stream is not None:
        for tensor in block.tensors:  # else its memory takes the next block while steps still read it
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
