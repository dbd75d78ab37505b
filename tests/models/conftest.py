"""One thread for torch, and real processes that start together for everything that claims to have one winner."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small networks train no faster on more, and much slower where the cores are busy."""
    torch.set_num_threads(1)


@pytest.fixture
def race() -> Callable[..., list[Any]]:
    """`race(work, arguments)` calls `work(argument)` in one process each, all at the same moment."""
    # A fork server imports once for all racers what their modules import, torch above all, and has no threads that a
    # fork could leave behind locked.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["pytest", "hypothesis.strategies", "models.training.fit", "models.networks.tabm", "tests.places"]
    )

    def start_together(work: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        barrier, results = processes.Barrier(len(arguments)), processes.SimpleQueue()
        racers = [processes.Process(target=_run, args=(work, item, barrier, results)) for item in arguments]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(timeout=60)
        assert [racer.exitcode for racer in racers] == [0] * len(racers)
        return [results.get() for _ in racers]

    return start_together


def _run(work: Callable[..., Any], argument: Any, barrier: Any, results: Any) -> None:
    barrier.wait(timeout=60)
    results.put(work(argument))
