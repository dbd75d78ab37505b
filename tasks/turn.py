"""One retrain of a project at a time, whatever starts them and wherever they run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from prefect.runtime import flow_run

from configs.schema import Project
from models.registry.holder import Holder
from models.registry.leases import RENEWED_EVERY, Lease, Leases, Succeeded
from models.registry.registry import Registry
from tasks.step import now, registry_of

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Turn:
    """Whether it is this run's turn.

    Attributes:
        lease: the number under which it may write; None where it may not begin, or the attempt is answered already.
        under_way: why it may not begin.
    """

    lease: int | None = None
    under_way: str | None = None


@contextmanager
def turn(project: Project, as_of: datetime) -> Iterator[Turn]:
    """A block in which no other retrain of the project decides.

    Of the runs for one moment one works, and the others wait for its answer, or for its end if it dies. A run for
    another moment is not kept waiting: it is told what is under way, once it is sure that it is.
    """
    registry, attempt = registry_of(project), attempt_of(as_of)
    holder = Holder.here(str(flow_run.id or ""))
    lease = _lease_of(registry, attempt, holder)
    if lease is None:
        yield Turn()
    elif lease.holder.id != holder.id:
        yield Turn(under_way=_sentence(lease))
    else:
        with _kept(registry.leases, lease):
            yield Turn(lease.number)


def attempt_of(as_of: datetime) -> str:
    """The name of the retrain as of a moment: whoever starts it, and however often, it is one attempt."""
    return f"retrain {as_of.isoformat()}"


def _lease_of(registry: Registry, attempt: str, holder: Holder) -> Lease | None:
    """The lease, once it is this run's or is known to be used for something else; None when the attempt has an answer.

    A holder on this machine is seen to live or to be gone. Of one elsewhere only a lease that changes says that it
    lives, and one that runs out that it does not.
    """
    first: Lease | None = None
    while (state := registry.log.read()).answer(state.current(attempt)) is None:
        lease = registry.leases.take(attempt, holder, now(), lambda other: other.is_gone)
        is_at_work = lease.holder.is_near or (first is not None and lease != first)
        if lease.holder.id == holder.id or (is_at_work and lease.attempt != attempt):
            return lease
        if first is None:
            logger.info("waiting for %s, which has lease %d for %s", lease.holder.name, lease.number, lease.attempt)
            first = lease
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return None


def _sentence(lease: Lease) -> str:
    return (
        f"Another retrain is under way: {lease.attempt}, begun {lease.taken_at:%Y-%m-%d %H:%M:%S} UTC by "
        f"{lease.holder.name} under lease {lease.number}; its answer counts for this one too."
    )


@contextmanager
def _kept(leases: Leases, lease: Lease) -> Iterator[None]:
    """Renew a lease from a thread of its own while the block runs, and give it back at its end, however it ends."""
    is_over = threading.Event()
    thread = threading.Thread(target=_renew, args=(leases, lease, is_over), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        try:
            leases.release(lease)
        except Exception as error:  # it runs out by itself, and what ended the block is what a person must hear of
            logger.warning("lease %d was not given back, and runs out by itself: %s", lease.number, error)


def _renew(leases: Leases, lease: Lease, is_over: threading.Event) -> None:
    while not is_over.wait(RENEWED_EVERY.total_seconds()):
        try:
            leases.renew(lease, now())
        except Succeeded as end:
            logger.warning("%s", end)
            return
        except Exception as error:  # a storage that is away for a moment: the next try may be in time
            logger.warning("lease %d could not be renewed: %s", lease.number, error)
