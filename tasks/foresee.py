"""Say before anything is trained what the coming test could show, and at what price."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from configs.schema import Project
from models.data.scores import Scores
from models.data.snapshots import Snapshot
from models.evaluation.budget import Ledger, ledger
from models.evaluation.comparison import compare
from models.evaluation.metrics.metric import Undefined
from models.evaluation.power import Outlook, chance_to_hold, outlook
from models.registry import history
from models.registry.log import State
from models.registry.versions import Version, VersionId
from tasks.arms import arms_of
from tasks.evaluate import Bench, set_up
from tasks.require import anchor_of, anchor_scores, metric_of, minima_of, primary_of, probe, slices_of, untestable
from tasks.step import load_version, registry_of, step

logger = logging.getLogger(__name__)
LIKELY = 0.5  # a guardrail that an equal challenger holds less often than this is worth a word


@dataclass(frozen=True)
class Foresight:
    """What is known before a training: the level of the coming test, what it could show, and why it should not be.

    There is no ledger, and no outlook, for the first champion: its test replaces nobody.
    """

    ledger: Ledger | None
    outlook: Outlook | None
    objection: str | None

    @property
    def record(self) -> dict[str, Any]:
        """As it stands in the log."""
        return {
            "budget": {"before": asdict(self.ledger)} if self.ledger else None,
            "outlook": asdict(self.outlook) if self.outlook else None,
        }


@step
def foresee(project: Project, snapshot: Snapshot, champion: VersionId | None) -> Foresight:
    """The level of the coming test, the smallest gain that it could show, and what speaks against it."""
    registry = registry_of(project)
    state = registry.log.read()
    bench = set_up(project, registry, snapshot, state)
    if champion is None:
        slices_of(bench)  # a query that cannot be evaluated is told now, and not at the second promotion
        few = too_few(bench)
        if not few:
            bench.pair(bench.baseline(), bench.baseline())  # a baseline that says no probabilities is told now
        return Foresight(None, None, few)
    spent = ledger_of(project, state)
    if objection := (spent.sentence if spent.is_exhausted else too_few(bench)):
        return Foresight(spent, None, objection)
    if first := anchor_of(bench):
        anchor_scores(bench, first)  # it fails now rather than after the training
    version = load_version(registry, champion)
    scores = bench.scores(version, bench.holdout)
    probe(bench, scores)
    if small := untestable(bench, scores):
        return Foresight(spent, None, _too_small(small))
    try:
        expected = _outlook(bench, scores, spent.next_level / _num_tests(project, version))
    except Undefined as reason:
        return Foresight(spent, None, f"The champion cannot be compared on this holdout: {reason}.")
    logger.info("%s %s", spent.sentence, _says(project, expected))
    for sentence in narrow_guardrails(project, state, spent.next_level):
        logger.warning(sentence)
    return Foresight(spent, expected, _too_weak(project, expected))


def ledger_of(project: Project, state: State) -> Ledger:
    """What the tests so far have spent, and the level of the next one."""
    gate = project.gate
    return ledger(gate.budget.rule, gate.alpha, history.tested(state), gate.budget.ceiling)


def _outlook(bench: Bench, scores: Scores, level: float) -> Outlook:
    primary = primary_of(bench.project, has_champion=True)
    alone = compare(primary, bench.pair(scores, scores))
    earlier = history.ratios(bench.state, primary.label)
    return outlook(alone.champion_error, len(bench.holdout), bench.grouping.num_groups, level, earlier)


def _num_tests(project: Project, parent: Version) -> int:
    """Challengers that will share the level, by Holm's correction at worst."""
    return len(arms_of(project, parent)) if project.gate.several == "holm" else 1


def _too_small(slices: list[str]) -> str:
    """Why no challenger could pass, whatever it is."""
    return (
        f"The holdout could not show that no slice is worse off: {'; '.join(slices[:3])}. Change gate.slices or "
        "gate.min_slice_rows if that is how it is to stay."
    )


def too_few(bench: Bench) -> str | None:
    """What the rows on the bench have too little of to be judged by, in words, or None."""
    minima, size, gate = minima_of(bench.project), bench.size, bench.project.gate
    lacking = minima.lacking(bench.labels, size.num_groups, bench.columns.task)
    if not lacking:
        return None
    if not bench.num_used_up:
        return f"The holdout could not show anything: {lacking}."
    usual_group = bench.num_used_up / gate.holdout_days
    fresh = minima.rows_missing(bench.labels, size.num_groups, usual_group, bench.columns.task)
    return (
        f"{bench.num_used_up:,} of {bench.num_used_up + size.num_rows:,} rows of the holdout have decided "
        f"{gate.max_uses} times, as often as gate.max_uses allows, and the others cannot show anything: {lacking}. "
        f"About {fresh:,} fresh labelled rows are needed."
    )


def _says(project: Project, expected: Outlook) -> str:
    if expected.smallest_gain is None:
        return f"On {expected.num_rows:,} rows in {expected.num_groups} groups nothing could be shown at that level."
    return (
        f"On {expected.num_rows:,} rows a gain of {expected.smallest_gain:.4f} in "
        f"{primary_of(project, has_champion=True).label} would be shown four times out of five."
    )


def narrow_guardrails(project: Project, state: State, level: float) -> list[str]:
    """Guardrails that days like the last ones cannot show to hold, so that nearly every challenger is inconclusive."""
    found = []
    for ref in project.gate.guardrails:
        if ref.margin is None:
            continue
        label = metric_of(ref, project.data.unit).label
        chance = chance_to_hold(ref.margin, history.guardrail_errors(state, label), level)
        if chance is not None and chance < LIKELY:
            found.append(
                f"{label} may get worse by {ref.margin:g}, and days like the last ones tell that too roughly: a "
                f"challenger that is just as good would pass in {chance:.0%} of tests. Widen its margin in "
                "gate.guardrails, or judge on more days by gate.holdout_days."
            )
    return found


def _too_weak(project: Project, expected: Outlook) -> str | None:
    largest = project.gate.plausible_gain
    if expected.smallest_gain is None:
        return (
            f"Inconclusive before it began: with {expected.num_groups} groups no test can reach level "
            f"{expected.level:.2g}; a longer gate.holdout_days brings more groups."
        )
    if largest is None or expected.smallest_gain <= largest:
        return None
    return (
        f"Inconclusive before it began: the holdout could show a gain of {expected.smallest_gain:.4f} or more, and "
        f"gate.plausible_gain={largest:g} is the largest that is thought possible; it needs about "
        f"{expected.rows_missing(largest):,} more mature labels."
    )
