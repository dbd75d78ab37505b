"""Every bundled stream as one object: rows in time order, scores of a model, and labels to hold estimates against."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

from models.data.employment import Employment
from models.data.flights import CATEGORIES, NUMBERS, Flights
from models.evaluation.metrics import Sample, Task
from models.monitoring.estimation.features import Vocabulary

Predict = Callable[[pd.DataFrame], np.ndarray]
NUM_TREES = 150
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
}
FLIGHTS_TRAIN_END, FLIGHTS_REFERENCE_END = "2013-03-01", "2013-04-01"


@dataclass(frozen=True)
class Stream:
    """Labelled rows in time order, and what a model said of each.

    Attributes:
        name: of the data.
        task: what the label is.
        frame: columns `id`, `event_time` (UTC), numbers (float64), categories (text or None) and the label (float).
        numbers: columns of numbers.
        categories: columns of text.
        label: its column: 0 or 1; the index of the class; or a value.
        score: of the model for each row: published with the data, or for flights our own. Shape (rows,); several
            classes: (rows, classes).
        train_end: the rows before this position are what a model of our own learns from.
        reference_end: the rows from `train_end` to here are the reference; those after it are to be watched.
        num_chunks: into how many periods these are cut.
    """

    name: str
    task: Task
    frame: pd.DataFrame
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    label: str
    score: np.ndarray
    train_end: int
    reference_end: int
    num_chunks: int

    @property
    def reference(self) -> slice:
        """Positions of the reference."""
        return slice(self.train_end, self.reference_end)

    def chunks(self, number: int | None = None) -> list[slice]:
        """Positions of consecutive periods of as many rows each."""
        edges = np.linspace(self.reference_end, len(self.frame), (number or self.num_chunks) + 1).astype(int)
        return [slice(first, last) for first, last in pairwise(edges)]

    def sample(self, rows: slice) -> Sample:
        """Labels and scores of some rows."""
        return Sample(self.frame[self.label].to_numpy()[rows], self.score[rows])

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The chance of 1 for any rows with the stream's columns, by boosted trees of our own; binary streams only.

        They learn from the rows before `train_end`, at the first call. Where scores were published with the data, these
        are of another model: compare `predict` with itself.
        """
        if self.task != "binary":
            raise ValueError(f"{self.name} has a {self.task} label; a model of our own is there for binary ones")
        return _learned(self.name)(frame)


def stream(name: str) -> Stream:
    """A stream by its name, read once a process."""
    if name not in _READERS:
        raise ValueError(f"no stream is called {name!r}; choose one of {', '.join(NAMES)}")
    return _read(name)


@cache
def _read(name: str) -> Stream:
    return _READERS[name]()


@cache
def _learned(name: str) -> Predict:
    if name == "flights":
        return _flights_and_model()[1]
    found = stream(name)
    return learn(found.frame.iloc[: found.train_end], found.numbers, found.categories, found.label)


def learn(frame: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str], label: str) -> Predict:
    """Boosted trees of a binary label, as a function of further rows; repeatable, on one thread."""
    vocabulary = Vocabulary.of(frame, numbers, categories)
    parameters = PARAMETERS | {"num_threads": 1}
    data = lightgbm.Dataset(
        vocabulary.matrix(frame), label=frame[label].to_numpy(), categorical_feature=vocabulary.categorical
    )
    booster = lightgbm.train(parameters, data, num_boost_round=NUM_TREES)
    return lambda rows: np.asarray(booster.predict(vocabulary.matrix(rows), num_threads=1))


def _flights_stream() -> Stream:
    return _flights_and_model()[0]


@cache
def _flights_and_model() -> tuple[Stream, Predict]:
    frame = Flights()(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC))
    frame = frame[frame["late"].notna()].reset_index(drop=True)
    frame = _typed(frame, NUMBERS, CATEGORIES, "late")
    train_end, reference_end = (
        int(frame["event_time"].searchsorted(pd.Timestamp(end, tz="UTC")))
        for end in (FLIGHTS_TRAIN_END, FLIGHTS_REFERENCE_END)
    )
    predict = learn(frame.iloc[:train_end], NUMBERS, CATEGORIES, "late")
    score = predict(frame)
    return Stream(
        "flights", "binary", frame, NUMBERS, CATEGORIES, "late", score, train_end, reference_end, num_chunks=39
    ), predict


def _employment() -> Stream:
    folder = _folder()
    raw = pd.concat(
        [pd.read_parquet(folder / f"employment_MA_{part}.pq") for part in ("reference", "analysis")], ignore_index=True
    )
    scores = raw.set_index("id")["predicted_probability"]
    frame = Employment()(datetime(2015, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC))
    score = scores.loc[frame["id"]].to_numpy()
    numbers = ("AGEP",)
    categories = tuple(frame.columns.difference(["id", "event_time", "employed", *numbers], sort=False))
    reference_end = int(frame["event_time"].searchsorted(pd.Timestamp("2016-01-01", tz="UTC")))
    return Stream(
        "employment",
        "binary",
        _typed(frame, numbers, categories, "employed"),
        numbers,
        categories,
        "employed",
        score,
        reference_end // 2,
        reference_end,
        num_chunks=36,
    )


@dataclass(frozen=True)
class _Csv:
    """Files of NannyML's own examples: a labelled reference, an analysis, and its labels."""

    files: tuple[str, str, str]
    label: str
    scores: tuple[str, ...]
    task: Task = "binary"
    num_chunks: int = 20


_CSVS = {
    "car_loan": _Csv(
        (
            "synthetic_car_loan_reference.csv",
            "synthetic_car_loan_analysis.csv",
            "synthetic_car_loan_analysis_target.csv",
        ),
        "repaid",
        ("y_pred_proba",),
    ),
    "work_from_home": _Csv(
        ("synthetic_sample_reference.csv", "synthetic_sample_analysis.csv", "synthetic_sample_analysis_gt.csv"),
        "work_home_actual",
        ("y_pred_proba",),
    ),
    "california": _Csv(
        (
            "california_housing_reference.csv",
            "california_housing_analysis.csv",
            "california_housing_analysis_gt.csv",
        ),
        "clf_target",
        ("y_pred_proba",),
        num_chunks=16,
    ),
    "credit_cards": _Csv(
        ("mc_reference.csv", "mc_analysis.csv", "mc_analysis_gt.csv"),
        "y_true",
        ("y_pred_proba_prepaid_card", "y_pred_proba_highstreet_card", "y_pred_proba_upmarket_card"),
        task="multiclass",
    ),
    "car_price": _Csv(
        (
            "regression_synthetic_reference.csv",
            "regression_synthetic_analysis.csv",
            "regression_synthetic_analysis_targets.csv",
        ),
        "y_true",
        ("y_pred",),
        task="regression",
    ),
}
NOT_INPUTS = ("id", "timestamp", "event_time", "y_pred", "period")


def _from_csv(name: str) -> Stream:
    source = _CSVS[name]
    reference, analysis, labels = (pd.read_csv(_folder() / file) for file in source.files)
    analysis = analysis.merge(labels, on="id", validate="one_to_one")
    frame = pd.concat([reference, analysis], ignore_index=True)
    frame["event_time"] = pd.to_datetime(frame["timestamp"], utc=True)
    is_reference = np.arange(len(frame)) < len(reference)
    frame = frame.iloc[np.lexsort((frame["event_time"], ~is_reference))].reset_index(drop=True)
    score = frame[list(source.scores)].to_numpy(dtype=float)
    if source.task == "multiclass":
        classes = [column.removeprefix("y_pred_proba_") for column in source.scores]
        frame[source.label] = frame[source.label].map({each: place for place, each in enumerate(classes)})
        score = score / score.sum(axis=1, keepdims=True)  # published with two decimals
    inputs = [column for column in frame.columns if column not in (*NOT_INPUTS, source.label, *source.scores)]
    numbers = tuple(name for name in inputs if frame[name].dtype.kind in "if")
    categories = tuple(name for name in inputs if name not in numbers)
    return Stream(
        name,
        source.task,
        _typed(frame, numbers, categories, source.label),
        numbers,
        categories,
        source.label,
        score if score.shape[1] > 1 else score[:, 0],
        len(reference) // 2,
        len(reference),
        source.num_chunks,
    )


def _typed(frame: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str], label: str) -> pd.DataFrame:
    """Numbers and label as float64, categories as text or None, and no further columns."""
    text = {name: frame[name].astype(object).map(str, na_action="ignore") for name in categories}
    columns: dict[str, pd.Series] = {"id": frame["id"].astype(str), "event_time": frame["event_time"]}
    columns |= {name: frame[name].astype(float) for name in numbers}
    columns |= {name: values.where(values.notna(), None) for name, values in text.items()}
    return pd.DataFrame(columns | {label: frame[label].astype(float)})


def _folder() -> Path:
    package = importlib.util.find_spec("nannyml")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package nannyml is not installed; run pip install nannyml==0.13.1")
    return Path(package.submodule_search_locations[0]) / "datasets" / "data"


_READERS: dict[str, Callable[[], Stream]] = {
    "flights": _flights_stream,
    "employment": _employment,
    **{name: partial(_from_csv, name) for name in _CSVS},
}
NAMES = tuple(_READERS)
BINARY = tuple(name for name in NAMES if name not in _CSVS or _CSVS[name].task == "binary")
