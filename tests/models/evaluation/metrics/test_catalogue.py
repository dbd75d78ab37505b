"""Metrics by name: what is valid is listed, what is not is refused when the metric is made."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from models.evaluation.metrics import catalogue
from models.evaluation.metrics.catalogue import METRICS, NAMES, metric
from models.evaluation.metrics.decisions import f1
from models.evaluation.metrics.metric import Metric, Sample

WORTHS = {"true_positive": 5, "false_positive": -1, "true_negative": 0, "false_negative": 0}
SAMPLE = Sample(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.4, 0.35]), {"profit": np.array([3.0, -1.0, 6.0])})


def test_every_name_is_listed_once_in_order_and_those_without_arguments_are_made() -> None:
    assert tuple(sorted(set(NAMES))) == NAMES
    assert set(NAMES) - set(METRICS) == {"top_k", "pinball", "expected_value"}
    assert all(made.name == name for name, made in METRICS.items())


def test_there_is_a_constant_for_each_metric_without_arguments() -> None:
    constants = {made.name: constant for constant, made in vars(catalogue).items() if isinstance(made, Metric)}
    assert constants == {name: name.upper() for name in METRICS}


@pytest.mark.parametrize(
    ("name", "arguments", "label"),
    [
        ("log_loss", {}, "log loss (nats)"),
        ("auc", {}, "AUC"),
        ("recall", {}, "recall"),
        ("f1", {}, "F1"),
        ("f1", {"threshold": 0.5}, "F1"),
        ("f1", {"threshold": 0.3}, "F1 at 0.3"),
        ("top_k", {"k": 3}, "top-3 accuracy"),
        ("pinball", {"quantile": 0.9}, "pinball loss of quantile 0.9"),
        ("expected_value", WORTHS, "expected value per row"),
        ("expected_value", {"column": "net_profit", "threshold": 0.2}, "expected net profit per row at 0.2"),
    ],
)
def test_the_label_says_what_a_person_has_to_know(name: str, arguments: dict[str, Any], label: str) -> None:
    assert metric(name, **arguments).label == label


def test_arguments_reach_the_function() -> None:
    measured = metric("f1", threshold=0.3).measure(SAMPLE)
    assert measured.value == f1(SAMPLE.labels, SAMPLE.scores, threshold=0.3).value == pytest.approx(0.8)


def test_a_column_is_taken_from_the_sample_and_named_among_those_that_are_needed() -> None:
    profit = metric("expected_value", column="profit", threshold=0.4)
    assert profit.columns == ("profit",)
    assert profit.measure(SAMPLE).value == pytest.approx(2 / 3)
    assert metric("expected_value", **WORTHS).columns == ()


def test_a_sample_without_the_column_is_refused_with_the_columns_that_it_has() -> None:
    with pytest.raises(ValueError, match="expected_value needs the column 'gain', and the sample has profit"):
        metric("expected_value", column="gain").measure(SAMPLE)


def test_an_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(ValueError, match=re.escape(f"no metric is called 'acuracy'; choose one of {', '.join(NAMES)}")):
        metric("acuracy")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("auc", {"threshold": 0.3}, "auc takes no arguments, and was given threshold"),
        ("f1", {"treshold": 0.3}, "f1 takes (threshold=0.5), and was given treshold"),
        ("top_k", {}, "top_k takes (k), and was given nothing"),
        (
            "expected_value",
            WORTHS | {"column": "profit"},
            "expected_value takes (true_positive, false_positive, true_negative, false_negative, threshold=0.5) "
            "or (column, threshold=0.5), and was given true_positive,",
        ),
        ("expected_value", {"true_positive": 1}, "and was given true_positive"),
        ("expected_value", {}, "and was given nothing"),
    ],
)
def test_arguments_that_do_not_fit_are_answered_with_those_that_do(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("f1", {"threshold": 1.5}, "threshold=1.5 of f1 means nothing; give a number from 0 to 1"),
        ("f1", {"threshold": "0.3"}, "threshold='0.3' of f1"),
        ("f1", {"threshold": True}, "threshold=True of f1"),
        ("pinball", {"quantile": 1}, "quantile=1 of pinball means nothing; give a number between 0 and 1"),
        ("top_k", {"k": 0}, "k=0 of top_k means nothing; give a whole number from 1"),
        ("top_k", {"k": 2.0}, "k=2.0 of top_k"),
        (
            "expected_value",
            WORTHS | {"true_negative": float("nan")},
            "true_negative=nan of expected_value means nothing",
        ),
        ("expected_value", {"column": 3}, "column=3 of expected_value means nothing; give the name of a column"),
    ],
)
def test_values_that_mean_nothing_are_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(name, **arguments)


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("auc", ("binary", "multiclass")), ("rmse", ("regression",)), ("log_loss", ("binary", "multiclass"))],
)
def test_a_metric_says_for_which_tasks_it_is_defined(name: str, tasks: tuple[str, ...]) -> None:
    assert METRICS[name].tasks == tasks
