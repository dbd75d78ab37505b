"""The diagnosis: one test for each verdict, and which evidence is believed first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import pytest

from models.monitoring.diagnosis import Diagnosis, Evidence, Verdict, diagnose
from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation import Estimate
from models.monitoring.quality import QualityCheck
from models.monitoring.realised import Realised

SOUND = QualityCheck("missing share", "seats", 0.1, 0.3, False)
BROKEN = QualityCheck("missing share", "seats", 0.9, 0.3, True)
STILL, MOVED = ColumnDrift("seats", 0.02, False), ColumnDrift("distance", 0.4, True)
STEADY, FALLING = Estimate(0.75, 0.73, 0.77, 0.75), Estimate(0.65, 0.63, 0.67, 0.75)
SAME = Realised(1_000, 14, 0.3, 0.50, 0.75, 0.02, 0.50, 0.75, 0.0, 0.5)
HARMED = Realised(1_000, 14, 0.3, 0.60, 0.65, 0.02, 0.50, 0.75, 0.1, 0.001)
FEW_DAYS = replace(HARMED, num_groups=9)
ALL_IS_WELL = Evidence((SOUND,), (STILL,), STEADY, SAME, labelled_share=1.0, mismatch_share=0.0)


def verdict_of(**changes: object) -> Diagnosis:
    return diagnose(
        replace(ALL_IS_WELL, **changes),
        harm=0.02,
        alpha=0.05,
        min_labelled_share=0.5,
        min_groups=10,
        mismatch_share=0.01,
    )


CASES: list[tuple[dict[str, object], str, str]] = [
    ({}, "healthy", "Nothing moved: log loss 0.500 against 0.500 at promotion (+0.000 nats, p = 0.500)."),
    ({"drift": (MOVED, STILL)}, "benign_shift", "Inputs moved without harm: distance (0.40); log loss 0.500"),
    ({"drift": (MOVED,), "realised": HARMED}, "harmful_shift", "The champion got worse and its inputs moved: log"),
    ({"realised": HARMED}, "concept_change", "The champion got worse on inputs that did not move: log loss 0.600"),
    (
        {"quality": (SOUND, BROKEN)},
        "broken_feed",
        "The feed is not what the champion was trained on: missing share",
    ),
    ({"mismatch_share": 0.02}, "serving_fault", "The champion no longer reproduces 2.0% of its logged scores"),
    ({"mismatch_share": 0.01}, "healthy", "Nothing moved"),
    ({"labelled_share": 0.3}, "labels_needed", "Only 30% of the labels that are due have arrived."),
    (
        {"realised": None, "estimate": FALLING},
        "labels_needed",
        "The estimated AUC fell to 0.650 from 0.750, and la",
    ),
    ({"realised": FEW_DAYS, "estimate": FALLING}, "labels_needed", "The estimated AUC fell to 0.650 from 0.750"),
    ({"realised": FEW_DAYS}, "healthy", "Nothing moved; labels of 9 days are known where 10 are needed."),
    ({"realised": None, "estimate": None}, "healthy", "Nothing moved; labels of 0 days are known where 10 are"),
    ({"realised": None, "drift": (MOVED,)}, "benign_shift", "Inputs moved (distance (0.40)); no harm is seen yet"),
]


@pytest.mark.parametrize(("changes", "verdict", "reason"), CASES)
def test_each_kind_of_evidence_leads_to_its_verdict(changes: dict[str, object], verdict: str, reason: str) -> None:
    diagnosis = verdict_of(**changes)
    assert diagnosis.verdict == verdict
    assert diagnosis.reason.startswith(reason)


def test_every_verdict_has_been_seen() -> None:
    assert {verdict for _, verdict, _ in CASES} == set(get_args(Verdict))


@pytest.mark.parametrize("realised", [replace(HARMED, rise=0.01), replace(HARMED, p_value=0.2)])
def test_a_rise_that_is_small_or_may_be_chance_is_no_harm(realised: Realised) -> None:
    assert verdict_of(realised=realised).verdict == "healthy"


def test_evidence_is_believed_in_the_order_in_which_it_can_be_trusted() -> None:
    everything: dict[str, object] = {
        "quality": (BROKEN,),
        "mismatch_share": 0.5,
        "labelled_share": 0.0,
        "realised": HARMED,
        "drift": (MOVED,),
        "estimate": FALLING,
    }
    verdicts = []
    while everything:
        verdicts.append(verdict_of(**everything).verdict)
        everything.pop(next(iter(everything)))
    assert verdicts == ["broken_feed", "serving_fault", "labels_needed", "harmful_shift", "benign_shift", "healthy"]


def test_every_combination_has_a_verdict_and_one_sentence_of_reason() -> None:
    choices = {
        "quality": [(SOUND,), (BROKEN,) * 5, ()],
        "drift": [(STILL,), (MOVED,) * 5, ()],
        "estimate": [None, STEADY, FALLING],
        "realised": [None, SAME, HARMED, FEW_DAYS],
        "labelled_share": [None, 0.1, 1.0],
        "mismatch_share": [0.0, 1.0],
    }
    for values in itertools.product(*choices.values()):
        diagnosis = verdict_of(**dict(zip(choices, values, strict=True)))
        assert diagnosis.verdict in get_args(Verdict)
        assert diagnosis.reason.endswith(".")
        assert ". " not in diagnosis.reason
        assert not (diagnosis.warrants_retrain and diagnosis.forbids_retrain)
        if values[0] == (BROKEN,) * 5:
            assert diagnosis.forbids_retrain
            assert "and 2 more" in diagnosis.reason


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_only_shown_harm_warrants_a_retrain_and_only_a_fault_forbids_one(verdict: Verdict) -> None:
    diagnosis = Diagnosis(verdict, "Because.")
    assert diagnosis.warrants_retrain == (verdict in ("harmful_shift", "concept_change"))
    assert diagnosis.forbids_retrain == (verdict in ("broken_feed", "serving_fault"))
