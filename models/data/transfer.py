"""How rows get to a device: all of them at once where they fit, else batch by batch, copied while it computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:  # batches are made with what is here
    from models.data.batches import Batch, Loader, Picked

SHARE_FOR_ROWS = 0.4  # of the free memory of a device: the rest is for weights, activations and the optimizer


def fits(num_bytes: int, device: torch.device) -> bool:
    """Whether so many bytes of rows may lie on the device for the whole training."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes <= SHARE_FOR_ROWS * free


class Ahead:
    """Batches of a loader on the CPU, on `device` one step before they are needed.

    On CUDA each goes through pinned memory and is copied on a stream of its own, so that it travels while the step
    before computes. The position that it reports is that of the batches it has handed out.

    Args:
        loader: gives batches in the memory of the CPU.
        device: where they are needed.
    """

    def __init__(self, loader: Loader, device: torch.device) -> None:
        self.loader, self.device = loader, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._state = loader.state_dict()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch | Picked]:
        sent: tuple[Batch | Picked, torch.cuda.Event | None, dict[str, Any]] | None = None
        for batch in self.loader:
            following = *self._send(batch), self.loader.state_dict()
            if sent is not None:
                yield self._receive(*sent)
            sent = following
        if sent is not None:
            yield self._receive(*sent)

    def state_dict(self) -> dict[str, Any]:
        """That of the loader when it gave the batch that was handed out last."""
        return self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batch at which the state was taken."""
        self.loader.load_state_dict(state)
        self._state = state

    def _send(self, batch: Batch | Picked) -> tuple[Batch | Picked, torch.cuda.Event | None]:
        if self._stream is None:
            return batch.map(lambda tensor: tensor.to(self.device)), None
        with torch.cuda.stream(self._stream):
            sent = batch.map(lambda tensor: tensor.pin_memory().to(self.device, non_blocking=True))
            return sent, self._stream.record_event()

    def _receive(
        self, batch: Batch | Picked, arrival: torch.cuda.Event | None, state: dict[str, Any]
    ) -> Batch | Picked:
        self._state = state
        if arrival is None:
            return batch
        current = torch.cuda.current_stream(self.device)
        current.wait_event(arrival)  # of this batch: the next one is still on its way

        def mark(tensor: Tensor) -> Tensor:
            tensor.record_stream(current)  # else its memory is used for the next copy while it is still read
            return tensor

        return batch.map(mark)
