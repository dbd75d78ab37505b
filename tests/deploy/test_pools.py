"""Base job templates without an engine: rendered as a worker renders them, and held against what workers read."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import find_placeholders
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration

from configs.deploy import Deploy, Pool, PoolType
from configs.schema import load
from tasks.deploying.pools import TEMPLATES, check_job_variables, job_variables, template
from tasks.deploying.worker import PYTHON, WARM, Runs
from tests.flows.commands import REPOSITORY

TYPES: tuple[PoolType, ...] = get_args(PoolType)
SHIPPED = {"process": "prefect", "docker": "prefect-docker", "kubernetes": "prefect-kubernetes"}
OF_DOCKER_PY = {"container_create_kwargs"}  # read by prefect-docker's worker, and left out of the template it ships

each_type = pytest.mark.parametrize("pool_type", TYPES)


class Rendered(BaseJobConfiguration, extra="allow"):
    """A configuration of any worker: everything that its template says, as it says it."""


def shipped(pool_type: PoolType) -> dict[str, Any]:
    """The base job template that Prefect's server itself offers for this type of pool."""
    views = importlib.resources.files("prefect.server.api.collections_data.views")
    metadata = json.loads((views / "aggregate-worker-metadata.json").read_text())
    found: dict[str, Any] = metadata[SHIPPED[pool_type]][pool_type]["default_base_job_configuration"]
    return found


def rendered(pool_type: PoolType, **variables: Any) -> dict[str, Any]:
    """What a worker makes of the template and the job variables of a deployment."""
    return configured(Rendered, pool_type, variables).model_dump()


def configured(kind: type[Any], pool_type: PoolType, variables: dict[str, Any]) -> Any:
    """A worker's configuration. No template names a block or a variable of the server: its client is never asked."""
    nobody = PrefectClient("http://127.0.0.1:9/api")
    return asyncio.run(kind.from_template_and_values(template(pool_type), variables, client=nobody))


def gpu_pool(pool_type: PoolType, **given: Any) -> tuple[Deploy, Pool]:
    deploy = Deploy.model_validate({"gpu": {"type": pool_type, "job_variables": given}})
    return deploy, deploy.gpu


def test_there_is_a_template_for_each_type_and_no_other_file() -> None:
    assert {path.stem for path in TEMPLATES.iterdir()} == set(TYPES)


@each_type
def test_every_placeholder_is_a_variable_and_every_variable_is_used(pool_type: PoolType) -> None:
    base = template(pool_type)
    placeholders = {each.name for each in find_placeholders(base["job_configuration"])}
    assert placeholders == set(base["variables"]["properties"])


@each_type
def test_a_worker_reads_every_key_and_misses_no_variable_that_it_had(pool_type: PoolType) -> None:
    ours, theirs = template(pool_type), shipped(pool_type)
    assert set(ours["job_configuration"]) - OF_DOCKER_PY == set(theirs["job_configuration"])
    assert set(theirs["variables"]["properties"]) <= set(ours["variables"]["properties"])


@each_type
def test_defaults_are_of_the_type_that_the_template_says_and_workers_are_quiet(pool_type: PoolType) -> None:
    schema = template(pool_type)["variables"]
    defaults = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}
    assert validate(defaults, schema, preprocess=False) == []
    assert defaults["stream_output"] is False
    assert all(each["description"] for each in schema["properties"].values())


@each_type
def test_the_job_variables_of_every_shipped_project_are_known_to_every_pool(pool_type: PoolType) -> None:
    for path in sorted((REPOSITORY / "configs").glob("*.yaml")):
        deploy = load(path).deploy
        for pool in (deploy.cpu, deploy.gpu):
            moved = pool.model_copy(update={"type": pool_type})
            check_job_variables("deploy.gpu", moved, job_variables(deploy, moved), template(pool_type))


def test_a_process_run_beats_often_and_its_worker_prints_nothing_of_it() -> None:
    deploy, pool = gpu_pool("process", env={"CUDA_VISIBLE_DEVICES": "1"})
    variables = job_variables(deploy, pool)
    assert variables["env"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "CUDA_VISIBLE_DEVICES": "1"}
    configuration = configured(ProcessJobConfiguration, "process", variables)
    assert configuration.stream_output is False
    assert configuration.env == variables["env"]
    assert configuration.working_dir is None


@pytest.mark.parametrize(
    ("given", "command"),
    [(None, WARM), ("python -m prefect.engine", f"{PYTHON} -m prefect.engine"), ("/bin/python x", "/bin/python x")],
)
def test_a_run_of_our_worker_begins_warm_unless_it_has_a_command(given: str | None, command: str) -> None:
    configuration = configured(Runs, "process", {"command": given} if given else {})
    configuration.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="retrain-flights"))
    assert configuration.command == command
    python, *words = shlex.split(WARM)
    assert Path(python).samefile(sys.executable) and words == ["-m", "tasks.warm", "prefect.engine"]
    assert configuration._command_configured, "and not in an interpreter that looks for one"


def test_a_docker_run_gets_shared_memory_and_a_gpu_on_the_gpu_pool_alone() -> None:
    deploy, pool = gpu_pool("docker")
    kwargs = rendered("docker", **job_variables(deploy, pool))["container_create_kwargs"]
    assert kwargs == {
        "shm_size": "2g",
        "device_requests": [{"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]]}],
    }
    cpu = deploy.cpu.model_copy(update={"type": "docker"})
    assert rendered("docker", **job_variables(deploy, cpu))["container_create_kwargs"]["device_requests"] == []


def manifest(**variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = rendered("kubernetes", **variables)["job_manifest"]
    return found


def test_a_kubernetes_run_asks_for_one_gpu_and_has_shared_memory() -> None:
    deploy, pool = gpu_pool("kubernetes", node_selector={"gpu": "l4"}, runtime_class="nvidia", memory_request="8Gi")
    job = manifest(**job_variables(deploy, pool))
    assert (job["apiVersion"], job["kind"], job["spec"]["backoffLimit"]) == ("batch/v1", "Job", 0)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}, "requests": {"memory": "8Gi"}}
    assert pod["nodeSelector"] == {"gpu": "l4"}
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 120
    (mount,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    assert mount == {"name": volume["name"], "mountPath": "/dev/shm"}
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert "priorityClassName" not in pod and "envFrom" not in container


def test_a_kubernetes_run_that_asks_for_nothing_names_no_gpu_and_leaves_no_placeholder() -> None:
    deploy = Deploy.model_validate({"cpu": {"type": "kubernetes"}})
    job = manifest(**job_variables(deploy, deploy.cpu))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {}, "requests": {}}
    assert "{{" not in json.dumps(job)


def test_an_image_is_needed_by_engines_and_is_the_one_that_the_dockerfile_builds() -> None:
    built = re.findall(r"docker build -t (\S+)", (REPOSITORY / "Dockerfile").read_text())
    for pool_type in ("docker", "kubernetes"):
        assert template(pool_type)["variables"]["properties"]["image"]["default"] == built[0]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "gpuz",
            1,
            "deploy.gpu.job_variables: 'gpuz' is not known to the work pool 'gpu-pool'; did you mean 'gpus'? It",
        ),
        ("gpus", 0, "deploy.gpu.job_variables.gpus: 0 is less than the minimum of 1"),
        ("tolerations", {}, "deploy.gpu.job_variables.tolerations: {} is not of type 'array'"),
        ("env", {"A": 1}, "deploy.gpu.job_variables.env.A: 1 is not of type 'string'"),
    ],
)
def test_a_job_variable_that_prefect_would_drop_or_choke_on_is_refused(name: str, value: Any, expected: str) -> None:
    deploy, pool = gpu_pool("kubernetes", **{name: value})
    with pytest.raises(ValueError, match=re.escape(expected)):
        check_job_variables("deploy.gpu", pool, job_variables(deploy, pool), template("kubernetes"))
