"""A project as a user brings it: a Parquet folder, ten lines of YAML, and a network of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

YAML = """\
name: churn
data:
  source: {class_path: models.data.source.Parquet, init_args: {path: rows}}
  label: churned
  label_delay_days: 1
  numbers: [age, usage]
  categories: [plan]
schedule: {start: 2025-01-01, first_champion: 2025-02-15, step_days: 14, baseline_days: 28}
training: {batch_size: 128, learning_rate: 0.003, network: {class_path: own_network.Linear, init_args: {hidden: 16}}}
gate: {min_gain: 0.02}
"""

NETWORK = '''\
"""A network of the user's own: a plain nn.Module, told about its inputs."""

import torch
from torch import nn


class Linear(nn.Module):
    def __init__(self, inputs, hidden: int = 8):
        super().__init__()
        self.plans = nn.Embedding(inputs.cardinalities[0], 4)
        self.layers = nn.Sequential(nn.Linear(inputs.num_numbers + 4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, numbers, categories):
        return self.layers(torch.cat([numbers, self.plans(categories[:, 0])], dim=1)).squeeze(1)
'''

NUM_DAYS, ROWS_A_DAY, CHANGE_DAY = 130, 150, 60


def customers(seed: int = 0, num_days: int = NUM_DAYS, rows_a_day: int = ROWS_A_DAY) -> pd.DataFrame:
    """Customers of `num_days`, whose reason to leave changes at day 60: from being young to using little."""
    random = np.random.default_rng(seed)
    num_rows = num_days * rows_a_day
    day = np.sort(random.uniform(0, num_days, num_rows))
    age, usage = random.normal(45, 12, num_rows), random.gamma(2, 10, num_rows)
    plan = random.choice(["free", "basic", "pro"], num_rows, p=[0.5, 0.3, 0.2])
    before, after = (40 - age) / 8, (15 - usage) / 6
    logit = np.where(day < CHANGE_DAY, before, after) + np.where(plan == "pro", -1.0, 0.0)
    return pd.DataFrame(
        {
            "id": np.arange(num_rows),
            "event_time": pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(day, unit="D").floor("s"),
            "age": age,
            "usage": usage,
            "plan": plan,
            "churned": (random.uniform(size=num_rows) < 1 / (1 + np.exp(-logit))).astype(int),
        }
    )


def later_customers(num_days: int = 14) -> pd.DataFrame:
    """Customers of the days that follow, who leave for the same reason as the last ones."""
    rows = customers(seed=1, num_days=CHANGE_DAY + num_days)
    rows = rows[rows["event_time"] >= rows["event_time"].iloc[0].normalize() + pd.Timedelta(days=CHANGE_DAY)]
    return rows.assign(
        id=rows["id"] + 1_000_000, event_time=rows["event_time"] + pd.Timedelta(days=NUM_DAYS - CHANGE_DAY)
    )


def write(folder: Path, rows: pd.DataFrame | None = None) -> Path:
    """Write the project into `folder`, and return the path of its YAML."""
    (folder / "rows").mkdir(parents=True)
    rows = customers() if rows is None else rows
    for month, part in rows.groupby(rows["event_time"].dt.strftime("%Y-%m")):
        part.to_parquet(folder / "rows" / f"{month}.parquet", index=False)
    (folder / "own_network.py").write_text(NETWORK)
    (folder / "churn.yaml").write_text(YAML)
    return folder / "churn.yaml"
