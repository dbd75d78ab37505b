"""docs/deploy.md: its commands print what it says, and what cannot be run here is read by the tools that it is for."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.cli._app import _app as prefect_command_line

from configs.deploy import Deploy, Pool
from configs.schema import load
from flows.command import _parser
from flows.worker import worker
from tasks.deploying.pools import check_job_variables, job_variables, template
from tests.flows.commands import REPOSITORY, Shell, nothing_left

PAGE = (REPOSITORY / "docs" / "deploy.md").read_text()
SHIPPED = REPOSITORY / "docs" / "deploy"
BLOCK = re.compile(r"^```(?P<kind>[^\n]+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(match["kind"], match["text"]) for match in BLOCK.finditer(PAGE)]
COUNTS = re.compile(r"flights: \d+ added(, \d+ unchanged)?")


def told(output: str) -> list[str]:
    """Lines of a plan without the pools, which other projects of the server may have made before."""
    return [COUNTS.sub("flights: added", line.rstrip()) for line in output.splitlines() if "work pool" not in line]


def text_after(index: int) -> str:
    """What the page says that the commands of a block print."""
    kind, text = BLOCKS[index + 1]
    assert kind == "text"
    return text


def check_prefect_command(words: list[str]) -> None:
    """Have Prefect's own command line read a command, and run nothing."""
    prefect_command_line.parse_args(words, exit_on_error=False, print_error=False)


def check_worker_command(words: list[str]) -> str:
    """Have our worker's own command line read a command; the pool that it works on."""
    assert words[:2] == ["-m", "flows.worker"]
    pool: str = _parser(worker).parse_args(words[2:]).pool
    return pool


def test_every_block_is_of_a_kind_that_is_checked_and_every_link_leads_somewhere() -> None:
    assert {kind for kind, _ in BLOCKS} == {
        *(f"bash {kind}" for kind in ("run", "serve", "systemd", "compose", "cluster", "postgres")),
        "text",
        "python",
        "yaml",
    }
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert all((REPOSITORY / "docs" / link).exists() for link in links if not link.startswith("#"))
    headings = {re.sub(r"\W+", "-", each.lower()) for each in re.findall(r"^## (.*)", PAGE, re.MULTILINE)}
    assert {link[1:] for link in links if link.startswith("#")} <= headings


def test_the_table_of_the_yaml_names_every_key_and_no_other() -> None:
    (table,) = re.findall(r"^\| key of `deploy`.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([^`]+)`", "".join(line.split("|")[1] for line in table.strip().splitlines())))
    assert named - {"deploy"} == {*Deploy.model_fields, *(f"….{name}" for name in Pool.model_fields)}


def yaml_of(word: str) -> str:
    """The one block of YAML on the page in which a word stands."""
    [found] = (text for kind, text in BLOCKS if kind == "yaml" and word in text)
    return found


def test_the_containers_of_the_page_are_such_as_a_docker_pool_makes_and_reach_the_server_of_compose() -> None:
    deploy = Deploy.model_validate(yaml.safe_load(yaml_of("type: docker"))["deploy"])
    for pool in (deploy.cpu, deploy.gpu):
        assert pool.type == "docker"
        check_job_variables("deploy", pool, job_variables(deploy, pool), template("docker"))
    compose = yaml.safe_load((SHIPPED / "compose.yaml").read_text())
    variables = job_variables(deploy, deploy.gpu)
    assert variables["networks"] == [f"{compose['name']}_default"]
    assert variables["env"]["PREFECT_API_URL"] == compose["x-perennial"]["environment"]["PREFECT_API_URL"]
    volume, _, place = variables["volumes"][0].partition(":")
    assert volume.removeprefix(f"{compose['name']}_") in compose["volumes"] and place == "/app/.perennial"
    assert variables["image"] == compose["x-perennial"]["image"]


def test_the_yaml_of_the_page_is_a_block_that_its_pools_know() -> None:
    text = yaml_of("kubernetes")
    deploy = Deploy.model_validate(yaml.safe_load(text)["deploy"])
    for pool in (deploy.cpu, deploy.gpu):
        assert pool.type == "kubernetes"
        check_job_variables("deploy", pool, job_variables(deploy, pool), template("kubernetes"))
    claims = {each["metadata"]["name"] for each in objects() if each["kind"] == "PersistentVolumeClaim"}
    (claim,) = (each for each in deploy.gpu.job_variables["volumes"] if "persistentVolumeClaim" in each)
    assert claim["persistentVolumeClaim"]["claimName"] in claims


def test_a_command_of_its_own_is_one_that_a_process_pool_knows() -> None:
    text = yaml_of("prefect.engine")
    deploy = Deploy.model_validate(yaml.safe_load(text)["deploy"])
    variables = job_variables(deploy, deploy.cpu)
    check_job_variables("deploy", deploy.cpu, variables, template("process"))
    assert variables["command"] == "python -m prefect.engine"
    assert variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"], "what is said by default stays"


@pytest.mark.slow
def test_the_commands_print_what_the_page_says(
    here: Callable[..., subprocess.CompletedProcess[str]],
    prefect_here: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    checked = 0
    with nothing_left(prefect_here):
        for index, (kind, commands) in enumerate(BLOCKS):
            if kind == "bash run":
                printed = ""
                for command in commands.splitlines():
                    words = shlex.split(command)
                    assert words[:3] == ["python", "-m", "flows.deploy"]
                    done = here("deploy", *words[3:])
                    assert done.returncode == 0, done.stderr
                    printed += done.stdout
                missing = [line for line in told(text_after(index)) if line not in told(printed)]
                assert not missing, printed
                checked += 1
    assert checked == 4


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.service")), ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is_and_systemd_reads_it(path: Path, tmp_path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    program, *words = shlex.split(unit["Service"]["ExecStart"].replace("%i", "gpu-pool"))
    if program == "/opt/perennial/.venv/bin/prefect":
        check_prefect_command(words)
    else:
        assert program == "/opt/perennial/.venv/bin/python"
        check_worker_command(words)
    if analyze := shutil.which("systemd-analyze"):
        text = path.read_text().replace(program, sys.executable)  # it wants to see the program
        (tmp_path / path.name).write_text(text)
        read = subprocess.run([analyze, "verify", tmp_path / path.name], capture_output=True, text=True)
        assert path.name not in read.stderr, read.stderr


def test_compose_starts_commands_that_exist_in_an_order_that_exists() -> None:
    services: dict[str, Any] = yaml.safe_load((SHIPPED / "compose.yaml").read_text())["services"]
    pools = {pool.pool for pool in (load(REPOSITORY / "configs/flights.yaml").deploy.cpu, Deploy().gpu)}
    polled = set()
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        if (command := service.get("command", [""]))[0] == "prefect":
            check_prefect_command(command[1:])
        elif command[:3] == ["python", "-m", "flows.worker"]:
            polled.add(check_worker_command(command[1:]))
        elif command[0] == "python":
            assert command[:3] == ["python", "-m", "flows.deploy"] and (REPOSITORY / command[3]).exists()
    assert polled == pools


def objects() -> list[dict[str, Any]]:
    """What the page applies to a cluster."""
    return list(yaml.safe_load_all((SHIPPED / "kubernetes.yaml").read_text()))


def test_the_objects_of_a_cluster_are_complete_and_their_worker_is_one_that_prefect_knows() -> None:
    assert all(each["apiVersion"] and each["metadata"]["name"] for each in objects())
    namespaces = {each["metadata"]["namespace"] for each in objects() if each["kind"] != "Namespace"}
    assert namespaces == {each["metadata"]["name"] for each in objects() if each["kind"] == "Namespace"}
    (worker,) = (each for each in objects() if each["kind"] == "Deployment")
    pod = worker["spec"]["template"]["spec"]
    accounts = {each["metadata"]["name"] for each in objects() if each["kind"] == "ServiceAccount"}
    assert pod["serviceAccountName"] in accounts
    check_prefect_command(pod["containers"][0]["command"][1:])
    (role,) = (each for each in objects() if each["kind"] == "Role")
    verbs = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert verbs["jobs"] >= {"create", "delete", "watch"} and "get" in verbs["pods/log"]
