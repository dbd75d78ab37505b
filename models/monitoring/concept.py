"""What the change of concept costs apart from the shift of inputs, asked where there is harm to explain."""

from __future__ import annotations

from dataclasses import replace

from models.monitoring.estimation.reverse_concept import NUM_PARTS, ConceptCost, concept_cost
from models.monitoring.evidence import Evidence
from models.monitoring.view import View


def with_concept(evidence: Evidence, view: View) -> Evidence:
    """The evidence, with what the change of concept costs on inputs as they were, where there is harm to explain."""
    return replace(evidence, concept=_concept(view)) if evidence.harmed else evidence


def _concept(view: View) -> tuple[ConceptCost, ...]:
    """Nothing where there are too few days to say, and of labels that are not binary."""
    now, before, champion = view.labelled, view.reference, view.champion
    if view.columns.task != "binary" or min(now.judged.num_days, before.judged.num_days) < NUM_PARTS:
        return ()
    return view.memo.once(
        "concept",
        now.key(),
        tuple[ConceptCost, ...],
        lambda: tuple(
            concept_cost(
                before.frame,
                before.judged.sample,
                now.frame,
                now.judged.sample,
                champion.numbers,
                champion.categories,
                before.days,
                now.days,
                jobs=view.settings.jobs,
            ).values()
        ),
    )
