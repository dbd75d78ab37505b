"""Decide, and write the decision into the log: the only place that says who the champion is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect.runtime import flow_run

from configs.schema import Project
from models.data.snapshots import Snapshot
from models.evaluation.budget import Tested, ledger
from models.evaluation.gate import Judgement, best, judge, unjudged
from models.evaluation.hard_rows import hardest
from models.evaluation.holm import holm_levels
from models.monitoring.quality import QualityCheck
from models.registry import history
from models.registry.log import ChampionChanged, Entry, Kind, Superseded
from models.registry.registry import Registry
from models.registry.versions import VersionId
from tasks.evaluate import Bench, Contest, compete, set_up
from tasks.events import is_replay
from tasks.foresee import Foresight, ledger_of, too_few
from tasks.report import has_page
from tasks.require import counted, rules_of
from tasks.step import load_version, now, registry_of, step
from tasks.turn import Turn, attempt_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One try to replace the champion: why, as of when, against whom, and the answer if it has one already."""

    id: str
    trigger: str
    as_of: datetime
    champion: VersionId | None
    diagnosis: dict[str, str] | None
    answer: Entry | None
    is_published: bool
    objection: str | None
    lease: int | None = None
    decided_as: str | None = None

    @property
    def published_answer(self) -> Entry | None:
        """The answer, if nothing is left to be done."""
        return self.answer if self.is_published else None

    @property
    def answered_as(self) -> str:
        """Its own name, or another where the champion changed while an earlier answer waited for a person."""
        return self.decided_as or self.id


@step
def begin(project: Project, as_of: datetime, trigger: str, turn: Turn) -> Attempt:
    """Open an attempt, or find what a killed run had begun.

    A broken feed or a serving fault forbids a new one, and so does another that is under way.
    """
    registry = registry_of(project)
    state, attempt = registry.log.read(), attempt_of(as_of)
    registered = state.challengers(attempt)
    decided_as = state.current(attempt)
    watched, answer = registry.watches.last(as_of), state.answer(decided_as)
    diagnosis = watched.diagnosis if watched and watched.champion == state.champion else None
    return Attempt(
        id=attempt,
        trigger=trigger,
        as_of=as_of,
        champion=registered[0].against if registered else state.champion,
        diagnosis=asdict(diagnosis) if diagnosis else None,
        answer=answer,
        is_published=answer is not None and has_page(project, answer),
        objection=turn.under_way or (diagnosis.reason if diagnosis and diagnosis.forbids_retrain else None),
        lease=turn.lease,
        decided_as=decided_as,
    )


@step
def object_to(
    project: Project,
    snapshot: Snapshot,
    faults: list[QualityCheck],
    foresight: Foresight,
    champion: VersionId | None,
) -> str | None:
    """Why nothing should be trained on this snapshot, or None: asked before any training time is spent."""
    if faults:
        found = ", ".join(fault.sentence for fault in faults[:3])
        return f"The rows new since the champion are not what it was trained on: {found}."
    if champion and not snapshot.num_new_rows:
        return "There are no labelled rows to learn from since the champion was trained, beyond those kept for judging."
    if snapshot.holdout_labelled_share < project.watch.min_mature_share:
        arrived = f"{snapshot.holdout_labelled_share:.0%} of the labels of the holdout have arrived"
        return f"Only {arrived}, and the rows that have one may be unlike the others."
    return foresight.objection


@step
def decline(project: Project, attempt: Attempt, reason: str, foresight: Foresight | None = None) -> Entry:
    """Record that a retrain was not begun, and why."""
    registry = registry_of(project)
    evidence = {"trigger": attempt.trigger, "diagnosis": attempt.diagnosis}
    evidence |= foresight.record if foresight else {}
    return _append(registry, "declined", reason, attempt, registry.log.read().champion, None, evidence)


@step
def decide(
    project: Project, attempt: Attempt, snapshot: Snapshot, challengers: list[VersionId], foresight: Foresight
) -> Entry:
    """Judge the challengers against the champion in force and record the answer.

    When another writer decides something meanwhile, they are judged again: against the champion and at the level that
    the log then says.
    """
    registry = registry_of(project)
    while True:
        bench = set_up(project, registry, snapshot, registry.log.read())
        champion = bench.state.champion
        challenger, judgement = _judge(bench, champion, challengers)
        evidence = _evidence(bench, attempt, snapshot, challengers, challenger, judgement, foresight)
        try:
            return _append(
                registry,
                *_kind_and_reason(project, judgement, evidence),
                attempt,
                champion,
                challenger,
                evidence,
                bench.state.num_decisions,
            )
        except (ChampionChanged, Superseded) as change:
            logger.info("deciding again: %s", change)


def _kind_and_reason(project: Project, judgement: Judgement, evidence: dict[str, Any]) -> tuple[Kind, str]:
    """What is recorded of a judgement: a yes waits for a person where the project asks for one; replays ask nobody."""
    if judgement.answer != "promoted" or project.gate.approval == "none" or is_replay():
        return judgement.answer, judgement.reason
    until = now() + timedelta(days=project.gate.approval_days)
    evidence["approval"] = {"until": until.isoformat(), "run": str(flow_run.id or "")}
    return "awaiting", f"A person has until {until:%Y-%m-%d %H:%M} UTC to approve or refuse. {judgement.reason}"


def _judge(bench: Bench, champion: VersionId | None, challengers: Sequence[VersionId]) -> tuple[VersionId, Judgement]:
    """The best of the challengers, and the gate's answer for it."""
    if why := _why_no_test(bench, champion):
        return challengers[0], Judgement("inconclusive", why, bench.size)
    contests = [compete(bench, champion, challenger) for challenger in challengers]
    level = ledger_of(bench.project, bench.state).next_level if champion else bench.project.gate.alpha
    judged = [_answer(contest, level) for contest in contests]
    if len(contests) > 1:  # each is promoted only if all of its tests hold: Holm's levels follow from the largest p
        levels = holm_levels([_largest_p(judgement) for judgement in judged], level)
        judged = [_answer(contest, level) for contest, level in zip(contests, levels, strict=True)]
    place = best(judged)
    return contests[place].challenger.id, judged[place]


def _why_no_test(bench: Bench, champion: VersionId | None) -> str | None:
    """What another decision may have left too little of meanwhile: fresh rows, or error budget."""
    if few := too_few(bench):
        return few
    budget = ledger_of(bench.project, bench.state)  # a first champion replaces nobody, and needs none of it
    return budget.sentence if champion and budget.is_exhausted else None


def _answer(contest: Contest, level: float) -> Judgement:
    """The gate's answer, or why no test is made: that costs nothing of the budget."""
    refused = contest.challenger.id in contest.bench.state.refused
    if why := [f"{contest.challenger.id} was refused by a person"] if refused else contest.spoilt:
        return unjudged(contest.paired, f"{'; '.join(why)}.")
    return judge(contest.paired, rules_of(contest, level), counted(contest))


def _largest_p(judgement: Judgement) -> float:
    """The p of "something that is asked is not so"; 1 when something could not be tested, or is counted and fails."""
    if not judgement.tests or any(test.p_value is None and test.verdict != "holds" for test in judgement.tests):
        return 1.0
    return max(test.p_value for test in judgement.tests if test.p_value is not None)


def _evidence(
    bench: Bench,
    attempt: Attempt,
    snapshot: Snapshot,
    challengers: list[VersionId],
    challenger: VersionId,
    judgement: Judgement,
    foresight: Foresight,
) -> dict[str, Any]:
    project, registry = bench.project, bench.registry
    registered = registry.log.read().challengers(attempt.id)
    windows = {name: moment.isoformat() for name, moment in asdict(snapshot.windows).items()}
    evidence = {
        "trigger": attempt.trigger,
        "diagnosis": attempt.diagnosis,
        "windows": windows | {"embargo_days": project.embargo_days},
        "snapshot": {"id": snapshot.id, "num_rows": snapshot.num_rows},
        "training": next((dict(entry.evidence) for entry in registered if entry.version == challenger), None),
        "challengers": challengers,
        "gate": project.gate.model_dump(mode="json"),
        "outlook": foresight.record["outlook"],
        "judgement": asdict(judgement),
    }
    if not judgement.tests:
        return evidence
    if bench.state.champion is None:
        evidence["baseline"] = str(getattr(project.gate.first.baseline.build(), "label", "a baseline"))
    # What the decision rests on is kept before it is recorded: an entry never names rows that are not there.
    evidence["holdout"] = registry.holdouts.keep(bench.holdout[[bench.columns.id]].set_axis(["id"], axis=1))
    evidence["num_rows_used_up"] = bench.num_used_up
    if bench.state.champion:
        evidence["budget"] = _budget(bench, judgement)
        evidence |= _hard_rows(bench, bench.state.champion)
    return evidence


def _budget(bench: Bench, judgement: Judgement) -> dict[str, Any]:
    """The ledger before this test and after it."""
    gate, before = bench.project.gate, ledger_of(bench.project, bench.state)
    this = Tested(before.next_level, judgement.answer == "promoted")
    after = ledger(gate.budget.rule, gate.alpha, [*history.tested(bench.state), this], gate.budget.ceiling)
    return {"before": asdict(before), "after": asdict(after)}


def _hard_rows(bench: Bench, champion: VersionId) -> dict[str, str]:
    """The rows of this holdout that join the regression suite, by the name under which they are kept."""
    settings, threshold = bench.project.gate.hard_rows, bench.project.gate.threshold
    if settings is None:
        return {}
    sample = bench.sample(bench.scores(load_version(bench.registry, champion), bench.holdout))
    rows = hardest(bench.holdout, sample.labels, sample.scores, threshold, settings.per_decision)
    return {"hard_rows": bench.registry.hard_rows.keep(rows)} if len(rows) else {}


def _append(
    registry: Registry,
    kind: Kind,
    reason: str,
    attempt: Attempt,
    champion: VersionId | None,
    version: VersionId | None,
    evidence: dict[str, Any],
    num_decisions: int | None = None,
) -> Entry:
    entry = registry.log.append(
        kind,
        reason,
        attempt=attempt.answered_as,
        version=version,
        against=champion,
        as_of=attempt.as_of,
        now=now(),
        evidence=evidence,
        num_decisions=num_decisions,
        lease=attempt.lease,
    )
    logger.info("%s: %s", entry.kind, entry.reason)
    return entry
