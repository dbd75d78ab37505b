"""What every task has in common."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.utilities.annotations import quote
from torch import nn

from configs.component import Component
from configs.schema import Project
from models.data.contract import Columns
from models.data.table import MIB
from models.features.encoding import Features
from models.networks.inputs import Inputs
from models.registry.leases import Succeeded
from models.registry.log import LogBroken
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from models.training.errors import Diverged
from tasks.store import storage_of

P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A task that gets its arguments as they are.

    Prefect would walk through all that a record holds, in search of futures: an eighth of a replayed year.
    """

    def __call__(self, *args: P.args, **arguments: P.kwargs) -> R:  # type: ignore[override]
        """Run it."""
        plain: Any = super().__call__
        called: R = plain(*map(quote, args), **{name: quote(value) for name, value in arguments.items()})
        return called


def step(function: Callable[P, R]) -> Task[P, R]:
    """A Prefect task that touches the world: tried three times, unless the mistake is the user's.

    Nothing is cached by Prefect: every step finds on the storage what an earlier try has finished.
    """
    return Step(
        function,
        cache_policy=NO_CACHE,
        retries=2,
        retry_delay_seconds=[2.0, 10.0],
        retry_condition_fn=_is_worth_another_try,
        task_run_name=function.__name__,
    )


def now() -> datetime:
    """The clock, read here and nowhere below."""
    return datetime.now(UTC)


def moment_of(as_of: datetime | None) -> datetime:
    """The moment for which a flow runs: as asked, or as scheduled, which stays the same when the run is tried again.

    A worker takes runs a few seconds early, and one that begins warm is there before its time: it waits for it. A
    person who has a later run begin at once means now.

    Raises `ValueError` for a moment in the future, up to which nothing can be known.
    """
    if as_of is None:
        scheduled = datetime.fromtimestamp(flow_run.scheduled_start_time.timestamp(), UTC)
        early = (scheduled - now()).total_seconds()
        if 0 < early <= get_current_settings().worker.prefetch_seconds:
            time.sleep(early)
        return min(scheduled, now())
    if as_of > now():
        raise ValueError(f"as_of={as_of.isoformat()} lies in the future; leave it out to mean now")
    return as_of


def registry_of(project: Project) -> Registry:
    """The project's registry."""
    return Registry.open(storage_of(project), project.name)


def columns_of(project: Project) -> Columns:
    """The meaning of the project's columns."""
    data = project.data
    return Columns(
        id=data.id,
        time=data.time,
        label=data.label,
        numbers=data.numbers,
        categories=data.categories,
        other=data.other,
        label_time=data.label_time,
        label_delay=timedelta(days=data.label_delay_days),
        timezone=data.timezone,
        task=data.task,
        texts=data.texts,
        images=data.images,
        image_folder=data.image_folder,
    )


def memory_of(project: Project) -> int | None:
    """Bytes that training rows may take when they are streamed; None: they are held all at once."""
    return None if project.training.memory_mib is None else project.training.memory_mib * MIB


def features_of(project: Project) -> Features:
    """The project's features, and how its encoder is made."""
    data, backbone = project.data, project.training.network.init_args.get("backbone")
    return Features(
        numbers=data.numbers,
        categories=data.categories,
        texts=data.texts,
        images=data.images,
        tokenizer=data.tokenizer,
        max_tokens=data.max_tokens,
        image_size=data.image_size,
        backbone=backbone if isinstance(backbone, str) else None,
    )


def build_network(class_path: str, init_args: dict[str, Any], inputs: Inputs) -> nn.Module:
    """A network by name, for these inputs. Raises `ValueError` when the class cannot be found or built."""
    network = Component(class_path=class_path, init_args=init_args).build(inputs)
    if not isinstance(network, nn.Module):
        raise ValueError(f"class_path={class_path!r} is not a torch.nn.Module; set training.network.class_path")
    return network


def load_version(registry: Registry, version: VersionId) -> Version:
    """A version, checked against its manifest."""
    return registry.versions.load(version, build_network)


@cache
def code_revision() -> str:
    """The commit of this code, with `+` when files differ from it; "unknown" outside a git checkout."""
    git = ["git", "-C", str(Path(__file__).parent.parent)]
    try:
        revision = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision.stdout.strip() + ("+" if changed.stdout.strip() else "")


async def _is_worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    result = await state.aresult(raise_on_failure=False)
    return not isinstance(result, ValueError | TypeError | AssertionError | LogBroken | Succeeded | Diverged)
