"""The gate on labels of several classes and on numbers: the verdicts, and classes that only one model knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.scores import aligned, places, union
from models.evaluation.comparison import Paired
from models.evaluation.fairness import Fairness
from models.evaluation.gate import Judgement, Rules, judge
from models.evaluation.groups import by_key
from models.evaluation.guardrails import Floor, Guardrail, NegativeFlips, NoWorse
from models.evaluation.hard_rows import hardest, regression
from models.evaluation.metrics import ACCURACY, CORRELATION, LOG_LOSS, MAE, RMSE, SQUARED_CALIBRATION_ERROR, Task
from models.evaluation.metrics.decisions import accuracy, is_right
from models.evaluation.minima import Minima
from models.evaluation.slices import Slice

NUM_ROWS, NUM_DAYS = 6_000, 20
DAYS = by_key(np.arange(NUM_ROWS) * NUM_DAYS // NUM_ROWS, "days")
CLASSES = ("bus", "car", "train")
RULES: dict[Task, Rules] = {
    "multiclass": Rules(
        LOG_LOSS,
        level=0.05,
        min_gain=0.002,
        guardrails=(NoWorse(ACCURACY, 0.01), NoWorse(SQUARED_CALIBRATION_ERROR, 0.001), NegativeFlips(0.2)),
    ),
    "regression": Rules(RMSE, level=0.05, min_gain=0.02, guardrails=(NoWorse(MAE, share=0.01),)),
}


def classified(champion_noise: float, challenger_noise: float, seed: int = 1) -> Paired:
    """Rows of three classes, and two models that know their chances up to noise on the log-odds."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 1.5, (NUM_ROWS, len(CLASSES)))
    labels = (random.random(NUM_ROWS)[:, None] > softmax(odds).cumsum(axis=1)[:, :-1]).sum(axis=1).astype(float)
    champion, challenger = (
        softmax(odds + random.normal(0, noise, odds.shape)) for noise in (champion_noise, challenger_noise)
    )
    return Paired(labels, champion, challenger, DAYS, task="multiclass")


def measured(champion_noise: float, challenger_noise: float, seed: int = 1) -> Paired:
    """Numbers, and two models that know their means up to noise."""
    random = np.random.default_rng(seed)
    means = random.normal(10, 3, NUM_ROWS)
    champion, challenger = (means + random.normal(0, noise, NUM_ROWS) for noise in (champion_noise, challenger_noise))
    return Paired(means + random.standard_t(5, NUM_ROWS), champion, challenger, DAYS, task="regression")


MADE = {"multiclass": classified, "regression": measured}


def softmax(odds: np.ndarray) -> np.ndarray:
    chances = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def verdict(task: Task, champion_noise: float, challenger_noise: float, seed: int = 1) -> Judgement:
    return judge(MADE[task](champion_noise, challenger_noise, seed), RULES[task])


@pytest.mark.parametrize("task", MADE)
def test_identical_models_are_refused(task: Task) -> None:
    paired = MADE[task](0.5, 0.5)
    same = Paired(paired.labels, paired.champion, paired.champion, DAYS, task=task)
    judgement = judge(same, RULES[task])
    assert judgement.answer == "rejected"
    assert judgement.tests[0].is_equivalent
    assert "not better by the" in judgement.reason


@pytest.mark.parametrize("task", MADE)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clearly_better_challenger_is_promoted_and_a_clearly_worse_one_rejected(task: Task, seed: int) -> None:
    assert verdict(task, champion_noise=1.0, challenger_noise=0.1, seed=seed).answer == "promoted"
    assert verdict(task, champion_noise=0.1, challenger_noise=1.0, seed=seed).answer == "rejected"


@pytest.mark.parametrize("task", MADE)
def test_models_that_are_equally_good_are_not_promoted(task: Task) -> None:
    answers = [verdict(task, 0.5, 0.5, seed).answer for seed in range(20)]
    assert answers.count("promoted") <= 3


def test_only_binary_labels_have_positives() -> None:
    assert verdict("multiclass", 1.0, 0.1).judged_on.num_positives == 0
    assert verdict("regression", 1.0, 0.1).judged_on.num_positives == 0


@pytest.mark.parametrize(
    ("guardrail", "expected"),
    [(Floor(CORRELATION, 0.5), "promoted"), (Floor(CORRELATION, 0.99), "rejected"), (NoWorse(MAE, 0.1), "promoted")],
)
def test_a_number_is_guarded_in_its_own_unit_and_by_what_it_explains(guardrail: Guardrail, expected: str) -> None:
    rules = Rules(RMSE, 0.05, 0.02, (guardrail,))
    assert judge(measured(1.0, 0.1), rules).answer == expected


def test_a_challenger_that_knows_a_new_class_wins_where_it_occurs() -> None:
    paired = classified(0.3, 0.3)
    labels = pd.Series([CLASSES[int(place)] for place in paired.labels], dtype=object)
    known = ("bus", "car")
    without = paired.champion[:, :2] / paired.champion[:, :2].sum(axis=1, keepdims=True)
    classes = union(known, ("train", "car", "bus"), labels=labels)
    joined = Paired(
        places(labels, classes),
        aligned(without, known, classes),
        aligned(paired.challenger, CLASSES, classes),
        DAYS,
        task="multiclass",
    )
    judgement = judge(joined, RULES["multiclass"])
    assert judgement.answer == "promoted"
    share = (labels == "train").mean()
    assert judgement.tests[0].champion == pytest.approx(share * 16.118, rel=0.15), "what was impossible costs 16 nats"


def test_a_class_that_no_model_knows_costs_both_the_same() -> None:
    paired = classified(0.5, 0.5)
    labels = pd.Series([CLASSES[int(place)] for place in paired.labels], dtype=object).where(DAYS.ways[0] > 0, "boat")
    classes = union(CLASSES, labels=labels)
    assert classes == (*CLASSES, "boat")
    joined = Paired(
        places(labels, classes),
        *(aligned(scores, CLASSES, classes) for scores in (paired.champion, paired.champion)),
        DAYS,
        task="multiclass",
    )
    first = judge(joined, RULES["multiclass"]).tests[0]
    assert first.gain == 0.0
    assert first.champion is not None and first.champion > 0.05 * 16


@pytest.mark.parametrize(
    ("labels", "task", "minima", "expected"),
    [
        ([0] * 60 + [1] * 49 + [2] * 10, "multiclass", Minima(), "49 rows of the second most frequent class where 50 "),
        ([0] * 60 + [1] * 50 + [2] * 1, "multiclass", Minima(), ""),
        ([0] * 600, "multiclass", Minima(), "0 rows of the second most frequent class where 50 are needed"),
        ([1.5] * 3, "regression", Minima(), ""),
        ([0] * 60 + [1] * 49, "binary", Minima(), "49 positives where 50 are needed"),
    ],
)
def test_what_a_holdout_lacks_depends_on_its_label(
    labels: list[float], task: Task, minima: Minima, expected: str
) -> None:
    found = minima.lacking(np.array(labels, dtype=float), 10, task)
    assert found.startswith(expected) and bool(found) == bool(expected)


@given(
    counts=st.lists(st.integers(0, 120), min_size=2, max_size=4).filter(sum),
    num_groups=st.integers(0, 20),
    task=st.sampled_from(["binary", "multiclass", "regression"]),
)
@settings(deadline=None)
def test_rows_are_missing_exactly_when_something_is_lacking(counts: list[int], num_groups: int, task: Task) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(float)
    labels = np.minimum(labels, 1) if task == "binary" else labels
    lacking = Minima().lacking(labels, num_groups, task)
    assert (Minima().rows_missing(labels, num_groups, usual_group=100, task=task) > 0) == bool(lacking)


def test_rows_of_several_classes_are_right_where_the_largest_score_is() -> None:
    paired = classified(0.5, 0.5)
    assert is_right(paired.labels, paired.champion).mean() == accuracy(paired.labels, paired.champion).value


def test_negative_flips_of_several_classes_are_rows_that_were_right() -> None:
    paired = classified(0.1, 1.0)
    [test] = NegativeFlips(0.5).tests(paired, 0.05)
    was, stays = (is_right(paired.labels, scores) for scores in (paired.champion, paired.challenger))
    assert test.challenger == pytest.approx((was & ~stays).mean())
    assert test.verdict == "holds"


def test_the_hardest_rows_of_several_classes_are_those_whose_class_got_the_least_chance() -> None:
    labels = np.array([0.0, 1.0, 2.0, 0.0])
    scores = np.array([[0.1, 0.8, 0.1], [0.0, 0.9, 0.1], [0.5, 0.48, 0.02], [0.3, 0.6, 0.1]])
    kept = hardest(pd.DataFrame({"id": range(4)}), labels, scores, threshold=0.5, num_rows=2)
    assert kept["id"].tolist() == [0, 2]
    assert regression(labels, scores, scores[::-1], 0.5, margin=0.0).verdict == "fails"


def test_the_gap_of_calibration_is_there_for_several_classes() -> None:
    paired = classified(0.1, 1.5)
    groups = tuple(Slice(f"half {half}", np.arange(NUM_ROWS) % 2 == half, NUM_ROWS / 2) for half in (0, 1))
    [test] = Fairness("half", groups, {"calibration": 0.0001}, min_rows=100).tests(paired, 0.05)
    assert test.verdict == "fails"
