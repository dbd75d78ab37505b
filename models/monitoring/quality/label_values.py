"""Checks of labels that are classes or numbers: new classes, one value for all, and another unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.label_rates import MIN_ARRIVED
from models.monitoring.quality.profile import NumberProfile, Profile
from models.monitoring.quality.row_shares import CONSTANT, Counted, check_share

NEW_CLASS = "share of labels of a new class"
NUM_EXAMPLES = 3


def check_new_classes(labels: pd.Series, days: np.ndarray, classes: Sequence[str], limits: Limits) -> QualityCheck:
    """Labels of a class that the champion does not know.

    That is a fact of the world, whose harm shows in the loss: it is reported, and the feed is broken only where most
    labels are new, as when classes have been renamed.

    Args:
        labels: of rows, None where they are not known.
        days: ordinals of their days, shape (rows,).
        classes: those that the champion knows.
        limits: `new_class_share` is the largest that is no fault.
    """
    is_known = labels.notna().to_numpy()
    values, on = labels[is_known], days[is_known]
    is_new = ~values.isin(list(classes)).to_numpy()
    counted = [
        Counted(str(np.datetime64(int(day), "D")), int(is_new[on == day].sum()), int((on == day).sum()))
        for day in np.unique(on)
    ]
    names = values[is_new].value_counts().index[:NUM_EXAMPLES]
    found = check_share(NEW_CLASS, None, counted, limits.new_class_share)
    return replace(found, note=", ".join(map(repr, names)))


def check_label_values(
    profiles: Sequence[Profile], expected: Expectations, limits: Limits, name: str
) -> list[QualityCheck]:
    """Labels far outside the range of training, as in another unit, and one value in place of many; by day.

    Only days on which about as many labels have arrived as in training count. `name` is the column of the label.
    """
    if expected.label is None:
        return []
    least = MIN_ARRIVED * expected.days.labelled_share
    labelled = [(day, day.label) for day in profiles if day.label and day.labelled and day.labelled >= least * day.rows]
    checks = []
    far = [
        Counted(day.day, label.far_out, day.labelled, day.is_complete)
        for day, label in labelled
        if isinstance(label, NumberProfile)
    ]
    if far:
        checks.append(check_share("share of labels far out of range", name, far, limits.out_of_range_share))
    if labelled and expected.label.top_share < CONSTANT:
        tops = [Counted(day.day, label.top, day.labelled, day.is_complete) for day, label in labelled]
        limit = (1 + expected.label.top_share) / 2
        checks.append(check_share("share of one value among the labels", name, tops, limit))
    return checks
