"""docs/networks.md: its files are written, its commands run, and its YAML is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from configs.schema import load
from tests import own_project
from tests.flows.commands import REPOSITORY, Shell

PAGE = (REPOSITORY / "docs" / "networks.md").read_text()
BLOCKS = re.findall(r"^```(\w+) ?([^\n]*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_is_a_command_or_a_file() -> None:
    assert {kind for kind, _, _ in BLOCKS} == {"bash", "python", "yaml"}
    assert all(bool(name) == (kind != "bash") for kind, name, _ in BLOCKS)


@pytest.mark.slow
def test_the_commands_of_the_page_work_beside_its_files(shell: Shell, tmp_path: Path) -> None:
    own_project.write(tmp_path / "own")
    for kind, name, content in BLOCKS:
        if kind == "python":
            (tmp_path / "own" / name).write_text(content)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for kind, _, commands in BLOCKS:
        if kind == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", commands],
                cwd=tmp_path / "own",
                env=shell.environment(tmp_path / "own", {"PATH": path}),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            if "check_network" in commands:
                assert done.stdout + done.stderr == ""
    (version,) = (tmp_path / "own" / ".perennial/registry/churn/versions").iterdir()
    assert "own_module.Careful" in (version / "network.json").read_text()


@pytest.mark.parametrize(("name", "content"), [(name, content) for kind, name, content in BLOCKS if kind == "yaml"])
def test_every_yaml_of_the_page_is_a_project(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert load(tmp_path / name).name == name.removesuffix(".yaml")
