"""What a project's YAML may say of the watch: what is broken, what has moved, what is harm, and when to retrain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from configs.component import resolve
from configs.gate import Place, Task
from configs.section import Count, Days, Level, Names, Positive, Probability, Section, Share
from configs.triggers import TriggerRef

NAMES_IN = "models.monitoring.business.names_in"  # by its path: configs import no models
HARM_OF_SECOND: dict[Task, str] = {"binary": "harm_auc", "multiclass": "harm_accuracy", "regression": "harm"}
QUALITY_OF: dict[str, tuple[Task, ...]] = {  # what is asked of the labels of some kinds alone
    "label_rate_ratio": ("binary", "multiclass"),
    "label_noise": ("binary", "multiclass"),
    "new_class_share": ("multiclass",),
    "label_shift": ("regression",),
    "label_spread_ratio": ("regression",),
}


class Quality(Section):
    """How far from the days of the training window a day may be before the feed is called broken."""

    missing_share: Share = Field(0.2, description="a feature missing this much more often than on any training day")
    unseen_share: Share = Field(0.2, description="share of values that a category column never had in training")
    out_of_range_share: Share = Field(0.2, description="share of values far outside the range of training")
    unscored_share: Share = Field(0.1, description="share of rows without a prediction: they came after their batch")
    volume_ratio: Annotated[float, Field(gt=1, strict=False)] = Field(
        3.0, description="rows a day this many times above or below training"
    )
    skew_share: Share = Field(0.01, description="share of logged inputs that the source now gives otherwise")
    duplicate_share: Share = Field(0.05, description="share of repeated rows, above that of any training day")
    gap_ratio: Annotated[float, Field(gt=1, strict=False)] = Field(
        3.0, description="time without a row, in longest gaps of training; less than six hours is none"
    )
    label_rate_ratio: Annotated[float, Field(gt=1, strict=False)] | None = Field(
        None,
        description="share of positive labels, or of any class, so many times above or below training; a shift is none "
        "by default",
    )
    label_shift: Positive | None = Field(
        None, description="regression: median label so many spreads (10 % to 90 %) away from that of training"
    )
    label_spread_ratio: Annotated[float, Field(gt=1, strict=False)] | None = Field(
        None, description="regression: spread (10 % to 90 %) of the labels so many times above or below training"
    )
    new_class_share: Share = Field(
        0.5, description="multiclass: share of labels of a class that the champion does not know; less is reported"
    )
    label_noise: Share | None = Field(
        None,
        description="estimated share of flipped labels, of classes; only reported by default: a new concept looks the "
        "same",
    )


class Slices(Section):
    """A column whose values, or ranges between `edges`, are watched apart: an airport, a protected group."""

    column: str
    edges: Annotated[tuple[float, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        if not all(map(math.isfinite, self.edges)) or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges={list(self.edges)} are not finite numbers in rising order")
        return self


class BusinessMetric(Section):
    """A number of the business, one a day: the mean of a column expression over the rows, or a ratio of two sums."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="as triggers call it")]
    value: str = Field(description="an expression over columns, such as clicked or (price - cost) * (late == 0)")
    per: str | None = Field(None, description="sum of value divided by the sum of this; by default by the rows")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        assert self.columns is not None
        return self

    @property
    def columns(self) -> Names:
        """The columns in its expressions, in order. Raises `ValueError` when one is no expression."""
        names_in = resolve(NAMES_IN)
        return tuple(sorted(names_in(self.value) | (names_in(self.per) if self.per else frozenset())))


class Asking(Section):
    """Which rows are worth a label when labels are needed."""

    rows: Count = Field(200, description="rows on the list")
    random_share: Share = Field(0.25, description="of them drawn by chance: those alone may judge a model")


class Watch(Section):
    """What the watch looks at, and what it concludes."""

    window_days: Days = Field(14.0, description="the watch looks at the rows scored in the last so many days")
    quality: Quality = Quality()
    logged_rows: Count = Field(
        2_000, description="inputs of each batch that are kept with their scores, to be replayed"
    )
    mismatch_share: Share = Field(
        0.01, description="share of logged scores that the champion may fail to reproduce from the logged inputs"
    )
    drift_distance: Probability = Field(0.1, description="Jensen-Shannon distance below which a column has not moved")
    domain_auc: Probability = Field(
        0.6, description="AUC of telling new rows from the reference, below which they are alike as a whole"
    )
    min_mature_share: Share = Field(0.5, description="share of labels that must have arrived among those due")
    harm: Positive = Field(
        0.02,
        description="rise of the loss over the reference that is harm: of log loss (nats); of a regression's mean "
        "absolute error, and of its root mean squared error, in the unit of the label",
    )
    harm_auc: Positive = Field(0.02, description="binary: fall of AUC below the reference that is harm")
    harm_accuracy: Positive = Field(0.02, description="multiclass: fall of accuracy below the reference that is harm")
    false_alarms: Level = Field(
        0.05, description="false alarms a year that are accepted, over all series together and however often one looks"
    )
    slices: Annotated[tuple[Slices, ...], Field(strict=False)] = ()
    business: Annotated[tuple[BusinessMetric, ...], Field(strict=False)] = ()
    asking: Asking = Asking()
    triggers: Annotated[tuple[TriggerRef, ...], Field(strict=False)] = Field(
        (TriggerRef(trigger="harm"),), description="a retrain is wanted when any of them has a reason"
    )

    def harm_second(self, task: Task) -> float:
        """How much worse the second metric of such a label may become: AUC, accuracy, or root mean squared error."""
        found: float = getattr(self, HARM_OF_SECOND[task])
        return found

    def why_not(self, task: Task) -> Iterator[tuple[Place, object, str]]:
        """What means nothing for labels of this kind, or is missing: where it stands, its value, and why."""
        if task == "regression" and "harm" not in self.model_fields_set:
            why = "data.task is regression, and nobody else knows what matters of such a number"
            yield ("harm",), None, f"{why}; set watch.harm to the rise of its mean absolute error that is harm"
        for of, name in HARM_OF_SECOND.items():
            if of != task and name != "harm" and getattr(self, name) != type(self).model_fields[name].default:
                yield (name,), getattr(self, name), f"{name} is only for data.task={of}; leave it out"
        for name, tasks in QUALITY_OF.items():
            value = getattr(self.quality, name)
            if task not in tasks and value != Quality.model_fields[name].default:
                yield ("quality", name), value, f"{name} is only for data.task={' and '.join(tasks)}; leave it out"

    @property
    def columns(self) -> Names:
        """Columns that the watch names, the label perhaps among them."""
        named = [each.column for each in self.slices] + [name for each in self.business for name in each.columns]
        return tuple(dict.fromkeys(named))
