"""Work pools: the base job templates that we ship, and job variables that their templates know."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from prefect.utilities.schema_tools import validate

from configs.deploy import Deploy, Pool, PoolType
from tasks.deploying.pieces import Piece

TEMPLATES = Path(__file__).parents[2] / "configs" / "pools"
OURS = "Kept by python -m flows.deploy"  # how the description of a pool begins whose template is ours to change
ONE_GPU: dict[PoolType, dict[str, Any]] = {
    "process": {},  # a worker hands on its own CUDA_VISIBLE_DEVICES
    "docker": {"device_requests": [{"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]]}]},
    "kubernetes": {"gpus": 1},
}


# The run of a container that is told to end, by `docker stop` or with its machine, begins again, as on Kubernetes.
AGAIN = {"docker": {"PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "reschedule"}}


def template(pool_type: PoolType) -> dict[str, Any]:
    """The base job template that a new pool of this type gets."""
    read: dict[str, Any] = json.loads((TEMPLATES / f"{pool_type}.json").read_text())
    return read


def pool_values(pool_type: PoolType) -> dict[str, Any]:
    """What a pool of this type is made with."""
    return {
        "type": pool_type,
        "description": f"{OURS}: {pool_type} runs of Perennial. Another text here keeps another template.",
        "base_job_template": template(pool_type),
    }


def pool_pieces(deploy: Deploy) -> list[Piece]:
    """The pools and queues that a project's runs go to, each once."""
    pieces = {}
    for pool in (deploy.cpu, deploy.gpu):
        values = pool_values(pool.type) | _if_given(concurrency_limit=pool.limit)
        pieces[pool.pool] = Piece("work pool", pool.pool, values)
    for pool in (deploy.cpu, deploy.gpu):
        if pool.queue != "default" or pool.priority:
            name = f"{pool.pool}/{pool.queue}"
            pieces[name] = Piece("work queue", name, _if_given(priority=pool.priority))
    return list(pieces.values())


def job_variables(deploy: Deploy, pool: Pool) -> dict[str, Any]:
    """What a deployment asks of its pool: quiet workers, heartbeats that are missed soon, on a GPU pool one GPU.

    The environment is merged by name; whatever else the YAML says takes the place of ours.
    """
    ours: dict[str, Any] = {
        "stream_output": False,  # else a run whose worker is killed dies of a broken pipe when it prints
        "env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(deploy.heartbeat_seconds)} | AGAIN.get(pool.type, {}),
    }
    given = pool.job_variables
    env = given.get("env", {})
    gpus = ONE_GPU[pool.type] if pool == deploy.gpu else {}
    return ours | gpus | given | ({"env": ours["env"] | env} if isinstance(env, dict) else {})


def check_job_variables(block: str, pool: Pool, variables: dict[str, Any], base: dict[str, Any]) -> None:
    """Refuse what a pool's template would drop without a word, or what is of another type than it says.

    Args:
        block: of the YAML, to be named in a message: `deploy.gpu`.
        base: the base job template of the pool, on the server or to be made.

    Raises:
        ValueError: with the variable and those that there are.
    """
    schema = base.get("variables", {})
    known = schema.get("properties", {})
    for name in variables:
        if name.split(".")[0] not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}? It" if near else "it"
            raise ValueError(
                f"{block}.job_variables: {name!r} is not known to the work pool {pool.pool!r}; {hint} has "
                f"{', '.join(sorted(known))}"
            )
    plain = {name: value for name, value in variables.items() if "." not in name}
    for problem in validate(plain, schema, preprocess=False, ignore_required=True):
        place = ".".join(map(str, problem.absolute_path))
        raise ValueError(f"{block}.job_variables.{place}: {problem.message} in the work pool {pool.pool!r}")


def _if_given(**values: Any) -> dict[str, Any]:
    """Only what the YAML says: the rest is left as the server has it."""
    return {name: value for name, value in values.items() if value is not None}
