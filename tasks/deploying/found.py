"""What a server has of a project, and what it has that the project needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    DeploymentFilterTags,
    Operator,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from configs.schema import Project
from tasks.deploying.automations import normalised, owner, retrain_name
from tasks.deploying.pieces import Piece, reference
from tasks.deploying.wanted import RETRAIN, deployment_name, tags_of

PAGE = 200  # the most that the server gives at once
NOTIFY = "notify"  # the capability of a block that can send a message
OURS = "flows."  # how the entry points begin of deployments that this command, or prefect.yaml, has made


@dataclass(frozen=True)
class Found:
    """The project's pieces on the server, and ids by the names that pieces use for them."""

    pieces: list[Piece]
    ids: dict[str, str]


def find(client: SyncPrefectClient, project: Project, wanted: Iterable[Piece]) -> Found:
    """Read what is there.

    Raises:
        ValueError: when a notification block that the YAML names is not there, or cannot notify; when somebody else's
            deployment has the name of one of ours.
    """
    wanted = list(wanted)
    deployments = _deployments(client, project, wanted)
    ids = {piece.name: str(piece.id) for piece in deployments} | _blocks(client, project)
    pools = [piece for want in wanted if want.kind == "work pool" for piece in _pool(client, want)]
    queues = [piece for want in wanted if want.kind == "work queue" for piece in _queue(client, want)]
    return Found([*pools, *queues, *deployments, *_automations(client, project, ids)], ids)


def read_pool(client: SyncPrefectClient, name: str) -> Any | None:
    """A work pool, if it exists."""
    try:
        return client.read_work_pool(name)
    except ObjectNotFound:
        return None


def _pool(client: SyncPrefectClient, want: Piece) -> list[Piece]:
    pool = read_pool(client, want.name)
    if pool is None:
        return []
    return [Piece("work pool", want.name, {name: getattr(pool, name) for name in want.values}, pool.id)]


def _queue(client: SyncPrefectClient, want: Piece) -> list[Piece]:
    pool, _, name = want.name.partition("/")
    try:
        queue = client.read_work_queue_by_name(name, pool)
    except ObjectNotFound:
        return []
    return [Piece("work queue", want.name, {key: getattr(queue, key) for key in want.values}, queue.id)]


def _deployments(client: SyncPrefectClient, project: Project, wanted: Iterable[Piece]) -> list[Piece]:
    """Those that are wanted, and those that carry the project's mark: its tags, our entry points, and its name."""
    names = [want.name for want in wanted if want.kind == "deployment"]
    read = _pages(
        lambda offset: client.read_deployments(
            deployment_filter=DeploymentFilter(
                operator=Operator.or_,
                name=DeploymentFilterName(any_=names),
                tags=DeploymentFilterTags(all_=tags_of(project)),
            ),
            limit=PAGE,
            offset=offset,
        )
    )
    flows = {id: client.read_flow(id).name for id in {each.flow_id for each in read}}
    named = [each for each in read if each.name == deployment_name(flows[each.flow_id], project.name)]
    for each in named:
        if not (each.entrypoint or "").startswith(OURS) and each.name in names:
            raise ValueError(
                f"the server has a deployment {flows[each.flow_id]}/{each.name} of another entry point, "
                f"{each.entrypoint!r}, which would be replaced; delete or rename it, or rename the project"
            )
    return [_deployment(each, flows[each.flow_id]) for each in named if (each.entrypoint or "").startswith(OURS)]


def _deployment(found: DeploymentResponse, flow: str) -> Piece:
    values = found.model_dump(
        mode="json",
        include={
            "entrypoint",
            "description",
            "tags",
            "parameters",
            "parameter_openapi_schema",
            "enforce_parameter_schema",
            "work_pool_name",
            "work_queue_name",
            "job_variables",
            "pull_steps",
        },
    )
    limit = found.global_concurrency_limit
    schedules = [
        {name: getattr(each.schedule, name, None) for name in ("cron", "timezone")} | {"parameters": each.parameters}
        for each in found.schedules
    ]
    values |= {"flow": flow, "concurrency_limit": limit.limit if limit else None, "schedules": schedules}
    return Piece("deployment", found.name, values, found.id)


def _automations(client: SyncPrefectClient, project: Project, ids: dict[str, str]) -> list[Piece]:
    """Those that the project owns, and by its name the one of its retrain, which a person's may start too."""
    ours = owner(project.name)
    read = [(ours, each) for each in client.read_resource_related_automations(ours)]
    if retrain := ids.get(deployment_name(RETRAIN, project.name)):
        deployment = f"prefect.deployment.{retrain}"
        related = client.read_resource_related_automations(deployment)
        read += [(deployment, each) for each in related if each.name == retrain_name(project.name)]
    pieces = []
    for whose, each in read:
        text = each.model_dump_json(exclude={"id"})
        for name, id in ids.items():
            text = text.replace(id, reference(name))
        pieces.append(Piece("automation", each.name, normalised(json.loads(text)), each.id, whose))
    return pieces


def _blocks(client: SyncPrefectClient, project: Project) -> dict[str, str]:
    ids = {}
    for full_name in project.deploy.notify:
        slug, _, name = full_name.partition("/")
        try:
            block = client.read_block_document_by_name(name, slug, include_secrets=False)
        except ObjectNotFound:
            raise ValueError(
                f"deploy.notify names {full_name!r}, and the server has no such block; it has "
                f"{', '.join(_notification_blocks(client)) or 'no notification block yet: make one in its UI'}"
            ) from None
        schema = block.block_schema
        if schema is None or NOTIFY not in schema.capabilities:
            raise ValueError(
                f"deploy.notify names {full_name!r}, a block that cannot send messages; name one of "
                f"{', '.join(_notification_blocks(client)) or 'a type that can, such as slack-webhook'}"
            )
        ids[full_name] = str(block.id)
    return ids


def _notification_blocks(client: SyncPrefectClient) -> list[str]:
    read = client.read_block_documents(limit=PAGE, include_secrets=False)
    return sorted(
        f"{each.block_type.slug}/{each.name}"
        for each in read
        if each.block_type and each.block_schema and NOTIFY in each.block_schema.capabilities and each.name
    )


def _pages(read: Callable[[int], list[Any]]) -> list[Any]:
    """Everything, a page at a time."""
    everything: list[Any] = []
    while page := read(len(everything)):
        everything += page
        if len(page) < PAGE:
            break
    return everything
