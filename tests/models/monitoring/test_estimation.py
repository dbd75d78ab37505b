"""Estimates without labels: near the truth while only the inputs change, repeatable, and honest about their error."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.metrics import METRICS, Sample
from models.monitoring.estimation.cbpe import CHUNK_CAP, cbpe
from models.monitoring.estimation.dle import dle
from models.monitoring.estimation.estimate import Estimate, within_range
from models.monitoring.estimation.expected import EXPECTED, by_class, expected, masses
from models.monitoring.estimation.rows import spread_rows


def scored(num_rows: int = 5_000, seed: int = 0, a: float = 2.0, b: float = 2.0) -> Sample:
    """Labels drawn from the scores: a calibrated model."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(a, b, num_rows)
    return Sample((generator.random(num_rows) < scores).astype(float), scores)


def several(num_rows: int = 4_000, seed: int = 0) -> Sample:
    """Three classes, drawn from the scores."""
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet((1.0, 1.5, 2.0), num_rows)
    labels = (generator.random(num_rows)[:, None] > scores.cumsum(axis=1)).sum(axis=1)
    return Sample(np.minimum(labels, 2).astype(float), scores)


def truth(metric: str, sample: Sample) -> float:
    return METRICS[metric].measure(sample).value


def test_without_a_shift_every_metric_is_near_its_realised_value() -> None:
    current = scored(seed=1)
    found = cbpe(scored(), current.scores, ("auc", "accuracy", "f1", "log_loss", "brier"))
    for metric, estimate in found.items():
        assert estimate.metric == metric
        assert estimate.lower < truth(metric, current) < estimate.upper, metric
        assert estimate.reference == pytest.approx(truth(metric, scored()))
        assert estimate.is_reliable and not estimate.note


def test_a_shift_to_harder_rows_is_foreseen() -> None:
    current = scored(seed=2, a=8, b=8)
    found = cbpe(scored(), current.scores)
    assert found["auc"].value == pytest.approx(truth("auc", current), abs=0.03)
    assert found["auc"].upper < found["auc"].reference
    assert found["log_loss"].value == pytest.approx(truth("log_loss", current), abs=0.02)
    assert found["log_loss"].lower > found["log_loss"].reference


def test_scores_of_an_uncalibrated_model_are_calibrated_on_the_reference() -> None:
    reference, current = scored(), scored(seed=3)
    found = cbpe(Sample(reference.labels, reference.scores**3), current.scores**3)
    off = Sample(current.labels, current.scores**3)
    assert found["auc"].value == pytest.approx(truth("auc", off), abs=0.02)
    assert found["log_loss"].value == pytest.approx(truth("log_loss", off), abs=0.08)


def test_several_classes_are_estimated() -> None:
    current = several(seed=1)
    for metric, estimate in cbpe(several(), current.scores, ("auc", "accuracy", "f1")).items():
        assert estimate.lower < truth(metric, current) < estimate.upper, metric


def test_the_estimate_is_repeatable_and_leaves_the_global_generator_and_the_inputs_alone() -> None:
    reference, current = scored(2_000), scored(2_000, seed=4)
    copies = [each.copy() for each in (reference.labels, reference.scores, current.scores)]
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = cbpe(reference, current.scores, ("auc",))
    assert (np.random.get_state()[1] == state).all()
    np.random.seed(2)
    assert cbpe(reference, current.scores, ("auc",)) == first
    for before, after in zip(copies, (reference.labels, reference.scores, current.scores), strict=True):
        assert (before == after).all()


def test_an_estimate_becomes_json_and_comes_back() -> None:
    estimate = cbpe(scored(500), scored(500, seed=1).scores, ("auc",))["auc"]
    assert Estimate(**json.loads(json.dumps(asdict(estimate)))) == estimate


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(300):
        known, now = scored(400, seed=2 * seed), scored(400, seed=2 * seed + 1)
        before = expected("auc", masses(known.labels, 2), known.scores)
        here = expected("auc", by_class(now.scores), now.scores)
        estimate = Estimate.of("cbpe", "auc", before.value, (here.sampling_error, before.weighted_error), before.value)
        held += estimate.lower <= truth("auc", now) <= estimate.upper
    assert 0.92 <= held / 300 <= 0.98


def test_few_expected_rows_of_a_class_make_an_estimate_unreliable() -> None:
    estimate = cbpe(scored(), scored(60, seed=1).scores, ("auc",))["auc"]
    assert not estimate.is_reliable
    assert estimate.note.startswith("too few rows: ")


def test_a_reference_of_one_class_an_unknown_metric_and_no_rows_are_refused() -> None:
    sample = scored(200)
    with pytest.raises(ValueError, match="1 of 2 classes"):
        cbpe(Sample(np.ones(200), sample.scores), sample.scores)
    with pytest.raises(ValueError, match="choose of auc"):
        cbpe(sample, sample.scores, ("mcc",))
    with pytest.raises(ValueError, match=r"choose of auc, accuracy, f1$"):
        cbpe(several(200), several(200).scores, ("log_loss",))
    with pytest.raises(ValueError, match="no rows"):
        cbpe(sample, sample.scores[:0])


def test_a_chunk_of_many_rows_is_looked_at_evenly() -> None:
    rows = spread_rows(10 * CHUNK_CAP, CHUNK_CAP)
    assert len(np.unique(rows)) == CHUNK_CAP
    assert set(np.diff(rows)) == {10}
    current = scored(CHUNK_CAP + 1_000, seed=5)
    estimate = cbpe(scored(20_000, seed=6), current.scores, ("auc",))["auc"]
    assert estimate.lower < truth("auc", current) < estimate.upper


@given(st.integers(1, 40), st.integers(2, 4), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_expected_auc_is_what_counting_all_pairs_gives(num_rows: int, num_levels: int, random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    scores = generator.integers(0, num_levels, num_rows) / num_levels
    chances = generator.uniform(0.05, 0.95, num_rows)
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    pairs = chances[:, None] * (1 - chances)
    assert expected("auc", by_class(chances), scores).value == pytest.approx((pairs * above).sum() / pairs.sum())


@pytest.mark.parametrize("metric", EXPECTED)
@pytest.mark.parametrize("sample", [scored(300), several(300)], ids=["binary", "multiclass"])
def test_with_certain_labels_the_expected_metric_and_its_influence_are_the_measured_ones(
    metric: str, sample: Sample
) -> None:
    num_classes = 2 if sample.scores.ndim == 1 else 3
    found, measured = (
        expected(metric, masses(sample.labels, num_classes), sample.scores),
        METRICS[metric].measure(sample),
    )
    assert found.value == pytest.approx(measured.value, abs=1e-9)
    own = found.influence[np.arange(300), sample.labels.astype(int)]
    assert own == pytest.approx(measured.influence, abs=1e-9)
    assert found.sampling_error == pytest.approx(found.weighted_error)


@pytest.mark.parametrize("metric", EXPECTED)
def test_the_sampling_error_is_the_spread_of_realised_values(metric: str) -> None:
    one = scored(400, seed=9)
    promised = expected(metric, by_class(one.scores), one.scores)
    realised = [truth(metric, scored(400, seed=seed)) for seed in range(300)]
    assert promised.sampling_error == pytest.approx(np.std(realised), rel=0.2)


@pytest.mark.parametrize("metric", EXPECTED)
def test_a_row_of_weight_two_is_two_rows(metric: str) -> None:
    sample = scored(100)
    twice = np.concatenate((np.arange(100), np.arange(50)))
    weights = np.where(np.arange(100) < 50, 2.0, 1.0)
    weighted = expected(metric, masses(sample.labels, 2, weights), sample.scores)
    repeated = expected(metric, masses(sample.labels[twice], 2), sample.scores[twice])
    assert weighted.value == pytest.approx(repeated.value)


def test_an_interval_ends_where_the_metric_does() -> None:
    assert within_range("auc", 0.99, 0.1) == (pytest.approx(0.89), 1.0)
    assert within_range("log_loss", 0.3, 5.0) == (0.0, pytest.approx(5.3))


def prices(num_rows: int, seed: int, age: float = 5.0) -> tuple[pd.DataFrame, Sample]:
    """Errors that grow with age, a text column, and a column whose name LightGBM refuses."""
    generator = np.random.default_rng(seed)
    ages = generator.uniform(0, 2 * age, num_rows)
    frame = pd.DataFrame({"age [years]": ages, "label": generator.normal(size=num_rows)})
    frame["fuel"] = np.where(generator.random(num_rows) < 0.1, None, generator.choice(["gas", "diesel"], num_rows))
    predictions = 100 - ages
    return frame, Sample(predictions + generator.normal(size=num_rows) * (1 + ages), predictions)


def test_errors_of_a_regression_are_foreseen_when_its_inputs_move() -> None:
    (before, reference), (now, current) = prices(4_000, 0), prices(4_000, 1, age=3.0)
    copy = now.copy()
    found = dle(before, reference, now, current.scores, ["age [years]", "label"], ["fuel"], jobs=1)
    for metric, estimate in found.items():
        assert estimate.value == pytest.approx(truth(metric, current), rel=0.05)
        assert estimate.upper < estimate.reference
    assert found == dle(before, reference, now, current.scores, ["age [years]", "label"], ["fuel"], jobs=1)
    pd.testing.assert_frame_equal(now, copy)


def test_dle_takes_values_that_the_reference_never_held_and_refuses_what_it_cannot_do() -> None:
    (before, reference), (now, current) = prices(500, 0), prices(500, 1)
    now["fuel"] = "hydrogen"
    assert dle(before, reference, now, current.scores, ["age [years]"], ["fuel"], ("mae",), jobs=1)["mae"].value > 0
    with pytest.raises(ValueError, match="choose of mae, rmse"):
        dle(before, reference, now, current.scores, ["age [years]"], [], ("r2",))


def test_a_note_makes_an_estimate_unreliable() -> None:
    estimate = Estimate.of("cbpe", "auc", 0.7, (0.01,), 0.7, "because")
    assert not estimate.is_reliable and estimate.note == "because"
