"""What a person finds in Prefect's UI after a retrain and a watch, asked of the real server."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from configs.schema import Project
from flows.retrain import retrain
from flows.score import score
from flows.watch import watch
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
EVENT_SECONDS = 30


@dataclass(frozen=True)
class FlowRun:
    """A flow run, as the server knows it."""

    server: Shell
    id: str

    @property
    def facts(self) -> dict[str, Any]:
        """Its name, tags and state."""
        [found] = self.server.ask("flow_runs/filter", flow_runs={"id": {"any_": [self.id]}})
        return found

    def artifacts(self) -> dict[str, dict[str, Any]]:
        """Its artifacts by key."""
        found = self.server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [self.id]}})
        return {artifact["key"]: artifact for artifact in found}

    def tasks(self) -> list[str]:
        """Names of its task runs, in the order in which they began; they arrive as events, a moment late."""
        query = {"flow_runs": {"id": {"any_": [self.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return [run["name"] for run in self.server.ask("task_runs/filter", **query)]

    def events(self, num_events: int) -> list[dict[str, Any]]:
        """What it told automations, once so many events have arrived, the oldest first."""
        query = {"event": {"prefix": ["perennial."]}, "related": {"id": [f"prefect.flow-run.{self.id}"]}}

        def found() -> list[dict[str, Any]]:
            return list(self.server.ask("events/filter", filter=query | {"order": "ASC"})["events"])

        assert _eventually(lambda: len(found()) >= num_events), found()
        return found()


def test_a_retrain_leaves_its_decision_as_a_table_and_a_link(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers())
    state = retrain(own.project, as_of=day("2025-05-25"), return_state=True)
    run, entry = FlowRun(prefect_here, str(state.state_details.flow_run_id)), state.result()
    assert run.facts["name"] == "retrain-churn"
    artifacts = run.artifacts()
    assert set(artifacts) == {"churn-decision", "churn-decision-page", "churn-decision-report"}
    assert entry.reason.split(":")[0] in artifacts["churn-decision-report"]["data"]
    table = json.loads(artifacts["churn-decision"]["data"])
    assert [row["metric"] for row in table] == [
        "log loss (nats)",
        "AUC",
        "squared calibration error",
        "log loss (nats)",
    ]
    assert table[-1]["rows"].startswith("all rows, against the first champion ")
    assert artifacts["churn-decision"]["description"] == f"**{entry.kind}** as of 2025-05-25: {entry.reason}"
    assert f"decision-{entry.sequence:08}.html" in artifacts["churn-decision-page"]["data"]
    judging = ["ingest", "inspect", "foresee", "object_to", "train", "decide"]
    expected = ["begin", *judging, "publish_decision", "write_decision"]
    assert _eventually(lambda: run.tasks() == expected), run.tasks()


def test_a_watch_leaves_a_table_and_an_event_that_says_the_diagnosis(own: Own, prefect_here: Shell) -> None:
    own.add_rows(own_project.later_customers().assign(usage=1e6))
    score(own.project, day("2025-05-25"))
    state = watch(own.project, day("2025-05-25"), return_state=True)
    run, watched = FlowRun(prefect_here, str(state.state_details.flow_run_id)), state.result()
    assert run.facts["name"] == "watch-churn"
    artifacts = run.artifacts()
    assert set(artifacts) == {"churn-watch"}
    table = {row["what"]: row["value"] for row in json.loads(artifacts["churn-watch"]["data"])}
    assert table["rows"] == f"{watched.num_rows:,}"
    assert any(what.startswith("drift of ") for what in table)
    assert artifacts["churn-watch"]["description"].startswith("**broken_feed** as of 2025-05-25: ")

    heartbeat, event, breached = run.events(3)
    assert [each["event"] for each in (heartbeat, breached)] == ["perennial.heartbeat", "perennial.alarm.breached"]
    assert heartbeat["resource"]["perennial.state"] == breached["resource"]["perennial.state"] == "breached"
    assert breached["payload"]["since"] == "2025-05-25T00:00:00+00:00"
    assert event["event"] == "perennial.diagnosis.broken_feed"
    assert event["resource"]["perennial.verdict"] == "broken_feed"
    assert event["resource"]["prefect.resource.id"] == "perennial.project.churn"
    assert event["payload"]["champion"] == watched.champion
    assert event["payload"]["reason"] == watched.diagnosis.reason
    assert event["payload"]["wanted"] == ""


def test_a_watch_that_wants_a_retrain_says_so_in_an_event_of_its_own(fresh: Own, prefect_here: Shell) -> None:
    project = fresh.having("watch.triggers=[{trigger: threshold, when: 'log_loss > 0.1'}]")
    assert retrain(project, as_of=day("2025-02-15")).kind == "promoted"
    score(project, day("2025-02-28"))
    state = watch(project, day("2025-02-28"), return_state=True)
    run, watched = FlowRun(prefect_here, str(state.state_details.flow_run_id)), state.result()
    assert watched.wanted and watched.wanted.endswith(", > 0.1")
    assert not watched.diagnosis.warrants_retrain, "the trigger alone wants it"
    _, said, wanted = run.events(3)
    assert said["event"] == f"perennial.diagnosis.{watched.diagnosis.verdict}"
    assert said["payload"]["wanted"] == watched.wanted
    assert wanted["event"] == "perennial.retrain.wanted"
    assert wanted["payload"] == {
        "schema_version": 1,
        "project": "churn",
        "verdict": watched.diagnosis.verdict,
        "reason": watched.diagnosis.reason,
        "wanted": watched.wanted,
        "as_of": "2025-02-28T00:00:00+00:00",
        "champion": watched.champion,
    }


def test_a_wish_is_told_by_each_look_until_the_log_has_an_answer(fresh: Own, prefect_here: Shell) -> None:
    wishing = fresh.having("watch.triggers=[{trigger: threshold, when: 'log_loss > 0.1'}]")
    content = fresh.having("watch.triggers=[]")
    assert retrain(wishing, as_of=day("2025-02-15")).kind == "promoted"

    def wishes(project: Project, text: str) -> list[dict[str, Any]]:
        score(project, day(text))
        state = watch(project, day(text), return_state=True)
        told = FlowRun(prefect_here, str(state.state_details.flow_run_id)).events(2)
        return [event["payload"] for event in told if event["event"] == "perennial.retrain.wanted"]

    [first] = wishes(wishing, "2025-02-24")
    [again] = wishes(content, "2025-02-25")
    assert again == first and again["as_of"] == "2025-02-24T00:00:00+00:00"
    assert retrain(wishing, as_of=day("2025-02-24")).attempt == "retrain 2025-02-24T00:00:00+00:00"
    assert wishes(content, "2025-02-26") == []


def test_a_breach_is_told_by_each_look_until_one_finds_nothing_wrong(own: Own, prefect_here: Shell) -> None:
    rows = own_project.later_customers()
    broken = rows["event_time"] < rows["event_time"].iloc[0] + pd.Timedelta(days=2)
    own.add_rows(rows.assign(usage=rows["usage"].where(~broken, 1e6)))
    project = own.having("watch.window_days=1")

    def alarms(text: str) -> list[tuple[str, str | None]]:
        score(project, day(text))
        state = watch(project, day(text), return_state=True)
        told = FlowRun(prefect_here, str(state.state_details.flow_run_id)).events(3)
        found = [event for event in told if ".alarm." in event["event"]]
        return [(event["event"].rpartition(".")[2], event["payload"].get("since")) for event in found]

    since = "2025-05-12T00:00:00+00:00"
    assert alarms("2025-05-12") == [("breached", since)]
    assert alarms("2025-05-13") == [("breached", since)]
    assert alarms("2025-05-16") == [("recovered", None)]


def test_a_watch_with_nothing_to_look_at_is_heard_all_the_same(fresh: Own, prefect_here: Shell) -> None:
    state = watch(fresh.project, day("2025-02-15"), return_state=True)
    [heartbeat] = FlowRun(prefect_here, str(state.state_details.flow_run_id)).events(1)
    assert (heartbeat["event"], heartbeat["resource"]["perennial.state"]) == ("perennial.heartbeat", "unknown")
    assert (heartbeat["payload"]["verdict"], heartbeat["payload"]["champion"]) == (None, None)


def test_a_replay_leaves_a_report_under_a_run_with_a_name_and_tags(replayed: Replayed, shell: Shell) -> None:
    wanted = {"name": {"any_": ["replay-churn"]}, "tags": {"all_": ["churn", "perennial"]}}
    found = shell.ask("flow_runs/filter", flow_runs=wanted, sort="START_TIME_ASC")
    run = FlowRun(shell, found[0]["id"])
    assert run.facts["state_type"] == "COMPLETED"
    report = run.artifacts()["churn-report"]
    assert "3 promoted, 1 rejected." in report["data"]
    assert "index.html" in report["data"]
    assert set(run.tasks()) >= {"plan_steps", "predict", "observe", "publish_watch", "train", "decide", "write_year"}


def test_a_replay_emits_its_diagnoses_under_a_name_that_no_automation_waits_for(
    replayed: Replayed, shell: Shell
) -> None:
    project = {"resource": {"id": ["perennial.project.churn"]}}
    history = {"event": {"prefix": ["perennial.replayed."]}, **project}
    assert _eventually(lambda: shell.ask("events/filter", filter=history)["total"] >= 7)
    [run] = shell.ask("flow_runs/filter", flow_runs={"name": {"any_": ["replay-churn"]}}, sort="START_TIME_ASC")[:1]
    names = {event["event"] for event in FlowRun(shell, run["id"]).events(20)}
    assert "perennial.replayed.retrain.wanted" in names
    assert all(name.startswith("perennial.replayed.") for name in names)


def _eventually(is_true: Any) -> bool:
    deadline = time.monotonic() + EVENT_SECONDS
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.2)
    return False
