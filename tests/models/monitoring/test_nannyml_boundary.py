"""The door to NannyML leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from models.monitoring.nannyml_boundary import nannyml
assert nannyml() is nannyml()
assert "flaml" not in sys.modules, sys.modules["flaml"]
loaded = {name.split(".")[0] for name in sys.modules}
print(sorted(loaded & {"xgboost", "pytorch_lightning", "flaml", "wandb", "prefect"}), "SECRET" in os.environ)
"""


@pytest.mark.slow
def test_importing_it_leaves_no_stand_in_and_loads_no_trainer_and_no_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=1\n")
    root = Path(__file__).parents[3]
    environment = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] False"


def test_nothing_is_imported_before_it_is_needed() -> None:
    code = "import sys, models.monitoring.drift, models.monitoring.estimation; print('nannyml' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
