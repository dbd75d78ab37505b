"""The README's commands, run as a stranger would, in the README's order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import own_project

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
BLOCK = re.compile(r"^```bash(?P<kind>[^\n]*)\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(match["kind"].strip(), match["commands"]) for match in BLOCK.finditer(README)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks, with the environment that runs these tests as its `.venv`."""
    folder = tmp_path_factory.mktemp("clone") / "perennial"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        (folder / ".venv" / part.name).symlink_to(part)
    for mark in ("installed", "installed-dev"):  # newer than the copied locks: there is nothing to install
        (folder / ".venv" / mark).unlink(missing_ok=True)
        (folder / ".venv" / mark).touch()
    return folder


def run(commands: str, folder: Path, **environment: str) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WANDB_"))}
    variables |= {"WANDB_MODE": "offline", "COLUMNS": "80", **environment}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def blocks(kind: str) -> list[str]:
    return [commands for found, commands in BLOCKS if found == kind]


def test_the_first_command_stands_within_twenty_lines_and_the_first_screen_within_a_hundred() -> None:
    lines = README.splitlines()
    assert lines.index("make demo") < 20
    assert lines.index("## Why you might not want this") < 100


def test_every_command_is_of_a_kind_that_is_run() -> None:
    assert {kind for kind, _ in BLOCKS} == {"", "own", "deploy", "test"}
    assert all((REPOSITORY / path).exists() for path in re.findall(r"\]\(([^)]+)\)", README))


def test_the_test_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert {line.removeprefix("make ") for line in blocks("test")[0].split("\n") if line} <= set(targets)


def test_the_deployment_commands_are_those_of_prefect_yaml_which_are_run_against_a_server() -> None:
    head = (REPOSITORY / "prefect.yaml").read_text().split("name: perennial")[0]
    assert all(line in head for line in blocks("deploy")[0].splitlines())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_shows_a_promotion_and_a_refusal_and_the_commands_after_it_work(clone: Path) -> None:
    demo, day, arms, employment = blocks("")
    output = run(demo, clone)
    assert re.search(r"^log|promoted", output), output
    assert "below that of the first" in " ".join(output.split())
    kinds = [json.loads(path.read_text())["kind"] for path in clone.glob(".perennial/registry/flights/log/*.json")]
    assert kinds.count("promoted") >= 2
    assert {"rejected", "inconclusive", "declined"} & set(kinds)
    assert {path.name for path in clone.iterdir()} - {".venv"} == {
        name.split("/")[0] for name in [".perennial", *_tracked(clone)]
    }, "the demo wrote outside .perennial"
    after = run(day, clone, PREFECT_HOME=str(clone / ".perennial" / "prefect"))
    assert "python -m flows.score" in after
    assert "rolled_back" in after or "rolled back" in after
    tried = run(f"source .venv/bin/activate\n{arms}", clone, PREFECT_HOME=str(clone / ".perennial" / "prefect"))
    assert "a validation row" in tried or "declined" in tried, tried
    run(f"source .venv/bin/activate\n{employment}", clone, PREFECT_HOME=str(clone / ".perennial" / "prefect"))


def _tracked(clone: Path) -> list[str]:
    names = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return names.split()


@pytest.mark.slow
def test_the_users_own_project_of_the_readme_runs_from_its_own_folder(clone: Path, tmp_path: Path) -> None:
    own_project.write(tmp_path / "own")
    for name, text in _added_files().items():
        (tmp_path / "own" / name).write_text(text)
    output = run(
        f"source {clone}/.venv/bin/activate\n{blocks('own')[0]}",
        tmp_path / "own",
        PERENNIAL=str(clone),
        PREFECT_HOME=str(tmp_path / "prefect"),
    )
    assert "champions' log loss" in output


def _added_files() -> dict[str, str]:
    diff = re.search(r"^```diff\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert diff
    files: dict[str, str] = {}
    for line in diff[1].splitlines():
        if line.startswith("+++ "):
            files[name := line[4:]] = ""
        else:
            files[name] += line[1:] + "\n"
    return files
