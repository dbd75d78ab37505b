"""The benchmark of a replayed year, on the small project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import own_project
from tests.flows.commands import TIMEOUT_SECONDS, Shell

pytestmark = pytest.mark.slow


def test_a_replay_of_one_seed_ends_with_one_line_of_json(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    own_project.write(folder)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay", "--config", "churn.yaml", "--seeds", "1"],
        cwd=folder,
        env=shell.environment(folder),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    (run,) = result["runs"]
    assert run["promoted"] >= 1
    assert result["improvement_mean"] == run["improvement"] == 1 - run["log_loss"] / run["never_retrained"]
    assert not (folder / ".perennial").exists(), "it writes to a temporary folder alone"
