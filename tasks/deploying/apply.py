"""Carry a plan out: each piece is created, changed or deleted by its id, and never twice."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore

from tasks.deploying.pieces import reference
from tasks.deploying.plan import Change, Plan

Ids = dict[str, str]


def apply(client: SyncPrefectClient, plan: Plan, ids: Ids) -> None:
    """Make the server what the plan says. A call that was killed half-way is begun again, and finds the rest to do.

    Args:
        ids: of deployments and blocks by name, as they were found; those that are made now are added.
    """
    ids = dict(ids)
    steps = {
        "work pool": _apply_pool,
        "work queue": _apply_queue,
        "deployment": _apply_deployment,
        "automation": _apply_automation,
    }
    for change in plan.changes:
        if change.what != "unchanged":
            steps[change.piece.kind](client, change, ids)


def _apply_pool(client: SyncPrefectClient, change: Change, ids: Ids) -> None:
    values = change.piece.values
    if change.what == "added":
        client.create_work_pool(WorkPoolCreate(name=change.piece.name, **values))
    else:
        changed = {name: value for name, value in values.items() if name != "type"}
        client.update_work_pool(change.piece.name, WorkPoolUpdate(**changed))


def _apply_queue(client: SyncPrefectClient, change: Change, ids: Ids) -> None:
    pool, _, name = change.piece.name.partition("/")
    if change.what == "added":
        client.create_work_queue(name, work_pool_name=pool, **change.piece.values)
    else:
        client.update_work_queue(client.read_work_queue_by_name(name, pool).id, **change.piece.values)


def _apply_deployment(client: SyncPrefectClient, change: Change, ids: Ids) -> None:
    if change.what == "removed":
        assert change.piece.id
        client.delete_resource_owned_automations(f"prefect.deployment.{change.piece.id}")
        client.delete_deployment(change.piece.id)
        return
    values = dict(change.piece.values)
    flow, schedules = values.pop("flow"), values.pop("schedules")
    if change.what == "added":
        created = client.create_deployment(
            client.create_flow_from_name(flow),
            change.piece.name,
            schedules=[_schedule(each) for each in schedules],
            **values,
        )
        ids[change.piece.name] = str(created)
        return
    assert change.piece.id
    client.update_deployment(change.piece.id, DeploymentUpdate(**values))
    if any(difference.place.startswith("schedules") for difference in change.differences):
        _replace_schedules(client, change.piece.id, schedules)


def _replace_schedules(client: SyncPrefectClient, deployment: UUID, wanted: list[dict[str, Any]]) -> None:
    """Schedules have no name to change them by; those that are as they should be stay, with what a person paused."""
    missing = list(wanted)
    for there in client.read_deployment_schedules(deployment):
        values = {name: getattr(there.schedule, name, None) for name in ("cron", "timezone")}
        values |= {"parameters": there.parameters}
        if values in missing:
            missing.remove(values)
        else:
            client.delete_deployment_schedule(deployment, there.id)
    if missing:
        client.create_deployment_schedules(deployment, [_schedule(each) for each in missing])


def _schedule(values: dict[str, Any]) -> DeploymentScheduleCreate:
    schedule = CronSchedule(cron=values["cron"], timezone=values["timezone"])
    return DeploymentScheduleCreate(schedule=schedule, parameters=values["parameters"])


def _apply_automation(client: SyncPrefectClient, change: Change, ids: Ids) -> None:
    if change.what == "removed":
        assert change.piece.id
        client.delete_automation(change.piece.id)
        return
    text = json.dumps(change.piece.values | {"owner_resource": change.piece.owner})
    for name, id in ids.items():
        text = text.replace(reference(name), id)
    values = json.loads(text)
    if change.what == "added":
        client.create_automation(AutomationCore.model_validate(values))
        return
    assert change.piece.id
    there = client.read_automation(change.piece.id)
    values["enabled"] = there is None or there.enabled  # a person may have paused it
    del values["owner_resource"]  # which cannot change
    client.update_automation(change.piece.id, AutomationCore.model_validate(values))
