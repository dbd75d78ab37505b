"""Who holds a lease: a process, told from all others, whose end can be seen by others on its machine."""

from __future__ import annotations

import os
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """A process that holds a lease, once.

    Attributes:
        id: different for each time that a lease is asked for.
        host: name of its machine or container.
        place: of its process number: the machine, its boot, and the container, as far as the system tells.
        pid: its number there.
        started: when it began, in ticks of that machine; empty where the system does not tell.
        run: the flow run, for a person who looks for it.
    """

    id: str
    host: str
    place: str
    pid: int
    started: str
    run: str = ""

    @classmethod
    def here(cls, run: str = "") -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(uuid.uuid4().hex, platform.node(), _place(), pid, _started(pid) or "", run)

    @property
    def name(self) -> str:
        """For a person."""
        return f"process {self.pid} on {self.host}" + (f" (flow run {self.run})" if self.run else "")

    @property
    def is_near(self) -> bool:
        """Whether this process can see if that one still lives."""
        return self.place == _place()

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended: it was here, and its number is free or another's by now."""
        return self.is_near and _started(self.pid) != self.started


def _place() -> str:
    """Two processes with the same number in the same place are the same one, or one after the other."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _started(pid: int) -> str | None:
    """When a process began; None if there is none, "" where the system does not tell."""
    if (PROC / "self/stat").exists():
        try:
            content = (PROC / str(pid) / "stat").read_text()
        except OSError:
            return None
        fields = content.rpartition(")")[2].split()  # the name before it may hold anything
        return None if fields[0] in "ZX" else fields[19]  # a zombie has ended, and waits to be collected
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it is there, and another user's
        return ""
    return ""
