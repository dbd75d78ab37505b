"""The diagnosis: which evidence is believed first, and what is said for each verdict."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import pytest

from models.monitoring.diagnosis import ACTIONS, Diagnosis, Rules, Verdict, diagnose
from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.reverse_concept import ConceptCost
from models.monitoring.evidence import Evidence, JointDrift, SeriesAlarm
from models.monitoring.performance import Change, Realised
from models.monitoring.quality import QualityCheck
from models.monitoring.replay import Replay

SOUND = QualityCheck("missing share", "seats", 0.1, 0.3, False)
BROKEN = QualityCheck("missing share", "seats", 0.9, 0.3, True)
STILL, MOVED = ColumnDrift("seats", 0.02, False), ColumnDrift("distance", 0.4, True)
ALIKE = JointDrift(0.52, 0.49, 0.55, 0.2, "days", 0.9, "", {"seats": 1.0})
UNLIKE = replace(ALIKE, auc=0.8, lower=0.75, upper=0.85)
STEADY = Estimate("cbpe", "auc", 0.75, 0.73, 0.77, 0.01, 0.75)
FALLING = replace(STEADY, value=0.65, lower=0.63, upper=0.67)
LOSS = Change("log_loss", "log loss (nats)", "all rows", 1_000, 14, 0.5, 0.5, 0.0, -0.02, 0.02)
SAME = Realised(1_000, 14, 0.3, (LOSS,))
QUIET = SeriesAlarm("log_loss", "log loss (nats)", 0.1, 80.0, False, None, None, None, 0.0, 0.02, True)
HARMED = replace(QUIET, years=9_000.0, is_raised=True, since="2025-05-01", before=0.5, after=0.6, worse=0.1)
SHIFTED_INPUT = replace(HARMED, series="drift.seats", label="distance of seats", is_performance=False)
ALL_IS_WELL = Evidence(
    quality=(SOUND,),
    replay=Replay(1_000, 0.0, 0.0),
    drift=(STILL,),
    joint=ALIKE,
    estimates=(STEADY,),
    realised=SAME,
    alarms=(QUIET,),
    labelled_share=1.0,
)
RULES = Rules()
KNOWN = "log loss 0.500 against 0.500 at promotion, on 14 days with labels"


def verdict_of(**changes: object) -> Diagnosis:
    return diagnose(replace(ALL_IS_WELL, **changes), RULES)


CASES: list[tuple[dict[str, object], str, str]] = [
    ({}, "healthy", f"Nothing moved; {KNOWN}."),
    ({"drift": (MOVED, STILL)}, "benign_shift", f"Inputs moved without harm: distance (0.40); {KNOWN}."),
    ({"joint": UNLIKE}, "benign_shift", "Inputs moved without harm: new rows can be told from old ones by their"),
    (
        {"drift": (MOVED,), "alarms": (HARMED,)},
        "harmful_shift",
        "The champion got worse and its inputs moved: log loss (nats) went from 0.500 to 0.600 since 2025-05-01; dist",
    ),
    (
        {"alarms": (HARMED,)},
        "concept_change",
        "The champion got worse on inputs that are not shown to have moved: l",
    ),
    ({"alarms": (SHIFTED_INPUT,)}, "healthy", "Nothing moved"),
    (
        {"realised": replace(SAME, changes=(replace(LOSS, value=0.7, worse=0.2),)), "drift": (MOVED,)},
        "benign_shift",
        "Inputs moved and no harm is shown yet: distance (0.40); log loss 0.700 against 0.500 at promotion, on 14 days "
        "with labels, which days that differ so much can come to by chance.",
    ),
    (
        {"realised": replace(SAME, changes=(LOSS, replace(LOSS, metric="auc", value=0.6, reference=0.7, worse=0.1)))},
        "healthy",
        "No change is shown yet; AUC 0.600 against 0.700 at promotion",
    ),
    (
        {"realised": replace(SAME, changes=(replace(LOSS, value=0.7, worse=0.2),))},
        "healthy",
        "No change is shown yet; log loss 0.700",
    ),
    ({"quality": (SOUND, BROKEN)}, "broken_feed", "The feed is not what the champion was trained on: missing share"),
    (
        {"replay": Replay(1_000, 0.02, 0.3)},
        "serving_fault",
        "The champion does not reproduce 2.0% of 1,000 logged scores from the inputs logged with them (largest",
    ),
    ({"replay": Replay(1_000, 0.01, 0.3)}, "healthy", "Nothing moved"),
    ({"replay": None}, "healthy", "Nothing moved"),
    ({"labelled_share": 0.3}, "labels_needed", "Only 30% of the labels that are due have arrived."),
    (
        {"realised": None, "alarms": (), "estimates": (FALLING,)},
        "labels_needed",
        "AUC is estimated at 0.650 (0.630 to 0.670) on rows without labels, where it was 0.750, and no labels",
    ),
    ({"estimates": (FALLING,)}, "labels_needed", "AUC is estimated at 0.650"),
    ({"estimates": (replace(FALLING, is_reliable=False),)}, "healthy", "Nothing moved"),
    ({"estimates": (replace(FALLING, upper=0.74),)}, "healthy", "Nothing moved"),
    ({"realised": None, "estimates": ()}, "healthy", "Nothing moved; no labels are known of the days that are due."),
]


@pytest.mark.parametrize(("changes", "verdict", "reason"), CASES)
def test_each_kind_of_evidence_leads_to_its_verdict(changes: dict[str, object], verdict: str, reason: str) -> None:
    diagnosis = verdict_of(**changes)
    assert diagnosis.verdict == verdict
    assert diagnosis.reason.startswith(reason)


def test_every_verdict_has_been_seen_and_has_an_action() -> None:
    assert {verdict for _, verdict, _ in CASES} == set(get_args(Verdict)) == set(ACTIONS)


@pytest.mark.parametrize(
    "alarm", [replace(HARMED, worse=0.019), replace(HARMED, is_raised=False), replace(HARMED, worse=-0.1)]
)
def test_a_rise_that_is_small_or_may_be_chance_is_no_harm(alarm: SeriesAlarm) -> None:
    assert verdict_of(alarms=(alarm,)).verdict == "healthy"


def test_a_log_loss_that_is_expected_to_rise_asks_for_labels_too() -> None:
    rising = Estimate("weighted", "log_loss", 0.6, 0.55, 0.65, 0.02, 0.5)
    assert verdict_of(estimates=(rising,)).verdict == "labels_needed"
    assert verdict_of(estimates=(replace(rising, lower=0.519),)).verdict == "healthy"


def test_harm_says_what_the_change_of_concept_costs_and_how_sure_it_is() -> None:
    found = verdict_of(alarms=(HARMED,), concept=(ConceptCost("log_loss", 0.08, 0.06, 0.1, 0.01, 0.001),))
    assert "of that +0.080 in log loss is the change of concept" in found.reason
    assert "at most once in 9,000 years" in found.confidence


def test_the_worst_series_is_named_first() -> None:
    area = replace(HARMED, series="auc", label="AUC", before=0.8, after=0.6, worse=0.2)
    assert "AUC went from 0.800 to 0.600 since 2025-05-01, log loss" in verdict_of(alarms=(HARMED, area)).reason


def test_evidence_is_believed_in_the_order_in_which_it_can_be_trusted() -> None:
    everything: dict[str, object] = {
        "quality": (BROKEN,),
        "replay": Replay(10, 0.5, 0.5),
        "labelled_share": 0.0,
        "alarms": (HARMED,),
        "estimates": (FALLING,),
        "drift": (MOVED,),
    }
    verdicts = []
    while everything:
        verdicts.append(verdict_of(**everything).verdict)
        everything.pop(next(iter(everything)))
    assert verdicts == [
        "broken_feed",
        "serving_fault",
        "labels_needed",
        "harmful_shift",
        "labels_needed",
        "benign_shift",
    ]


def test_every_combination_has_a_verdict_and_one_sentence_of_reason() -> None:
    choices = {
        "quality": [(SOUND,), (BROKEN,) * 5, ()],
        "replay": [None, Replay(10, 0.0, 0.0), Replay(10, 1.0, 1.0)],
        "drift": [(STILL,), (MOVED,) * 5, ()],
        "joint": [None, ALIKE, UNLIKE],
        "estimates": [(), (STEADY,), (FALLING,)],
        "realised": [None, SAME],
        "alarms": [(), (QUIET,), (HARMED, SHIFTED_INPUT)],
        "labelled_share": [None, 0.1, 1.0],
    }
    for values in itertools.product(*choices.values()):
        diagnosis = verdict_of(**dict(zip(choices, values, strict=True)))
        assert diagnosis.verdict in get_args(Verdict)
        assert diagnosis.reason.endswith(".")
        assert ". " not in diagnosis.reason
        assert diagnosis.confidence.endswith(".")
        assert not (diagnosis.warrants_retrain and diagnosis.forbids_retrain)
        if values[0] == (BROKEN,) * 5:
            assert diagnosis.forbids_retrain
            assert "and 2 more" in diagnosis.reason


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_only_shown_harm_warrants_a_retrain_and_only_a_fault_forbids_one(verdict: Verdict) -> None:
    diagnosis = Diagnosis(verdict, "Because.")
    assert diagnosis.warrants_retrain == (verdict in ("harmful_shift", "concept_change"))
    assert diagnosis.forbids_retrain == (verdict in ("broken_feed", "serving_fault"))
    assert diagnosis.action == ACTIONS[verdict]
