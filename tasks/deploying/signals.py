"""SIGINT and SIGTERM, by which a person, a terminal or systemd tells a command to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def hear() -> SimpleQueue[None]:
    """Take the next signal into a queue instead of being interrupted; the one after it interrupts."""
    heard = SimpleQueue[None]()  # may be put into by a signal while it is waited for

    def take(*_: Any) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler)
        heard.put(None)

    for each in SIGNALS:
        signal.signal(each, take)
    return heard


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block that no signal interrupts, for what must be done to the end and is soon over."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
