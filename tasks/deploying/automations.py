"""The automations of a project, each checked by Prefect's own models before it is sent anywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from prefect.events.schemas.automations import AutomationCore
from prefect.server.schemas.schedules import CronSchedule

from configs import events
from configs.schema import Project
from tasks.deploying.pieces import Piece, reference

SECONDS_AN_HOUR = 3600.0
MISSED_HEARTBEATS = 3
STARTING = ("Pending", "Submitting", "InfrastructurePending")  # states between a worker's grasp and the first line
# What ends that time: the run began, or ended, or was given back. Other events of a run, such as that its folder was
# set, come before its first line and say nothing of whether that will ever be reached.
BEGUN = ("Running", "Retrying", "heartbeat", "Paused", "Suspended", "Cancelling")
ENDED = ("Completed", "Cached", "Failed", "TimedOut", "Crashed", "Cancelled")
GIVEN_BACK = ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming")
NUM_FIRINGS = 500  # of the watch's cron, to find its longest pause: more than a year of days
SOME_YEAR = datetime(2024, 1, 1, tzinfo=UTC)  # a fixed one, so that the same YAML gives the same pause at any time
IDS = ("deployment_id", "block_document_id")  # fields of an action for which a name may stand
NOBODY = "00000000-0000-0000-0000-000000000000"


def owner(project: str) -> str:
    """The mark of the automations that belong to a project and to no deployment of it."""
    return events.resource_of(project)


def retrain_name(project: str) -> str:
    """The name of the one automation that belongs to a deployment, so that `prefect deploy` knows it too."""
    return f"retrain {project} when the watch wants it"


def retrain_trigger(project: Project) -> dict[str, Any]:
    """The trigger of `retrain` as a deployment takes it; `prefect.yaml` says the same.

    The values reach the flow through JSON, so that a reason with quotes or line ends in it arrives as it was given, and
    an event without one starts nothing.
    """
    return {
        "name": retrain_name(project.name),
        "description": f"The watch of {project.name} wants a retrain: its reason and moment are the run's parameters.",
        "type": "event",
        "match": {"prefect.resource.id": events.resource_of(project.name)},
        "expect": [events.RETRAIN_WANTED],
        "posture": "Reactive",
        "threshold": 1,
        "within": project.deploy.cool_down_hours * SECONDS_AN_HOUR,
        "parameters": {"trigger": _typed("event.payload.wanted"), "as_of": _typed("event.payload.as_of")},
    }


def fell_silent(within: float) -> dict[str, Any]:
    """The trigger for any run that has beaten, and of which nothing was heard for so many seconds since."""
    return _nothing_heard(("heartbeat",), ("*",), within)


def never_began(within: float) -> dict[str, Any]:
    """The trigger for any run that a worker has taken, and that neither began nor ended for so many seconds since."""
    return _nothing_heard(STARTING, (*STARTING, *BEGUN, *ENDED, *GIVEN_BACK), within)


def _nothing_heard(after: tuple[str, ...], expect: tuple[str, ...], within: float) -> dict[str, Any]:
    """What is in both `after` and `expect` starts the clock anew."""
    return {
        "type": "event",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "after": [f"prefect.flow-run.{name}" for name in after],
        "expect": [f"prefect.flow-run.{name}" for name in expect],
        "for_each": ["prefect.resource.id"],
        "posture": "Proactive",
        "within": within,
    }


def automation_pieces(project: Project, deployments: dict[str, str], crons: dict[str, str]) -> list[Piece]:
    """All automations of a project.

    Args:
        deployments: the name of each flow's deployment, by flow.
        crons: when each flow runs that runs by the clock.
    """
    names = list(deployments.values())
    found = [_retrain(project, deployments["retrain"]), _crashed(project, names), _never_begun(project, names)]
    if project.deploy.notify:
        found += [_diagnosed(project, verdict) for verdict in project.deploy.alert_on]
        found += [_run_ended_badly(project), _rolled_back(project)]
        if "watch" in crons:
            found.append(_overdue(project, crons["watch"]))
    retrain = f"prefect.deployment.{reference(deployments['retrain'])}"
    owners = {retrain_name(project.name): retrain}
    return [
        Piece("automation", values["name"], normalised(values), owner=owners.get(values["name"], owner(project.name)))
        for values in found
    ]


def normalised(values: dict[str, Any]) -> dict[str, Any]:
    """An automation as the server gives it back: with every default, and sets in order.

    Left out are whether it is enabled, for a person may have paused it, and its owner, which no server tells.

    Raises:
        ValueError: when Prefect would refuse it.
    """
    actions = values["actions"]
    checkable = [action | {name: NOBODY for name in IDS if action.get(name)} for action in actions]
    checked = AutomationCore.model_validate(values | {"actions": checkable}).model_dump(
        mode="json", exclude={"enabled", "owner_resource"}
    )
    for action, given in zip(checked["actions"], actions, strict=True):
        action.update({name: given[name] for name in IDS if given.get(name)})
    for name in ("after", "expect", "for_each"):
        if name in checked["trigger"]:
            checked["trigger"][name] = sorted(checked["trigger"][name])
    return checked


def longest_pause(flow: str, cron: str, timezone: str) -> timedelta:
    """The longest time from one firing of a flow's schedule to the next, weekends and the end of summer time included.

    Raises:
        ValueError: for a schedule that never fires, such as on February 31st.
    """
    try:
        firings = asyncio.run(CronSchedule(cron=cron, timezone=timezone).get_dates(n=NUM_FIRINGS, start=SOME_YEAR))
    except ValueError as error:
        raise ValueError(f"{cron!r}, when {flow} should run, never comes round; correct it under deploy") from error
    moments = [moment.astimezone(UTC) for moment in firings]
    return max(later - earlier for earlier, later in pairwise(moments))


def _retrain(project: Project, deployment: str) -> dict[str, Any]:
    trigger = retrain_trigger(project)
    said, parameters = {key: trigger.pop(key) for key in ("name", "description")}, trigger.pop("parameters")
    return {
        **said,
        "trigger": trigger,
        "actions": [
            {
                "type": "run-deployment",
                "source": "selected",
                "deployment_id": reference(deployment),
                "parameters": parameters,
            }
        ],
    }


def _crashed(project: Project, deployments: list[str]) -> dict[str, Any]:
    """A worker that ends by SIGTERM leaves its run behind as Running, which fills the limit of one retrain for ever.

    Only runs of the project's deployments, whose job variables say how often they beat: a run that beats more slowly
    would be called dead.
    """
    within = MISSED_HEARTBEATS * project.deploy.heartbeat_seconds
    return _set_to_crashed(
        project,
        deployments,
        "set a dead run to Crashed",
        f"A run of {project.name} without a heartbeat for {within} seconds has crashed.",
        fell_silent(within),
        f"no heartbeat for {within} seconds; its worker or machine is gone",
    )


def _never_begun(project: Project, deployments: list[str]) -> dict[str, Any]:
    """A worker that dies between taking a run and starting it leaves one without a heartbeat that could be missed."""
    minutes = project.deploy.start_minutes
    return _set_to_crashed(
        project,
        deployments,
        "set a run that never began to Crashed",
        f"A run of {project.name} that a worker has taken and not begun in {minutes} minutes has crashed.",
        never_began(60 * minutes),
        f"taken by a worker and not begun in {minutes} minutes; the worker or its machine is gone",
    )


def _set_to_crashed(
    project: Project, deployments: list[str], name: str, description: str, trigger: dict[str, Any], message: str
) -> dict[str, Any]:
    runs = [f"prefect.deployment.{reference(each)}" for each in sorted(deployments)]
    related = {"prefect.resource.role": "deployment", "prefect.resource.id": runs}
    action = {"type": "change-flow-run-state", "state": "CRASHED", "message": message}
    return _of_project(project, name, description, trigger | {"match_related": related}, [action])


def _diagnosed(project: Project, verdict: str) -> dict[str, Any]:
    """One automation a verdict: the cool-down of one would swallow the other."""
    return _alert(
        project,
        f"alert on {verdict}",
        f"The watch of {project.name} says {verdict}.",
        {
            "match": {"prefect.resource.id": events.resource_of(project.name)},
            "expect": [events.diagnosis(verdict)],
            "posture": "Reactive",
            "within": project.deploy.cool_down_hours * SECONDS_AN_HOUR,
        },
        f"{project.name}: {verdict}",
        "{{ event.payload.reason }}\nAs of {{ event.payload.as_of }}, champion {{ event.payload.champion }}.",
    )


def _rolled_back(project: Project) -> dict[str, Any]:
    return _alert(
        project,
        "alert on a rollback",
        f"The champion of {project.name} was taken back.",
        {
            "match": {"prefect.resource.id": events.resource_of(project.name)},
            "expect": [events.ROLLED_BACK],
            "posture": "Reactive",
        },
        f"{project.name}: rolled back",
        "{{ event.payload.reason }}",
    )


def _run_ended_badly(project: Project) -> dict[str, Any]:
    tags = ("perennial", project.name)
    return _alert(
        project,
        "alert on a run that failed",
        f"A run of {project.name} failed or crashed.",
        {
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": [
                {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"} for tag in tags
            ],
            "expect": ["prefect.flow-run.Failed", "prefect.flow-run.Crashed"],
            "posture": "Reactive",
        },
        f"{project.name}: {{{{ flow.name }}}} {{{{ flow_run.state.name }}}}",
        "{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
    )


def _overdue(project: Project, cron: str) -> dict[str, Any]:
    """`expect` alone with `for_each` would never fire: the same event is what starts the clock and what stops it."""
    pause = longest_pause("watch", cron, project.deploy.timezone or project.data.timezone)
    within = pause + timedelta(hours=project.deploy.overdue_hours)
    return _alert(
        project,
        "alert when no watch has come",
        f"No watch of {project.name} for {within.total_seconds() / SECONDS_AN_HOUR:g} hours.",
        {
            "match": {"prefect.resource.id": events.resource_of(project.name)},
            "after": [events.HEARTBEAT],
            "expect": [events.HEARTBEAT],
            "for_each": ["prefect.resource.id"],
            "posture": "Proactive",
            "within": within.total_seconds(),
        },
        f"{project.name}: no watch",
        f"The watch of {project.name} should come by {cron!r} and has not for "
        f"{within.total_seconds() / SECONDS_AN_HOUR:g} hours. Is a worker of {project.deploy.cpu.pool} alive?",
    )


def _alert(
    project: Project, what: str, description: str, trigger: dict[str, Any], subject: str, body: str
) -> dict[str, Any]:
    sends = [
        {"type": "send-notification", "block_document_id": reference(block), "subject": subject, "body": body}
        for block in project.deploy.notify
    ]
    return _of_project(project, what, description, trigger, sends)


def _of_project(
    project: Project, what: str, description: str, trigger: dict[str, Any], actions: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": f"{project.name}: {what}",
        "description": description,
        "tags": ["perennial", project.name],
        "trigger": {"type": "event"} | trigger,
        "actions": actions,
    }


def _typed(expression: str) -> dict[str, Any]:
    return {
        "__prefect_kind": "json",
        "value": {"__prefect_kind": "jinja", "template": f"{{{{ {expression} | tojson }}}}"},
    }
