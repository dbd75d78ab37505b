"""The diagnosis: one verdict from quality, replay, labels, performance and drift, with its reason in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.monitoring.estimation.estimate import Estimate
from models.monitoring.evidence import Evidence, SeriesAlarm
from models.monitoring.measures import BINARY, Measures
from models.monitoring.performance import Change
from models.monitoring.quality import NEW_CLASS

Verdict = Literal[
    "healthy", "benign_shift", "harmful_shift", "concept_change", "broken_feed", "serving_fault", "labels_needed"
]
ACTIONS: dict[Verdict, str] = {
    "healthy": "Nothing to do.",
    "benign_shift": "Nothing to do: nothing shows that the change costs anything.",
    "harmful_shift": "Retrain: the champion has not seen inputs like these.",
    "concept_change": "Retrain on recent rows first: the same inputs now mean something else.",
    "broken_feed": "Mend the feed and watch again; nothing is trained on these rows until then.",
    "serving_fault": "Find what changed in the code or the features that serve the champion; nothing is trained.",
    "labels_needed": "Get labels, for the listed rows first: the harm is feared and not shown.",
}


@dataclass(frozen=True)
class Rules:
    """What counts, in plain numbers.

    Attributes:
        measures: what is measured of the label.
        harm: rise of the loss that matters, in its unit: nats of log loss, or the unit of the label.
        harm_second: change for the worse that matters of the second metric: AUC, accuracy, or root mean squared error.
        min_labelled_share: share of due labels that must have arrived.
        mismatch_share: share of logged scores that need not be reproduced.
        domain_auc: AUC of telling new rows from the reference, from which they are another population.
        false_alarms: a year, that all series together may raise.
    """

    measures: Measures = BINARY
    harm: float = 0.02
    harm_second: float = 0.02
    min_labelled_share: float = 0.5
    mismatch_share: float = 0.01
    domain_auc: float = 0.6
    false_alarms: float = 0.05

    def worth(self, metric: str) -> float:
        """The smallest change for the worse of one of the two watched metrics that matters."""
        return self.harm_second if metric == self.measures.second.name else self.harm


@dataclass(frozen=True)
class Diagnosis:
    """One verdict, its reason, how sure it is, and what follows from it."""

    verdict: Verdict
    reason: str
    confidence: str = ""

    @property
    def action(self) -> str:
        """What a person, or the automation, should do now."""
        return ACTIONS[self.verdict]

    @property
    def warrants_retrain(self) -> bool:
        """Whether harm was shown that a retrain can mend."""
        return self.verdict in ("harmful_shift", "concept_change")

    @property
    def forbids_retrain(self) -> bool:
        """Whether a retrain, even a scheduled one, would learn from a fault."""
        return self.verdict in ("broken_feed", "serving_fault")


def diagnose(evidence: Evidence, rules: Rules) -> Diagnosis:
    """Weigh the evidence in the order in which it can be trusted: feed, serving, labels, performance, inputs."""
    return (
        _fault(evidence, rules)
        or _too_few_labels(evidence, rules)
        or _harm(evidence, rules)
        or _early_warning(evidence, rules)
        or _no_harm(evidence, rules)
    )


def _fault(evidence: Evidence, rules: Rules) -> Diagnosis | None:
    broken = [check.sentence for check in evidence.quality if check.is_broken]
    if broken:
        return Diagnosis(
            "broken_feed",
            f"The feed is not what the champion was trained on: {_few(broken)}.",
            f"{len(broken)} of {len(evidence.quality)} checks are beyond their limits, which lie outside every day of "
            "the training window.",
        )
    replay = evidence.replay
    if replay and replay.mismatch_share > rules.mismatch_share:
        return Diagnosis(
            "serving_fault",
            f"The champion does not reproduce {replay.mismatch_share:.1%} of {replay.num_rows:,} logged scores from "
            f"the inputs logged with them (largest difference {replay.largest:.2g}): its code or its features have "
            "changed.",
            "Scores are computed, not estimated: a difference is a fact.",
        )
    return None


def _too_few_labels(evidence: Evidence, rules: Rules) -> Diagnosis | None:
    share = evidence.labelled_share
    if share is None or share >= rules.min_labelled_share:
        return None
    return Diagnosis(
        "labels_needed",
        f"Only {share:.0%} of the labels that are due have arrived.",
        "The labels that came first are seldom like the others: performance is not judged by them.",
    )


def _harm(evidence: Evidence, rules: Rules) -> Diagnosis | None:
    harmed = evidence.harmed
    if not harmed:
        return None
    change, sure = _few([alarm.sentence for alarm in harmed]), _sure_of(harmed[0], rules)
    worst = harmed[0].series.partition(".")[0]
    cost = next((each for each in evidence.concept if each.metric == worst), None)
    amount = rules.measures.amount(worst, cost.value, sign="+") if cost else ""
    part = f"; of that {amount} in {rules.measures.words(worst)} is the change of concept" if cost else ""
    part += _new_class(evidence, "; ")
    if moved := _movement(evidence, rules):
        return Diagnosis(
            "harmful_shift", f"The champion got worse and its inputs moved: {change}; {moved}{part}.", sure
        )
    return Diagnosis(
        "concept_change", f"The champion got worse on inputs that are not shown to have moved: {change}{part}.", sure
    )


def _early_warning(evidence: Evidence, rules: Rules) -> Diagnosis | None:
    """Harm that is expected on rows whose labels are not due yet, by an estimator that has deserved to be heard."""
    heard = [estimate for estimate in evidence.estimates if estimate.is_reliable and _warns(estimate, rules)]
    if not heard:
        return None
    first = heard[0]
    return Diagnosis(
        "labels_needed",
        f"{rules.measures.words(first.metric)} is estimated at {rules.measures.amount(first.metric, first.value)} "
        f"({first.lower:.3f} to {first.upper:.3f}) on rows without labels, where it was {first.reference:.3f}, and "
        f"{_known(evidence, rules)}.",
        "An estimate without labels is a warning and no proof: it cannot see a change of concept.",
    )


def _warns(estimate: Estimate, rules: Rules) -> bool:
    """Whether the whole interval lies beyond the harm that matters."""
    metric = next((each for each in rules.measures.watched if each.name == estimate.metric), None)
    if metric is None:
        return False
    worth = rules.worth(metric.name)
    if metric.better == "higher":
        return estimate.upper < estimate.reference - worth
    return estimate.lower > estimate.reference + worth


def _no_harm(evidence: Evidence, rules: Rules) -> Diagnosis:
    worse, moved = _worse(evidence, rules), _movement(evidence, rules)
    known = _told(worse, rules) if worse else _known(evidence, rules)
    span = _span(evidence, rules)
    sure = f"Harm that matters is not shown; {span}" if evidence.realised else "Without labels, nobody knows."
    if worse:  # days differ: a stormy fortnight is worse than the reference, and says nothing of the next
        known += ", which days that differ so much can come to by chance"
    known += _new_class(evidence, ", and ")
    if moved:
        how = "without harm" if evidence.realised and not worse else "and no harm is shown yet"
        return Diagnosis("benign_shift", f"Inputs moved {how}: {moved}; {known}.", sure)
    return Diagnosis("healthy", f"{'No change is shown yet' if worse else 'Nothing moved'}; {known}.", sure)


def _worse(evidence: Evidence, rules: Rules) -> Change | None:
    """A metric that is worse by as much as matters, though no alarm says that this is no chance."""
    if not evidence.realised:
        return None
    found = [(evidence.realised.of(each.name), rules.worth(each.name)) for each in rules.measures.watched]
    return next((change for change, least in found if change and change.worse >= least), None)


def _new_class(evidence: Evidence, before: str) -> str:
    """That the world has a class that the champion does not know, in words; empty if it has not."""
    found = next((each for each in evidence.quality if each.name == NEW_CLASS and each.found > 0), None)
    return f"{before}the label has a new class {found.note} in {100 * found.found:.2g} % of the rows" if found else ""


def _known(evidence: Evidence, rules: Rules) -> str:
    """What labels have shown, in words."""
    loss = evidence.realised.of(rules.measures.loss.name) if evidence.realised else None
    return _told(loss, rules) if loss else "no labels are known of the days that are due"


def _told(change: Change, rules: Rules) -> str:
    """One metric against its reference, in words."""
    name = rules.measures.words(change.metric)
    days = f"{change.num_days} day{'s' if change.num_days > 1 else ''} with labels"
    value = rules.measures.amount(change.metric, change.value)
    return f"{name} {value} against {change.reference:.3f} at promotion, on {days}"


def _span(evidence: Evidence, rules: Rules) -> str:
    measures = rules.measures
    loss = evidence.realised.of(measures.loss.name) if evidence.realised else None
    if loss is None or loss.lower is None or loss.upper is None:
        return "too few days are known to say how far off it may be."
    rise, unit = f"{loss.lower:+.3f} and {loss.upper:+.3f}", f" {measures.unit}" if measures.unit else ""
    return f"the rise of {measures.words(loss.metric)} is between {rise}{unit} (95 % interval)."


def _sure_of(alarm: SeriesAlarm, rules: Rules) -> str:
    return (
        f"So much evidence comes by chance at most once in {alarm.years:,.0f} years, however often one looks; "
        f"{rules.false_alarms:g} false alarms a year are accepted over all series together."
    )


def _movement(evidence: Evidence, rules: Rules) -> str:
    """What has moved, in words; empty if nothing has."""
    if evidence.moved:
        return _few([f"{column.column} ({column.distance:.2f})" for column in evidence.moved])
    joint = evidence.joint
    if joint and joint.lower > rules.domain_auc:
        return f"new rows can be told from old ones by their columns together (AUC {joint.auc:.2f})"
    return ""


def _few(items: Sequence[str]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
