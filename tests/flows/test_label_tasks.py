"""Labels of several classes and of numbers: asked for, filled in by a person, taken in, and there in the rows."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from configs.schema import Project, load
from models.data.scores import put_scores
from models.features.encoder import Encoder
from models.features.target import Target
from models.model import Model
from models.networks.mlp import MLP
from models.registry.versions import VersionId
from models.training.settings import seeded
from tasks.ask import ask_for_labels, take_labels
from tasks.fetch import fetch, given_labels_of
from tasks.predict import predict
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Logger .* without a flow run id")]
Here = Callable[..., CompletedProcess[str]]
FIRST, AS_OF = day("2025-04-01"), day("2025-04-20")
LATER = AS_OF + timedelta(minutes=1)  # before the source knows any further label
GATES: dict[str, dict[str, Any]] = {
    "multiclass": {},
    "regression": {
        "gate": {"primary": {"metric": "rmse"}, "min_gain": 0.1, "anchor_margin": 1.0, "plausible_gain": 4.0},
        "watch": {"harm": 1.0, "asking": {"rows": 40}},
    },
}


@dataclass(frozen=True)
class Asked:
    """A project with a champion, and the list of rows of which it wants the label."""

    own: Own
    project: Project
    path: Path

    @property
    def listed(self) -> pd.DataFrame:
        """As a spreadsheet opens it."""
        return pd.read_csv(self.path)

    def give(self, labels: list[object], separator: str = ",") -> Path:
        """The first rows of the list filled in, as a spreadsheet saves it."""
        sheet = pd.read_csv(self.path, dtype=str, keep_default_na=False)
        sheet["label"] = [*map(str, labels), *[""] * (len(sheet) - len(labels))]
        file = self.own.folder / "filled.csv"
        file.write_bytes(sheet.to_csv(index=False, sep=separator, lineterminator="\r\n").encode("utf-8-sig"))
        return file

    def known(self, may_train: bool = True) -> dict[int, object]:
        """Labels of the listed rows: those that may train, or the few that may judge."""
        rows = fetch(self.project, FIRST, LATER, LATER, selected_until=LATER if may_train else None)
        rows = rows[rows["id"].isin(self.listed["id"]) & rows["label"].notna()]
        return dict(zip(rows["id"], rows["label"], strict=True))


def labels_of(task: str, rows: pd.DataFrame) -> pd.Series:
    """Stars of 1 to 3, which are classes here, or a number."""
    if task == "multiclass":
        return pd.Series(np.where(rows["age"] > 50, 3, np.where(rows["usage"] > 15, 2, 1)), index=rows.index)
    return rows["usage"] * 2 + 1


@pytest.fixture
def ask(fresh: Own) -> Callable[[str], Asked]:
    def made(task: str) -> Asked:
        fresh.rewrite(lambda rows: rows.assign(label=labels_of(task, rows)).drop(columns="churned"))
        values = yaml.safe_load((fresh.folder / "churn.yaml").read_text())
        values["data"] |= {"label": "label", "task": task, "label_delay_days": 10}
        values |= {"gate": {}, "watch": {"asking": {"rows": 40}}} | GATES[task]
        (fresh.folder / "churn.yaml").write_text(yaml.safe_dump(values))
        project = load(fresh.folder / "churn.yaml")
        rows = fetch(project, day("2025-03-01"), FIRST, AS_OF).dropna(subset="label")
        encoder, target = Encoder.fit(rows, ("age", "usage"), ("plan",)), Target.fit(project.data.task, rows["label"])
        with seeded(0):
            model = Model(encoder, MLP(encoder.inputs.for_outputs(target.num_outputs), width=8).eval(), target)
        buffer, registry = io.BytesIO(), fresh.registry
        put_scores(rows, model.predict(rows), target).to_parquet(buffer, index=False)
        version: VersionId = registry.versions.save(
            model,
            network={"class_path": "models.networks.mlp.MLP", "init_args": {"width": 8}},
            lineage={"trained_until": FIRST.isoformat(), "recipe": "scratch"},
            extras={"reference.parquet": buffer.getvalue()},
            as_of=FIRST,
        )
        moment = {"against": None, "as_of": FIRST, "now": FIRST}
        registry.log.append("registered", "by hand", attempt="by hand", version=version, **moment)
        registry.log.append("promoted", "first", attempt="retrain", version=version, **moment)
        predict.fn(project, AS_OF)
        path = ask_for_labels.fn(project, AS_OF, version)
        assert path is not None
        return Asked(fresh, project, path)

    return made


def test_a_list_of_classes_comes_back_with_whatever_a_spreadsheet_made_of_their_numbers(
    ask: Callable[[str], Asked],
) -> None:
    asked = ask("multiclass")
    assert len(asked.listed) == 40 and asked.listed["label"].isna().all()
    assert set(asked.listed["score"].astype(str)) <= {"1", "2", "3"}, "the likeliest class"
    assert asked.listed[["uncertainty", "coverage"]].stack().between(0, 1).all()
    taken = take_labels.fn(asked.project, asked.give(["3", " 2", "1.0", "03"], separator=";"), LATER)
    assert (taken.num_taken, taken.num_blank, taken.num_judging) == (4, 36, 1)
    ids = asked.listed["id"].tolist()
    known = asked.known()
    assert [known.get(name) for name in ids[:5]] == ["3", "2", "1", "3", None]
    by_chance = asked.listed["id"][asked.listed["why"] == "by chance"]
    assert set(asked.known(may_train=False)) == set(by_chance) & set(ids[:4])


def test_a_list_of_numbers_comes_back_as_they_were_written(ask: Callable[[str], Asked]) -> None:
    asked = ask("regression")
    assert asked.listed["uncertainty"].is_monotonic_decreasing or asked.listed["uncertainty"].between(0, 1).all()
    taken = take_labels.fn(asked.project, asked.give(["12.5", "-3", "1e2", " 7 "], separator="\t"), LATER)
    assert (taken.num_taken, taken.num_blank) == (4, 36)
    known = asked.known()
    assert [known[name] for name in asked.listed["id"][:4]] == [12.5, -3.0, 100.0, 7.0]
    assert take_labels.fn(asked.project, asked.give(["12.50", "-3.0"]), LATER).num_known == 2
    with pytest.raises(ValueError, match=r"is 13 here, and was 12\.5 in a file of 2025-04-20"):
        take_labels.fn(asked.project, asked.give(["13"]), LATER)


MISTAKES = [
    ("multiclass", ["3", "5"], (), "is '5', which is no class that is known: there are '1', '2', '3'. Write one of"),
    ("multiclass", ["3,0"], (), "is '3,0', which is no class that is known"),
    ("multiclass", ["x", "y", "x"], (), "(1 more are not known either)"),
    ("regression", ["12,5"], (), "is '12,5', expected a number such as 12.5 or nothing"),
    ("regression", ["five"], (), "is 'five', expected a number"),
    ("regression", ["inf"], (), "is 'inf', expected a number"),
    ("regression", ["5"], ("new",), "new_classes=new are of a label of several classes, and data.task is regression"),
]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_label_that_cannot_be_is_told_with_its_row_and_nothing_is_taken(
    ask: Callable[[str], Asked], task: str
) -> None:
    asked = ask(task)
    for _, labels, new_classes, message in (each for each in MISTAKES if each[0] == task):
        with pytest.raises(ValueError) as error:
            take_labels.fn(asked.project, asked.give(list(labels)), LATER, new_classes)
        assert message in str(error.value)
        assert given_labels_of(asked.project).known(LATER).empty


def test_a_class_that_no_row_has_had_is_taken_in_by_its_name(
    ask: Callable[[str], Asked], prefect_here: Shell, here: Here
) -> None:
    asked = ask("multiclass")
    command = ("label", "churn.yaml", "--file", str(asked.give(["none", "3"])), "--as-of", "2025-04-20T00:01")
    refused = here(*command)
    assert refused.returncode == 2
    assert "is 'none', which is no class that is known" in refused.stderr and "--new-classes" in refused.stderr
    taken = here(*command, "--new-classes", "none, another")
    assert taken.returncode == 0, taken.stderr
    assert "2 new labels from 40 rows" in taken.stdout
    assert asked.known()[asked.listed["id"][0]] == "none"
    again = here("label", "churn.yaml", "--file", str(asked.give(["none", "3", "none"])), "--as-of", "2025-04-20T00:01")
    assert again.returncode == 0, "a class that was given before is known"
