"""What a look asks of the labels: whether they are such as they were, and how many may be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from models.evaluation.metrics.metric import Sample
from models.monitoring.evidence import Unsaid
from models.monitoring.quality import (
    NOT_OF_A_NUMBER,
    Profile,
    QualityCheck,
    Unsure,
    check_label_noise,
    check_label_rate,
    check_label_values,
    check_new_classes,
    label_noise,
)
from models.monitoring.view import Part, View

NOISE = "share of flipped labels"


def label_checks(view: View, profiles: Sequence[Profile]) -> list[QualityCheck]:
    """Checks of the labels that are due.

    Args:
        view: what is looked at.
        profiles: of its days; those of the newest window have been checked with everything else of their days, labels
            included: of these a rate is told once.
    """
    expected, limits, due_days = view.champion.expectations, view.settings.limits, {day.iso for day in view.due.span}
    first = view.newest.span[0].iso if view.newest.span else ""
    due = [profile for profile in profiles if profile.day in due_days]
    before = [profile for profile in due if profile.day < first]
    rates = check_label_rate(before, expected, limits)
    return [
        *(rates if len(before) == len(due) else [check for check in rates if check.is_broken]),
        *check_label_values(due, expected, limits, view.columns.label),
        *_new_classes(view),
    ]


def noise_check(view: View) -> QualityCheck | Unsaid:
    """The share of flipped labels that the surest rows speak for, or why it cannot be known."""
    if view.columns.task == "regression":
        return Unsaid(NOISE, NOT_OF_A_NUMBER)
    now, before = _known(view.labelled), _known(view.reference)
    try:
        noise = label_noise(now.labels, now.scores, before.labels, before.scores)
    except Unsure as error:
        return Unsaid(NOISE, str(error))
    return check_label_noise(noise, view.settings.limits)


def _known(part: Part) -> Sample:
    """Rows of a class that the champion knows, and its scores: what is new is no noise."""
    sample, classes = part.judged.sample, part.classes
    if not classes:
        return sample
    is_known = sample.labels < len(classes)  # they come first
    return Sample(sample.labels[is_known], sample.scores[is_known, : len(classes)])


def _new_classes(view: View) -> list[QualityCheck]:
    """Labels of a class that the champion does not know; nothing of labels that are no text."""
    due, classes = view.due, view.reference.classes
    labels = due.frame[view.columns.label]
    return [check_new_classes(labels, due.days, classes, view.settings.limits)] if classes and len(labels) else []
