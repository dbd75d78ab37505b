"""A project on a real server by one command: planned, put there once, kept, and taken off without touching others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.deploy
from configs import events
from tests import own_project
from tests.flows.commands import REPOSITORY, Shell, answered, eventually, nothing_left

pytestmark = pytest.mark.slow

Deploy = Callable[..., subprocess.CompletedProcess[str]]
POOLS = "deploy: {cpu: {pool: small}, gpu: {pool: large}}\n"
FLOWS = tuple(flow.name for flow in flows.deploy.FLOWS)
EVENT_SECONDS = 90  # a tenth of it, where nothing else runs


class Server:
    """What is on the real server, read by its API alone."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def all(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.shell.ask(f"{kind}/filter")
        return found

    def deployments(self, project: str) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.all("deployments") if project in each["tags"]}

    def automations(self, project: str) -> dict[str, dict[str, Any]]:
        return {
            each["name"]: each
            for each in self.all("automations")
            if each["name"].startswith((f"{project}: ", f"retrain {project} "))
        }

    def send(self, verb: str, path: str, **body: Any) -> Any:
        answer = answered(verb, f"{self.shell.api}/{path}", json=body)
        return answer.json() if answer.content else None

    def emit(self, event: str, resource: str, *, related: tuple[dict[str, str], ...] = (), **payload: str) -> None:
        sent = {
            "event": event,
            "occurred": datetime.now(UTC).isoformat(),
            "resource": {"prefect.resource.id": resource},
            "related": list(related),
            "payload": payload,
            "id": str(uuid4()),
        }
        httpx.post(f"{self.shell.api}/events", json=[sent], timeout=30).raise_for_status()


@pytest.fixture
def server(shell: Shell) -> Iterator[Server]:
    """The server, on which nothing of a test is left behind."""
    with nothing_left(shell):
        yield Server(shell)


@pytest.fixture
def deploy(here: Deploy, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deploy:
    """`deploy("orders")` is `python -m flows.deploy orders.yaml` in a folder with a project of that name."""
    own_project.write(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.syspath_prepend(str(tmp_path / "project"))

    def run(project: str, *args: str, block: str = POOLS) -> subprocess.CompletedProcess[str]:
        Path(f"{project}.yaml").write_text(own_project.YAML.replace("name: churn", f"name: {project}") + block)
        return here("deploy", f"{project}.yaml", *args)

    return run


def lines(done: subprocess.CompletedProcess[str], what: str) -> list[str]:
    """The names of a plan that it says are added, changed, removed or unchanged."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [line[22:].split(",")[0] for line in done.stdout.splitlines() if line.startswith(what)]


def test_a_dry_run_shows_everything_and_makes_nothing(deploy: Deploy, server: Server) -> None:
    done = deploy("orders", "--dry-run")
    assert {"small", "large", *(f"{flow}-orders" for flow in FLOWS)} <= set(lines(done, "added"))
    assert "retrain-orders, on large, at 0 7 1 * * UTC, 1 at a time" in done.stdout
    assert done.stdout.splitlines()[-1] == f"orders: {len(FLOWS) + 5} added. Nothing was done: this was a dry run."
    assert not server.deployments("orders") and not server.automations("orders")
    assert "small" not in {pool["name"] for pool in server.all("work_pools")}


def test_deploying_twice_changes_nothing_and_doubles_nothing(deploy: Deploy, server: Server) -> None:
    assert deploy("orders").returncode == 0
    first = (server.deployments("orders"), server.automations("orders"), server.all("work_pools"))
    assert {name: each["work_pool_name"] for name, each in first[0].items()} == {
        f"{flow}-orders": "large" if flow == "retrain" else "small" for flow in FLOWS
    }
    again = deploy("orders")
    assert again.stdout.splitlines()[-1] == "Nothing to change: orders is on the server as its YAML says."
    assert set(lines(again, "unchanged")) >= set(first[0]) | set(first[1])
    assert (server.deployments("orders"), server.automations("orders")) == first[:2]
    assert [pool["updated"] for pool in server.all("work_pools")] == [pool["updated"] for pool in first[2]]


def test_the_server_plans_runs_for_what_has_a_schedule_and_for_nothing_else(deploy: Deploy, server: Server) -> None:
    assert deploy("orders").returncode == 0
    ids = {each["id"]: name for name, each in server.deployments("orders").items()}

    def planned() -> dict[str, set[str]]:
        runs = server.shell.ask("flow_runs/filter", deployments={"id": {"any_": list(ids)}})
        return {
            ids[one["deployment_id"]]: {
                run["expected_start_time"][11:16] for run in runs if run["flow_id"] == one["flow_id"]
            }
            for one in runs
        }

    expected = {"score-orders": {"05:00"}, "watch-orders": {"05:30"}, "retrain-orders": {"07:00"}}
    assert eventually(lambda: len(found := planned()) == len(expected) and found, EVENT_SECONDS) == expected


def test_what_differs_is_shown_from_old_to_new_and_changed_in_place(deploy: Deploy, server: Server) -> None:
    deploy("orders")
    deployments, automations = server.deployments("orders"), server.automations("orders")
    block = POOLS.replace("{cpu", "{watch: '0 6 * * 1-5', baseline: null, cool_down_hours: 1, cpu")
    changed, name = deploy("orders", block=block), "retrain orders when the watch wants it"
    assert set(lines(changed, "changed")) == {"watch-orders", "retrain-orders", name}
    assert "schedules.0.cron: 30 5 * * * -> 0 6 * * 1-5" in changed.stdout
    assert "trigger.within: 43200.0 -> 3600.0" in changed.stdout
    now = server.deployments("orders")
    assert {name: each["id"] for name, each in now.items()} == {name: each["id"] for name, each in deployments.items()}
    assert [each["schedule"]["cron"] for each in now["watch-orders"]["schedules"]] == ["0 6 * * 1-5"]
    assert now["retrain-orders"]["schedules"] == []
    assert now["score-orders"]["schedules"][0]["id"] == deployments["score-orders"]["schedules"][0]["id"]
    assert server.automations("orders")[name]["id"] == automations[name]["id"]
    assert server.automations("orders")[name]["trigger"]["within"] == 3600


def test_what_a_person_has_paused_stays_paused(deploy: Deploy, server: Server) -> None:
    deploy("orders")
    name = "retrain orders when the watch wants it"
    server.send("PATCH", f"automations/{server.automations('orders')[name]['id']}", enabled=False)
    server.send("PATCH", f"deployments/{server.deployments('orders')['watch-orders']['id']}", paused=True)
    assert lines(deploy("orders"), "changed") == []
    assert set(lines(deploy("orders", block=POOLS.replace("{cpu", "{cool_down_hours: 1, cpu")), "changed")) == {name}
    assert not server.automations("orders")[name]["enabled"]
    assert server.deployments("orders")["watch-orders"]["paused"]


def test_two_projects_share_a_server_and_removing_one_leaves_the_other_and_what_a_person_made(
    deploy: Deploy, server: Server
) -> None:
    for project in ("orders", "us-orders"):
        deploy(project)
    theirs = server.send(
        "POST",
        "automations/",
        name="us-orders: told by Ada",
        trigger={"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0},
        actions=[
            {
                "type": "run-deployment",
                "source": "selected",
                "deployment_id": server.deployments("us-orders")["watch-us-orders"]["id"],
            }
        ],
        tags=["perennial", "us-orders"],
    )
    other = (server.deployments("us-orders"), server.automations("us-orders"))
    assert len(other[0]) == len(FLOWS)
    removed = deploy("orders", "--remove")
    assert len(lines(removed, "removed")) == len(FLOWS) + 3
    assert not server.deployments("orders") and not server.automations("orders")
    assert (server.deployments("us-orders"), server.automations("us-orders")) == other
    assert theirs["name"] in other[1]
    deploy("us-orders", "--remove")
    assert list(server.automations("us-orders")) == [theirs["name"]]
    assert {"small", "large"} <= {pool["name"] for pool in server.all("work_pools")}


def test_what_the_project_no_longer_has_is_removed_and_a_double_too(deploy: Deploy, server: Server) -> None:
    deploy("orders")
    flow = server.send("POST", "flows/", name="shadow")["id"]
    old, theirs = (
        server.send(
            "POST",
            "deployments/",
            name="shadow-orders" if ours else "mine",
            flow_id=flow,
            entrypoint="flows.shadow.shadow",
            tags=["perennial", "orders"],
        )
        for ours in (True, False)
    )
    name = "orders: set a dead run to Crashed"
    twin = {key: server.automations("orders")[name][key] for key in ("name", "trigger", "actions", "tags")}
    server.send("POST", "automations/", **twin, owner_resource=events.resource_of("orders"))
    assert lines(deploy("orders"), "removed") == [old["name"], name]
    assert theirs["name"] in server.deployments("orders") and old["name"] not in server.deployments("orders")
    assert [each["name"] for each in server.all("automations")].count(name) == 1
    assert lines(deploy("orders"), "removed") == []


def test_queues_priorities_and_limits_are_those_of_the_yaml(deploy: Deploy, server: Server) -> None:
    block = "deploy: {cpu: {pool: small}, gpu: {pool: large, limit: 2, queue: urgent, priority: 1}}\n"
    assert "large/urgent" in lines(deploy("orders", block=block), "added")
    assert lines(deploy("orders", block=block), "changed") == []
    assert server.deployments("orders")["retrain-orders"]["work_queue_name"] == "urgent"
    pools = {pool["name"]: pool for pool in server.all("work_pools")}
    assert (pools["large"]["concurrency_limit"], pools["small"]["concurrency_limit"]) == (2, None)
    assert pools["large"]["base_job_template"] == json.loads((REPOSITORY / "configs/pools/process.json").read_text())
    changed = deploy("orders", block=block.replace("limit: 2", "limit: 3"))
    assert "concurrency_limit: 2 -> 3" in changed.stdout


def test_a_pool_that_a_person_made_keeps_its_template(deploy: Deploy, server: Server) -> None:
    template = {
        "job_configuration": {"env": "{{ env }}"},
        "variables": {"type": "object", "properties": {"env": {"type": "object"}}},
    }
    server.send("POST", "work_pools/", name="small", type="process", base_job_template=template)
    refused = deploy("orders")
    assert refused.returncode == 2
    assert "'stream_output' is not known to the work pool 'small'; it has env" in refused.stderr
    assert "`prefect work-pool delete small` " in refused.stderr
    template["variables"]["properties"]["stream_output"] = {"type": "boolean"}  # type: ignore[index]
    server.send("PATCH", "work_pools/small", base_job_template=template)
    done = deploy("orders")
    assert "small was made by hand: its base job template is left as it is" in done.stdout
    (pool,) = (each for each in server.all("work_pools") if each["name"] == "small")
    assert pool["base_job_template"] == template


def test_the_command_and_prefect_yaml_put_the_same_on_a_server(
    here: Deploy, prefect_here: Shell, server: Server
) -> None:
    name = "retrain flights when the watch wants it"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        assert here("deploy", "configs/flights.yaml").returncode == 0
        ours = (_plain(server.deployments("flights")), _plain(server.automations("flights")[name]))
        ids = {each["name"]: each["id"] for each in server.deployments("flights").values()}
        here("deploy", "configs/flights.yaml", "--remove")
        by_hand = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            env=prefect_here.environment(REPOSITORY),
            capture_output=True,
            text=True,
        )
        assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
        theirs = (_plain(server.deployments("flights")), _plain(server.automations("flights")[name]))
        assert len(ours[0]) == len(FLOWS)
        assert ours == theirs
        assert ids.keys() == server.deployments("flights").keys()
        after = here("deploy", "configs/flights.yaml")
    assert lines(after, "changed") == [] and lines(after, "removed") == []
    assert [line for line in lines(after, "added") if line not in ("cpu-pool", "gpu-pool")] == [
        "flights: set a dead run to Crashed",
        "flights: set a run that never began to Crashed",
    ]


def _plain(value: Any) -> Any:
    """Without what is the server's own: ids, times, and what became of it since."""
    own = {
        "id",
        "created",
        "updated",
        "last_polled",
        "status",
        "version",
        "flow_id",
        "deployment_id",
        "work_queue_id",
        "labels",
    }
    own |= {"version_id", "version_info", "created_by", "updated_by", "concurrency_options", "global_concurrency_limit"}
    if isinstance(value, dict):
        kept = {key: _plain(each) for key, each in value.items() if key not in own and not key.endswith("_id")}
        limit = value.get("global_concurrency_limit")
        return kept | ({"limit": limit["limit"]} if limit else {})
    return [_plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            "deploy: {cpu: {type: kubernets}}\n",
            "deploy.cpu.type: Input should be 'process', 'docker' or 'kubernetes' (found 'kubernets')",
        ),
        (
            "deploy: {gpu: {pool: k8s, type: kubernetes, job_variables: {node_selektor: {}}}}\n",
            "deploy.gpu.job_variables: 'node_selektor' is not known to the work pool 'k8s'; "
            "did you mean 'node_selector'? It has",
        ),
        (
            "deploy: {gpu: {pool: k8s, type: kubernetes, job_variables: {gpus: two}}}\n",
            "deploy.gpu.job_variables.gpus: 'two' is not of type 'integer' in the work pool 'k8s'",
        ),
        ("deploy: {watch: 30 5 31 2 *}\n", "'30 5 31 2 *', when watch should run, never comes round"),
        ("deploy: {notify: [secret/quiet]}\n", "a block that cannot send messages"),
        ("deploy: {notify: [slack-webhook/nobody]}\n", "'slack-webhook/nobody', and the server has no such block"),
    ],
)
def test_a_mistake_in_the_yaml_is_one_message_before_anything_is_made(
    block: str, expected: str, deploy: Deploy, server: Server
) -> None:
    Secret(value="nothing").save("quiet", overwrite=True)
    done = deploy("orders", block=block)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and expected in done.stderr, done.stderr
    assert not server.deployments("orders")


def test_a_pool_of_another_type_and_a_deployment_of_somebody_else_are_not_taken_over(
    deploy: Deploy, server: Server
) -> None:
    server.send("POST", "work_pools/", name="large", type="docker")
    done = deploy("orders")
    assert done.returncode == 2
    assert "deploy.gpu.type is 'process', and the work pool 'large' on the server is of type 'docker'" in done.stderr
    flow = server.send("POST", "flows/", name="score")["id"]
    server.send("POST", "deployments/", name="score-orders", flow_id=flow, entrypoint="mine.py:score")
    done = deploy("orders", "--pool", "small")
    assert done.returncode == 2
    assert "a deployment score/score-orders of another entry point, 'mine.py:score'" in done.stderr


def test_pools_can_be_named_on_the_command_line_and_values_of_a_run_cannot(deploy: Deploy, server: Server) -> None:
    assert {"one", "two"} <= set(lines(deploy("orders", "--pool", "one", "two", "--dry-run"), "added"))
    only = deploy("orders", "--pool", "one", "--dry-run").stdout
    assert "retrain-orders, on one" in only and "two" not in only
    assert deploy("orders", "--pool", "one", "two", "three").returncode == 2
    refused = deploy("orders", "--set", "gate.alpha=0.01")
    assert refused.returncode == 2
    assert "--set 'gate.alpha=0.01' would reach no run that is begun later; write it into orders.yaml" in refused.stderr


def test_a_server_that_is_not_there_or_not_named_is_one_message(deploy: Deploy) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        gone = deploy("orders")
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        unnamed = deploy("orders")
    assert unnamed.returncode == 2
    assert "no Prefect server is named" in unnamed.stderr


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of a webhook on loopback, and what has come there."""
    messages: list[dict[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is for its failures."""

    http = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/", messages
    http.shutdown()


def test_alerts_reach_a_webhook_and_what_does_not_come_is_acted_upon(
    deploy: Deploy, server: Server, received: tuple[str, list[dict[str, str]]]
) -> None:
    url, messages = received
    block = CustomWebhookNotificationBlock(
        name="on-call", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("on-call", overwrite=True)
    done = deploy("orders", block=POOLS.replace("{cpu", "{notify: [custom-webhook/on-call], watch: 0 6 * * 1-5, cpu"))
    alerts = {name.removeprefix("orders: ") for name in lines(done, "added") if name.startswith("orders: ")}
    assert alerts == {
        "set a dead run to Crashed",
        "set a run that never began to Crashed",
        "alert on broken_feed",
        "alert on serving_fault",
        "alert on a rollback",
        "alert on a run that failed",
        "alert when no watch has come",
    }
    automations = server.automations("orders")
    assert automations["orders: alert when no watch has come"]["trigger"]["within"] == (3 * 24 + 2) * 3600  # a weekend
    assert automations["orders: set a dead run to Crashed"]["trigger"]["within"] == 90
    _make_impatient(server, automations["orders: alert when no watch has come"])
    _make_impatient(server, automations["orders: set a dead run to Crashed"])
    _make_impatient(server, automations["orders: set a run that never began to Crashed"])

    resource = events.resource_of("orders")
    server.emit(events.HEARTBEAT, resource)
    server.emit(events.diagnosis("healthy"), resource, reason="Nothing moved.", as_of="2025-05-01", champion="v1")
    server.emit(events.diagnosis("broken_feed"), resource, reason='"temp" is gone.', as_of="2025-05-01", champion="v1")
    run = _dying_run(server, server.deployments("orders")["watch-orders"])
    unborn = _submitted_run(server, server.deployments("orders")["score-orders"])

    def subjects() -> set[str]:
        return {message["subject"] for message in messages}

    expected = {"orders: broken_feed", "orders: no watch", "orders: watch Crashed", "orders: score Crashed"}
    eventually(lambda: subjects() >= expected, EVENT_SECONDS)
    assert subjects() == expected
    (told,) = (message["body"] for message in messages if message["subject"] == "orders: broken_feed")
    assert told == '"temp" is gone.\nAs of 2025-05-01, champion v1.'
    (ended,) = server.shell.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
    assert ended["state"]["type"] == "CRASHED"
    assert "no heartbeat for 90 seconds" in ended["state"]["message"]
    (ended,) = server.shell.ask("flow_runs/filter", flow_runs={"id": {"any_": [unborn]}})
    assert ended["state"]["type"] == "CRASHED"
    assert "not begun in 30 minutes" in ended["state"]["message"]


def _make_impatient(server: Server, automation: dict[str, Any]) -> None:
    """What waits for hours waits for the ten seconds that are Prefect's least."""
    kept = {key: automation[key] for key in ("name", "enabled", "actions", "tags", "description")}
    server.send("PUT", f"automations/{automation['id']}", **kept, trigger=automation["trigger"] | {"within": 10})


def _of(deployment: dict[str, Any]) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.deployment.{deployment['id']}", "prefect.resource.role": "deployment"}


def _submitted_run(server: Server, deployment: dict[str, Any]) -> str:
    """A run that a worker has taken, whose folder it has set, and died before the first line."""
    run: dict[str, Any] = server.send("POST", f"deployments/{deployment['id']}/create_flow_run")
    _be_heard(server, run["id"], "Scheduled")
    state = {"type": "PENDING", "name": "Submitting"}
    server.send("POST", f"flow_runs/{run['id']}/set_state", state=state, force=True)
    _be_heard(server, run["id"], "Submitting")
    server.emit("prefect.flow-run.pull-step.executed", f"prefect.flow-run.{run['id']}", related=(_of(deployment),))
    return str(run["id"])


def _be_heard(server: Server, run: str, state: str) -> None:
    """Wait for the event of a state: one that comes later than what follows it would count as a sign of life."""
    about = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "event": {"name": [f"prefect.flow-run.{state}"]}}
    eventually(lambda: server.shell.ask("events/filter", filter=about)["total"], EVENT_SECONDS)
    time.sleep(1)  # triggers hear of it by another way than the list of events


def _dying_run(server: Server, deployment: dict[str, Any]) -> str:
    """A run that beats once and is never heard of again."""
    run: dict[str, Any] = server.send("POST", f"deployments/{deployment['id']}/create_flow_run")
    server.send("POST", f"flow_runs/{run['id']}/set_state", state={"type": "RUNNING", "name": "Running"}, force=True)
    _be_heard(server, run["id"], "Running")
    related = _of(deployment)
    server.emit("prefect.flow-run.heartbeat", f"prefect.flow-run.{run['id']}", related=(related,))
    return str(run["id"])


def test_an_event_without_a_reason_starts_nothing_and_one_with_quotes_starts_one_retrain(
    deploy: Deploy, server: Server
) -> None:
    deploy("orders")
    retrain = server.deployments("orders")["retrain-orders"]["id"]
    reason = 'log_loss > 0.5\n{{ and }} "now" <b>'
    server.emit(events.RETRAIN_WANTED, events.resource_of("us-orders"), wanted="another", as_of="2025-05-01")
    for _ in range(3):  # the cool-down makes them one
        server.emit(
            events.RETRAIN_WANTED, events.resource_of("orders"), wanted=reason, as_of="2025-05-01T00:00:00+00:00"
        )

    def runs() -> list[dict[str, Any]]:
        found = server.shell.ask("flow_runs/filter", deployments={"id": {"any_": [retrain]}})
        return [run for run in found if not run["auto_scheduled"]]

    eventually(runs, EVENT_SECONDS)
    time.sleep(2)
    (run,) = runs()
    assert run["parameters"] == {"project": "orders.yaml", "trigger": reason, "as_of": "2025-05-01T00:00:00+00:00"}
    assert run["tags"] and {"perennial", "orders"} <= set(run["tags"])
