"""The gate: what it promotes, what it refuses, what it says, and that what it says is true."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.comparison import Comparison, Paired, compare
from models.evaluation.gate import Judgement, Rules, best, judge, unjudged
from models.evaluation.groups import Grouping, by_key, ladder
from models.evaluation.guardrails import Elsewhere, Floor, NegativeFlips, NoWorse
from models.evaluation.metrics import AUC, BRIER, CALIBRATION_ERROR, LOG_LOSS, MAE, PRECISION, Metric
from models.evaluation.minima import Minima
from models.evaluation.power import rows_needed
from models.evaluation.reasons import reason
from models.evaluation.resampling import Resampled
from models.evaluation.shrinkage import shrink
from models.evaluation.slices import Slice, Slices
from models.evaluation.spread import GroupedSpread
from models.evaluation.testing import Test, limit

NUM_ROWS = 4_000
GUARDRAILS = (NoWorse(AUC, margin=0.01), NoWorse(CALIBRATION_ERROR, margin=0.02))
RULES = Rules(LOG_LOSS, level=0.05, min_gain=0.002, guardrails=GUARDRAILS)


def world(seed: int, num_rows: int = NUM_ROWS) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """A generator, true chances, and labels drawn from them."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0.05, 0.95, num_rows)
    return random, chances, (random.random(num_rows) < chances).astype(float)


def days(num_rows: int, num_groups: int = 20) -> Grouping:
    return by_key(np.arange(num_rows) * num_groups // num_rows, "days")


def pair(
    champion_noise: float, challenger_noise: float, seed: int = 1, num_rows: int = NUM_ROWS, num_groups: int = 20
) -> Paired:
    random, chances, labels = world(seed, num_rows)
    champion, challenger = (
        (chances + random.normal(0, noise, num_rows)).clip(0.01, 0.99) for noise in (champion_noise, challenger_noise)
    )
    return Paired(labels, champion, challenger, days(num_rows, num_groups))


def with_gain(comparison: Comparison, gain: float) -> Comparison:
    """The same spread around another gain."""
    assert isinstance(comparison.spread, GroupedSpread)
    return replace(comparison, gain=gain, spread=replace(comparison.spread, gain=gain))


def number_in(sentence: str, pattern: str) -> float:
    found = re.search(pattern, sentence)
    assert found, sentence
    return float(found[1].replace(",", ""))


@given(
    seed=st.integers(0, 10_000),
    champion_noise=st.sampled_from([0.0, 0.1, 0.3]),
    challenger_noise=st.sampled_from([0.0, 0.05, 0.1, 0.3]),
    shift=st.sampled_from([0.0, 0.03, 0.1]),
    level=st.sampled_from([0.001, 0.05, 0.2]),
    min_gain=st.sampled_from([0.0, 0.002, 0.1]),
    num_rows=st.sampled_from([40, 200, 1_000]),
    num_groups=st.sampled_from([10, 20, 40]),
)
@settings(deadline=None, max_examples=40)
def test_every_answer_has_its_reason_and_a_promotion_means_that_every_test_holds(
    seed: int,
    champion_noise: float,
    challenger_noise: float,
    shift: float,
    level: float,
    min_gain: float,
    num_rows: int,
    num_groups: int,
) -> None:
    paired = pair(champion_noise, challenger_noise, seed, num_rows, num_groups)
    paired = replace(paired, challenger=(paired.challenger + shift).clip(0, 1))
    judgement = judge(paired, replace(RULES, level=level, min_gain=min_gain))
    assert judgement.reason.endswith(".") and ". " not in judgement.reason
    assert not re.search("nan|inf |None", " ".join([judgement.reason, *judgement.would_change]))
    assert judgement.judged_on.num_rows == num_rows
    if not judgement.tests:
        assert judgement.answer == "inconclusive" and "too small to judge" in judgement.reason
        assert (judgement.level, judgement.shrunk_gain, judgement.would_change) == (None, None, ())
        return
    first, *guardrails = judgement.tests
    assert f"gain in log loss (nats) {first.gain:+z.4f}" in judgement.reason
    assert f"{num_rows:,} rows in {num_groups} days." in judgement.reason
    if first.lower is not None:
        assert f"interval {first.lower:+z.4f} to {first.upper:+z.4f})" in judgement.reason
    assert [test.kind for test in judgement.tests] == ["superiority", "non-inferiority", "non-inferiority"]
    assert (judgement.answer == "promoted") == all(test.verdict == "holds" for test in judgement.tests)
    assert (judgement.answer == "rejected") == any(test.verdict == "fails" for test in judgement.tests)
    assert all(test.level == level == judgement.level for test in judgement.tests)
    assert (judgement.shrunk_gain is not None) == (judgement.answer == "promoted")
    if judgement.answer == "promoted":
        near = 1e-3 * first.standard_error  # type: ignore[operator]
        assert first.p_value <= level and first.gain >= min_gain  # type: ignore[operator]
        assert first.lower is not None and first.lower >= -near
        assert all(test.p_value <= level for test in guardrails)  # type: ignore[operator]
        assert 0 <= judgement.shrunk_gain <= first.gain  # type: ignore[operator]
        if first.gain < 6 * first.standard_error:  # type: ignore[operator]
            assert judgement.shrunk_gain < first.gain  # type: ignore[operator]


@pytest.mark.parametrize("primary", [LOG_LOSS, AUC, BRIER, PRECISION], ids=lambda metric: metric.name)
@given(
    seed=st.integers(0, 10_000),
    level=st.sampled_from([1e-6, 0.05, 0.4]),
    min_gain=st.sampled_from([0.0, 1e-12, 0.002]),
    keys=st.sampled_from([10, 20, 60, None]),
)
@settings(deadline=None, max_examples=8)
def test_identical_models_are_never_promoted(
    primary: Metric, seed: int, level: float, min_gain: float, keys: int | None
) -> None:
    paired = pair(0.1, 0.1, seed, 400)
    paired = replace(paired, challenger=paired.champion.copy(), grouping=days(400, keys) if keys else ladder(400))
    guardrails = (*GUARDRAILS, NoWorse(BRIER, share=0.0), NegativeFlips(0.1), Floor(AUC, 0.5))
    for rules in (Rules(primary, level, min_gain), Rules(primary, level, min_gain, guardrails)):
        judgement = judge(paired, rules)
        assert judgement.answer in ("rejected", "inconclusive")
        assert not re.search("nan|inf ", judgement.reason)


def test_identical_models_are_not_promoted_by_a_bootstrap_either() -> None:
    whole = Resampled("brier", "Brier", "lower", lambda labels, scores: float(((labels - scores) ** 2).mean()), 200)
    paired = replace(pair(0.1, 0.1), challenger=pair(0.1, 0.1).champion)
    assert judge(paired, Rules(whole, 0.4, 0.0)).answer == "inconclusive"
    judgement = judge(pair(0.25, 0.0), Rules(whole, 0.05, 0.0))
    assert judgement.answer == "promoted"
    assert 0 < judgement.shrunk_gain <= judgement.tests[0].gain  # type: ignore[operator]


def test_a_clearly_better_challenger_is_promoted() -> None:
    judgement = judge(pair(0.25, 0.0), RULES)
    assert judgement.answer == "promoted"
    assert re.fullmatch(
        r"The challenger is better at level 0\.05 and every guardrail holds: gain in log loss \(nats\) \+0\.\d{4} "
        r"\(90% interval \+0\.\d{4} to \+0\.\d{4}\); 4,000 rows in 20 days\.",
        judgement.reason,
    )
    assert judgement.champion_error == compare(LOG_LOSS, pair(0.25, 0.0)).champion_error


def test_a_clearly_worse_challenger_is_rejected() -> None:
    judgement = judge(pair(0.0, 0.25), RULES)
    assert judgement.answer == "rejected"
    assert "worse than its margin allows: AUC by 0.0" in judgement.reason
    only = judge(pair(0.0, 0.25), replace(RULES, guardrails=()))
    assert only.answer == "rejected"
    assert only.reason.startswith(
        "The challenger is not better by the 0.0020 worth having: gain in log loss (nats) -0."
    )


def test_a_gain_that_may_be_noise_is_inconclusive_and_says_how_many_rows_would_show_it() -> None:
    paired = pair(0.11, 0.1, seed=2)
    judgement, main = judge(paired, RULES), compare(LOG_LOSS, paired)
    assert judgement.answer == "inconclusive"
    assert judgement.reason.startswith("Not enough evidence that the challenger is better: gain in log loss")
    target = max(main.gain, 0.002)
    more = rows_needed(main.standard_error, NUM_ROWS, target, 0.05) - NUM_ROWS
    assert f"a gain of {target:.4f} would need about {more:,} more labelled rows; 4,000 rows in" in judgement.reason


def test_a_gain_that_is_real_but_not_worth_having_is_rejected() -> None:
    _, chances, labels = world(3)
    paired = Paired(labels, chances, 0.999 * chances + 0.001 * labels, days(NUM_ROWS))
    judgement = judge(paired, replace(RULES, min_gain=0.05))
    assert judgement.tests[0].p_value < 1e-5  # type: ignore[operator]
    assert judgement.answer == "rejected"
    assert "not better by the 0.0500 worth having and the two are equivalent within it: gain" in judgement.reason
    assert judgement.tests[0].is_equivalent
    assert judgement.shrunk_gain is None


def test_equivalence_is_told_only_where_it_is_shown() -> None:
    assert not judge(pair(0.0, 0.25), RULES).tests[0].is_equivalent
    alike, vague = (judge(pair(0.1, 0.1), replace(RULES, min_gain=gain)).tests[0] for gain in (0.05, 0.0001))
    assert alike.is_equivalent and not vague.is_equivalent
    none = judge(pair(0.1, 0.1), replace(RULES, min_gain=0.0)).tests[0]
    assert not none.is_equivalent


def test_a_better_but_badly_calibrated_challenger_is_rejected_by_name() -> None:
    _, chances, labels = world(4)
    champion = np.full(NUM_ROWS, labels.mean())  # knows nothing, and is perfectly calibrated
    judgement = judge(Paired(labels, champion, (chances + 0.1).clip(0, 0.98), days(NUM_ROWS)), RULES)
    assert judgement.tests[0].verdict == "holds"
    assert judgement.answer == "rejected"
    loss = -judgement.tests[2].gain  # type: ignore[operator]
    assert f"worse than its margin allows: calibration error by {loss:.4f}; gain in log loss" in judgement.reason
    assert judgement.shrunk_gain is None


def test_a_guardrail_may_give_way_by_less_than_its_margin() -> None:
    _, chances, labels = world(4)
    paired = Paired(labels, np.full(NUM_ROWS, labels.mean()), (chances + 0.01).clip(0, 0.98), days(NUM_ROWS))
    narrow, wide = (
        judge(paired, replace(RULES, guardrails=(NoWorse(CALIBRATION_ERROR, margin=margin),)))
        for margin in (0.001, 0.1)
    )
    assert wide.tests[1].gain == narrow.tests[1].gain < 0  # type: ignore[operator]
    assert narrow.answer != "promoted"
    assert wide.answer == "promoted"
    assert wide.tests[1].p_value < narrow.tests[1].p_value  # type: ignore[operator]


def test_a_guardrail_that_is_open_makes_it_inconclusive_by_name() -> None:
    paired = pair(0.25, 0.0)
    value = compare(AUC, paired).challenger
    guardrails = (*GUARDRAILS, Floor(AUC, value), NegativeFlips(0.0001))
    judgement = judge(paired, replace(RULES, guardrails=(*GUARDRAILS, Floor(AUC, value))))
    assert judgement.answer == "inconclusive"
    assert judgement.reason.startswith("The challenger is better, but AUC may be worse than its margin allows: gain in")
    assert len(judgement.would_change) == 1 and judgement.would_change[0].startswith("AUC: it may be as low as 0.")
    assert judge(paired, replace(RULES, guardrails=guardrails)).answer == "rejected"  # a broken one goes before


def test_a_slice_that_is_missing_makes_it_inconclusive_by_name() -> None:
    gone = Slice("carrier=HA", np.zeros(NUM_ROWS, bool), expected=300.0)
    slices = Slices(NoWorse(LOG_LOSS, margin=0.1), (gone,), 200, Minima())
    judgement = judge(pair(0.25, 0.0), replace(RULES, guardrails=(slices,)))
    assert judgement.answer == "inconclusive"
    said = "log loss of carrier=HA (only 0 rows of 200 needed, where its share before would give 300)"
    assert f"but {said} may be worse" in judgement.reason
    assert judgement.would_change == (
        "log loss of carrier=HA: only 0 rows of 200 needed, where its share before would give 300.",
    )


def test_a_slice_in_which_it_is_worse_rejects_it_by_name() -> None:
    paired = pair(0.25, 0.0)
    mask = np.arange(NUM_ROWS) % 2 == 0
    paired = replace(paired, challenger=np.where(mask, 1 - paired.challenger, paired.challenger))
    slices = Slices(NoWorse(LOG_LOSS, margin=0.1), (Slice("carrier=HA", mask, 0.0),), 200, Minima())
    judgement = judge(paired, replace(RULES, guardrails=(slices,)))
    assert judgement.answer == "rejected"
    assert "worse than its margin allows: log loss of carrier=HA by " in judgement.reason


def test_tests_made_elsewhere_must_hold_too() -> None:
    paired = pair(0.25, 0.0)
    fast, slow = (limit("median latency (ms)", 1.0, found, largest=5.0) for found in (4.0, 6.0))
    assert judge(paired, RULES, [fast]).answer == "promoted"
    assert limit("median latency (ms)", None, 5.0, largest=5.0).verdict == "holds"
    rejected = judge(paired, RULES, [fast, slow])
    assert rejected.answer == "rejected"
    assert "median latency is 6 where 5 is allowed; gain" in rejected.reason
    assert rejected.would_change == ("median latency: 6 would have to be 5 or less.",)
    assert rejected.tests[-1] == slow


def test_many_open_guardrails_are_told_in_short() -> None:
    opened = tuple(Elsewhere(f"suite {number}", NoWorse(AUC, margin=0.0), pair(0.1, 0.1)) for number in range(5))
    judgement = judge(pair(0.25, 0.0), replace(RULES, guardrails=opened))
    assert "AUC of suite 0, AUC of suite 1, AUC of suite 2 and 2 more may be worse" in judgement.reason
    assert len(judgement.would_change) == 5


@pytest.mark.parametrize("num_groups", [12, 20, 60])
@pytest.mark.parametrize("min_gain", [0.0, 0.03])
def test_what_is_said_of_a_promotion_is_true(num_groups: int, min_gain: float) -> None:
    """By the same test of a gain that is a little smaller or larger than the one that is said to have sufficed."""
    paired, rules = pair(0.25, 0.0, num_groups=num_groups), replace(RULES, min_gain=min_gain)
    judgement, main = judge(paired, rules), compare(LOG_LOSS, paired)
    assert judgement.answer == "promoted"
    least, nearest = judgement.would_change
    needed = number_in(least, r"^With the same spread a gain of less than (\S+) nats would not have been enough\.$")

    def is_enough(gain: float) -> bool:
        return gain >= min_gain and with_gain(main, gain).spread.p_above(0) <= rules.level

    assert not is_enough(needed - 1e-4) and is_enough(needed + 1e-4)  # it is told with four digits
    slack = number_in(
        nearest, r"^The guardrail nearest to its margin is .*: (\S+)(?: nats)? less would leave it open\.$"
    )
    name = number_of_the_nearest(judgement)
    metric, margin = GUARDRAILS[name].metric, GUARDRAILS[name].margin
    assert judgement.tests[1 + name].title in nearest and margin is not None
    guarded = compare(metric, paired)
    assert with_gain(guarded, guarded.gain - slack + 1e-4).spread.p_above(-margin) <= rules.level
    assert with_gain(guarded, guarded.gain - slack - 1e-4).spread.p_above(-margin) > rules.level


def number_of_the_nearest(judgement: Judgement) -> int:
    """Which guardrail is fewest standard errors above its margin, by its interval."""
    rooms = [(test.lower + test.margin) / test.standard_error for test in judgement.tests[1:]]  # type: ignore[operator]
    return int(np.argmin(rooms))


@pytest.mark.parametrize("num_groups", [12, 60])
def test_what_is_said_of_a_rejection_is_true(num_groups: int) -> None:
    paired = pair(0.1, 0.2, num_groups=num_groups)
    rules = replace(RULES, guardrails=())
    (said,) = judge(paired, rules).would_change
    main = compare(LOG_LOSS, paired)
    more = number_in(said, r": (\S+) nats more would leave it open\.$")
    assert with_gain(main, main.gain + more - 1e-4).spread.p_below(0.002) <= rules.level
    assert with_gain(main, main.gain + more + 1e-4).spread.p_below(0.002) > rules.level
    at_best = number_in(said, r"^At best the gain is (\S+):")
    assert at_best == pytest.approx(main.spread.interval(0.9)[1], abs=1e-4)


@pytest.mark.parametrize("noise", [0.11, 0.2], ids=["a gain that may be noise", "a proven gain that is too small"])
def test_what_is_said_of_an_open_answer_is_true(noise: float) -> None:
    paired = pair(noise, 0.1, seed=2, num_groups=40)
    main = compare(LOG_LOSS, paired)
    min_gain = main.gain + 0.5 * main.standard_error
    rules = replace(RULES, min_gain=min_gain, guardrails=())
    judgement = judge(paired, rules)
    assert judgement.answer == "inconclusive"
    assert (judgement.tests[0].p_value <= rules.level) == (noise == 0.2)  # type: ignore[operator]
    *_, said = judgement.would_change
    enough = number_in(said, r"^With the same spread a gain of (\S+) nats would have been enough\.$")

    def is_enough(gain: float) -> bool:
        return gain >= min_gain and with_gain(main, gain).spread.p_above(0) <= rules.level

    assert is_enough(enough + 1e-4) and not is_enough(enough - 1e-4)


def test_what_is_said_of_an_open_guardrail_is_true() -> None:
    guardrail = NoWorse(AUC, margin=0.001)
    judgement = judge(pair(0.105, 0.1, num_groups=40), replace(RULES, level=0.2, min_gain=0.0, guardrails=(guardrail,)))
    test = judgement.tests[1]
    assert test.verdict == "open"
    assert judgement.would_change[-1] == (
        f"AUC: the loss may be as large as {-test.lower:.4f}, and has to be shown to stay below 0.0010."  # type: ignore[operator]
    )


def test_a_level_that_so_few_groups_cannot_reach_is_named_and_not_the_gain() -> None:
    """The smallest p of 12 sign flips is 2^-12."""
    judgement = judge(pair(0.25, 0.0, num_groups=12), replace(RULES, level=2.0**-13))
    assert judgement.answer == "inconclusive"
    assert {test.lower for test in judgement.tests} == {None}
    assert "not worth having" not in judgement.reason
    said = "12 groups can show nothing at level 0.000122"
    assert said in judgement.reason
    assert judgement.would_change == (f"{said}.", f"AUC: {said}.", f"calibration error: {said}.")


@pytest.mark.parametrize("num_groups", [12, 20, 60])
def test_the_shrunk_gain_is_corrected_for_the_condition_that_was_passed(num_groups: int) -> None:
    paired = pair(0.25, 0.0, num_groups=num_groups)
    main = compare(LOG_LOSS, paired)
    reach = main.gain - main.spread.interval(0.9)[0]
    for min_gain in (0.0, 0.9 * main.gain):
        needed = max(reach, min_gain)
        expected = shrink(main.gain, main.standard_error, 0.05, critical=needed / main.standard_error)
        assert judge(paired, replace(RULES, min_gain=min_gain)).shrunk_gain == pytest.approx(expected, rel=1e-9)
    harder = judge(paired, replace(RULES, min_gain=0.9 * main.gain)).shrunk_gain
    assert harder < judge(paired, replace(RULES, min_gain=0.0)).shrunk_gain  # type: ignore[operator]


def test_a_gain_that_one_good_day_makes_is_shrunk_too() -> None:
    """Every day is better, one by far: sign flips promote it with a gain of little more than one standard error."""
    labels = np.tile([0.0, 1.0], 1_000)
    better = np.where(np.arange(2_000) // 200 == 0, 0.4, 0.001)
    champion = np.full(2_000, 0.5)
    paired = Paired(labels, champion, champion + better * np.sign(labels - 0.5), days(2_000, 10))
    judgement = judge(paired, Rules(LOG_LOSS, 0.05, 0.0))
    first = judgement.tests[0]
    assert judgement.answer == "promoted" and first.gain < 1.2 * first.standard_error  # type: ignore[operator]
    assert judgement.shrunk_gain < first.gain  # type: ignore[operator]


@pytest.mark.parametrize(
    ("minima", "num_groups", "lacking"),
    [
        (Minima(), 9, "9 groups where 10 are needed"),
        (Minima(positives=5_000), 20, r"[\d,]+ positives where 5,000 are needed"),
        (Minima(negatives=5_000), 20, r"[\d,]+ negatives where 5,000 are needed"),
    ],
)
def test_too_small_a_holdout_is_inconclusive_without_a_test(minima: Minima, num_groups: int, lacking: str) -> None:
    judgement = judge(pair(0.3, 0.0, num_groups=num_groups), replace(RULES, minima=minima))
    assert judgement.answer == "inconclusive"
    assert judgement.tests == ()
    assert re.search(f"^The holdout is too small to judge: {lacking}.$", judgement.reason)


@pytest.mark.parametrize(("positives", "negatives"), [(49, 500), (500, 49), (0, 500), (500, 0)])
def test_fewer_than_50_of_either_class_are_inconclusive(positives: int, negatives: int) -> None:
    labels = np.array([1.0] * positives + [0.0] * negatives)
    right, num_rows = labels * 0.9 + 0.05, positives + negatives
    judgement = judge(Paired(labels, 1 - right, right, by_key(np.arange(num_rows) % 20, "days")), RULES)
    assert judgement.answer == "inconclusive"
    assert "The holdout is too small to judge" in judgement.reason
    assert (judgement.judged_on.num_positives, judgement.judged_on.num_rows) == (positives, num_rows)
    enough = np.tile([0.0, 1.0], 50)
    assert judge(Paired(enough, 1 - enough, enough, by_key(np.arange(100) % 20, "days")), RULES).tests


def test_rows_of_one_class_have_no_gain_where_the_metric_needs_both() -> None:
    positives = pair(0.2, 0.0).take(pair(0.2, 0.0).labels == 1)
    judgement = judge(positives, Rules(AUC, 0.05, 0.0, minima=Minima(10, 0, 0)))
    assert (judgement.answer, judgement.tests) == ("inconclusive", ())
    assert judgement.reason.startswith("The challenger cannot be compared: AUC needs both classes; there are ")


def test_a_guardrail_without_a_value_makes_it_inconclusive_and_no_error() -> None:
    paired = pair(0.25, 0.0)
    low = replace(paired, champion=paired.champion / 3, challenger=paired.challenger / 3)  # nobody is called positive
    for guardrail in (NoWorse(PRECISION, margin=0.1), NoWorse(PRECISION, share=0.1), Floor(PRECISION, 0.1)):
        judgement = judge(low, Rules(LOG_LOSS, 0.05, 0.0, (guardrail,)))
        assert judgement.answer == "inconclusive"
        assert "precision (precision needs rows that are called 1" in judgement.reason
        assert judgement.would_change[0].startswith("precision: precision needs rows")


def test_predicted_numbers_have_no_positives_to_count() -> None:
    random = np.random.default_rng(0)
    labels = random.normal(0, 1, 200)
    paired = Paired(labels, labels + random.normal(0, 2, 200), labels, days(200), task="regression")
    judgement = judge(paired, Rules(MAE, 0.05, 0.0))
    assert judgement.answer == "promoted"
    assert judgement.judged_on.num_positives == 0
    assert judgement.judged_on.rows_per_group == 10


@pytest.mark.parametrize("level", [0, 0.5, 5, -0.1, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(
        ValueError, match=r"level=.* is no level of a test; it lies above 0 and below 0.5: set gate.alpha"
    ):
        replace(RULES, level=level)


def test_a_smallest_gain_below_zero_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"min_gain=-0.001 would promote what is worse; set gate.min_gain to 0 or more"
    ):
        replace(RULES, min_gain=-0.001)
    with pytest.raises(ValueError, match="min_gain=nan"):
        replace(RULES, min_gain=float("nan"))


@pytest.mark.parametrize("num_groups", [20, 50])
def test_the_level_holds_between_equal_models_that_err_apart(num_groups: int) -> None:
    rules, promotions = Rules(BRIER, 0.05, 0.0), 0
    for seed in range(200):
        promotions += judge(pair(0.1, 0.1, seed, 400, num_groups), rules).answer == "promoted"
    assert promotions <= 20  # 10 expected; more than 20 would happen once in 600 such tests


def test_of_several_challengers_the_answer_is_about_the_largest_proven_gain() -> None:
    good, better, worse, open_ = (
        judge(paired, RULES) for paired in (pair(0.25, 0.1), pair(0.25, 0.0), pair(0.0, 0.25), pair(0.1, 0.1))
    )
    nothing = unjudged(pair(0.1, 0.1), "No rows.")
    assert [each.answer for each in (good, better, worse)] == ["promoted", "promoted", "rejected"]
    assert best([good, better, worse, open_, nothing]) == 1
    assert best([worse, good]) == 1
    assert best([nothing, worse, open_]) == 2
    assert best([nothing, worse]) == 1  # what was tested comes first
    assert best([nothing, nothing]) == 0


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_day_that_holds_all_of_a_class_shows_nothing_and_says_so(label: float) -> None:
    paired = pair(0.25, 0.0)
    on_one_day = np.where(paired.grouping.ways[0] == 3, label, 1 - label)
    paired = replace(paired, labels=on_one_day)
    judgement = judge(paired, Rules(AUC, 0.05, 0.0, (NoWorse(AUC, margin=0.01),)))
    assert (judgement.answer, judgement.champion_error) == ("inconclusive", None)
    assert "one group holds all rows of a class" in judgement.reason
    assert "can show nothing" not in " ".join([judgement.reason, *judgement.would_change])
    assert judgement.would_change == (
        "One group holds all rows of a class.",
        "AUC: one group holds all rows of a class.",
    )
    json.dumps(dataclasses.asdict(judgement), allow_nan=False)


def test_a_gain_that_is_real_and_too_small_is_told_as_such() -> None:
    paired = pair(0.25, 0.0)
    gain = compare(LOG_LOSS, paired).gain
    judgement = judge(paired, Rules(LOG_LOSS, 0.05, gain + 1e-6))
    first = judgement.tests[0]
    assert first.verdict == "open" and first.p_value is not None and first.p_value <= 0.05
    said = f"The challenger is better, but not shown to be so by the {gain + 1e-6:.4f} worth having: gain in log loss"
    assert judgement.reason.startswith(said)


def test_a_reason_names_three_broken_guardrails_and_counts_the_rest() -> None:
    first = judge(pair(0.25, 0.0), RULES).tests[0]
    broken = [Test("AUC", f"suite {number}", "non-inferiority", "fails", gain=-0.1) for number in range(5)]
    said = reason([first, *broken], 0.05, 0.0)
    assert "AUC of suite 0 by 0.1000, AUC of suite 1 by 0.1000, AUC of suite 2 by 0.1000 and 2 more; gain" in said
