"""prefect.yaml, held against Prefect's own models: what Prefect does not know, it drops without a word."""

from __future__ import annotations

import importlib
import inspect
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig
from prefect.cli.deploy._triggers import DeploymentTriggerAdapter
from prefect.client.schemas.schedules import construct_schedule
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.hydration import HydrationContext, hydrate
from prefect.workers.process import ProcessWorker

from configs.schema import load
from flows.deploy import FLOWS

ROOT = Path(__file__).parents[2]
FILE: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]
EVENT = {"wanted": 'log_loss is 0.52, > 0.5\nand Ada said "now"', "as_of": "2013-05-10T05:00:00+00:00"}
BY_HAND = {
    "override": {"version": "20130501-0123456789", "answer": "refused", "by": "Ada", "reason": "odd scores at night"},
    "approve": {"by": "Ada", "reason": "checked by hand"},
    "label": {"file": "wanted.csv"},
}

each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in prefect.yaml are relative to the folder that the pull step enters."""
    monkeypatch.chdir(ROOT)


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    flow = import_object(deployment["entrypoint"])
    assert isinstance(flow, Flow)
    return flow


def flows_in_the_folder() -> set[str]:
    paths = set()
    for path in (ROOT / "flows").glob("[a-z]*.py"):
        module = importlib.import_module(f"flows.{path.stem}")
        paths |= {
            f"{module.__name__}.{name}"
            for name, value in vars(module).items()
            if isinstance(value, Flow) and value.fn.__module__ == module.__name__
        }
    return paths


def _schema(deployment: dict[str, Any]) -> dict[str, Any]:
    """What the server checks the parameters of a run against."""
    return parameter_schema(flow_of(deployment)).model_dump()


def _without(parameters: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


def names(model: type[Any]) -> set[str]:
    """Every key that a pydantic model reads."""
    return set(model.model_fields) | {field.alias for field in model.model_fields.values() if field.alias}


def triggers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(deployment, trigger) for deployment in DEPLOYMENTS for trigger in deployment.get("triggers", ())]


def runs(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of each way in which a run of this deployment begins: by hand, by schedule, by event."""
    overrides: list[dict[str, Any]] = [
        BY_HAND.get(flow_of(deployment).name, {}),
        *(schedule.get("parameters", {}) for schedule in deployment.get("schedules", ())),
    ]
    overrides += [rendered(trigger["parameters"]) for trigger in deployment.get("triggers", ())]
    return [deployment["parameters"] | override for override in overrides]


def rendered(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a trigger as Prefect's server makes them of `EVENT`."""
    context = {"event": {"payload": EVENT}}
    done: dict[str, Any] = hydrate(parameters, HydrationContext(render_jinja=True, jinja_context=context))
    return done


def test_the_file_has_only_keys_that_prefect_reads() -> None:
    assert set(FILE) - {"definitions"} <= names(PrefectYamlModel)  # `definitions` is where Prefect's guide puts anchors


@each_deployment
def test_a_deployment_has_only_keys_that_prefect_reads(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= names(DeploymentConfig)
    assert set(deployment["work_pool"]) <= names(WorkPoolConfig)


@each_deployment
def test_job_variables_are_ones_that_a_process_pool_reads(deployment: dict[str, Any]) -> None:
    variables = ProcessWorker.get_default_base_job_template()["variables"]["properties"]
    assert set(deployment["work_pool"]["job_variables"]) <= set(variables)


def test_the_pull_step_can_be_imported_and_takes_its_arguments() -> None:
    for step in FILE["pull"]:
        ((path, arguments),) = step.items()
        inspect.signature(import_object(path)).bind(**arguments)


def test_the_file_names_the_version_of_prefect_that_is_locked() -> None:
    assert f"prefect=={FILE['prefect-version']}" in (ROOT / "requirements.lock").read_text().split()


def test_every_flow_in_the_folder_has_a_deployment_of_its_own() -> None:
    assert sorted(deployment["entrypoint"] for deployment in DEPLOYMENTS) == sorted(flows_in_the_folder())


def test_the_command_deploys_every_flow_of_the_file() -> None:
    assert {flow.name for flow in FLOWS} == {flow_of(deployment).name for deployment in DEPLOYMENTS}


def test_every_deployment_has_a_name_that_says_which_flow_and_which_project() -> None:
    for deployment in DEPLOYMENTS:
        project = load(deployment["parameters"]["project"])
        assert deployment["name"] == f"{flow_of(deployment).name}-{project.name}"
        assert project.name in deployment["tags"]


def test_only_retrain_runs_on_the_gpu_pool_and_only_once_at_a_time() -> None:
    pools = {flow_of(deployment).name: deployment["work_pool"]["name"] for deployment in DEPLOYMENTS}
    assert pools.pop("retrain") == "gpu-pool"
    assert set(pools.values()) == {"cpu-pool"}
    limits = {flow_of(deployment).name: deployment.get("concurrency_limit") for deployment in DEPLOYMENTS}
    assert {name: limit for name, limit in limits.items() if limit} == {"retrain": 1}


@each_deployment
def test_every_way_to_start_a_run_has_parameters_that_its_flow_and_the_server_accept(
    deployment: dict[str, Any],
) -> None:
    flow = flow_of(deployment)
    for parameters in runs(deployment):
        assert flow.validate_parameters(parameters)["project"] == load(deployment["parameters"]["project"])
        assert validate(parameters, _schema(deployment)) == []


@each_deployment
def test_what_a_person_must_give_is_required_by_the_form_and_by_nothing_that_starts_alone(
    deployment: dict[str, Any],
) -> None:
    required = set(parameter_schema(flow_of(deployment)).required) - set(deployment["parameters"])
    by_hand = BY_HAND.get(flow_of(deployment).name, {})
    assert required == set(by_hand)
    assert not required or not {"schedules", "triggers"} & set(deployment)
    for name in required:
        [error] = validate(deployment["parameters"] | _without(by_hand, name), _schema(deployment))
        assert repr(name) in error.message


def test_the_form_of_an_override_offers_its_two_answers_and_no_third() -> None:
    [deployment] = [each for each in DEPLOYMENTS if flow_of(each).name == "override"]
    schema = parameter_schema(flow_of(deployment))
    assert schema.properties["answer"]["enum"] == ["promoted", "refused"]
    third = deployment["parameters"] | BY_HAND["override"] | {"answer": "rejected"}
    assert validate(third, schema.model_dump()) != []
    with pytest.raises(ParameterTypeError, match="'promoted' or 'refused'"):
        flow_of(deployment).validate_parameters(third)


@pytest.mark.parametrize("text", ["2013-05-10", "2013-05-10T00:00:00Z", "2013-05-09T20:00:00-04:00"])
def test_a_time_reaches_a_flow_in_utc_in_whatever_zone_it_was_written(text: str) -> None:
    for deployment in DEPLOYMENTS:
        flow = flow_of(deployment)
        if "as_of" in parameter_schema(flow).properties:
            given = deployment["parameters"] | BY_HAND.get(flow.name, {}) | {"as_of": text}
            as_of = flow.validate_parameters(given)["as_of"]
            assert as_of == datetime(2013, 5, 10, tzinfo=UTC)
            assert as_of.tzinfo is UTC  # an equal zone of another type is one that pandas does not take beside it


@each_deployment
def test_every_parameter_has_one_type_for_which_the_form_in_prefects_ui_has_a_field(deployment: dict[str, Any]) -> None:
    for schema in parameter_schema(flow_of(deployment)).properties.values():
        for choice in schema.get("anyOf", [schema]):  # for `type: [string, object]` the form stays empty
            assert choice["type"] in ("string", "integer", "number", "boolean", "null")


@each_deployment
def test_every_schedule_is_one_that_prefect_can_compute(deployment: dict[str, Any]) -> None:
    for schedule in deployment.get("schedules", ()):
        checked = RawScheduleConfig.model_validate(schedule)
        construct_schedule(cron=checked.cron, timezone=checked.timezone)


def test_the_watch_looks_at_what_was_scored_before_it_and_the_retrain_at_what_was_watched() -> None:
    hours = {
        flow_of(each).name: each["schedules"][0]["cron"].split()[1::-1] for each in DEPLOYMENTS if "schedules" in each
    }
    ordered = sorted(hours, key=lambda name: [int(part) for part in hours[name]])
    assert ordered == ["score", "watch", "retrain"]


@pytest.mark.parametrize(("deployment", "trigger"), triggers(), ids=lambda value: value["name"])
def test_a_trigger_has_only_keys_that_prefect_reads(deployment: dict[str, Any], trigger: dict[str, Any]) -> None:
    assert set(trigger) <= names(type(DeploymentTriggerAdapter.validate_python(trigger)))


def test_retrain_waits_for_the_wish_of_the_watch_and_for_no_diagnosis() -> None:
    ((deployment, trigger),) = triggers()
    assert flow_of(deployment).name == "retrain"
    assert trigger["expect"] == ["perennial.retrain.wanted"]
    assert trigger["match"] == {
        "prefect.resource.id": f"perennial.project.{load(deployment['parameters']['project']).name}"
    }
