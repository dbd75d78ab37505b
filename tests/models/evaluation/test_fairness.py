"""Fairness: gaps between groups by hand, their influence by the jackknife, and groups that are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from models.evaluation.comparison import Paired, compare
from models.evaluation.fairness import LEFT_OUT, Criterion, Fairness, gap
from models.evaluation.groups import by_key
from models.evaluation.metrics import Sample, Undefined, squared_calibration_error
from models.evaluation.slices import Slice
from models.evaluation.testing import Test

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

# Group 0: 4 rows, called 0 1 1 1; group 1: 4 rows, called 0 0 1 0; the last row belongs to no group.
LABELS = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
SCORES = np.array([0.25, 0.75, 0.75, 0.85, 0.45, 0.35, 0.65, 0.15, 0.05])
GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 1, LEFT_OUT])
BY_HAND: dict[Criterion, float] = {
    "demographic_parity": 3 / 4 - 1 / 4,
    "equal_opportunity": 2 / 2 - 1 / 2,
    "equalised_odds": max(2 / 2 - 1 / 2, 1 / 2 - 0 / 2),
    # Group 0 has two rows in the bin .7-.8: ((-.75 + .25)^2 - (.75^2 + .25^2)) / (2 - 1), over 4 rows; group 1 none: 0.
    "calibration": max(-0.375 / 4, 0.0),
}


def sample(seed: int = 0, num_rows: int = 400) -> Sample:
    """Three groups that are treated apart, and some rows in none."""
    random = np.random.default_rng(seed)
    groups = random.choice([LEFT_OUT, 0, 1, 2], num_rows, p=[0.1, 0.4, 0.3, 0.2])
    chances = random.uniform(0.1, 0.9, num_rows)
    labels = (random.random(num_rows) < chances).astype(float)
    scores = (chances + 0.15 * (groups - 1) + random.normal(0, 0.1, num_rows)).clip(0.01, 0.99)
    return Sample(labels, scores, {"sex": groups})


def without(whole: Sample, row: int) -> Sample:
    kept = np.arange(len(whole.labels)) != row
    return Sample(whole.labels[kept], whole.scores[kept], {"sex": whole.columns["sex"][kept]})


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_gap_equals_that_by_hand(criterion: Criterion) -> None:
    measured = gap(criterion, "sex").measure(Sample(LABELS, SCORES, {"sex": GROUPS}))
    assert measured.value == pytest.approx(BY_HAND[criterion], abs=1e-12)
    assert measured.influence[-1] == 0  # the row that belongs to no group
    assert measured.influence.mean() == pytest.approx(0, abs=1e-12)


def test_calibration_is_the_squared_error_of_the_worst_group() -> None:
    whole = sample(1)
    of_each = [
        squared_calibration_error(whole.labels[own], whole.scores[own]).value
        for own in (whole.columns["sex"] == number for number in (0, 1, 2))
    ]
    assert gap("calibration", "sex").measure(whole).value == max(of_each)
    assert gap("calibration", "sex").label == "worst squared calibration error"


def test_odds_are_the_wider_of_the_gaps_among_positives_and_among_negatives() -> None:
    labels = np.array([1.0, 1.0, 0.0, 0.0] * 2)
    scores = np.array([0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1])  # the negatives of group 0 are called positive by half
    columns = {"sex": np.array([0] * 4 + [1] * 4)}
    assert gap("equal_opportunity", "sex").measure(Sample(labels, scores, columns)).value == 0
    assert gap("equalised_odds", "sex").measure(Sample(labels, scores, columns)).value == 0.5
    assert gap("equalised_odds", "sex").measure(Sample(1 - labels, scores, columns)).value == 0.5


def test_a_gap_knows_its_threshold() -> None:
    called = Sample(LABELS, SCORES, {"sex": GROUPS})
    assert gap("demographic_parity", "sex", threshold=0.2).measure(called).value == pytest.approx(4 / 4 - 3 / 4)
    assert gap("demographic_parity", "sex", threshold=0.75).measure(called).value == pytest.approx(3 / 4)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("seed", [0, 2])
def test_the_influence_of_a_gap_is_the_jackknifes(criterion: Criterion, seed: int) -> None:
    # What is taken off the squared error against bias has an influence of its own, of the order 1 / rows.
    whole, metric = sample(seed, 2_000 if criterion == "calibration" else 400), gap(criterion, "sex")
    measured, num_rows = metric.measure(whole), len(whole.labels)
    left_out = np.array([metric.measure(without(whole, row)).value for row in range(num_rows)])
    pseudo = (num_rows - 1) * (left_out.mean() - left_out)
    # A row that tips a bin's mean or the widest pair over zero has no derivative; a few of 400 do.
    near = np.isclose(measured.influence, pseudo, atol=0.12 + 0.03 * np.abs(pseudo).max())
    assert near.mean() > 0.97
    assert measured.influence.std() == pytest.approx(pseudo.std(), rel=0.06)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_order_and_the_numbers_of_groups_do_not_matter(criterion: Criterion) -> None:
    whole, metric = sample(3), gap(criterion, "sex")
    renamed = np.select([whole.columns["sex"] == number for number in (0, 1, 2)], [7, 3, 5], LEFT_OUT)
    first, second = (metric.measure(replace(whole, columns={"sex": each})) for each in (whole.columns["sex"], renamed))
    assert first.value == pytest.approx(second.value, abs=1e-12)
    assert first.influence == pytest.approx(second.influence, abs=1e-12)


@pytest.mark.parametrize("criterion", ["equal_opportunity", "equalised_odds"])
def test_a_group_without_positives_has_no_gap_among_them(criterion: Criterion) -> None:
    labels = np.where(GROUPS == 1, 0.0, LABELS)
    with pytest.raises(Undefined, match="a group has no row of the class whose rate is compared"):
        gap(criterion, "sex").measure(Sample(labels, SCORES, {"sex": GROUPS}))


def fairness(groups: np.ndarray, margin: float = 0.05, min_rows: int = 50, names: int = 3) -> Fairness:
    parts = tuple(Slice(f"sex={number}", groups == number, 0.0) for number in range(names))
    return Fairness("sex", parts, dict.fromkeys(CRITERIA, margin), min_rows)


def pair(shift: float, num_rows: int = 3_000) -> tuple[Paired, np.ndarray]:
    """Two models that are alike, but that the challenger favours group 2 by `shift`; and the groups."""
    random = np.random.default_rng(5)
    groups = random.choice([LEFT_OUT, 0, 1, 2], num_rows)
    chances = random.uniform(0.1, 0.9, num_rows)
    labels = (random.random(num_rows) < chances).astype(float)
    champion = (chances + random.normal(0, 0.05, num_rows)).clip(0.01, 0.99)
    challenger = (champion + shift * (groups == 2)).clip(0.01, 0.99)
    return Paired(labels, champion, challenger, by_key(np.arange(num_rows) % 40, "days")), groups


def verdicts(tests: list[Test]) -> set[str]:
    return {test.verdict for test in tests}


def test_a_challenger_may_not_widen_a_gap() -> None:
    paired, groups = pair(shift=0.3)
    tests = fairness(groups, margin=0.02).tests(paired, 0.05)
    assert verdicts(tests) == {"fails"}
    assert [test.metric for test in tests] == [gap(criterion, "sex").label for criterion in CRITERIA]
    assert {test.scope for test in tests} == {"groups of sex"}
    marked = replace(paired, columns={"sex": groups})
    for test, criterion in zip(tests, CRITERIA, strict=True):
        comparison = compare(gap(criterion, "sex"), marked)
        assert (test.gain, test.p_value) == (comparison.gain, comparison.spread.p_above(-0.02))
        assert test.gain is not None and test.gain < 0
    assert paired.columns == {}


def test_the_same_treatment_of_groups_holds() -> None:
    paired, groups = pair(shift=0.0)
    assert verdicts(fairness(groups).tests(paired, 0.05)) == {"holds"}


def test_a_group_that_is_missing_or_small_leaves_every_criterion_open() -> None:
    paired, groups = pair(shift=0.3)
    too_many = (groups == 2) & ((groups == 2).cumsum() > 49)
    for kept in (np.where(groups == 2, LEFT_OUT, groups), np.where(too_many, LEFT_OUT, groups)):
        tests = fairness(kept).tests(paired, 0.05)
        assert verdicts(tests) == {"open"} and len(tests) == len(CRITERIA)
        count = int((kept == 2).sum())
        assert all(test.note == f"50 rows needed in each group: sex=2 has {count}" for test in tests)
        assert all(test.margin == 0.05 and test.gain is None for test in tests)
    enough = replace(fairness(kept, min_rows=49), min_of_class=1)
    assert all(test.gain is not None for test in enough.tests(paired, 0.05))


def test_one_group_is_nothing_to_compare() -> None:
    paired, groups = pair(shift=0.3)
    tests = fairness(groups, names=1).tests(paired, 0.05)
    assert verdicts(tests) == {"open"}
    assert tests[0].note == "fewer than two groups"


def test_a_group_of_one_class_leaves_only_what_needs_both_open() -> None:
    paired, groups = pair(shift=0.0)
    labels = np.where(groups == 1, 0.0, paired.labels)
    tests = fairness(groups).tests(replace(paired, labels=labels), 0.05)
    assert [test.gain is None for test in tests] == [False, True, True, False]
    assert [test.verdict for test in tests[1:3]] == ["open", "open"]
    assert tests[1].note == tests[2].note == "50 positives needed in each group: sex=1 has 0"
    none = replace(fairness(groups), min_of_class=0).tests(replace(paired, labels=labels), 0.05)
    assert none[1].verdict == "open" and "no row of the class" in none[1].note


def test_odds_need_enough_of_both_classes_and_opportunity_of_positives_only() -> None:
    paired, groups = pair(shift=0.0)
    few = {label: (groups == 1) & (paired.labels == label) for label in (0.0, 1.0)}
    labels = np.where(few[0.0] & (few[0.0].cumsum() > 49), 1.0, paired.labels)  # 49 negatives are left
    tests = fairness(groups).tests(replace(paired, labels=labels), 0.05)
    assert [test.gain is None for test in tests] == [False, False, True, False]
    assert tests[2].note == "50 negatives needed in each group: sex=1 has 49"
    enough = replace(fairness(groups), min_of_class=49).tests(replace(paired, labels=labels), 0.05)
    assert all(test.gain is not None for test in enough)


def test_groups_that_are_left_out_are_named_whatever_the_answer() -> None:
    paired, groups = pair(shift=0.0)
    said = "left out as too small before and now: sex=7, sex=8"
    tests = replace(fairness(groups), left_out=("sex=7", "sex=8")).tests(paired, 0.05)
    assert {test.note for test in tests} == {said}
    small = replace(fairness(groups, names=1), left_out=("sex=7", "sex=8")).tests(paired, 0.05)
    assert {test.note for test in small} == {f"fewer than two groups; {said}"}


def test_the_threshold_is_that_of_the_project() -> None:
    paired, groups = pair(shift=0.3)
    (test,) = replace(fairness(groups), margins={"demographic_parity": 0.05}, threshold=0.999).tests(
        paired, 0.05
    )  # nobody is called positive
    assert (test.champion, test.challenger) == (0, 0)
