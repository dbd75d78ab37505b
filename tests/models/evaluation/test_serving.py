"""What a request costs, by a clock that the test holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.evaluation.serving import NUM_REQUESTS, WARM_UP, latency, size_mb


class Clock:
    """A clock that goes on by what each request takes."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds: Iterator[float] = iter(seconds)
        self.now, self.num_requests = 0.0, 0

    def read(self) -> float:
        return self.now

    def predict(self) -> None:
        self.num_requests += 1
        self.now += next(self.seconds)


@given(seconds=st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=60))
@settings(deadline=None)
def test_the_median_and_the_99th_percentile_are_those_of_the_requests_after_the_warm_up(seconds: list[float]) -> None:
    clock = Clock([1e6] * WARM_UP + seconds)
    found = latency(clock.predict, clock.read, len(seconds))
    expected = np.quantile(np.array(seconds) * 1000, [0.5, 0.99])
    np.testing.assert_allclose([found.median_ms, found.p99_ms], expected, atol=1e-3)
    assert clock.num_requests == WARM_UP + len(seconds)


def test_one_slow_request_in_a_hundred_is_seen_by_the_percentile_and_not_by_the_median() -> None:
    clock = Clock([0.001] * (WARM_UP + NUM_REQUESTS - 4) + [0.2] * 4)
    found = latency(clock.predict, clock.read)
    assert found.median_ms == 1.0
    assert found.p99_ms > 100


def test_the_size_counts_weights_and_buffers_by_their_type() -> None:
    network = nn.Linear(1000, 250, bias=False)
    assert size_mb(network) == 1.0
    network.register_buffer("codes", torch.zeros(500_000, dtype=torch.int8))
    assert size_mb(network) == 1.5
    assert size_mb(network.half()) == 1.0
    assert size_mb(nn.ReLU()) == 0.0
