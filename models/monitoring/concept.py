"""What the change of concept costs apart from the shift of inputs, asked where there is harm to explain."""

from __future__ import annotations

from dataclasses import replace

from models.data.scores import scores_in, union
from models.monitoring.estimation.reverse_concept import NUM_PARTS, ConceptCost, concept_cost
from models.monitoring.evidence import Evidence, Unsaid
from models.monitoring.view import View

WHAT = "cost of the change of concept"
MAX_CLASSES = 20  # each has trees of its own


def with_concept(evidence: Evidence, view: View) -> Evidence:
    """The evidence, with what the change of concept costs on inputs as they were, where there is harm to explain."""
    if not evidence.harmed:
        return evidence
    if why := _why_not(view):
        return replace(evidence, unsaid=(*evidence.unsaid, Unsaid(WHAT, why)))
    costs = view.memo.once("concept", view.labelled.key(), tuple[ConceptCost, ...], lambda: _costs(view))
    return replace(evidence, concept=costs)


def _why_not(view: View) -> str:
    """Why it cannot be said; empty if it can."""
    num_days = min(view.labelled.judged.num_days, view.reference.judged.num_days)
    if num_days < NUM_PARTS:
        return f"there are labels of {num_days} days, and {NUM_PARTS} are needed now and of the reference"
    if len(_classes(view)) > MAX_CLASSES:
        return f"there are {len(_classes(view))} classes, and it is learned of {MAX_CLASSES} at most"
    return ""


def _classes(view: View) -> tuple[str, ...]:
    """Those that the champion knows, and then those that labels have; empty where labels are no text."""
    known = scores_in(view.reference.frame)[1]
    labels = [part.frame[view.columns.label] for part in (view.reference, view.labelled)]
    return union(union(known, labels=labels[0]), labels=labels[1]) if known else ()


def _costs(view: View) -> tuple[ConceptCost, ...]:
    now, before, champion, classes = view.labelled, view.reference, view.champion, _classes(view)
    costs = concept_cost(
        before.frame,
        before.judged_as(classes).sample,
        now.frame,
        now.judged_as(classes).sample,
        champion.numbers,
        champion.categories,
        before.days,
        now.days,
        task=view.columns.task,
        jobs=view.settings.jobs,
    )
    return tuple(costs.values())
