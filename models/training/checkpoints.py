"""A training's own state on disk, from which it goes on as if nothing had happened when it was killed."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from models.data.batches import Loader

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_STATES = 30.0
SECONDS_BETWEEN_EPOCHS = 1.0  # epochs that are shorter do not each write a state: killed, they lose a second
CHECK_EVERY_STEPS = 50  # where several processes must agree on the moment
EPOCH, STEP = "epoch.state", "step.state"  # at the end of an epoch, and newer, within one
PREFIX = ".writing-"
OURS = "perennial"


class Files(CheckpointIO):
    """States in files that are whole or absent, and that hold numbers and text only.

    A file is the digest of its content and the content: what the disk spoils is found. It is written beside its place,
    brought to the disk and renamed, since Lightning's own way copies over the good file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a state in place of the one before."""
        place, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=PREFIX)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.blake2b(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync(place.parent)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a state; nothing in it is executed.

        Raises:
            ValueError: when the file is not as it was written.
        """
        content = memoryview(Path(path).read_bytes())
        size = hashlib.blake2b().digest_size
        if hashlib.blake2b(content[size:]).digest() != content[:size]:
            raise ValueError(f"{path} is not as it was written")
        state: dict[str, Any] = torch.load(io.BytesIO(content[size:]), map_location="cpu", weights_only=True)
        return state

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a state."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Found:
    """A state from which the same training can go on.

    Attributes:
        path: of the file.
        step: batches that it has behind it.
        come_to: what it had come to: `batch_size`, and whether it still `compile`s and `graphs`, as settings.
        notes: that it had taken.
    """

    path: Path
    step: int
    come_to: dict[str, Any]
    notes: tuple[str, ...]


def find(folder: Path, fingerprint: str, name: str) -> Found | None:
    """The newest state of this very training; what was left half written, and states of others, are deleted."""
    for left in folder.glob(f"{PREFIX}*"):
        left.unlink(missing_ok=True)
    found: list[Found] = []
    for path in (folder / EPOCH, folder / STEP):
        if not path.exists():
            continue
        try:
            state = Files().load_checkpoint(path)
            own = state[OURS]
            if own["fingerprint"] == fingerprint:
                found.append(Found(path, own["steps"], own["come_to"], tuple(own["notes"])))
                continue
            logger.info("%s: the state in %s is of another training; started afresh", name, path)
        except Exception as error:  # whatever a spoilt file makes of itself
            logger.warning("%s: the state in %s cannot be read (%s); started without it", name, path, error)
        path.unlink(missing_ok=True)
    return max(found, key=lambda each: each.step, default=None)


def fingerprint_of(network: nn.Module, *parts: object) -> str:
    """The same for the same start: the network's code, shape and weights, and whatever else decides the outcome."""
    digest = hashlib.blake2b(digest_size=16)
    versions = (torch.__version__, L.__version__)
    for part in (*parts, versions, type(network).__module__, type(network).__qualname__, str(network)):
        digest.update(f"{part!r}\n".encode())
    for key, tensor in network.state_dict().items():
        whole = tensor.detach().cpu().contiguous()
        digest.update(f"{key} {whole.dtype} {tuple(whole.shape)}".encode())
        digest.update(whole.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


class Saver(Checkpoint):
    """Writes the state of a training now and then, and brings back what Lightning does not: generators and loader.

    Args:
        folder: where it is kept.
        loader: of the training rows.
        fingerprint: by which the training knows itself.
        come_to: settings that may have changed since it began, as of `Found`.
        notes: taken so far.
        every: steps between states within an epoch; None writes by time.
    """

    def __init__(
        self,
        folder: Path,
        loader: Loader,
        fingerprint: str,
        come_to: dict[str, Any],
        notes: tuple[str, ...],
        every: int | None = None,
    ) -> None:
        self.folder, self.loader, self.every = folder, loader, every
        self.own = {"fingerprint": fingerprint, "come_to": come_to, "notes": list(notes)}
        self.num_steps = 0  # Lightning's own count begins anew when steps are no longer CUDA graphs
        self._generators: list[dict[str, Any]] = []
        self._saved = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Bring the random number generators to where they were."""
        if trainer.global_rank < len(self._generators):
            own = self._generators[trainer.global_rank]
            torch.set_rng_state(own["cpu"])
            if own["cuda"]:
                torch.cuda.set_rng_state_all(own["cuda"])

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write a state when it is time; not after the last batch, since one follows at the end of the epoch."""
        self.num_steps += 1
        if batch_idx + 1 < trainer.num_training_batches and self._is_due(trainer, batch_idx):
            self._save(trainer, STEP)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Write a state, after all others have had their say about the epoch."""
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        is_due = time.monotonic() - self._saved >= SECONDS_BETWEEN_EPOCHS
        if trainer.strategy.broadcast(is_last or is_due or self.every is not None):
            self._save(trainer, EPOCH)
            if trainer.is_global_zero:
                (self.folder / STEP).unlink(missing_ok=True)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Put in whose state it is; leave out what a safe file cannot hold."""
        checkpoint[OURS] = self.own | {"steps": self.num_steps}
        for key in ("hyper_parameters", "hparams_name", "hparams_type"):
            checkpoint.pop(key, None)
        # Lightning brings the loader back within an epoch only.
        checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader and the generators of each process are."""
        has_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
        own = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if has_cuda else []}
        everyone: list[Any] = [own]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            everyone = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everyone, own)
        return {"loader": self.loader.state_dict(), "generators": everyone, "steps": self.num_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.loader.load_state_dict(state_dict["loader"])
        self._generators, self.num_steps = state_dict["generators"], state_dict["steps"]

    def _is_due(self, trainer: L.Trainer, batch_idx: int) -> bool:
        if self.every is not None:
            return (batch_idx + 1) % self.every == 0
        if trainer.world_size == 1:
            return time.monotonic() - self._saved >= SECONDS_BETWEEN_STATES
        if (batch_idx + 1) % CHECK_EVERY_STEPS:
            return False
        is_due: bool = trainer.strategy.broadcast(time.monotonic() - self._saved >= SECONDS_BETWEEN_STATES)
        return is_due

    def _save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name, weights_only=False)
        self._saved = time.monotonic()


def _sync(folder: Path) -> None:
    # The new name too must be on the disk; not every system can open a folder.
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
