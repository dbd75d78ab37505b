"""The domain classifier, what is read off it, and the estimates that rest on its weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.evaluation.metrics import METRICS, Sample
from models.monitoring.estimation.domain import Domain, fit_domain
from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.reverse_concept import concept_cost
from models.monitoring.estimation.weighted import calibrated, weighted

NUMBERS = ("a", "b", "c")


def rows(num_rows: int, seed: int, shift: float = 0.0, correlation: float = 0.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(generator.normal(size=(num_rows, 3)), columns=list(NUMBERS))
    frame["b"] = correlation * frame["a"] + np.sqrt(1 - correlation**2) * frame["b"]
    frame["a"] += shift
    frame["text"] = generator.choice(["x", "y", None], num_rows)
    return frame


def judged(reference: pd.DataFrame, current: pd.DataFrame, **arguments: object) -> Domain:
    return fit_domain(reference, current, NUMBERS, ("text",), jobs=1, **arguments)  # type: ignore[arg-type]


def labelled(frame: pd.DataFrame, seed: int, concept: float = 0.0) -> Sample:
    """A model that sees only `a`, of labels that follow `b` too: its calibration moves with the inputs."""
    chances = expit(frame["a"] + (1 + concept) * frame["b"] * (frame["a"] > 0) + concept * frame["c"]).to_numpy()
    labels = (np.random.default_rng(seed).random(len(frame)) < chances).astype(float)
    return Sample(labels, expit(frame["a"]).to_numpy())


def test_rows_of_one_world_cannot_be_told_apart_and_weigh_the_same() -> None:
    domain = judged(rows(4_000, 0), rows(4_000, 1))
    assert domain.lower < 0.5 < domain.upper
    assert domain.p_value > 0.05
    assert domain.effective_share > 0.8
    assert domain.floor_share == 0
    assert domain.weights.mean() == pytest.approx(1)
    assert not domain.no_overlap
    assert sum(domain.importance.values()) == pytest.approx(1)


def test_p_is_small_about_as_often_as_it_says() -> None:
    p_values = np.array([judged(rows(400, 2 * seed), rows(400, 2 * seed + 1)).p_value for seed in range(40)])
    assert (p_values <= 0.05).mean() <= 0.15
    assert 0.3 <= (p_values <= 0.5).mean() <= 0.7


def test_a_change_that_no_margin_shows_is_seen() -> None:
    domain = judged(rows(4_000, 0), rows(4_000, 1, correlation=0.6))
    assert domain.p_value < 1e-6
    assert domain.auc > 0.55
    assert set(list(domain.importance)[:2]) == {"a", "b"}


def test_rows_that_the_reference_has_nothing_like_are_reported() -> None:
    domain = judged(rows(1_000, 0), rows(1_000, 1, shift=8))
    assert domain.auc > 0.95
    assert domain.no_overlap.startswith("no overlap: a classifier tells current from reference rows")
    assert domain.upper <= 1
    current = rows(1_000, 1)
    reference = pd.concat([rows(2_000, 2, shift=6), rows(60, 3)], ignore_index=True)
    assert "is worth" in judged(reference, current).no_overlap or judged(reference, current).auc > 0.95


def test_a_value_that_the_reference_never_held_is_told_apart() -> None:
    current = rows(1_000, 1)
    current["text"] = "z"
    assert judged(rows(1_000, 0), current).auc > 0.99


def test_what_a_day_shares_is_no_drift_when_days_stay_together() -> None:
    def with_weather(num_days: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
        days = np.repeat(np.arange(num_days) + 1_000 * seed, 100)
        frame = rows(len(days), seed)
        frame["c"] = np.random.default_rng(seed + 50).normal(size=num_days).repeat(100)
        return frame, days

    (reference, reference_days), (current, current_days) = with_weather(30, 1), with_weather(15, 2)
    assert judged(reference, current).auc > 0.95
    domain = judged(reference, current, reference_days=reference_days, current_days=current_days)
    assert domain.unit == "days"
    assert domain.auc < 0.8
    assert domain.p_value > 0.01


def test_one_day_says_nothing_about_drift() -> None:
    reference, current = rows(400, 0), rows(100, 1, shift=5)
    domain = judged(reference, current, reference_days=np.arange(400) // 40, current_days=np.full(100, 99))
    assert (domain.lower, domain.upper, domain.p_value) == (0.0, 1.0, 1.0)


def test_the_fit_is_repeatable_capped_and_leaves_its_inputs_alone() -> None:
    reference, current = rows(3_000, 0), rows(1_000, 1)
    copies = reference.copy(), current.copy()
    first, second = (judged(reference, current, row_cap=500) for _ in range(2))
    assert len(first.reference_rows) == len(first.weights) == len(first.current_chances) == 500
    assert first.reference_rows[-1] > 2_900
    assert (first.weights == second.weights).all() and first.importance == second.importance
    pd.testing.assert_frame_equal(reference, copies[0])
    pd.testing.assert_frame_equal(current, copies[1])


def test_days_of_one_side_and_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="one side only"):
        judged(rows(100, 0), rows(100, 1), reference_days=np.arange(100))
    with pytest.raises(ValueError, match="4 rows a side"):
        judged(rows(100, 0), rows(3, 1))


def test_codes_are_those_of_the_reference() -> None:
    vocabulary = Vocabulary.of(pd.DataFrame({"t": ["b", "a", None]}), (), ("t",))
    assert vocabulary.codes("t", pd.Series(["a", "b", None, "c", np.nan])).tolist() == [1, 2, 0, 3, 0]
    numbers = Vocabulary.of(pd.DataFrame({"n": [1.0]}), ("n",), ())
    matrix = numbers.matrix(pd.DataFrame({"n": [1.0, np.inf, None, 1e300]}))
    assert matrix[:, 0] == pytest.approx([1.0, np.nan, np.nan, np.nan], nan_ok=True)


def test_the_weighted_estimate_is_right_when_only_the_inputs_move() -> None:
    errors: dict[str, list[float]] = {"auc": [], "log_loss": [], "brier": [], "accuracy": [], "f1": []}
    for seed in range(6):
        before, now = rows(4_000, 10 * seed), rows(4_000, 10 * seed + 1, shift=0.7)
        reference, current = labelled(before, seed), labelled(now, seed + 100)
        estimates = weighted(reference, current.scores, judged(before, now), tuple(errors))
        for metric, estimate in estimates.items():
            assert estimate.is_reliable
            errors[metric].append((estimate.value - METRICS[metric].measure(current).value) / estimate.standard_error)
    for metric, found in errors.items():
        assert abs(np.mean(found)) < 1.2, metric
        assert np.abs(found).max() < 3.5, metric


def test_weights_reach_what_calibration_on_the_whole_reference_misses() -> None:
    before, now = rows(6_000, 0), rows(6_000, 1)
    now = now[(now["b"] > 0.5) | (np.arange(6_000) % 8 == 0)].reset_index(drop=True)
    reference, current = labelled(before, 2), labelled(now, 3)
    truth = METRICS["log_loss"].measure(current).value
    found = weighted(reference, current.scores, judged(before, now), ("log_loss",))["log_loss"]
    assert abs(found.value - truth) < 0.5 * abs(found.reference - truth)


def test_fewer_effective_rows_make_a_wider_interval_and_no_overlap_an_unreliable_one() -> None:
    before = rows(3_000, 0)
    reference = labelled(before, 1)
    widths = []
    for shift in (0.0, 1.0):
        now = rows(3_000, 2, shift=shift)
        estimate = weighted(reference, labelled(now, 3).scores, judged(before, now), ("log_loss",))["log_loss"]
        widths.append(estimate.standard_error)
    assert widths[1] > 1.2 * widths[0]
    far = rows(500, 4, shift=8)
    estimate = weighted(reference, labelled(far, 5).scores, judged(before, far), ("log_loss",))["log_loss"]
    assert not estimate.is_reliable and estimate.note.startswith("no overlap: ")


def test_weighted_errors_of_a_regression_follow_the_inputs() -> None:
    before, now = rows(4_000, 0), rows(4_000, 1, shift=0.7)
    reference, current = (
        Sample(np.random.default_rng(seed).normal(size=4_000) * np.exp(frame["a"] / 2), np.zeros(4_000))
        for seed, frame in ((2, before), (3, now))
    )
    for metric, estimate in weighted(reference, current.scores, judged(before, now), ("rmse", "mae")).items():
        truth = METRICS[metric].measure(current).value
        assert abs(estimate.value - truth) < 3 * estimate.standard_error
        assert abs(estimate.value - truth) < 0.5 * abs(estimate.reference - truth)


def test_calibration_follows_the_weights_and_several_classes_sum_to_one() -> None:
    labels = np.array([[2.0, 0.0], [0.0, 6.0], [1.0, 0.0], [0.0, 1.0]])
    found = calibrated(labels, np.array([0.2, 0.2, 0.8, 0.8]), np.array([0.2, 0.8, 1.0]))
    assert found[:, 1] == pytest.approx([0.7, 0.7, 0.7])  # isotonic: .75 and .5 are pooled, 7 of the weight of 10
    scores = np.random.default_rng(0).dirichlet((1, 1, 1), 50)
    assert calibrated(np.eye(3)[np.arange(50) % 3], scores, scores).sum(axis=1) == pytest.approx(np.ones(50))


def test_the_cost_of_a_changed_concept_is_told_apart_from_a_shift() -> None:
    before, moved = rows(4_000, 0), rows(4_000, 1, shift=0.5)
    reference = labelled(before, 2)
    shifted = concept_cost(before, reference, moved, labelled(moved, 3), NUMBERS, ("text",), jobs=1)
    assert all(cost.lower < 0 < cost.upper for cost in shifted.values())
    turned = concept_cost(before, reference, moved, labelled(moved, 3, concept=1.0), NUMBERS, ("text",), jobs=1)
    truth = [
        METRICS[metric].measure(labelled(rows(50_000, 7), 8, concept)).value
        for metric in ("log_loss", "auc")
        for concept in (0.0, 1.0)
    ]
    assert turned["log_loss"].lower < truth[1] - truth[0] < turned["log_loss"].upper
    assert turned["auc"].lower < truth[3] - truth[2] < turned["auc"].upper
    assert turned["log_loss"].p_value < 0.05
    again = concept_cost(before, reference, moved, labelled(moved, 3, concept=1.0), NUMBERS, ("text",), jobs=1)
    assert again == turned


def test_a_concept_of_too_few_days_is_refused() -> None:
    frame = rows(400, 0)
    sample = labelled(frame, 1)
    with pytest.raises(ValueError, match="3 days cannot be cut into 5 parts"):
        concept_cost(frame, sample, frame, sample, NUMBERS, (), np.arange(400) // 40, np.arange(400) % 3, jobs=1)
