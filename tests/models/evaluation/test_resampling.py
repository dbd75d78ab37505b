"""Metrics known as a whole: the bootstrap agrees with influence values, and says what it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics import Metric as TorchMetric
from torchmetrics.classification import BinaryAUROC, BinaryConfusionMatrix, BinaryF1Score
from torchmetrics.regression import MeanSquaredError, R2Score

from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import by_key, ladder
from models.evaluation.metrics import AUC, BRIER, F1, R2, RMSE, Metric, Undefined, log_loss
from models.evaluation.metrics.catalogue import metric
from models.evaluation.resampling import Resampled, ResampledSpread, from_torchmetrics

NUM_ROWS, NUM_GROUPS = 400, 50
LOG_LOSS_AS_A_WHOLE = Resampled(
    "log_loss", "log loss", "lower", lambda labels, scores: log_loss(labels, scores).value, num_resamples=200
)


class Off(TorchMetric):
    """A user's own class: mean absolute error, which says nothing of its direction."""

    full_state_update = False

    def __init__(self, unit: float = 1.0) -> None:
        super().__init__()
        self.unit = unit
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        self.total += (preds - target).abs().sum() / self.unit
        self.rows += len(target)

    def compute(self) -> torch.Tensor:
        return self.total / self.rows


def pair(seed: int = 0, num_groups: int = NUM_GROUPS, noises: tuple[float, float] = (0.25, 0.15)) -> Paired:
    random = np.random.default_rng(seed)
    chances = random.uniform(0.05, 0.95, NUM_ROWS)
    labels = (random.random(NUM_ROWS) < chances).astype(float)
    champion, challenger = ((chances + random.normal(0, noise, NUM_ROWS)).clip(0.01, 0.99) for noise in noises)
    return Paired(labels, champion, challenger, by_key(np.arange(NUM_ROWS) % num_groups, "days"))


def numbers(seed: int = 0) -> Paired:
    random = np.random.default_rng(seed)
    truth = random.normal(0, 1, NUM_ROWS)
    champion, challenger = (truth + random.normal(0, noise, NUM_ROWS) for noise in (0.9, 0.8))
    return Paired(truth, champion, challenger, by_key(np.arange(NUM_ROWS) % NUM_GROUPS, "days"), task="regression")


@pytest.mark.parametrize(
    ("kind", "init_args", "by_influence", "paired"),
    [
        (BinaryAUROC, {}, AUC, pair()),
        (BinaryF1Score, {"threshold": 0.4}, metric("f1", threshold=0.4), pair()),
        (BinaryF1Score, {}, F1, pair(1)),
        (MeanSquaredError, {}, BRIER, pair()),
        (MeanSquaredError, {"squared": False}, RMSE, numbers()),
        (R2Score, {}, R2, numbers()),
    ],
    ids=["AUROC", "F1 at 0.4", "F1", "MSE", "RMSE", "R2"],
)
def test_a_class_of_torchmetrics_agrees_with_the_influence_values(
    kind: type[TorchMetric], init_args: dict[str, float], by_influence: Metric, paired: Paired
) -> None:
    whole = replace(from_torchmetrics(kind, init_args), num_resamples=999)
    resampled, closed = whole.compare(paired), compare(by_influence, paired)
    assert (resampled.champion, resampled.challenger) == pytest.approx((closed.champion, closed.challenger), abs=1e-5)
    assert resampled.gain == pytest.approx(closed.gain, abs=1e-5)
    # 999 resamples know a standard error up to 2.2 %; the rest is the metric's curvature on 50 groups,
    # and that F1 moves in steps of whole rows, where as large a gain counts as seen.
    assert resampled.standard_error == pytest.approx(closed.standard_error, rel=0.08)
    assert resampled.champion_error == pytest.approx(closed.champion_error, rel=0.08)
    for offset in (-1.5, -0.5, 0.5, 1.5):
        threshold = closed.gain + offset * closed.standard_error
        assert resampled.spread.p_above(threshold) == pytest.approx(closed.spread.p_above(threshold), abs=0.07)
        assert resampled.spread.p_below(threshold) == pytest.approx(closed.spread.p_below(threshold), abs=0.07)
    ends = zip(resampled.spread.interval(0.9), closed.spread.interval(0.9), strict=True)
    assert all(one == pytest.approx(other, abs=0.25 * closed.standard_error) for one, other in ends)
    assert (resampled.num_rows, resampled.num_groups) == (NUM_ROWS, NUM_GROUPS)


def test_the_same_seed_gives_the_same_answer_and_another_seed_nearly_the_same() -> None:
    first, again = LOG_LOSS_AS_A_WHOLE.compare(pair()), LOG_LOSS_AS_A_WHOLE.compare(pair())
    other = replace(LOG_LOSS_AS_A_WHOLE, seed=1).compare(pair())
    assert first.standard_error == again.standard_error != other.standard_error
    assert first.standard_error == pytest.approx(other.standard_error, rel=0.2)


def test_swapping_the_models_mirrors_the_draws() -> None:
    paired = pair(num_groups=20)
    forth = LOG_LOSS_AS_A_WHOLE.compare(paired)
    back = LOG_LOSS_AS_A_WHOLE.compare(replace(paired, champion=paired.challenger, challenger=paired.champion))
    assert forth.gain == -back.gain
    for threshold in (-0.1, 0.0, 0.03):
        assert forth.spread.p_above(threshold) == back.spread.p_below(-threshold)
    lower, upper = forth.spread.interval(0.9)
    assert back.spread.interval(0.9) == pytest.approx((-upper, -lower), abs=1e-12)


def test_identical_models_show_nothing() -> None:
    comparison = LOG_LOSS_AS_A_WHOLE.compare(replace(pair(), challenger=pair().champion))
    assert (comparison.gain, comparison.standard_error) == (0, 0)
    assert comparison.spread.p_above(0) == comparison.spread.p_below(0) == 1
    assert comparison.spread.p_above(-0.01) == 0


def test_few_groups_widen_the_deviation_of_the_draws_and_have_the_tails_of_students_t() -> None:
    draws = np.array([[0.9, 1.0, 1.3, 2.0]])
    spread = ResampledSpread(1.0, draws, (10,))
    error = draws.std(ddof=1) * np.sqrt(10 / 9)
    assert spread.standard_error == pytest.approx(error)
    assert spread.p_above(0.2) == pytest.approx(stats.t.sf(0.8 / error, 9))
    assert spread.p_below(1.3) == pytest.approx(stats.t.sf(0.3 / error, 9))
    lower, upper = spread.interval(0.9)
    assert (spread.p_above(lower), spread.p_below(upper)) == pytest.approx((0.05, 0.05))


def test_of_several_ways_to_group_the_worst_counts() -> None:
    narrow, wide = np.array([0.9, 1.0, 1.1, 1.0]), np.array([0.0, 1.0, 2.0, 1.2])
    together = ResampledSpread(1.0, np.array([narrow, wide]), (40, 10))
    alone = [ResampledSpread(1.0, each[None, :], (groups,)) for each, groups in ((narrow, 40), (wide, 10))]
    assert together.standard_error == alone[1].standard_error > alone[0].standard_error
    for threshold in (-0.5, 0.0, 0.95, 1.05, 2.5):
        assert together.p_above(threshold) == max(each.p_above(threshold) for each in alone)
        assert together.p_below(threshold) == max(each.p_below(threshold) for each in alone)
    assert together.interval(0.9) == alone[1].interval(0.9)


def test_with_ten_groups_no_more_is_claimed_than_the_level_allows() -> None:
    """Percentiles of the draws claim 8 % here; the bound is five Monte Carlo errors above the level."""
    random, claims, rounds = np.random.default_rng(5), 0, 300
    for _ in range(rounds):
        days = np.repeat(random.normal(0, 1, 10), 5) + random.normal(0, 1, 50)
        paired = Paired(np.zeros(50), days, np.zeros(50), by_key(np.arange(50) // 5, "days"), task="regression")
        mean = Resampled("mean", "mean", "lower", lambda labels, scores: float(scores.mean()), num_resamples=100)
        claims += mean.compare(paired).spread.p_above(0.0) <= 0.05
    assert 0.015 <= claims / rounds <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / rounds)


def test_groups_are_drawn_whole() -> None:
    """Rows of a day that err alike are less evidence than as many rows that do not."""
    paired = pair(num_groups=20)
    bad_days = (np.arange(20) % 4 == 0)[paired.grouping.ways[0]]
    worse = np.abs(paired.labels - np.where(bad_days, 0.7, 0.45))  # on a bad day it is wrong on every row
    paired = replace(paired, challenger=worse, champion=np.abs(paired.labels - 0.5))
    by_day = LOG_LOSS_AS_A_WHOLE.compare(paired)
    by_row = LOG_LOSS_AS_A_WHOLE.compare(replace(paired, grouping=by_key(np.arange(NUM_ROWS), "rows")))
    seen: list[int] = []
    whole = replace(LOG_LOSS_AS_A_WHOLE, value=lambda labels, scores: float(seen.append(len(labels)) or 0.0))
    whole.compare(paired)
    assert set(seen) == {NUM_ROWS}  # 20 groups of 20 rows, whichever are drawn
    assert by_day.standard_error > 1.5 * by_row.standard_error


def test_each_rung_of_a_ladder_is_resampled() -> None:
    paired = replace(pair(), grouping=ladder(NUM_ROWS))
    comparison = replace(LOG_LOSS_AS_A_WHOLE, num_resamples=50).compare(paired)
    assert isinstance(comparison.spread, ResampledSpread)
    assert comparison.spread.draws.shape == (len(paired.grouping.ways), 50)
    groups = np.array([int(way.max()) + 1 for way in paired.grouping.ways])
    assert comparison.spread.num_groups == tuple(groups)
    errors = comparison.spread.draws.std(axis=1, ddof=1) * np.sqrt(groups / (groups - 1))
    assert comparison.standard_error == errors.max()
    assert len(set(errors)) == len(paired.grouping.ways)


def test_rows_without_a_finite_value_are_undefined() -> None:
    never = Resampled("ratio", "ratio", "higher", lambda labels, scores: float("nan"))
    with pytest.raises(Undefined, match="ratio has no finite value on these rows: nan and nan"):
        never.compare(pair())


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_class_without_a_direction_is_refused_until_it_is_told(better: str, sign: int) -> None:
    with pytest.raises(ValueError, match="Off does not say whether higher is better; set better: higher or lower"):
        from_torchmetrics(Off, {})
    with pytest.raises(ValueError, match="BinaryConfusionMatrix does not say"):
        from_torchmetrics(BinaryConfusionMatrix, {})
    told = replace(from_torchmetrics(Off, {"unit": 2.0}, better=better), num_resamples=20)  # type: ignore[arg-type]
    comparison = told.compare(pair())
    assert comparison.gain == pytest.approx(sign * (comparison.challenger - comparison.champion))
    assert (told.better, told.name) == (better, "Off {'unit': 2.0}")


def test_a_users_own_class_sees_the_numbers_that_were_to_be_predicted() -> None:
    paired = numbers()
    own = replace(from_torchmetrics(Off, {}, better="lower"), num_resamples=20).compare(paired)
    assert own.champion == pytest.approx(np.abs(paired.labels - paired.champion).mean(), rel=1e-5)


def test_what_the_caller_says_of_the_direction_goes_before_what_the_class_says() -> None:
    assert from_torchmetrics(MeanSquaredError, {}).better == "lower"
    assert from_torchmetrics(BinaryAUROC, {}).better == "higher"
    assert from_torchmetrics(BinaryAUROC, {}, better="lower").better == "lower"


def test_one_computation_leaves_nothing_behind_for_the_next() -> None:
    """A metric that remembers all resamples needs two thousand times the memory of the holdout."""
    made: list[BinaryAUROC] = []

    class Watched(BinaryAUROC):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    replace(from_torchmetrics(Watched, {}), num_resamples=5).compare(pair())
    assert sum(len(part) for part in made[0].preds) == 0  # type: ignore[arg-type, union-attr]
