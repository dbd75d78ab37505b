"""Measure what a training takes: the clock, and the energy counters of GPUs where the driver has them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from configs.training import Training
from models.training.cost import Cost, priced

T = TypeVar("T")
MILLIJOULES_A_KWH = 3.6e9


def metered(training: Training, work: Callable[[], T], num_passes: Callable[[T], int]) -> tuple[T, Cost]:
    """Do the work of one training; what it returned, and what it cost.

    Args:
        training: says on which devices, and at what price.
        work: the training.
        num_passes: rows that went through a training step, of what `work` returned.
    """
    began, energy = time.monotonic(), _energy(training)
    found = work()
    seconds, drawn = time.monotonic() - began, _energy(training)
    cost = Cost(
        seconds=round(seconds, 3),
        device_seconds=round(seconds * training.devices, 3),
        device=device_name(training),
        num_passes=num_passes(found),
        energy_kwh=None if energy is None or drawn is None else (drawn - energy) / MILLIJOULES_A_KWH,
    )
    return found, priced(cost, training.price_an_hour, training.currency)


def uses_gpu(training: Training) -> bool:
    """Whether trainings run on CUDA devices here."""
    return training.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def device_name(training: Training) -> str:
    """What a training runs on, in words."""
    if not uses_gpu(training):
        return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
    name = torch.cuda.get_device_name()
    return name if training.devices == 1 else f"{training.devices} x {name}"


def _energy(training: Training) -> float | None:
    """Millijoules drawn since the driver was loaded, by the GPUs that a training uses; None where it does not tell."""
    if not uses_gpu(training):
        return None
    import pynvml  # only where there is a GPU: it loads the driver's own library

    try:
        pynvml.nvmlInit()
        handles = (pynvml.nvmlDeviceGetHandleByUUID(_uuid(place)) for place in range(training.devices))
        return float(sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles))
    except pynvml.NVMLError:
        return None


def _uuid(place: int) -> str:
    # CUDA numbers the devices that this process may see, the driver all of them; their names are the same.
    return f"GPU-{torch.cuda.get_device_properties(place).uuid}"
