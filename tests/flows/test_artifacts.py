"""What a person finds in Prefect's UI after a retrain and a watch, asked of the real server."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

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

    [event] = run.events(1)
    assert event["event"] == "perennial.diagnosis.broken_feed"
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
    said, wanted = run.events(2)
    assert said["event"] == f"perennial.diagnosis.{watched.diagnosis.verdict}"
    assert wanted["event"] == "perennial.retrain.wanted"
    assert said["payload"] == wanted["payload"]
    assert wanted["payload"] == {
        "verdict": watched.diagnosis.verdict,
        "reason": watched.diagnosis.reason,
        "wanted": watched.wanted,
        "as_of": "2025-02-28T00:00:00+00:00",
        "champion": watched.champion,
    }


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
    names = {event["event"] for event in FlowRun(shell, run["id"]).events(8)}
    assert "perennial.replayed.wanted" in names
    assert all(name.startswith("perennial.replayed.") for name in names)


def _eventually(is_true: Any) -> bool:
    deadline = time.monotonic() + EVENT_SECONDS
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.2)
    return False
