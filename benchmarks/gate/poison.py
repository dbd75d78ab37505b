"""Whether spoilt challengers are promoted: real trainings on both demo projects, judged by each project's own gate.

At several moments a champion is trained properly on the snapshot of that moment. Challengers from the same snapshot
are spoilt in one of five ways, and judged on the holdout that follows it, days as groups:

- `shuffled_labels`: the labels of the training and validation rows in random order;
- `two_percent`: 2 % of the training rows;
- `learning_rate_x50`: trained with 50 times the learning rate;
- `stale`: a proper training on a snapshot that is months older;
- `scaled_feature`: a number of the training and validation rows times ten, as after a change of unit; the holdout has
  the old unit.

Not every poison kills: a number that the model hardly uses can be scaled without harm, an old season can be the
better teacher, and then a promotion is right on the rows that decide. So whatever is promoted is listed with its
tests, and with its gain on the next holdout of the same length.

A training that diverges makes no challenger and is counted apart. As a control the roles are turned round: the proper
model challenges the stale one, to show that the gate does promote on these rows. To keep a training to seconds, it
sees a window of the history; all else of it is as the project's YAML has it, from scratch. The gate is the project's
too, as far as its level, its smallest gain and the default guardrails go: slices and fairness could only refuse more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.work import spread_out
from configs.component import Component
from configs.schema import Project, load
from models.data.contract import Columns, days, read
from models.data.windows import Windows, plan_windows
from models.evaluation.comparison import Paired
from models.evaluation.gate import Judgement, Rules, judge
from models.evaluation.groups import by_key
from models.evaluation.guardrails import NoWorse
from models.evaluation.metrics.catalogue import AUC, LOG_LOSS, SQUARED_CALIBRATION_ERROR
from models.evaluation.metrics.proper import log_loss
from models.model import Model
from models.training import recipes
from models.training.errors import Diverged
from models.training.settings import FitSettings

CONFIGS = Path(__file__).parents[2] / "configs"
AUC_MARGIN, CALIBRATION_MARGIN = 0.01, 0.0004  # the defaults of the gate


@dataclass(frozen=True)
class Course:
    """Where in a project's history trainings happen."""

    name: str
    first_day: float
    last_day: float
    window_days: float
    stale_days: float

    @property
    def project(self) -> Project:
        """The demo project as it stands."""
        return load(CONFIGS / f"{self.name}.yaml")


# The first day leaves room for a whole window before the stale snapshot's holdout; days since `schedule.start`.
COURSES = (
    Course("flights", first_day=200, last_day=364, window_days=45, stale_days=120),
    Course("employment", first_day=710, last_day=1460, window_days=160, stale_days=364),
)


@dataclass(frozen=True)
class Size:
    """How many moments of each project, how many challengers of each kind at a moment, and epochs at most."""

    num_moments: int
    num_seeds: int
    max_epochs: int | None = None


QUICK = Size(2, 1)
FULL = Size(25, 2)


@dataclass(frozen=True)
class Rows:
    """Labelled rows of a snapshot, cut as for a training."""

    train: pd.DataFrame
    validation: pd.DataFrame
    holdout: pd.DataFrame


@dataclass(frozen=True)
class Piece:
    """One moment of a project: a champion, and the challengers of each kind."""

    course: Course
    as_of: datetime
    number: int
    size: Size


@dataclass(frozen=True)
class Spoilt:
    """What a challenger is trained on, and how fast."""

    rows: Rows
    learning_rate_factor: float = 1.0
    what: str = ""


Poison = Callable[[Rows, Columns, np.random.Generator, Model], Spoilt]


def shuffled_labels(rows: Rows, columns: Columns, random: np.random.Generator, champion: Model) -> Spoilt:
    """Labels that belong to other rows."""

    def shuffle(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{columns.label: random.permutation(frame[columns.label].to_numpy())})

    return Spoilt(replace(rows, train=shuffle(rows.train), validation=shuffle(rows.validation)))


def two_percent(rows: Rows, columns: Columns, random: np.random.Generator, champion: Model) -> Spoilt:
    """Most of the rows were lost on the way."""
    chosen = np.sort(random.choice(len(rows.train), len(rows.train) // 50, replace=False))
    return Spoilt(replace(rows, train=rows.train.iloc[chosen].reset_index(drop=True)))


def learning_rate_x50(rows: Rows, columns: Columns, random: np.random.Generator, champion: Model) -> Spoilt:
    """A slip in a setting."""
    return Spoilt(rows, learning_rate_factor=50.0)


def scaled_feature(rows: Rows, columns: Columns, random: np.random.Generator, champion: Model) -> Spoilt:
    """A change of unit that only the training rows have gone through, in the number that the champion leans on most.

    In a number that no model needs it would be no poison.
    """
    name = max(columns.numbers, key=lambda column: _loss_without(column, rows.validation, columns, random, champion))

    def scale(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{name: frame[name] * 10})

    return Spoilt(replace(rows, train=scale(rows.train), validation=scale(rows.validation)), what=name)


def _loss_without(
    column: str, rows: pd.DataFrame, columns: Columns, random: np.random.Generator, champion: Model
) -> float:
    """The champion's log loss when the values of one column belong to other rows (Breiman 2001)."""
    mixed = rows.assign(**{column: random.permutation(rows[column].to_numpy())})
    return log_loss(rows[columns.label].to_numpy(), champion.predict(mixed)).value


POISONS: dict[str, Poison] = {
    "shuffled_labels": shuffled_labels,
    "two_percent": two_percent,
    "learning_rate_x50": learning_rate_x50,
    "scaled_feature": scaled_feature,
}
STALE, CONTROL = "stale", "proper against stale"


def run(size: Size, jobs: int) -> dict[str, Any]:
    """How many were promoted, and every one of them with its numbers."""
    pieces = [
        Piece(course, moment, number, size)
        for course in COURSES
        for number, moment in enumerate(moments(course, size.num_moments))
    ]
    found = [one for batch in spread_out(try_at, pieces, jobs, "poison") for one in batch]
    poisoned = [one for one in found if one["kind"] != CONTROL]
    return {
        "poison_promoted": sum(one["answer"] == "promoted" for one in poisoned),
        "poisoned": len(poisoned),
        "diverged": sum(one["answer"] == "diverged" for one in poisoned),
        "by_kind": _by_kind(found),
        "promoted": [one for one in poisoned if one["answer"] == "promoted"],
        "decisions": found,
    }


def moments(course: Course, count: int) -> list[datetime]:
    """Moments spread evenly over the project's history, from the first at which a stale snapshot is long enough."""
    start = course.project.schedule.start
    return [start + timedelta(days=each) for each in np.linspace(course.first_day, course.last_day, count).round()]


def try_at(piece: Piece) -> list[dict[str, Any]]:
    """Train and judge everything at one moment."""
    torch.set_num_threads(1)
    course, project = piece.course, piece.course.project
    rows = _rows(course, project, piece.as_of, back=timedelta(0))
    older = _rows(course, project, piece.as_of, back=timedelta(days=course.stale_days))
    champion = _train(project, Spoilt(rows), seed=0, max_epochs=piece.size.max_epochs)
    found = []
    for seed in range(1, piece.size.num_seeds + 1):
        for number, (kind, poison) in enumerate(POISONS.items()):
            spoilt = poison(rows, _columns(project), np.random.default_rng([piece.number, seed, number]), champion)
            found.append(_try(piece, kind, seed, project, champion, spoilt, rows.holdout))
        found += _try_stale(piece, seed, project, champion, older, rows.holdout)
    return found


def _try(
    piece: Piece, kind: str, seed: int, project: Project, champion: Model, spoilt: Spoilt, holdout: pd.DataFrame
) -> dict[str, Any]:
    try:
        challenger = _train(project, spoilt, seed, piece.size.max_epochs)
    except Diverged as reason:
        return _told(piece, kind, seed, spoilt.what) | {"answer": "diverged", "reason": str(reason)}
    judgement = _judge(project, champion, challenger, holdout)
    told = _told(piece, kind, seed, spoilt.what) | _numbers(judgement)
    return told | _afterwards(piece, project, champion, challenger) if judgement.answer == "promoted" else told


def _try_stale(
    piece: Piece, seed: int, project: Project, champion: Model, older: Rows, holdout: pd.DataFrame
) -> list[dict[str, Any]]:
    stale = _train(project, Spoilt(older), seed, piece.size.max_epochs)
    control = _told(piece, CONTROL, seed) | _numbers(_judge(project, stale, champion, holdout))
    judgement = _judge(project, champion, stale, holdout)
    told = _told(piece, STALE, seed) | _numbers(judgement)
    return [told | _afterwards(piece, project, champion, stale) if judgement.answer == "promoted" else told, control]


def _train(project: Project, spoilt: Spoilt, seed: int, max_epochs: int | None) -> Model:
    training, columns = project.training, _columns(project)
    network = Component(class_path=training.network.class_path, init_args=training.network.init_args)
    how = recipes.recipe(
        "scratch",
        epochs=min(training.epochs, max_epochs or training.epochs),
        learning_rate=training.learning_rate * spoilt.learning_rate_factor,
        patience=training.patience,
    )
    settings = FitSettings(
        how.epochs, training.batch_size, weight_decay=training.weight_decay, seed=seed, accelerator="cpu"
    )
    rows, kinds = spoilt.rows, recipes.Columns(columns.label, columns.numbers, columns.categories)
    material = recipes.Material(rows.train, rows.train.iloc[:0])
    return recipes.cook(how, network.build, None, material, rows.validation, kinds, settings).model


def _judge(project: Project, champion: Model, challenger: Model, holdout: pd.DataFrame) -> Judgement:
    columns = _columns(project)
    paired = Paired(
        labels=holdout[columns.label].to_numpy(),
        champion=champion.predict(holdout),
        challenger=challenger.predict(holdout),
        grouping=by_key(days(holdout[columns.time], columns.timezone), "days"),
    )
    return judge(paired, rules_of(project))


def _afterwards(piece: Piece, project: Project, champion: Model, challenger: Model) -> dict[str, Any]:
    """The gain in log loss on the next holdout of the same length, which nobody had seen; None after the last row."""
    length = timedelta(days=project.gate.holdout_days)
    end = project.schedule.end
    if end and piece.as_of + length > end:
        return {"gain_afterwards": None}
    later = _rows(piece.course, project, piece.as_of + length, back=timedelta(0)).holdout
    return {"gain_afterwards": _judge(project, champion, challenger, later).tests[0].gain}


def rules_of(project: Project) -> Rules:
    """The project's gate: log loss, with AUC and squared calibration error guarded."""
    gate = project.gate
    guardrails = (NoWorse(AUC, AUC_MARGIN), NoWorse(SQUARED_CALIBRATION_ERROR, CALIBRATION_MARGIN))
    return Rules(LOG_LOSS, gate.alpha, gate.min_gain, guardrails)


def _told(piece: Piece, kind: str, seed: int, what: str = "") -> dict[str, Any]:
    told = {"project": piece.course.name, "kind": kind, "as_of": piece.as_of.isoformat(), "seed": seed}
    return told | ({"feature": what} if what else {})


def _numbers(judgement: Judgement) -> dict[str, Any]:
    tests = [
        {"metric": test.metric, "champion": test.champion, "gain": test.gain, "p": test.p_value, "is": test.verdict}
        for test in judgement.tests
    ]
    size = judgement.judged_on
    return {
        "answer": judgement.answer,
        "num_rows": size.num_rows,
        "num_groups": size.num_groups,
        "tests": tests,
        "reason": judgement.reason,
    }


def _by_kind(found: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, Counter[str]]] = {}
    for one in found:
        counts.setdefault(one["project"], {}).setdefault(one["kind"], Counter())[one["answer"]] += 1
    return {project: {kind: dict(each) for kind, each in kinds.items()} for project, kinds in counts.items()}


def _rows(course: Course, project: Project, as_of: datetime, back: timedelta) -> Rows:
    """The snapshot of a moment, or one that is older by `back`, cut as `tasks.ingest` does it."""
    columns, windows = _columns(project), _windows(course, project, as_of - back)
    frame = read(_source(course.name), columns, windows.train_start, windows.holdout_end, as_of)
    frame = frame[frame[columns.label].notna()].reset_index(drop=True)
    cuts = (windows.train, windows.validation, windows.holdout)
    return Rows(*(cut(frame, columns.time) for cut in cuts))


def _windows(course: Course, project: Project, as_of: datetime) -> Windows:
    def plan(start: datetime) -> Windows:
        return plan_windows(
            as_of=as_of,
            start=start,
            label_delay=_columns(project).label_delay,
            holdout=timedelta(days=project.gate.holdout_days),
            embargo=timedelta(days=project.embargo_days),
            validation=timedelta(days=project.training.validation_days),
            champion_trained_until=None,
        )

    whole = plan(project.schedule.start)
    return replace(whole, train_start=max(whole.train_start, whole.train_end - timedelta(days=course.window_days)))


def _columns(project: Project) -> Columns:
    data = project.data
    return Columns(
        id=data.id,
        time=data.time,
        label=data.label,
        numbers=data.numbers,
        categories=data.categories,
        label_time=data.label_time,
        label_delay=timedelta(days=data.label_delay_days),
        timezone=data.timezone,
    )


@cache
def _source(name: str) -> Any:
    return load(CONFIGS / f"{name}.yaml").data.source.build()
