"""The paired comparison: swapped, shuffled, repeated and identical models, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.comparison import Paired, against_number, compare
from models.evaluation.groups import Grouping, by_key, ladder
from models.evaluation.metrics import ACCURACY, BRIER, LOG_LOSS, METRICS, RMSE, Metric, Sample, Task
from models.evaluation.metrics.catalogue import metric
from models.evaluation.spread import sign_flip

NUM_ROWS = 240
GROUPINGS = {
    "12 groups": by_key(np.arange(NUM_ROWS) % 12, "customers"),
    "40 groups": by_key(np.arange(NUM_ROWS) % 40, "customers"),
    "ladder": ladder(NUM_ROWS),
}
FURTHER = (
    metric("expected_value", true_positive=5, false_positive=-1, true_negative=0, false_negative=-2),
    metric("expected_value", column="profit"),
    metric("precision", threshold=0.3),
    metric("pinball", quantile=0.9),
    metric("top_k", k=2),
)
CASES = [(each, task) for each in METRICS.values() for task in each.tasks]
CASES += [(each, each.tasks[0]) for each in FURTHER]
every_metric = pytest.mark.parametrize(("metric", "task"), CASES, ids=[f"{each.label}-{task}" for each, task in CASES])


def pair(
    seed: int = 0,
    num_rows: int = NUM_ROWS,
    grouping: Grouping | None = None,
    task: Task = "binary",
    noises: tuple[float, float] = (0.2, 0.1),
) -> Paired:
    """A champion and a challenger that know the truth up to noise; in 12 groups unless told."""
    random = np.random.default_rng(seed)
    labels: np.ndarray
    scores: list[np.ndarray]
    if task == "regression":
        truth = random.normal(0, 1, num_rows)
        labels = truth + random.normal(0, 0.5, num_rows)
        scores = [truth + random.normal(0, 2 * noise, num_rows) for noise in noises]
    elif task == "multiclass":
        chances = random.dirichlet(np.ones(3), num_rows)
        labels = (random.random(num_rows)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        blurred = [(chances + np.abs(random.normal(0, noise, chances.shape))) for noise in noises]
        scores = [each / each.sum(axis=1, keepdims=True) for each in blurred]
    else:
        chances = random.uniform(0.05, 0.95, num_rows)
        labels = (random.random(num_rows) < chances).astype(float)
        scores = [(chances + random.normal(0, noise, num_rows)).clip(0.01, 0.99) for noise in noises]
    return Paired(
        labels,
        scores[0],
        scores[1],
        grouping or by_key(np.arange(num_rows) * 12 // num_rows, "days"),
        {"profit": random.normal(0, 1, num_rows)},
        task,
    )


def swapped(paired: Paired) -> Paired:
    return replace(paired, champion=paired.challenger, challenger=paired.champion)


@every_metric
@pytest.mark.parametrize("name", ["12 groups", "ladder"])
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=2)
def test_swapping_the_models_mirrors_the_answer(name: str, metric: Metric, task: Task, seed: int) -> None:
    paired = pair(seed, grouping=GROUPINGS[name], task=task)
    forth, back = compare(metric, paired), compare(metric, swapped(paired))
    near = 1e-9 * max(forth.standard_error, 1e-9)
    assert forth.gain == pytest.approx(-back.gain, abs=near)
    assert forth.standard_error == pytest.approx(back.standard_error, rel=1e-9)
    assert (forth.champion, forth.challenger) == (back.challenger, back.champion)
    for threshold in (forth.gain - 1.1 * forth.standard_error, forth.gain / 2, 0.0313):
        assert forth.spread.p_above(threshold) == pytest.approx(back.spread.p_below(-threshold), abs=1e-9)
        assert forth.spread.p_below(threshold) == pytest.approx(back.spread.p_above(-threshold), abs=1e-9)


@pytest.mark.parametrize("name", GROUPINGS)
def test_swapping_the_models_mirrors_the_interval(name: str) -> None:
    paired = pair(7, grouping=GROUPINGS[name])
    forth, back = compare(LOG_LOSS, paired), compare(LOG_LOSS, swapped(paired))
    lower, upper = forth.spread.interval(0.9)
    assert back.spread.interval(0.9) == pytest.approx((-upper, -lower), abs=2e-3 * forth.standard_error)


@every_metric
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=3)
def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(metric: Metric, task: Task, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 14, NUM_ROWS)
    paired = pair(seed, grouping=by_key(keys, "days"), task=task)
    order = np.random.default_rng(seed + 1).permutation(NUM_ROWS)
    straight = compare(metric, paired)
    shuffled = compare(metric, replace(paired.take(order), grouping=by_key(1_000 - 7 * keys[order], "days")))
    assert shuffled.gain == pytest.approx(straight.gain, abs=1e-12)
    assert shuffled.standard_error == pytest.approx(straight.standard_error, rel=1e-9)
    assert shuffled.champion_error == pytest.approx(straight.champion_error, rel=1e-9)
    assert shuffled.spread.p_above(0.001) == pytest.approx(straight.spread.p_above(0.001), abs=1e-9)
    assert shuffled.num_groups == straight.num_groups


@every_metric
@pytest.mark.parametrize("name", GROUPINGS)
def test_identical_scores_show_nothing(name: str, metric: Metric, task: Task) -> None:
    paired = pair(3, grouping=GROUPINGS[name], task=task)
    comparison = compare(metric, replace(paired, challenger=paired.champion.copy()))
    assert (comparison.gain, comparison.standard_error) == (0, 0)
    assert comparison.spread.p_above(0) == comparison.spread.p_below(0) == 1
    assert comparison.spread.p_above(-0.01) <= 2.0**-10
    assert comparison.spread.interval(0.9) == (0, 0)


@every_metric
def test_a_better_challenger_has_a_positive_gain_whatever_the_direction_of_the_metric(
    metric: Metric, task: Task
) -> None:
    paired = pair(0, num_rows=2_000, task=task, noises=(0.6, 0.0))
    if "profit" in metric.columns:  # the column, not the label, says what a row is worth
        paired = replace(paired, columns={"profit": np.where(paired.challenger >= 0.5, 1.0, -1.0)})
    assert compare(metric, paired).gain > 0


@every_metric
def test_the_value_is_that_of_the_metric_and_the_champions_error_that_of_its_own_value(
    metric: Metric, task: Task
) -> None:
    paired = pair(5, grouping=by_key(np.arange(NUM_ROWS), "rows"), task=task)
    comparison = compare(metric, paired)
    own = metric.measure(Sample(paired.labels, paired.champion, paired.columns))
    assert comparison.champion == own.value
    # An average within a class of a hundred rows or two has the error of the jackknife, a little more.
    tolerance = 0.02 if metric.within else 1e-9
    assert comparison.champion_error == pytest.approx(own.influence.std(ddof=1) / np.sqrt(NUM_ROWS), rel=tolerance)
    assert (comparison.label, comparison.num_rows, comparison.num_groups) == (metric.label, NUM_ROWS, NUM_ROWS)


def test_rows_repeated_within_their_group_are_no_new_evidence() -> None:
    paired = pair(1)
    twice = paired.take(np.tile(np.arange(NUM_ROWS), 2))
    once = compare(LOG_LOSS, paired)
    assert compare(LOG_LOSS, twice).standard_error == pytest.approx(once.standard_error, rel=1e-12)
    assert compare(LOG_LOSS, twice).spread.p_above(0) == once.spread.p_above(0)


@pytest.mark.parametrize("each", [ACCURACY, BRIER], ids=["higher is better", "lower is better"])
def test_a_handicap_lets_the_challenger_be_worse_by_a_share_of_the_champions_value(each: Metric) -> None:
    paired = pair(2)
    plain, eased = compare(each, paired), compare(each, paired, handicap=0.1)
    assert eased.gain == pytest.approx(plain.gain + 0.1 * plain.champion, abs=1e-12)
    assert (eased.champion, eased.challenger) == (plain.champion, plain.challenger)
    assert compare(each, paired, handicap=0.0).standard_error == plain.standard_error
    # As an independent contrast: the champion's own error is part of it.
    own, other = (each.measure(Sample(paired.labels, scores)) for scores in (paired.champion, paired.challenger))
    weight = 0.9 if each is ACCURACY else 1.1
    contrast = replace(own, influence=other.influence - weight * own.influence)
    sums = np.bincount(np.arange(NUM_ROWS) * 12 // NUM_ROWS, weights=contrast.influence)
    expected = np.sqrt(12 / 11 * ((sums - sums.mean()) ** 2).sum()) / NUM_ROWS
    assert eased.standard_error == pytest.approx(expected, rel=1e-12)


def test_a_number_in_place_of_the_champion_has_no_error_of_its_own() -> None:
    paired = pair(2, grouping=by_key(np.arange(NUM_ROWS), "rows"))
    for each, sign in ((ACCURACY, 1), (BRIER, -1)):
        own = each.measure(Sample(paired.labels, paired.challenger))
        found = against_number(each, paired, 0.4)
        assert found.gain == pytest.approx(sign * (own.value - 0.4))
        assert found.standard_error == pytest.approx(own.influence.std(ddof=1) / np.sqrt(NUM_ROWS), rel=1e-9)
        assert (found.champion, found.champion_error) == (0.4, 0)
        assert found.challenger == own.value


@pytest.mark.parametrize("each", [ACCURACY, BRIER], ids=["higher is better", "lower is better"])
def test_few_groups_are_flipped_as_gains_and_not_as_losses(each: Metric) -> None:
    """Sums of groups are not symmetric, so that their sign tells in the p of a flip and not in the error."""
    paired = pair(11, num_rows=60)
    sign, before, after = (
        1 if each is ACCURACY else -1,
        *(each.measure(Sample(paired.labels, scores)) for scores in (paired.champion, paired.challenger)),
    )
    groups, threshold = paired.grouping.ways[0], 0.02
    against = sign * (after.influence - before.influence + after.value - before.value) - threshold
    assert compare(each, paired).spread.p_above(threshold) == sign_flip(np.bincount(groups, weights=against))
    number = after.value - sign * (threshold + 0.04)
    above = sign * (after.influence + after.value - number) - threshold
    found = against_number(each, paired, number).spread.p_above(threshold)
    assert found == sign_flip(np.bincount(groups, weights=above))


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=10)
def test_some_of_the_rows_take_everything_along(seed: int) -> None:
    paired = pair(seed, grouping=ladder(NUM_ROWS))
    mask = np.random.default_rng(seed).random(NUM_ROWS) < 0.5
    taken, by_position = paired.take(mask), paired.take(np.flatnonzero(mask))
    assert taken.num_rows == mask.sum() == taken.grouping.num_rows
    for name in ("labels", "champion", "challenger"):
        assert getattr(taken, name).tolist() == getattr(paired, name)[mask].tolist()
        assert getattr(by_position, name).tolist() == getattr(taken, name).tolist()
    assert taken.columns["profit"].tolist() == paired.columns["profit"][mask].tolist()
    assert all((new == old[mask]).all() for new, old in zip(taken.grouping.ways, paired.grouping.ways, strict=True))
    assert pair(seed, task="regression").take(mask).task == "regression"


def test_unequal_lengths_are_refused() -> None:
    paired = pair()
    with pytest.raises(ValueError, match="240, 240, 239 and 240 rows; a paired comparison needs the same rows"):
        replace(paired, challenger=paired.challenger[:-1])
    with pytest.raises(ValueError, match="240, 240, 240 and 100 rows; a paired comparison needs the same rows"):
        replace(paired, grouping=ladder(100))
    with pytest.raises(ValueError, match=r"unequal numbers of rows: labels 240, .* profit 239"):
        replace(paired, columns={"profit": np.zeros(239)})


@pytest.mark.parametrize("score", [np.nan, -0.1, 1.0001, np.inf])
@pytest.mark.parametrize("model", ["champion", "challenger"])
def test_scores_that_are_no_probabilities_are_refused(model: str, score: float) -> None:
    paired = pair()
    scores = getattr(paired, model).copy()
    scores[7] = score
    with pytest.raises(ValueError, match=f"{model} has 1 scores that are no probabilities, first {score} in row 7"):
        replace(paired, **{model: scores})


@pytest.mark.parametrize("label", [np.nan, 2.0, 0.5, -1.0])
def test_labels_other_than_0_and_1_are_refused(label: float) -> None:
    paired = pair()
    labels = paired.labels.copy()
    labels[3] = label
    with pytest.raises(ValueError, match="labels must be 0 or 1; keep immature rows out of a comparison"):
        replace(paired, labels=labels)


def test_numbers_that_are_predicted_may_be_any_but_not_missing() -> None:
    paired = pair(task="regression")
    assert compare(RMSE, paired).champion > 0
    with pytest.raises(ValueError, match="scores of challenger must be finite"):
        replace(paired, challenger=np.full(NUM_ROWS, np.nan))
