"""Weights & Biases: one run for each training and each watch. Nothing waits for it, and nothing fails with it.

The only file that imports wandb. Every call goes through one guard, which turns tracking off for the rest of the
process at the first failure: if the network or W&B's own service process is gone, the loop goes on without it.
"""

from __future__ import annotations

import hashlib
import logging
import netrc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from configs.schema import Project

if TYPE_CHECKING:
    import wandb

logger = logging.getLogger(__name__)
INIT_SECONDS, FINISH_SECONDS = 10.0, 30.0  # without them a lost network holds a run for minutes


class _Sink:
    """The run that is open, if any, and whether W&B may still be called."""

    run: wandb.Run | None = None
    is_off: bool = False

    def guard(self, call: Callable[[], Any]) -> Any:
        """Call W&B; at the first failure say so once and stay silent from then on."""
        if self.is_off:
            return None
        try:
            return call()
        except Exception as error:  # whatever W&B raises, a retrain does not end because of it
            self.is_off = True
            logger.warning("W&B is off for the rest of this process: %s: %s", type(error).__name__, error)
            return None


_sink = _Sink()


@contextmanager
def tracked(project: Project, job: Literal["training", "watch"], as_of: datetime) -> Iterator[None]:
    """Open the W&B run of one training or watch: group = project, offline when no key is configured.

    The id follows from the project, the job and the time, so a run that was killed continues as itself.
    """
    run = _sink.run = _sink.guard(lambda: _start(project, job, as_of))
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if run is not None:
            _sink.guard(lambda: run.finish(exit_code=exit_code))
        _sink.run = None


def log(numbers: Mapping[str, float]) -> None:
    """Add one step to the open run, if there is one."""
    run = _sink.run
    if run is not None:
        _sink.guard(lambda: run.log(dict(numbers)))


def summarise(**facts: Any) -> None:
    """Set final facts of the open run: the verdict, its reason, lineage, metrics."""
    run = _sink.run
    if run is not None:
        _sink.guard(lambda: run.summary.update({name: value for name, value in facts.items() if value is not None}))


def _start(project: Project, job: str, as_of: datetime) -> wandb.Run | None:
    if _mode() == "disabled":
        return None
    import wandb  # half a second, for a process that tracks something

    folder = project.work.absolute() / "wandb"
    folder.mkdir(parents=True, exist_ok=True)
    for variable in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        os.environ.setdefault(variable, str(folder))
    name = f"{project.name}-{job}-{as_of:%Y%m%dT%H%M%S}"
    return wandb.init(
        project=project.wandb_project,
        group=project.name,
        job_type=job,
        name=name,
        id=f"{name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}",
        tags=[project.name, job],
        config=project.model_dump(mode="json") | {"as_of": as_of.isoformat()},
        dir=str(folder.parent),
        mode=_mode(),
        resume="allow" if _mode() == "online" else None,
        reinit="finish_previous",
        settings=wandb.Settings(
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            console="off",
            silent=True,
            x_disable_stats=True,
            x_save_requirements=job == "training",  # a fifth of a second: a look makes nothing that depends on them
        ),
    )


def _mode() -> Literal["online", "offline", "disabled"]:
    wanted = os.environ.get("WANDB_MODE", "")
    if wanted in ("offline", "disabled"):
        return "offline" if wanted == "offline" else "disabled"
    return "online" if os.environ.get("WANDB_API_KEY") or _has_netrc_key() else "offline"


def _has_netrc_key() -> bool:
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
