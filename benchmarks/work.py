"""Work in several processes: the same numbers whatever their number, because every piece has a seed of its own."""

from __future__ import annotations

import math
import multiprocessing
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

SEED = 20261
NUM_PROGRESS_LINES = 4
PIECE = 500  # decisions that are simulated together: seconds of work

Piece = TypeVar("Piece")
Found = TypeVar("Found")


def spread_out(function: Callable[[Piece], Found], pieces: Sequence[Piece], jobs: int, part: str) -> list[Found]:
    """`function` of every piece, in their order; how it goes is said on stderr."""
    started, found = time.monotonic(), []
    for number, each in enumerate(_map(function, pieces, jobs), start=1):
        found.append(each)
        if number == len(pieces) or number % max(1, len(pieces) // NUM_PROGRESS_LINES) == 0:
            seconds = time.monotonic() - started
            print(f"{part}: {number} of {len(pieces)} pieces, {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def _map(function: Callable[[Piece], Found], pieces: Sequence[Piece], jobs: int) -> Iterator[Found]:
    if jobs == 1 or len(pieces) < 2:
        yield from map(function, pieces)
        return
    # Spawned: a fork of a process in which torch or BLAS has started threads can hang.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, pieces)


def cut(count: int) -> list[int]:
    """A number of decisions in pieces of about equal size.

    >>> cut(1200)
    [400, 400, 400]
    """
    number = math.ceil(count / PIECE)
    return [(count * (place + 1)) // number - (count * place) // number for place in range(number)]


def seconds_between(earlier: str, later: str) -> float:
    """From one ISO moment to another.

    >>> seconds_between("2025-01-01T00:00:00Z", "2025-01-01T00:01:30Z")
    90.0
    """
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def generator(*key: Any) -> np.random.Generator:
    """A generator that depends on the key alone: what is drawn, and which piece of it.

    >>> bool(generator("a", 1).random() == generator("a", 1).random() != generator("a", 2).random())
    True
    """
    words = [zlib.crc32(repr(part).encode()) for part in key]
    return np.random.default_rng(np.random.SeedSequence([SEED, *words]))


def share(hits: float, total: float) -> float | None:
    """A share, or None of nothing."""
    return hits / total if total else None


def error_of(rate: float | None, total: float) -> float | None:
    """Monte Carlo error of a rate among `total` decisions, one standard deviation."""
    return None if rate is None or not total else math.sqrt(rate * (1 - rate) / total)


def rounded(value: Any) -> Any:
    """The same with numbers to five significant digits, throughout lists and dicts."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.5g}") if math.isfinite(value) else None
    return value
