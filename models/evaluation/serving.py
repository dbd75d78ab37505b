"""What a model costs to serve: how long a request takes, and how large the weights are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

WARM_UP = 5  # requests that are not counted: the first ones allocate and compile
NUM_REQUESTS = 200


@dataclass(frozen=True)
class Latency:
    """Of a request, in milliseconds."""

    median_ms: float
    p99_ms: float


def latency(predict: Callable[[], object], clock: Callable[[], float], num_requests: int = NUM_REQUESTS) -> Latency:
    """Time `predict` so many times by a clock in seconds.

    >>> ticks = iter(range(1000))
    >>> latency(lambda: None, lambda: next(ticks) / 1000)
    Latency(median_ms=1.0, p99_ms=1.0)
    """
    for _ in range(WARM_UP):
        predict()
    seconds = np.empty(num_requests)
    for request in range(num_requests):
        started = clock()
        predict()
        seconds[request] = clock() - started
    median, high = np.quantile(seconds * 1000, [0.5, 0.99])
    return Latency(round(float(median), 6), round(float(high), 6))


def size_mb(network: nn.Module) -> float:
    """Megabytes of weights and buffers."""
    tensors = (*network.parameters(), *network.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6
