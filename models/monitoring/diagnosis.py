"""The diagnosis: one verdict from quality, drift, performance and replay, with the reason in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation import Estimate
from models.monitoring.quality import QualityCheck
from models.monitoring.realised import Realised

Verdict = Literal[
    "healthy", "benign_shift", "harmful_shift", "concept_change", "broken_feed", "serving_fault", "labels_needed"
]


@dataclass(frozen=True)
class Evidence:
    """Everything the verdict rests on. What could not be computed is None, and says so on the page."""

    quality: tuple[QualityCheck, ...]
    drift: tuple[ColumnDrift, ...]
    estimate: Estimate | None
    realised: Realised | None
    labelled_share: float | None
    mismatch_share: float


@dataclass(frozen=True)
class Diagnosis:
    """One verdict, its reason, and what follows from it."""

    verdict: Verdict
    reason: str

    @property
    def warrants_retrain(self) -> bool:
        """Whether harm was shown that a retrain can mend."""
        return self.verdict in ("harmful_shift", "concept_change")

    @property
    def forbids_retrain(self) -> bool:
        """Whether a retrain, even a scheduled one, would learn from a fault."""
        return self.verdict in ("broken_feed", "serving_fault")


def diagnose(
    evidence: Evidence,
    harm: float,
    alpha: float,
    min_labelled_share: float,
    min_groups: int,
    mismatch_share: float,
) -> Diagnosis:
    """Weigh the evidence in the order in which it can be trusted: feed, serving, labels, performance, inputs.

    Args:
        evidence: what was measured.
        harm: rise of log loss over the reference that matters, in nats.
        alpha: level at which the rise must be above zero.
        min_labelled_share: share of due labels that must have arrived.
        min_groups: days with labels that a verdict on performance needs.
        mismatch_share: share of logged scores that need not be reproduced, such as those of rows corrected since.
    """
    broken = [check.sentence for check in evidence.quality if check.is_broken]
    if broken:
        return Diagnosis("broken_feed", f"The feed is not what the champion was trained on: {_few(broken)}.")
    if evidence.mismatch_share > mismatch_share:
        return Diagnosis(
            "serving_fault",
            f"The champion no longer reproduces {evidence.mismatch_share:.1%} of its logged scores: "
            "its code or its features have changed.",
        )
    moved = [f"{column.column} ({column.distance:.2f})" for column in evidence.drift if column.has_moved]
    if evidence.labelled_share is not None and evidence.labelled_share < min_labelled_share:
        return Diagnosis(
            "labels_needed", f"Only {evidence.labelled_share:.0%} of the labels that are due have arrived."
        )
    performance = evidence.realised
    if performance is None or performance.num_groups < min_groups:
        return _without_labels(evidence.estimate, performance.num_groups if performance else 0, moved, min_groups)
    change = (
        f"log loss {performance.log_loss:.3f} against {performance.reference_log_loss:.3f} at promotion "
        f"({performance.rise:+.3f} nats, p {_probability(performance.p_value)})"
    )
    if performance.rise >= harm and performance.p_value <= alpha:
        if moved:
            return Diagnosis("harmful_shift", f"The champion got worse and its inputs moved: {change}; {_few(moved)}.")
        return Diagnosis("concept_change", f"The champion got worse on inputs that did not move: {change}.")
    if moved:
        return Diagnosis("benign_shift", f"Inputs moved without harm: {_few(moved)}; {change}.")
    return Diagnosis("healthy", f"Nothing moved: {change}.")


def _without_labels(estimate: Estimate | None, num_days: int, moved: Sequence[str], min_groups: int) -> Diagnosis:
    known = f"labels of {num_days} days are known where {min_groups} are needed"
    if estimate and estimate.upper < estimate.reference:
        fall = f"The estimated AUC fell to {estimate.auc:.3f} from {estimate.reference:.3f}"
        return Diagnosis("labels_needed", f"{fall}, and {known}.")
    if moved:
        return Diagnosis("benign_shift", f"Inputs moved ({_few(moved)}); no harm is seen yet: {known}.")
    return Diagnosis("healthy", f"Nothing moved; {known}.")


def _probability(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _few(items: Sequence[str]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
