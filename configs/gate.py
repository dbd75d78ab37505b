"""What a project's YAML may say of the gate: the tests that a challenger has to pass, and what they may cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.component import BaselineComponent, Component, resolve
from configs.section import Count, Days, Level, NotNegative, Positive, Probability, Section, Share

CATALOGUE = "models.evaluation.metrics.catalogue.metric"  # by its path, as a user's class: configs import no models
NAMES_FOR = "models.evaluation.metrics.catalogue.names_for"
Task = Literal["binary", "multiclass", "regression"]
Place = tuple[str | int, ...]


class MetricRef(Section):
    """A metric: one of ours by `metric`, or a class of torchmetrics by `class_path`; with its arguments."""

    metric: str | None = Field(None, description="name of a metric, such as auc; a wrong one is answered with the list")
    class_path: str | None = Field(None, description="a class of torchmetrics instead; it is compared by a bootstrap")
    init_args: dict[str, Any] = Field(default_factory=dict, description="such as {threshold: 0.3}")
    better: Literal["higher", "lower"] | None = Field(
        None, description="only for a class that does not say which direction is better"
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.metric is None) == (self.class_path is None):
            raise ValueError("name either metric or class_path")
        if self.class_path is not None:
            Component(class_path=self.class_path, init_args=self.init_args).check_call(num_ours=0)
            return self
        if self.better is not None:
            raise ValueError(f"{self.metric} knows its direction; leave better out")
        resolve(CATALOGUE)(self.metric, **self.init_args)
        return self

    def why_not(self, task: Task) -> str | None:
        """Why it cannot be computed of such labels, or None when it can; a class of torchmetrics is not asked."""
        if self.metric is None:
            return None
        if task not in resolve(CATALOGUE)(self.metric, **self.init_args).tasks:
            names = ", ".join(resolve(NAMES_FOR)(task))
            return f"{self.metric} is not defined for data.task={task}; choose one of {names}"
        if task == "multiclass" and "threshold" in self.init_args:
            return f"threshold of {self.metric} means nothing where the largest of several scores decides; leave it out"
        return None


class Guardrail(MetricRef):
    """A metric that may not get worse by its margin."""

    margin: NotNegative | None = Field(None, description="how much worse it may be, in its unit")
    relative_margin: NotNegative | None = Field(None, description="or as a share of the champion's value")

    @model_validator(mode="after")
    def _has_one_margin(self) -> Self:
        if (self.margin is None) == (self.relative_margin is None):
            raise ValueError("set either margin or relative_margin, to a number that is not negative")
        return self


class Slice(Section):
    """A part of the rows in which the primary metric may not get worse by more than `margin`.

    `column` alone: a slice for each of its values. With `edges`: for each range between them. `query`: the rows for
    which an expression is true.
    """

    column: str | None = None
    edges: Annotated[tuple[float, ...], Field(strict=False)] = ()
    query: str | None = None
    name: str | None = Field(None, description="of a query's slice; by default the query itself")
    margin: Positive

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.column is None) == (self.query is None):
            raise ValueError("name either column (with edges, if it is a number) or query")
        if (self.edges and self.column is None) or (self.name and self.query is None):
            raise ValueError("edges belong to a column, and a name belongs to a query")
        if not all(map(math.isfinite, self.edges)):
            raise ValueError(
                f"edges={list(self.edges)} are not all finite; what lies beyond the last has a slice anyway"
            )
        if len(set(self.edges)) != len(self.edges) or list(self.edges) != sorted(self.edges):
            raise ValueError(f"edges={list(self.edges)} are not in rising order")
        return self


class Fairness(Section):
    """How much wider than the champion's a gap between the groups of one protected column may be."""

    column: str
    demographic_parity: Positive | None = Field(None, description="gap of the share called positive")
    equal_opportunity: Positive | None = Field(None, description="gap of the share called positive among positives")
    equalised_odds: Positive | None = Field(None, description="the same, or among negatives, whichever is wider")
    calibration: Positive | None = Field(None, description="squared calibration error of the worst group")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.margins:
            raise ValueError(f"no criterion for {self.column!r}; set one of {', '.join(CRITERIA)} to a margin")
        return self

    @property
    def margins(self) -> dict[str, float]:
        """The criteria that are asked for, with their margins."""
        return {name: margin for name in CRITERIA if (margin := getattr(self, name)) is not None}


CRITERIA = tuple(name for name in Fairness.model_fields if name != "column")


class HardRows(Section):
    """A regression suite of rows that champions got wrong with confidence; it grows with each decision."""

    per_decision: Count = Field(20, description="rows added from each holdout: those the champion paid most for")
    newest: Count = Field(1000, description="so many of the last ones are asked")
    margin: Share = Field(0.05, description="largest share called wrong of those that the champion now calls right")


class Robustness(Section):
    """Inputs as on a bad day, on which the primary metric may not get worse by more than `margin`."""

    missing_share: Share = Field(0.1, description="of the cells of all features that are emptied")
    noise: NotNegative = Field(0.1, description="standard deviations of Gaussian noise on number columns")
    margin: Positive

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.missing_share and not self.noise:
            raise ValueError("missing_share and noise are both 0, which asks nothing; leave robustness out")
        return self


class Serving(Section):
    """What a challenger may cost to serve; times depend on the machine, and a busy one fails an innocent model."""

    rows: Count = Field(1, description="in the request that is timed")
    median_ms: Positive | None = Field(None, description="largest median time of a request, in milliseconds")
    p99_ms: Positive | None = Field(None, description="largest 99th percentile, in milliseconds")
    size_mb: Positive | None = Field(None, description="largest size of the weights, in megabytes")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.median_ms is None and self.p99_ms is None and self.size_mb is None:
            raise ValueError("no limit; set one of median_ms, p99_ms, size_mb, or leave serving out")
        return self


class Budget(Section):
    """How the level of a test follows from the tests before it."""

    rule: Literal["fixed", "spending", "lord"] = Field(
        "fixed",
        description="fixed: each test at alpha, and the ledger counts. spending: alpha is the chance of any false "
        "promotion over the whole life. lord: alpha is the expected share of false ones among promotions (LORD++)",
    )
    ceiling: Positive | None = Field(
        None, description="expected number of false promotions after which the gate promotes nothing any more"
    )


class First(Section):
    """What the first champion must show against a baseline, while there is no champion to compare with.

    Binary: an AUC above a floor, and no worse a log loss. Multiclass: a lower log loss, and no worse an accuracy.
    Regression: a correlation above a floor, and no worse a root mean squared error.
    """

    baseline: BaselineComponent = Component(class_path="models.evaluation.baselines.Prior")
    min_auc: Probability = Field(0.55, description="binary: floor that its AUC must be shown to lie above")
    log_loss_margin: Positive = Field(
        0.01, description="binary: how much higher than the baseline's its log loss may be"
    )
    accuracy_margin: Positive = Field(
        0.01, description="multiclass: how much lower than the baseline's its accuracy may be"
    )
    min_correlation: Probability = Field(
        0.1, description="regression: floor that the correlation of label and prediction must be shown to lie above"
    )
    rmse_margin: Positive = Field(
        0.05, description="regression: by what share of the baseline's its root mean squared error may be higher"
    )


class Minima(Section):
    """What a holdout must have before anything is tested on it."""

    groups: Annotated[int, Field(ge=10)] = 10
    positives: Annotated[int, Field(ge=50, description="binary")] = 50
    negatives: Annotated[int, Field(ge=50, description="binary")] = 50
    class_rows: Annotated[int, Field(ge=50, description="multiclass: rows of each of at least two classes")] = 50


GUARDRAILS: dict[Task, tuple[dict[str, Any], ...]] = {
    "binary": (
        {"metric": "auc", "margin": 0.01},
        {"metric": "squared_calibration_error", "margin": 0.0004},  # 0.02 squared: wrong by 2 % everywhere
    ),
    "multiclass": (
        {"metric": "accuracy", "margin": 0.01},
        {"metric": "squared_calibration_error", "margin": 0.0004},
    ),
    "regression": ({"metric": "mae", "relative_margin": 0.01},),  # a share, for its unit is not ours to know
}
ONLY: dict[Place, tuple[Task, ...]] = {  # what is asked of labels of some kinds alone
    ("threshold",): ("binary",),
    ("negative_flips",): ("binary", "multiclass"),
    ("hard_rows",): ("binary", "multiclass"),
    ("first", "min_auc"): ("binary",),
    ("first", "log_loss_margin"): ("binary",),
    ("first", "accuracy_margin"): ("multiclass",),
    ("first", "min_correlation"): ("regression",),
    ("first", "rmse_margin"): ("regression",),
    ("minima", "positives"): ("binary",),
    ("minima", "negatives"): ("binary",),
    ("minima", "class_rows"): ("multiclass",),
}
FAIR: dict[Task, tuple[str, ...]] = {"binary": CRITERIA, "multiclass": ("calibration",), "regression": ()}


class Gate(Section):
    """When a challenger replaces the champion."""

    primary: MetricRef = Field(
        MetricRef(metric="log_loss"),
        description="metric in which a challenger must be better; proper scores have the most power",
    )
    min_gain: NotNegative = Field(0.002, description="smallest gain in the primary metric worth having, in its unit")
    alpha: Level = Field(0.05, description="chance that one attempt promotes a challenger that is no better")
    budget: Budget = Budget()
    guardrails: Annotated[tuple[Guardrail, ...], Field(strict=False)] = Field(
        tuple(map(Guardrail.model_validate, GUARDRAILS["binary"])),
        description="what may not get worse; by default AUC and calibration, multiclass accuracy and calibration, "
        "regression the mean absolute error by 1 %",
    )
    anchor_margin: Positive | None = Field(
        0.02, description="how much worse than the first champion in the primary metric; null: never asked"
    )
    slices: Annotated[tuple[Slice, ...], Field(strict=False)] = ()
    fairness: Annotated[tuple[Fairness, ...], Field(strict=False)] = ()
    min_slice_rows: Count = Field(200, description="smallest slice or protected group that is tested")
    negative_flips: Probability | None = Field(
        None, description="largest share of rows that the champion gets right and the challenger wrong"
    )
    threshold: Probability = Field(
        0.5, description="score from which a row of a binary label is called positive, for flips and fairness"
    )
    hard_rows: HardRows | None = None
    robustness: Robustness | None = None
    serving: Serving | None = None
    first: First = First()
    several: Literal["validation", "holm"] = Field(
        "validation",
        description="with several arms: test only the best on validation rows, or each challenger at Holm's level",
    )
    groups: str = Field(
        "day",
        description="which rows depend on one another: those of a day, of a value of a column such as customer, "
        "or 'ladder': blocks of consecutive rows of every length",
    )
    max_uses: Count = Field(2, description="so many decisions may be made with the same row")
    plausible_gain: Positive | None = Field(
        0.1,
        description="no retrain is expected to gain more (in the unit of the primary metric): nothing is trained when "
        "the holdout could not show even that; null: always train",
    )
    approval: Literal["none", "required"] = Field(
        "none", description="required: what passes the gate replaces the champion once a person has approved it"
    )
    approval_days: Days = Field(7.0, description="after which a question that nobody answered has expired")
    holdout_days: Days = 14.0
    embargo_days: NotNegative | None = Field(None, description="gap before the holdout; by default the label delay")
    minima: Minima = Minima()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that it names, each once; those in a query are found when it is evaluated."""
        named = [each.column for each in self.slices if each.column] + [each.column for each in self.fairness]
        named += [] if self.groups in ("day", "ladder") else [self.groups]
        refs = (self.primary, *self.guardrails)
        named += [ref.init_args["column"] for ref in refs if ref.metric and "column" in ref.init_args]
        return tuple(dict.fromkeys(named))

    def why_not(self, task: Task) -> Iterator[tuple[Place, object, str]]:
        """What means nothing for labels of this kind: where it stands, its value, and why."""
        refs: list[tuple[Place, MetricRef]] = [(("primary",), self.primary)]
        refs += [(("guardrails", place), ref) for place, ref in enumerate(self.guardrails)]
        for place, ref in refs:
            if why := ref.why_not(task):
                yield place, ref.metric, why
        for block, each in enumerate(self.fairness):
            for name in each.margins:
                if name not in FAIR[task]:
                    others = f"; choose one of {', '.join(FAIR[task])}" if FAIR[task] else "; leave gate.fairness out"
                    yield ("fairness", block, name), each.margins[name], f"{name} {_undefined(task)}{others}"
        for place, tasks in ONLY.items():
            value, default = _at(self, place), _at(Gate(), place)
            if task not in tasks and value != default:
                yield place, value, f"{place[-1]} {_undefined(task)}, only for {' and '.join(tasks)}; leave it out"

    @model_validator(mode="after")
    def _units_are_those_of_the_primary_metric(self) -> Self:
        in_its_unit = {"min_gain", "anchor_margin", "plausible_gain"}
        unsaid = sorted(in_its_unit - self.model_fields_set)
        if self.primary.metric != "log_loss" and unsaid:
            raise ValueError(
                f"primary is {self.primary.metric or self.primary.class_path}; set {', '.join(unsaid)} in its unit "
                "(the defaults are nats of log loss)"
            )
        return self

    @field_validator("primary")
    @classmethod
    def _is_only_a_metric(cls, value: MetricRef) -> MetricRef:
        if isinstance(value, Guardrail):
            raise ValueError("the primary metric has no margin; set gate.min_gain")
        return value


def _at(gate: Gate, place: Place) -> object:
    found: object = gate
    for name in place:
        found = getattr(found, str(name))
    return found


def _undefined(task: Task) -> str:
    return f"is not defined for data.task={task}"
