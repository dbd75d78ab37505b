"""The arrow of imports: flows -> tasks -> models -> configs, and who may know which library."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("configs", "models", "tasks", "flows")  # from the bottom to the top
FILES = sorted(path for layer in (*LAYERS, "benchmarks") for path in (ROOT / layer).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, anywhere in it, in full."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(part for part in (base, node.module) if part)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("layer", LAYERS[:2])
def test_there_is_something_to_check(layer: str) -> None:
    assert any(layer_of(path) == layer and path.stat().st_size for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_upwards(path: Path) -> None:
    layer = layer_of(path)
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) if layer in LAYERS else set()
    assert not packages(path) & (above | {"tests", "benchmarks"} - {layer})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_prefect_is_known_from_tasks_upwards_and_wandb_in_one_file(path: Path) -> None:
    if layer_of(path) in ("configs", "models"):
        assert "prefect" not in packages(path)
    if path != ROOT / "tasks" / "track.py":
        assert not packages(path) & {"wandb", "weave"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lightning_has_one_name_and_pickle_none(path: Path) -> None:
    assert not packages(path) & {"pytorch_lightning", "lightning_fabric", "pickle", "cloudpickle", "joblib"}


def test_nannyml_has_one_door() -> None:
    knowing = {path.relative_to(ROOT).as_posix() for path in FILES if "nannyml" in packages(path)}
    assert knowing <= {"models/monitoring/nannyml_boundary.py"}


def test_models_take_plain_arguments_and_no_config_objects() -> None:
    knowing = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "models").rglob("*.py") if "configs" in packages(path)
    }
    assert not knowing


def printed_by(code: str, cwd: Path) -> list[str]:
    """The words that a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def loaded_by(module: str, cwd: Path) -> set[str]:
    """The packages that a module imports, directly or not, and the first level of what lies in them."""
    names = "{'.'.join(name.split('.')[:depth]) for name in sys.modules for depth in (1, 2)}"
    return set(printed_by(f"import sys, {module}; print(*sorted({names}))", cwd))


def test_the_training_benchmark_needs_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    loaded = loaded_by("benchmarks.training.rates, benchmarks.training.__main__", tmp_path)
    assert "lightning" in loaded
    assert not loaded & {"prefect", "wandb", "nannyml", "pydantic", "tasks", "flows", "configs"}


@pytest.mark.parametrize("flow", ["score", "watch", "label", "rollback", "retrain", "approve"])
def test_a_flow_loads_no_trainer_and_no_trees_before_it_needs_them(flow: str, tmp_path: Path) -> None:
    trainer = {"lightning", "torchmetrics", "transformers", "sympy"}
    trees = {"lightgbm", "sklearn", "rtdl_num_embeddings"}
    rest = {"wandb", "nannyml", "optuna", "sqlalchemy", "scipy.stats", "scipy.optimize"}  # the server has sqlalchemy
    assert not loaded_by(f"flows.{flow}", tmp_path) & (trainer | trees | rest)


def test_importing_everything_below_the_tasks_loads_no_orchestrator_and_writes_nothing(tmp_path: Path) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
        if layer_of(path) in ("configs", "models") and path.name != "__main__.py"
    ]
    assert not loaded_by(", ".join(modules), tmp_path) & {"prefect", "wandb", "nannyml", "tasks", "flows"}
    assert not list(tmp_path.rglob("*"))


def test_at_the_end_of_a_process_nobody_looks_for_garbage_in_what_was_imported(tmp_path: Path) -> None:
    last = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count(), len(gc.get_objects())))"
    exempt, searched = map(int, printed_by(f"{last}; import flows.status", tmp_path))
    assert exempt > 100 * searched
