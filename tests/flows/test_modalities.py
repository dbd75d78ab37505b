"""Projects of texts and of images through the flows, from the first champion to a look and a second retrain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import modalities
from tests.flows.commands import Shell

pytestmark = pytest.mark.slow
NUM_DAYS, ROWS_A_DAY = 70, 30

YAML = """\
name: own
data:
  source: {{class_path: models.data.source.Parquet, init_args: {{path: rows}}}}
  label: label
  label_delay_days: 1
  {features}
schedule: {{start: 2025-01-01, first_champion: 2025-02-15, step_days: 7, baseline_days: 7}}
training:
  network: {{class_path: {network}, init_args: {{backbone: backbone}}}}
  epochs: 6
  batch_size: 16
  learning_rate: 0.003
gate: {{min_gain: 0.001}}
"""


def dated(rows: pd.DataFrame) -> pd.DataFrame:
    """With ids, and event times spread evenly over the days."""
    times = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(
        np.linspace(0, NUM_DAYS, len(rows), endpoint=False), unit="D"
    )
    return rows.assign(id=np.arange(len(rows)), event_time=times.floor("s"))


def write(folder: Path, rows: pd.DataFrame, features: str, network: str) -> None:
    (folder / "rows").mkdir(parents=True)
    dated(rows).to_parquet(folder / "rows" / "all.parquet", index=False)
    (folder / "own.yaml").write_text(YAML.format(features=features, network=network))


def texts(folder: Path) -> None:
    rows = modalities.reviews(NUM_DAYS * ROWS_A_DAY)
    write(folder, rows, "texts: [title, body]\n  max_tokens: 32", "models.networks.text.TextClassifier")
    modalities.text_backbone(folder / "backbone")


def images(folder: Path) -> None:
    rows = modalities.photos(NUM_DAYS * ROWS_A_DAY)
    (folder / "photos").mkdir(parents=True)
    for place, content in enumerate(rows["photo"]):
        (folder / "photos" / f"{place}.png").write_bytes(content)
    rows = rows.assign(photo=[f"{place}.png" for place in range(len(rows))], label=(rows["label"] == "red").astype(int))
    write(folder, rows, "images: [photo]\n  image_folder: photos", "models.networks.image.ImageClassifier")
    modalities.image_backbone(folder / "backbone")


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(".perennial/registry/own/log/*.json"))]


@pytest.mark.parametrize("project", [texts, images])
def test_a_project_is_trained_scored_watched_and_trained_again(shell: Shell, tmp_path: Path, project: Any) -> None:
    project(tmp_path)
    offline = {"HF_HUB_OFFLINE": "1"}

    def run(flow: str, as_of: str) -> str:
        done = shell.run(tmp_path, flow, "own.yaml", "--as-of", as_of, extra=offline)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("retrain", "2025-02-15")
    kinds = [entry["kind"] for entry in entries(tmp_path)]
    assert kinds[-1] == "promoted", entries(tmp_path)[-1]["reason"]
    (tmp_path / "backbone").rename(tmp_path / "moved")  # a version holds all that scoring needs
    run("score", "2025-02-22")
    run("score", "2025-03-01")
    scored = pd.concat(map(pd.read_parquet, sorted(tmp_path.glob(".perennial/predictions/own/*.parquet"))))
    rows = pd.read_parquet(tmp_path / "rows" / "all.parquet").merge(scored[["id", "score"]], on="id")
    assert ((rows["score"] > 0.5) == rows["label"]).mean() > 0.9
    print(run("watch", "2025-03-01"))
    (tmp_path / "moved").rename(tmp_path / "backbone")
    run("retrain", "2025-03-08")
    last = [entry for entry in entries(tmp_path) if entry["kind"] == "registered"][-1]
    assert last["evidence"]["recipe"] != "scratch"
