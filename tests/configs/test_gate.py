"""The gate's part of the schema: every wrong value is told with its file, its key and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from configs.gate import Fairness, Gate, Guardrail, HardRows, MetricRef, Robustness, Serving, Slice
from configs.schema import Project, ProjectRef, load
from models.evaluation.guardrails import NegativeFlips
from models.evaluation.metrics.catalogue import NAMES
from models.evaluation.minima import Minima

MINIMAL: dict[str, Any] = {
    "name": "flights",
    "data": {
        "source": {"class_path": "models.data.flights.Flights"},
        "label": "late",
        "numbers": ["distance"],
        "categories": ["carrier"],
        "other": ["worth"],
    },
    "schedule": {"start": date(2013, 1, 1), "first_champion": date(2013, 3, 1)},
}
AUC = {"metric": "auc", "margin": 0.1}
Load = Callable[[dict[str, Any]], Project]
IN_ITS_UNIT = {"min_gain": 1, "anchor_margin": 2, "plausible_gain": None}


@pytest.fixture
def load_gate(tmp_path: Path) -> Load:
    """Loads the smallest project with these values in its block `gate`."""

    def loaded(values: dict[str, Any]) -> Project:
        path = tmp_path / "project.yaml"
        path.write_text(yaml.safe_dump(MINIMAL | {"gate": values}))
        return load(path)

    return loaded


def refused(load_gate: Load, values: dict[str, Any]) -> str:
    with pytest.raises(ValueError) as error:
        load_gate(values)
    assert type(error.value) is ValueError
    first, *problems = str(error.value).splitlines()
    assert first.endswith("project.yaml is not a valid project:")
    assert len(problems) == 1, problems
    return problems[0]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a negative margin": (
        {"guardrails": [AUC, {"metric": "auc", "margin": -0.1}]},
        "  gate.guardrails.1.margin: Input should be greater than or equal to 0 (found -0.1)",
    ),
    "a negative relative margin": (
        {"guardrails": [{"metric": "auc", "relative_margin": -1}]},
        "  gate.guardrails.0.relative_margin: Input should be greater than or equal to 0 (found -1)",
    ),
    "both margins": ({"guardrails": [AUC | {"relative_margin": 0.1}]}, "  gate.guardrails.0: set either margin or"),
    "no margin": ({"guardrails": [{"metric": "auc"}]}, "  gate.guardrails.0: set either margin or relative_margin"),
    "an unknown metric": (
        {"guardrails": [{"metric": "acu", "margin": 0.1}]},
        f"  gate.guardrails.0: no metric is called 'acu'; choose one of {', '.join(NAMES)}",
    ),
    "a metric of numbers": (
        IN_ITS_UNIT | {"primary": {"metric": "rmse"}},
        "  gate.primary: rmse is not defined for data.task=binary; choose one of accuracy, auc, ",
    ),
    "a metric of several classes": (
        IN_ITS_UNIT | {"primary": {"metric": "top_k", "init_args": {"k": 2}}},
        "  gate.primary: top_k is not defined for data.task=binary; choose one of accuracy, auc, ",
    ),
    "a direction of a metric of ours": (
        {"guardrails": [AUC | {"better": "higher"}]},
        "  gate.guardrails.0: auc knows its direction; leave better out",
    ),
    "a third direction": (
        {"primary": {"class_path": "torchmetrics.classification.BinaryAUROC", "better": "up"}},
        "  gate.primary.better: Input should be 'higher' or 'lower' (found 'up')",
    ),
    "an argument that a metric does not take": (
        {"primary": {"metric": "f1", "init_args": {"treshold": 0.3}}},
        "  gate.primary: f1 takes (threshold=0.5), and was given treshold",
    ),
    "an argument that means nothing": (
        {"primary": {"metric": "f1", "init_args": {"threshold": 3}}},
        "  gate.primary: threshold=3 of f1 means nothing; give a number from 0 to 1",
    ),
    "neither a metric nor a class": ({"primary": {}}, "  gate.primary: name either metric or class_path"),
    "a metric and a class": (
        {"primary": {"metric": "auc", "class_path": "torchmetrics.classification.BinaryAUROC"}},
        "  gate.primary: name either metric or class_path",
    ),
    "a class that torchmetrics does not have": (
        {"primary": {"class_path": "torchmetrics.classification.BinaryAUROCC"}},
        "  gate.primary: class_path='torchmetrics.classification.BinaryAUROCC': module 'torchmetrics.classification' "
        "has no 'BinaryAUROCC'; it has AUROC, ",
    ),
    "a module that there is not": (
        {"guardrails": [{"class_path": "torchmetric.AUROC", "margin": 0.1}]},
        "  gate.guardrails.0: class_path='torchmetric.AUROC': there is no module 'torchmetric'",
    ),
    "a margin of the primary metric": (
        {"primary": AUC},
        "  gate.primary.margin: unknown key; gate.primary has metric, class_path, init_args, better",
    ),
    "a name instead of a block": ({"primary": "auc"}, "  gate.primary: Input should be a valid dictionary"),
    "a block instead of a list": ({"guardrails": AUC}, "  gate.guardrails: Input should be a valid tuple"),
    "a slice without a margin": (
        {"slices": [{"column": "carrier"}]},
        "  gate.slices.0.margin: required, and not there",
    ),
    "a slice with no room": (
        {"slices": [{"column": "carrier", "margin": 0}]},
        "  gate.slices.0.margin: Input should be greater than 0 (found 0)",
    ),
    "falling edges": (
        {"slices": [{"column": "distance", "edges": [2, 1], "margin": 0.1}]},
        "  gate.slices.0: edges=[2.0, 1.0] are not in rising order",
    ),
    "an edge twice": (
        {"slices": [{"column": "distance", "edges": [1, 1], "margin": 0.1}]},
        "  gate.slices.0: edges=[1.0, 1.0] are not in rising order",
    ),
    "edges of a query": (
        {"slices": [{"query": "distance > 1", "edges": [1], "margin": 0.1}]},
        "  gate.slices.0: edges belong to a column, and a name belongs to a query",
    ),
    "a name of a column": (
        {"slices": [{"column": "carrier", "name": "mine", "margin": 0.1}]},
        "  gate.slices.0: edges belong to a column, and a name belongs to a query",
    ),
    "a column and a query": (
        {"slices": [{"column": "carrier", "query": "distance > 1", "margin": 0.1}]},
        "  gate.slices.0: name either column (with edges, if it is a number) or query",
    ),
    "neither a column nor a query": ({"slices": [{"margin": 0.1}]}, "  gate.slices.0: name either column"),
    "a misspelt key of the second slice": (
        {"slices": [{"column": "carrier", "margin": 0.1}, {"column": "carrier", "margin": 0.1, "edgs": [1]}]},
        "  gate.slices.1.edgs: unknown key; gate.slices.1 has " + ", ".join(Slice.model_fields),
    ),
    "a misspelt key of a guardrail": (
        {"guardrails": [AUC, AUC | {"margn": 0.1}]},
        "  gate.guardrails.1.margn: unknown key; gate.guardrails.1 has " + ", ".join(Guardrail.model_fields),
    ),
    "a fairness that asks nothing": (
        {"fairness": [{"column": "carrier"}]},
        "  gate.fairness.0: no criterion for 'carrier'; set one of demographic_parity, equal_opportunity, "
        "equalised_odds, calibration to a margin",
    ),
    "a negative gap": (
        {"fairness": [{"column": "carrier", "calibration": -0.1}]},
        "  gate.fairness.0.calibration: Input should be greater than 0 (found -0.1)",
    ),
    "a slice that may be empty": (
        {"min_slice_rows": 0},
        "  gate.min_slice_rows: Input should be greater than 0 (found 0)",
    ),
    "too few groups": ({"minima": {"groups": 9}}, "  gate.minima.groups: Input should be greater than or equal to 10"),
    "too few positives": (
        {"minima": {"positives": 49}},
        "  gate.minima.positives: Input should be greater than or equal",
    ),
    "too few negatives": (
        {"minima": {"negatives": 49}},
        "  gate.minima.negatives: Input should be greater than or equal",
    ),
    "no hard row": (
        {"hard_rows": {"per_decision": 0}},
        "  gate.hard_rows.per_decision: Input should be greater than 0",
    ),
    "a margin beyond every share": (
        {"hard_rows": {"margin": 1.5}},
        "  gate.hard_rows.margin: Input should be less than",
    ),
    "a switch instead of a block": ({"hard_rows": True}, "  gate.hard_rows: Input should be a valid dictionary"),
    "a robustness without a margin": ({"robustness": {}}, "  gate.robustness.margin: required, and not there"),
    "more cells than there are": (
        {"robustness": {"margin": 0.1, "missing_share": 2}},
        "  gate.robustness.missing_share: Input should be less than or equal to 1 (found 2)",
    ),
    "a request without rows": (
        {"serving": {"rows": 0}},
        "  gate.serving.rows: Input should be greater than 0 (found 0)",
    ),
    "a request in no time": (
        {"serving": {"p99_ms": 0}},
        "  gate.serving.p99_ms: Input should be greater than 0 (found 0)",
    ),
    "an unknown rule": (
        {"budget": {"rule": "lrod"}},
        "  gate.budget.rule: Input should be 'fixed', 'spending' or 'lord' (found 'lrod')",
    ),
    "a ceiling of nothing": (
        {"budget": {"ceiling": 0}},
        "  gate.budget.ceiling: Input should be greater than 0 (found 0)",
    ),
    "a misspelt key of the budget": (
        {"budget": {"roof": 1}},
        "  gate.budget.roof: unknown key; gate.budget has rule, ceiling",
    ),
    "a baseline that there is not": (
        {"first": {"baseline": {"class_path": "models.evaluation.baselines.Prir"}}},
        "  gate.first.baseline: class_path='models.evaluation.baselines.Prir': module 'models.evaluation.baselines' "
        "has no 'Prir'; it has LastValue, Prior",
    ),
    "an argument of a baseline": (
        {"first": {"baseline": {"class_path": "models.evaluation.baselines.LastValue", "init_args": {"dys": 2}}}},
        "  gate.first.baseline: init_args of models.evaluation.baselines.LastValue has 'dys'; it takes days",
    ),
    "a floor above 1": ({"first": {"min_auc": 1.5}}, "  gate.first.min_auc: Input should be less than 1 (found 1.5)"),
    "an unknown correction": (
        {"several": "best"},
        "  gate.several: Input should be 'validation' or 'holm' (found 'best')",
    ),
    "no decision with a row": ({"max_uses": 0}, "  gate.max_uses: Input should be greater than 0 (found 0)"),
    "nothing plausible": ({"plausible_gain": 0}, "  gate.plausible_gain: Input should be greater than 0 (found 0)"),
    "an anchor with no room": ({"anchor_margin": 0}, "  gate.anchor_margin: Input should be greater than 0 (found 0)"),
    "every flip": ({"negative_flips": 1}, "  gate.negative_flips: Input should be less than 1 (found 1)"),
    "a threshold that calls nothing": ({"threshold": 1}, "  gate.threshold: Input should be less than 1 (found 1)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_told_with_its_place_and_what_was_expected(load_gate: Load, name: str) -> None:
    values, expected = WRONG[name]
    assert refused(load_gate, values).startswith(expected)


def test_a_primary_metric_other_than_log_loss_has_its_margins_in_its_own_unit(load_gate: Load) -> None:
    assert refused(load_gate, {"primary": {"metric": "brier"}, "min_gain": 0.001}) == (
        "  gate: primary is brier; set anchor_margin, plausible_gain in its unit (the defaults are nats of log loss)"
    )
    assert load_gate({"primary": {"metric": "brier"}} | IN_ITS_UNIT).gate.min_gain == 1


def test_robustness_that_asks_nothing_is_refused(load_gate: Load) -> None:
    nothing = {"robustness": {"missing_share": 0, "noise": 0, "margin": 0.1}}
    assert "missing_share and noise are both 0, which asks nothing" in refused(load_gate, nothing)


@pytest.mark.parametrize(
    "values",
    [
        {"slices": [{"column": "nope", "margin": 0.1}]},
        {"fairness": [{"column": "nope", "calibration": 0.1}]},
        {"groups": "nope"},
        {"guardrails": [{"metric": "expected_value", "margin": 0.1, "init_args": {"column": "nope"}}]},
        {"primary": {"metric": "expected_value", "init_args": {"column": "nope"}}} | IN_ITS_UNIT,
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_column_that_is_not_read_is_told_with_those_that_are(load_gate: Load, values: dict[str, Any]) -> None:
    assert refused(load_gate, values) == (
        "  project: gate names column 'nope', which is not read; add it to data.other, or use one of "
        "distance, carrier, worth"
    )


def test_columns_are_those_that_are_named_each_once_and_day_and_ladder_are_none(load_gate: Load) -> None:
    values = {
        "slices": [{"column": "carrier", "margin": 0.1}, {"query": "distance > 1", "margin": 0.1}],
        "fairness": [{"column": "carrier", "calibration": 0.1}],
        "guardrails": [{"metric": "expected_value", "margin": 0.1, "init_args": {"column": "worth"}}, AUC],
    }
    assert load_gate(values).gate.columns == ("carrier", "worth")
    assert load_gate(values | {"groups": "ladder"}).gate.columns == ("carrier", "worth")
    assert load_gate(values | {"groups": "distance"}).gate.columns == ("carrier", "distance", "worth")
    assert Gate().columns == ()


def test_everything_that_a_gate_can_ask_for_loads_and_survives_json(load_gate: Load) -> None:
    project = load_gate(
        {
            "primary": {"metric": "brier"},
            "min_gain": 0.001,
            "guardrails": [
                AUC,
                {"metric": "log_loss", "relative_margin": 0},
                {"metric": "f1", "init_args": {"threshold": 0.3}, "margin": 0},
                {"class_path": "torchmetrics.classification.BinaryCalibrationError", "margin": 0.1, "better": "lower"},
            ],
            "slices": [
                {"column": "carrier", "margin": 0.1},
                {"column": "distance", "edges": [1, 2.5], "margin": 0.1},
                {"query": "distance > 1", "name": "far", "margin": 0.1},
            ],
            "fairness": [{"column": "carrier", "demographic_parity": 0.1, "equalised_odds": 0.2}],
            "hard_rows": {},
            "robustness": {"margin": 0.1, "noise": 0},
            "serving": {"median_ms": 5, "size_mb": 1},
            "budget": {"rule": "lord", "ceiling": 2},
            "first": {"baseline": {"class_path": "models.evaluation.baselines.LastValue", "init_args": {"days": 7}}},
            "several": "holm",
            "anchor_margin": None,
            "plausible_gain": None,
        }
    )
    assert TypeAdapter(ProjectRef).validate_python(project.model_dump(mode="json")) == project
    assert Project.model_validate_json(project.model_dump_json()) == project
    assert project.gate.fairness[0].margins == {"demographic_parity": 0.1, "equalised_odds": 0.2}


def test_what_is_left_out_asks_for_no_more_than_what_is_documented() -> None:
    plain = Gate()
    assert plain.primary == MetricRef(metric="log_loss")
    assert [(each.metric, each.margin, each.relative_margin) for each in plain.guardrails] == [
        ("auc", 0.01, None),
        ("squared_calibration_error", 0.0004, None),
    ]
    assert (plain.alpha, plain.min_gain, plain.anchor_margin, plain.plausible_gain) == (0.05, 0.002, 0.02, 0.1)
    assert (plain.budget.rule, plain.budget.ceiling) == ("fixed", None)
    assert (plain.groups, plain.several, plain.max_uses, plain.holdout_days) == ("day", "validation", 2, 14)
    assert (plain.slices, plain.fairness) == ((), ())
    assert (plain.negative_flips, plain.hard_rows, plain.robustness, plain.serving) == (None,) * 4
    assert plain.first.baseline.class_path == "models.evaluation.baselines.Prior"
    assert (plain.first.min_auc, plain.first.log_loss_margin) == (0.55, 0.01)
    assert (HardRows().per_decision, HardRows().newest, HardRows().margin) == (20, 1000, 0.05)
    assert (Robustness(margin=0.1).missing_share, Robustness(margin=0.1).noise) == (0.1, 0.1)
    assert (Serving(size_mb=1).rows, Serving(size_mb=1).median_ms, Serving(size_mb=1).p99_ms) == (1, None, None)
    assert Fairness(column="carrier", calibration=0.1).margins == {"calibration": 0.1}


def test_the_defaults_of_the_yaml_are_those_of_the_models() -> None:
    plain = Gate()
    assert plain.minima.model_dump() == vars(Minima())
    assert plain.threshold == NegativeFlips(0.1).threshold


def test_a_guardrail_is_no_primary_metric() -> None:
    with pytest.raises(ValueError, match=r"the primary metric has no margin; set gate\.min_gain"):
        Gate(primary=Guardrail(metric="auc", margin=0.1))


def test_every_field_of_the_gate_that_is_no_block_says_what_it_is() -> None:
    blocks = {"budget", "first", "minima", "guardrails", "slices", "fairness", "hard_rows", "robustness", "serving"}
    bare = {name for name, field in Gate.model_fields.items() if not field.description} - blocks
    assert bare <= {"holdout_days"}


def test_overrides_reach_into_the_blocks_of_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "project.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    overrides = ("gate.budget.rule=lord", "gate.first.min_auc=0.6", "gate.hard_rows={}", "gate.slices=[]")
    changed = load(path, (*overrides, "gate.guardrails=[{metric: auc, margin: 0.2}]")).gate
    assert (changed.budget.rule, changed.first.min_auc, changed.hard_rows) == ("lord", 0.6, HardRows())
    assert changed.guardrails == (Guardrail(metric="auc", margin=0.2),)
    path.write_text(yaml.safe_dump(MINIMAL | {"gate": {"guardrails": []}}))
    with pytest.raises(ValueError, match=r"--set 'gate.guardrails.0.margin=1': 'guardrails' is a value, not a block"):
        load(path, ("gate.guardrails.0.margin=1",))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"slices": [{"column": "distance", "edges": [float("nan")], "margin": 0.1}]}, "are not all finite"),
        ({"serving": {}}, "no limit; set one of median_ms, p99_ms, size_mb"),
    ],
)
def test_what_asks_nothing_is_refused(load_gate: Load, values: dict[str, Any], words: str) -> None:
    assert words in refused(load_gate, values)
