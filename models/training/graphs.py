"""Steps of a training as CUDA graphs: launching the kernels of a small network takes longer than running them.

A step is recorded once, with its forward pass, its backward pass and the optimizer, and from then on replayed in one
launch. What it does may depend on nothing but the content of its tensors: Python code in it runs when it is recorded,
and never again. Source of the method: "CUDA Graphs" in the notes of PyTorch's documentation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from models.data.batches import Batch, Picked

Outputs = dict[str, Tensor]
WARM_UP = 3  # steps before one is recorded: libraries are loaded, and the optimizer has made its state
MOST_GRAPHS = 2  # full batches, and the last one of an epoch


class Unrecordable(RuntimeError):
    """A step that cannot be a CUDA graph; the message says why."""


class Graphed:
    """A step, called with batches, that becomes a CUDA graph for each number of rows.

    The first calls with so many rows run it as it is, and count as any other. Outputs of a replay are overwritten by
    the next one.

    Args:
        step: trains on a batch and returns tensors without gradients. The optimizer in it is one that can be captured.
        device: of the batches, the weights and the optimizer's state.

    Raises:
        Unrecordable: at the call that would have recorded it, or at the one before; the training has to begin again.
    """

    def __init__(self, step: Callable[[Batch | Picked], Outputs], device: torch.device) -> None:
        self.step, self.device = step, device
        self._stream = _stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._num_calls: dict[int, int] = {}
        self._recorded: dict[int, _Recorded] = {}

    @property
    def has_recorded(self) -> bool:
        """Whether there is a graph by now."""
        return bool(self._recorded)

    def __call__(self, batch: Batch | Picked) -> Outputs:
        """Train on a batch."""
        num_rows = len(batch)
        if num_rows not in self._recorded:
            num_calls = self._num_calls[num_rows] = self._num_calls.get(num_rows, 0) + 1
            if num_calls <= WARM_UP or len(self._recorded) == MOST_GRAPHS:
                return self._warm_up(batch, is_last=num_calls == WARM_UP)
            self._recorded[num_rows] = self._record(batch)
        return self._recorded[num_rows](batch)

    def _warm_up(self, batch: Batch | Picked, is_last: bool) -> Outputs:
        # On the stream that records, or the gradients would wait for another stream in the middle of the recording.
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            if not is_last:
                outputs = self.step(batch)
            else:
                with _no_waiting():
                    outputs = self.step(batch)
        current.wait_stream(self._stream)
        return outputs

    def _record(self, batch: Batch | Picked) -> _Recorded:
        graph, mine, before = torch.cuda.CUDAGraph(), batch.map(torch.clone), _Place(self.device, self._pool)
        # Other threads go on using the device: they put rows in order for the next epoch.
        recording = torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local")
        try:
            with recording:
                outputs = self.step(mine)
        except RuntimeError as error:
            before.restore()
            has_room = not isinstance(error, torch.OutOfMemoryError)
            why = f"cannot be recorded ({_first_line(error)})" if has_room else "has no room to be recorded"
            raise Unrecordable(f"a step of this training {why}") from error
        return _Recorded(graph, mine, outputs)


class _Recorded:
    """A graph with the tensors that it reads and writes."""

    def __init__(self, graph: torch.cuda.CUDAGraph, batch: Batch | Picked, outputs: Outputs) -> None:
        self.graph, self.batch, self.outputs = graph, batch, outputs  # what it reads must stay
        self.tensors = batch.tensors

    def __call__(self, batch: Batch | Picked) -> Outputs:
        for mine, given in zip(self.tensors, batch.tensors, strict=True):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.outputs


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    # One for all trainings of a process: cuBLAS keeps tens of megabytes for each stream that it has seen. Streams come
    # from a few in turns; those of another priority are nobody else's here, and nothing else is recorded with a step.
    return torch.cuda.Stream(device, priority=-1)


class _Place:
    """Stream, memory pool and random numbers of a device, which a recording that breaks leaves as if it went on."""

    def __init__(self, device: torch.device, pool: Any) -> None:
        self.device, self.pool, self.stream = device, pool, torch.cuda.current_stream(device)
        self.numbers = torch.cuda.get_rng_state(device)

    def restore(self) -> None:
        """As they were."""
        torch.cuda.set_stream(self.stream)
        with suppress(RuntimeError):  # of one that was ended all the same; the calls are those of `use_mem_pool`
            torch._C._cuda_endAllocateToPool(self.stream.device_index, self.pool)
            torch._C._cuda_releasePool(self.stream.device_index, self.pool)
        fresh = torch.Generator(self.device)
        fresh.set_state(self.numbers)
        torch.cuda.default_generators[self.stream.device_index].graphsafe_set_state(fresh.graphsafe_get_state())


@contextmanager
def _no_waiting() -> Iterator[None]:
    """A block in which it is an error to wait for the GPU: found here, before it breaks a recording in the middle."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise Unrecordable(f"a step of this training waits for the GPU ({_first_line(error)})") from error
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _first_line(error: RuntimeError) -> str:
    return str(error).partition("\n")[0]
