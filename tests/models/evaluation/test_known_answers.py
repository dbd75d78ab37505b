"""Our one test against the tests of others that it contains: t, McNemar, DeLong, cluster errors, permutations, Holm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from arch.bootstrap import CircularBlockBootstrap, IIDBootstrap, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import by_key
from models.evaluation.holm import holm_levels
from models.evaluation.metrics import ACCURACY, AUC, BRIER, LOG_LOSS, MAE, Metric, Sample
from models.evaluation.spread import sign_flip

NUM_RESAMPLES = 800  # the bootstrap's own error of a standard error is then 1 / sqrt(1600), 2.5 %


def pair(seed: int, num_rows: int, num_groups: int | None = None) -> Paired:
    """Two models that err apart; each row a group unless told."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0.05, 0.95, num_rows)
    labels = (random.random(num_rows) < chances).astype(float)
    champion, challenger = ((chances + random.normal(0, noise, num_rows)).clip(0.02, 0.98) for noise in (0.2, 0.15))
    keys = np.arange(num_rows) if num_groups is None else random.integers(0, num_groups, num_rows)
    return Paired(labels, champion, challenger, by_key(keys, "groups"))


def autoregressive(random: np.random.Generator, num_rows: int, carry: float) -> np.ndarray:
    """A series of variance 1 whose neighbours are correlated by `carry`."""
    steps, series = random.normal(0, np.sqrt(1 - carry**2), num_rows), np.zeros(num_rows)
    for row in range(num_rows):
        series[row] = (carry * series[row - 1] if row else random.normal()) + (steps[row] if row else 0)
    return series


def losses(paired: Paired) -> tuple[np.ndarray, np.ndarray]:
    """The log loss of each row, champion's and challenger's, written down again."""
    return tuple(  # type: ignore[return-value]
        -np.log(np.where(paired.labels == 1, scores, 1 - scores)) for scores in (paired.champion, paired.challenger)
    )


@given(seed=st.integers(0, 10_000), num_rows=st.integers(31, 300))
@settings(deadline=None, max_examples=15)
def test_a_mean_loss_with_each_row_a_group_is_the_paired_t_test(seed: int, num_rows: int) -> None:
    paired = pair(seed, num_rows)
    comparison = compare(LOG_LOSS, paired)
    expected = stats.ttest_rel(*losses(paired), alternative="greater")
    assert comparison.spread.p_above(0) == pytest.approx(expected.pvalue, rel=1e-9)
    assert comparison.gain / comparison.standard_error == pytest.approx(expected.statistic, rel=1e-9)
    interval = stats.ttest_rel(*losses(paired)).confidence_interval(0.9)
    assert comparison.spread.interval(0.9) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-12)


@given(seed=st.integers(0, 10_000), margin=st.floats(-0.1, 0.1))
@settings(deadline=None, max_examples=10)
def test_non_inferiority_is_the_paired_t_test_against_the_margin(seed: int, margin: float) -> None:
    paired = pair(seed, 200)
    before, after = losses(paired)
    expected = stats.ttest_1samp(before - after, -margin, alternative="greater")
    assert compare(LOG_LOSS, paired).spread.p_above(-margin) == pytest.approx(expected.pvalue, rel=1e-9)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_accuracy_with_each_row_a_group_is_mcnemars_test_up_to_centring(seed: int) -> None:
    """With b and c rows that only one model gets right, McNemar is M = (b - c)^2 / (b + c). Ours has in place of b + c
    n / (n - 1) times (b + c) - (b - c)^2 / n, the sum of squares about the mean: z^2 = M (n - 1) / (n - M).
    """
    paired, num_rows = pair(seed, 400), 400
    first, second = ((scores >= 0.5) == (paired.labels == 1) for scores in (paired.champion, paired.challenger))
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    statistic = mcnemar(table, exact=False, correction=False).statistic
    comparison = compare(ACCURACY, paired)
    squared = (comparison.gain / comparison.standard_error) ** 2
    assert squared == pytest.approx(statistic * (num_rows - 1) / (num_rows - statistic), abs=1e-10, rel=1e-10)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_accuracy_of_few_rows_is_mcnemars_exact_test(seed: int) -> None:
    paired = pair(seed, 30)
    first, second = ((scores >= 0.5) == (paired.labels == 1) for scores in (paired.champion, paired.challenger))
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    p_value = compare(ACCURACY, paired).spread.p_above(0)
    assert p_value == pytest.approx(stats.binom.sf(only_second - 1, only_first + only_second, 0.5), abs=1e-12)
    if only_second > only_first:
        two_sided = mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue
        assert p_value == pytest.approx(two_sided / 2, abs=1e-12)


def delong(labels: np.ndarray, *models: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUCs, and the covariances S10 and S01 of the structural components, by comparing every pair (DeLong 1988)."""
    psi = []
    for scores in models:
        positives, negatives = scores[labels == 1][:, None], scores[labels == 0][None, :]
        psi.append((positives > negatives) + 0.5 * (positives == negatives))
    over_positives = np.cov([each.mean(axis=1) for each in psi])
    over_negatives = np.cov([each.mean(axis=0) for each in psi])
    return np.array([each.mean() for each in psi]), over_positives, over_negatives


@pytest.mark.parametrize("decimals", [1, 16], ids=["ties", "no ties"])
@pytest.mark.parametrize("seed", [0, 1])
def test_auc_with_each_row_a_group_is_delongs_test_of_two_correlated_curves(seed: int, decimals: int) -> None:
    paired = pair(seed, 300)
    paired = replace(paired, champion=paired.champion.round(decimals), challenger=paired.challenger.round(decimals))
    values, over_positives, over_negatives = delong(paired.labels, paired.champion, paired.challenger)
    num_rows, num_positives = 300, int(paired.labels.sum())
    num_negatives, contrast = num_rows - num_positives, np.array([-1.0, 1.0])
    comparison = compare(AUC, paired)
    assert (comparison.champion, comparison.challenger) == pytest.approx(tuple(values), abs=1e-12)
    of_positives, of_negatives = (
        contrast @ covariance @ contrast / count
        for covariance, count in ((over_positives, num_positives), (over_negatives, num_negatives))
    )
    # DeLong's errors are those of a mean, ours of the jackknife: the same up to one part in the size of a class.
    exact = (
        (num_rows - 1)
        / num_rows
        * (of_positives * num_positives / (num_positives - 1) + of_negatives * num_negatives / (num_negatives - 1))
    )
    assert comparison.standard_error**2 == pytest.approx(exact, rel=1e-10)
    assert comparison.standard_error**2 == pytest.approx(of_positives + of_negatives, rel=0.01)


@pytest.mark.parametrize("num_groups", [20, 60])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mean_loss_has_the_cluster_robust_error_of_statsmodels(seed: int, num_groups: int) -> None:
    paired = pair(seed, 600, num_groups)
    before, after = losses(paired)
    constant = np.ones((600, 1))
    fitted = sm.OLS(before - after, constant).fit(cov_type="cluster", cov_kwds={"groups": paired.grouping.ways[0]})
    comparison = compare(LOG_LOSS, paired)
    # statsmodels' factor for small samples is G / (G - 1) * (n - 1) / (n - k), and k is 1 for a constant: ours.
    assert comparison.gain == pytest.approx(fitted.params[0], rel=1e-10)
    assert comparison.standard_error == pytest.approx(fitted.bse[0], rel=1e-10)
    plain = sm.OLS(before - after, constant).fit(
        cov_type="cluster", cov_kwds={"groups": paired.grouping.ways[0], "use_correction": False}
    )
    factor = np.sqrt(num_groups / (num_groups - 1))
    assert comparison.standard_error == pytest.approx(plain.bse[0] * factor, rel=1e-10)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sign_flips_are_scipys_exact_permutation_test(seed: int) -> None:
    sums = np.random.default_rng(seed).normal(0.4, 1, 12).round(2)
    expected = stats.permutation_test(
        (sums,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    assert sign_flip(sums) == expected.pvalue


def test_a_comparison_of_few_groups_is_scipys_permutation_test_of_their_sums() -> None:
    paired = pair(3, 300, num_groups=11)
    before, after = losses(paired)
    threshold = -0.004
    sums = pd.Series(before - after - threshold).groupby(paired.grouping.ways[0]).sum().to_numpy()
    expected = stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    assert compare(LOG_LOSS, paired).spread.p_above(threshold) == pytest.approx(expected.pvalue, abs=1e-12)


def gains(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> np.ndarray:
    """In AUC and in log loss."""
    return np.array(
        [
            each.sign * (each.measure(Sample(labels, challenger)).value - each.measure(Sample(labels, champion)).value)
            for each in (AUC, LOG_LOSS)
        ]
    )


def test_independent_rows_have_the_errors_of_archs_bootstrap() -> None:
    paired = pair(1, 2_000)
    bootstrap = IIDBootstrap(paired.labels, paired.champion, paired.challenger, seed=np.random.default_rng(1))
    errors = bootstrap.apply(gains, NUM_RESAMPLES).std(axis=0, ddof=1)
    assert compare(AUC, paired).standard_error == pytest.approx(errors[0], rel=0.05)
    assert compare(LOG_LOSS, paired).standard_error == pytest.approx(errors[1], rel=0.05)


def drifting(num_rows: int, length: int) -> Paired:
    """Two models that know one of two causes each, of which now one and now the other is at work; in blocks."""
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1.5, (2, num_rows))
    share = 0.5 + 0.5 * autoregressive(random, num_rows, carry=0.8)
    labels = (random.random(num_rows) < special.expit(share * first + (1 - share) * second)).astype(float)
    return Paired(labels, special.expit(second), special.expit(first), by_key(np.arange(num_rows) // length, "blocks"))


@pytest.mark.parametrize("kind", [CircularBlockBootstrap, StationaryBootstrap])
def test_dependent_rows_in_blocks_have_the_errors_of_archs_block_bootstraps(kind: type[CircularBlockBootstrap]) -> None:
    paired, length = drifting(8_000, 25), 25
    bootstrap = kind(length, paired.labels, paired.champion, paired.challenger, seed=np.random.default_rng(1))
    errors = bootstrap.apply(gains, NUM_RESAMPLES).std(axis=0, ddof=1)
    alone = replace(paired, grouping=by_key(np.arange(8_000), "rows"))
    for each, error in zip((AUC, LOG_LOSS), errors, strict=True):
        assert compare(each, paired).standard_error == pytest.approx(error, rel=0.05)
        assert compare(each, paired).standard_error > 1.2 * compare(each, alone).standard_error


@pytest.mark.parametrize("each", [LOG_LOSS, BRIER, AUC], ids=lambda each: each.name)
def test_the_level_holds_for_equal_models_and_dependent_rows_in_groups(each: Metric) -> None:
    promotions = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        days = np.repeat(np.arange(20), 15)
        chances = random.uniform(0.1, 0.9, 300)
        labels = (random.random(300) < chances).astype(float)
        # Each model has a bad day of its own now and then, which all of the day's rows share.
        first, second = ((chances + random.normal(0, 0.15, 20)[days]).clip(0.02, 0.98) for _ in range(2))
        paired = Paired(labels, first, second, by_key(days, "days"))
        promotions += compare(each, paired).spread.p_above(0) <= 0.1
    assert promotions <= 31  # 20 expected; more than 31 would happen once in 200 such tests


def test_mean_absolute_error_is_the_paired_t_test_for_predicted_numbers() -> None:
    random = np.random.default_rng(0)
    labels = random.normal(0, 1, 100)
    champion, challenger = labels + random.normal(0, 1, 100), labels + random.normal(0, 0.9, 100)
    paired = Paired(labels, champion, challenger, by_key(np.arange(100), "rows"), task="regression")
    expected = stats.ttest_rel(abs(labels - champion), abs(labels - challenger), alternative="greater")
    assert compare(MAE, paired).spread.p_above(0) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(0, 24, 3))  # statsmodels collects garbage in each call
def test_holms_levels_reject_what_statsmodels_rejects(seed: int) -> None:
    random = np.random.default_rng(seed)
    p_values = random.choice([0.01, 0.0125, 0.05, *random.uniform(0, 0.1, 5), 0.9], size=1 + seed // 3).tolist()
    expected = multipletests(p_values, 0.05, method="holm")[0]
    levels = holm_levels(p_values, 0.05)
    assert [p <= own for p, own in zip(p_values, levels, strict=True)] == expected.tolist()
    assert all(0.05 / len(p_values) <= own <= 0.05 for own in levels)


def test_a_p_that_equals_its_level_is_rejected_and_the_next_is_asked() -> None:
    assert holm_levels([0.0125, 0.05, 0.016, 0.02], 0.05) == pytest.approx([0.0125, 0.05, 0.05 / 3, 0.025])


def test_no_test_needs_no_level() -> None:
    assert holm_levels([], 0.05) == []
