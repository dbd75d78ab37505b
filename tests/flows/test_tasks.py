"""Projects whose label is one of several classes, or a number, through retrains and a scoring between them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.schema import load
from flows.retrain import retrain
from flows.score import score
from models.data.predictions import SCORE_FILED
from models.data.scores import SCORE, score_columns, scores_in
from models.registry.log import Entry
from models.reporting.pages import data_file, decision_file
from tasks.step import build_network
from tests import own_project
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = pytest.mark.slow
CHANGE = pd.Timestamp("2025-01-01", tz="UTC") + pd.Timedelta(days=own_project.CHANGE_DAY)
FIRST, LATER, LAST = day("2025-02-15"), day("2025-02-25"), day("2025-04-20")
CLASSES = ("less", "more", "same")
LABELS = {"multiclass": "choice", "regression": "spend"}
GATES = {
    "multiclass": "{min_gain: 0.01, hard_rows: {}, negative_flips: 0.5, slices: [{column: plan, margin: 0.3}]}",
    "regression": (
        "{primary: {metric: rmse}, min_gain: 0.1, anchor_margin: 20, plausible_gain: 50, "
        "robustness: {margin: 20}, slices: [{column: plan, margin: 20}]}\nwatch: {harm: 2.0}"  # euros
    ),
}
YAML = """\
name: churn
data:
  source: {{class_path: models.data.source.Parquet, init_args: {{path: rows}}}}
  label: {label}
  task: {task}
{unit}  label_delay_days: 1
  numbers: [age, usage]
  categories: [plan]
schedule: {{start: 2025-01-01, first_champion: 2025-02-15, step_days: 14, baseline_days: 28}}
training: {{batch_size: 128, learning_rate: 0.005, network: {{class_path: models.networks.mlp.MLP}}}}
gate: {gate}
"""
Enter = Callable[[Path], Own]


def rows_of(task: str) -> pd.DataFrame:
    """Customers who spend by their age, and from day 60 on by their usage."""
    rows = own_project.customers().drop(columns="churned")
    random = np.random.default_rng(5)
    why = np.where(rows["event_time"] < CHANGE, (40 - rows["age"]) / 8, (15 - rows["usage"]) / 6)
    spend = 50 + 10 * why + random.normal(0, 8, len(rows))
    if task == "regression":
        return rows.assign(spend=spend)
    return rows.assign(choice=np.select([spend < 42, spend > 58], ["less", "more"], "same"))


@pytest.fixture(params=LABELS)
def made(request: pytest.FixtureRequest, tmp_path: Path, enter: Enter) -> Own:
    """The project of a task, before anything was run."""
    task = request.param
    folder = tmp_path / task
    own_project.write(folder, rows_of(task))
    unit = "  unit: euros\n" if task == "regression" else ""
    (folder / "churn.yaml").write_text(YAML.format(label=LABELS[task], task=task, unit=unit, gate=GATES[task]))
    return enter(folder)


def page(own: Own, entry: Entry, name: Callable[[Entry], str] = decision_file) -> str:
    return (own.project.work / "reports/churn" / name(entry)).read_text()


def test_a_first_champion_scores_and_is_replaced_when_the_world_has_changed(made: Own, prefect_here: Shell) -> None:
    task, registry = made.project.data.task, made.registry
    first = retrain(made.project, as_of=FIRST)
    assert first.kind == "promoted", first.reason
    asked = [test["metric"] for test in first.evidence["judgement"]["tests"]]
    expected = {
        "multiclass": ["log loss (nats)", "accuracy"],
        "regression": ["correlation", "correlation", "RMSE (euros)"],
    }
    assert asked == expected[task]

    batch = score(made.project, as_of=LATER)
    assert batch is not None and batch.num_rows
    filed, logged = registry.predictions.read(batch), registry.inputs.read([batch])
    assert logged is not None
    for frame, name in ((filed, SCORE_FILED), (logged, SCORE)):
        scores, classes = scores_in(frame, name)
        assert classes == (CLASSES if task == "multiclass" else ())
        assert np.isfinite(scores).all()
        if task == "multiclass":
            np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    kept = pd.read_parquet(io.BytesIO(registry.versions.load(first.version, build_network).extras["reference.parquet"]))
    assert len(score_columns(kept)) == (3 if task == "multiclass" else 1)

    second = retrain(made.project, as_of=LAST)
    assert second.kind == "promoted", second.reason
    assert second.evidence["outlook"]["smallest_gain"] > 0
    told = page(made, second)
    assert "positives among them" not in told
    if task == "regression":
        assert "plan=pro" in told
        assert "euros" in told
        assert "log loss" not in told.lower() and "AUC" not in told.partition("The entry in the log")[0]
        assert json.loads(page(made, second, data_file))["gain"]["unit"] == "euros"
    else:
        assert "negative flips" in told
        assert second.evidence["hard_rows"], "rows that the champion was sure of and wrong about"


def test_a_champion_of_another_kind_of_label_is_told_before_anything_is_trained(made: Own, prefect_here: Shell) -> None:
    if made.project.data.task != "multiclass":
        pytest.skip("one kind is enough")
    assert retrain(made.project, as_of=FIRST).kind == "promoted"
    for path in (made.folder / "rows").iterdir():
        rows = pd.read_parquet(path)
        rows.assign(choice=(rows["choice"] == "less").astype(int)).to_parquet(path, index=False)
    (made.folder / "churn.yaml").write_text(
        (made.folder / "churn.yaml").read_text().replace("multiclass", "binary").replace(GATES["multiclass"], "{}")
    )
    with pytest.raises(ValueError, match=r"was trained for a multiclass label, and data\.task=binary"):
        retrain(load(made.folder / "churn.yaml"), as_of=LAST)
