"""A small project whose rows change slowly, so that a retrain takes a second and is now and then worth a promotion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

NAME = "churn"
START = datetime(2025, 1, 1, tzinfo=UTC)
FIRST = START + timedelta(days=45)  # the first champion is trained on what lies before
ROWS_A_DAY = 150
TURN = 0.03  # radians a day by which the reason for the label turns
YAML = """\
name: {name}
data:
  source: {{class_path: models.data.source.Parquet, init_args: {{path: rows}}}}
  label: churned
  label_delay_days: 1
  numbers: [age, usage]
  categories: [plan]
schedule: {{start: {start:%Y-%m-%d}, first_champion: {first:%Y-%m-%d}}}
training: {{batch_size: 128, learning_rate: 0.003, epochs: 10}}
gate: {{min_gain: 0.005, max_uses: 1000, plausible_gain: null}}
"""


def write(folder: Path, num_days: int, seed: int = 0) -> Path:
    """Write the project with rows of so many days into `folder`, and return the path of its YAML."""
    (folder / "rows").mkdir(parents=True)
    rows(num_days, seed).to_parquet(folder / "rows" / "all.parquet", index=False)
    return write_yaml(folder)


def write_yaml(folder: Path, name: str = NAME, start: datetime = START, more: str = "") -> Path:
    """Write a YAML of such a project into `folder`, with further blocks if there are any, and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(YAML.format(name=name, start=start, first=start + (FIRST - START)) + more)
    return path


def rows(num_days: int, seed: int = 0, start: datetime = START, change_day: int | None = None) -> pd.DataFrame:
    """Customers whose reason to leave turns from one of their numbers to the other and back.

    Args:
        num_days: how many.
        seed: of all that is drawn.
        start: of the first day.
        change_day: on which the reason becomes the other number at once, if it does not turn day by day.
    """
    random = np.random.default_rng(seed)
    number = num_days * ROWS_A_DAY
    day = np.sort(random.uniform(0, num_days, number))
    age, usage = random.normal(size=number), random.normal(size=number)
    plan = random.choice(["free", "basic", "pro"], number, p=[0.5, 0.3, 0.2])
    angle = TURN * day if change_day is None else np.where(day < change_day, 0.0, np.pi / 2)
    logit = 2.5 * (np.cos(angle) * age + np.sin(angle) * usage) - (plan == "pro")
    return pd.DataFrame(
        {
            "id": np.arange(number),
            "event_time": pd.Timestamp(start) + pd.to_timedelta(day, unit="D").floor("s"),
            "age": age,
            "usage": usage,
            "plan": plan,
            "churned": (random.uniform(size=number) < 1 / (1 + np.exp(-logit))).astype(int),
        }
    )
