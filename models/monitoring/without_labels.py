"""What can be said of rows before their labels come, and what came true of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import catalogue
from models.evaluation.metrics.metric import Task, Undefined
from models.monitoring.estimation.cbpe import cbpe
from models.monitoring.estimation.dle import dle
from models.monitoring.estimation.domain import Domain, fit_domain
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.track_record import Matured, trust
from models.monitoring.estimation.weighted import weighted
from models.monitoring.evidence import JointDrift, Settled, Trusted
from models.monitoring.view import Part, View
from models.monitoring.watches import Watched

FEWEST_ROWS = 100  # on either side, to expect anything without labels
FEWEST_OF_A_CLASS = 10  # in the reference, to calibrate by


@dataclass(frozen=True)
class WithoutLabels:
    """What can be said of the newest rows before their labels come."""

    joint: JointDrift | None
    estimates: tuple[Estimate, ...]


def without_labels(view: View) -> WithoutLabels:
    """Joint drift and estimates; nothing where there are too few rows to say anything."""
    reference = known_rows(view)
    if min(len(view.scored.frame), len(reference.frame)) < FEWEST_ROWS or _fewest(reference) < FEWEST_OF_A_CLASS:
        return WithoutLabels(None, ())
    return view.memo.once("expected", view.scored.input_key(), WithoutLabels, lambda: _expected(view, reference))


def known_rows(view: View) -> Part:
    """The reference without rows of a class that the champion does not know: it gives them no probability."""
    reference = view.reference
    if not reference.classes:
        return reference
    return reference.only(reference.frame[view.columns.label].isin(reference.classes).to_numpy())


def trusted(estimate: Estimate, settled: Sequence[Settled]) -> Trusted:
    """What the past of an estimator says of it."""
    name = (estimate.estimator, estimate.metric)
    return Trusted(*name, trust([each.matured for each in settled if (each.estimator, each.metric) == name]))


def settle(look: Watched, part: Part, faulty: Collection[str] = (), min_share: float = 0.5) -> list[Settled]:
    """What came true of the estimates of an earlier look, on the very rows that they were made for.

    Args:
        look: the earlier look.
        part: the rows of its window as its champion scored them, with the labels that have come since.
        faulty: days that were found to be broken since: nothing can be learned from them.
        min_share: of the labels that must have come: the error of a handful of rows is not the estimator's.
    """
    is_known = part.frame[part.columns.label].notna().to_numpy()
    if part.is_on(faulty).any() or not len(is_known) or is_known.mean() < min_share:
        return []
    truth = part.only(is_known).judged
    found = []
    for estimate in look.evidence.estimates:
        try:
            realised = catalogue.metric(estimate.metric).measure(truth.sample).value
        except Undefined:
            continue
        matured = Matured.of(estimate, realised)
        found.append(Settled(look.as_of.isoformat(), estimate.estimator, estimate.metric, matured))
    return found


def _fewest(reference: Part) -> int:
    """Rows of the rarest class that the champion knows; of a number, all rows."""
    labels, task = reference.judged.sample.labels, reference.columns.task
    if task == "regression":
        return len(labels)
    num_classes = 2 if task == "binary" else len(reference.classes)
    return int(np.bincount(labels.astype(np.intp), minlength=num_classes).min())


def _expected(view: View, reference: Part) -> WithoutLabels:
    """One classifier of old against new serves the test of joint drift and the weights of the second estimator."""
    champion, scored = view.champion, view.scored
    domain = fit_domain(
        reference.frame,
        scored.frame,
        champion.numbers,
        champion.categories,
        reference.days,
        scored.days,
        jobs=view.settings.jobs,
    )
    return WithoutLabels(JointDrift.of(domain), _ESTIMATES[view.columns.task](view, reference, domain))


def _of_outcomes(view: View, reference: Part, domain: Domain) -> tuple[Estimate, ...]:
    sample, scores, metrics = reference.judged.sample, view.scored.scores, ("auc", "log_loss")
    return (*cbpe(sample, scores, metrics).values(), *weighted(sample, scores, domain, metrics).values())


def _of_classes(view: View, reference: Part, domain: Domain) -> tuple[Estimate, ...]:
    sample, scores = reference.judged.sample, view.scored.scores
    by_weight = weighted(sample, scores, domain, ("log_loss", "accuracy"))
    return (*cbpe(sample, scores, ("accuracy",)).values(), *by_weight.values())


def _of_numbers(view: View, reference: Part, domain: Domain) -> tuple[Estimate, ...]:
    sample, scores, champion = reference.judged.sample, view.scored.scores, view.champion
    metrics = tuple(metric.name for metric in view.measures.watched)
    learned = dle(
        reference.frame,
        sample,
        view.scored.frame,
        scores,
        champion.numbers,
        champion.categories,
        metrics,
        jobs=view.settings.jobs,
    )
    return (*learned.values(), *weighted(sample, scores, domain, metrics).values())


_ESTIMATES: dict[Task, Callable[[View, Part, Domain], tuple[Estimate, ...]]] = {
    "binary": _of_outcomes,
    "multiclass": _of_classes,
    "regression": _of_numbers,
}
