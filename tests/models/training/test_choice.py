"""The choice between arms: the cheapest within an error of the best, the budget, and how what won is trained again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from models.training.choice import Forecast, Tried, affordable, again, choose, in_blocks
from models.training.recipes import recipe


def tried(name: str, cost: float, num_passes: int = 100) -> Tried:
    return Tried.of(name, np.array([cost - 0.1, cost + 0.1]), num_passes)


def test_the_lowest_mean_cost_is_chosen_and_the_second_is_named() -> None:
    choice = choose([tried("scratch", 0.5), tried("finetune", 0.4), tried("online", 0.9)])
    assert (choice.name, choice.cost) == ("finetune", pytest.approx(0.4))
    assert choice.reason == "finetune cost 0.4 a validation row, 20.0 % less than scratch"


def test_of_two_with_the_same_cost_the_cheaper_training_is_chosen() -> None:
    choice = choose([tried("scratch", 0.5, 9_000), tried("finetune", 0.5, 1_000)])
    assert choice.name == "finetune"
    assert choice.reason.endswith("as scratch did, with 1,000 sample passes against 9,000")


def test_an_arm_that_diverged_is_not_chosen() -> None:
    assert choose([tried("finetune", float("nan")), tried("scratch", 0.9)]).name == "scratch"
    with pytest.raises(ValueError, match=r"no arm has a finite cost on the validation rows \(finetune\)"):
        choose([tried("finetune", float("inf"))])


def test_the_cheaper_training_goes_on_unless_it_is_a_standard_error_behind() -> None:
    easy, hard = np.array([0.2, 0.4, 0.6, 0.8]), np.array([-0.04, 0.04, -0.04, 0.04])
    error = (hard.std(ddof=1) / 2).item()
    for behind, name in ((0.99 * error, "finetune"), (1.01 * error, "scratch")):
        choice = choose([Tried.of("scratch", easy, 900), Tried.of("finetune", easy + hard + behind, 100)])
        assert choice.name == name
    assert (
        "within one standard error"
        in choose([Tried.of("s", easy, 900), Tried.of("f", easy + hard + 0.001, 100)]).reason
    )


def test_what_all_blocks_have_in_common_is_no_error_of_the_difference() -> None:
    """Paired: rows that are hard for every arm say nothing of which is better."""
    easy = np.array([0.1, 5.0, 0.1, 5.0])
    assert choose([Tried.of("scratch", easy, 900), Tried.of("finetune", easy + 0.001, 100)]).name == "scratch"


def test_an_arm_that_was_ended_early_does_not_go_on_for_having_been_cheap() -> None:
    costs = np.array([0.4, 0.6])
    arms = [Tried.of("scratch", costs, 900), Tried.of("ended", costs[::-1] + 0.001, 10, is_hopeless=True)]
    assert choose(arms).name == "scratch"


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.01, 10), min_size=5, max_size=5), st.integers(1, 1_000), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_the_choice_does_not_depend_on_the_order_and_never_costs_more_than_the_lowest(
    arms: list[tuple[list[float], int, bool]], random: Any
) -> None:
    tried = [Tried.of(str(place), np.array(costs), passes, ended) for place, (costs, passes, ended) in enumerate(arms)]
    chosen = choose(tried)
    lowest, taken = min(tried, key=lambda each: each.cost), next(each for each in tried if each.name == chosen.name)
    assert taken.num_passes <= lowest.num_passes or taken.cost == lowest.cost
    assert taken.cost >= lowest.cost
    shuffled = random.sample(tried, len(tried))
    assert choose(shuffled).cost == chosen.cost


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_blocks_hold_every_row_once(costs: list[float]) -> None:
    blocks = in_blocks(np.array(costs))
    sizes = [len(part) for part in np.array_split(costs, len(blocks))]
    assert len(blocks) == min(20, len(costs))
    assert float(np.dot(blocks, sizes)) == pytest.approx(sum(costs))


CENTS = st.integers(-100, 100).map(lambda number: number / 100)


def windows(*behind: float) -> list[dict[str, float]]:
    """Earlier windows in which a fine-tune cost so much more than scratch."""
    return [{"scratch": 0.5 + 0.1 * place, "finetune": 0.5 + 0.1 * place + each} for place, each in enumerate(behind)]


def two(behind: float, finetune_passes: int = 100) -> list[Tried]:
    return [tried("scratch", 0.4, 900), tried("finetune", 0.4 + behind, finetune_passes)]


def test_one_window_shows_nothing_of_an_arm_that_takes_many_more_passes() -> None:
    assert choose(two(0.2)).name == "scratch"
    choice = choose(two(0.2), [])
    assert choice.name == "finetune"
    assert choice.reason == (
        "finetune cost 0.6 a validation row; scratch must be better on 3 windows of validation rows, and has been "
        "tried on 1"
    )
    assert choose(two(0.2), windows(0.2)).reason.endswith("tried on 2")
    assert choose(two(0.2, finetune_passes=450), []).name == "scratch"


def test_windows_are_the_draws_by_which_an_arm_is_better() -> None:
    behind = np.array([0.10, 0.02, 0.06, 0.04])
    assert stats.ttest_1samp(behind, 0, alternative="greater").pvalue < 0.05
    better = choose(two(behind[-1]), windows(*behind[:-1]))
    assert better.name == "scratch"
    assert better.reason == "scratch cost 0.4 a validation row; finetune cost 0.055 more in the mean of 4 windows"
    torn = np.array([0.30, -0.10, 0.02, 0.04])
    assert torn.mean() > 0
    assert stats.ttest_1samp(torn, 0, alternative="greater").pvalue > 0.05
    assert choose(two(torn[-1]), windows(*torn[:-1])).reason == (
        "finetune cost 0.44 a validation row; scratch cost 0.065 less in the mean of 4 windows, which does not show it "
        "to be better"
    )


@pytest.mark.parametrize("num_windows", [1, 2, 3])
def test_an_arm_that_is_new_waits_for_its_windows_and_holds_nobody_up(num_windows: int) -> None:
    new = tried("scratch on fading", 0.2, 800)
    past = windows(0.11, 0.12, 0.10, 0.11, 0.12)
    for costs in past[len(past) - num_windows + 1 :]:
        costs["scratch on fading"] = costs["scratch"] - 0.2 + 0.001 * costs["finetune"]
    choice = choose([*two(0.1), new], past)
    # It takes fewer passes than scratch, but not half as many: once both beat the fine-tune, it need only be as good.
    assert choice.name == ("scratch on fading" if num_windows == 3 else "scratch")


def test_arms_that_share_other_windows_with_the_cheapest_are_each_compared_on_their_own() -> None:
    past = windows(0.11, 0.12, 0.10, 0.11)
    del past[2]["scratch"], past[3]["scratch"]
    for costs in past[2:]:
        costs["scratch on fading"] = costs["finetune"] + 0.1
    choice = choose([*two(0.1), tried("scratch on fading", 0.6, 800)], past)
    assert choice.name == "scratch"


def test_a_cheap_arm_that_is_new_is_compared_by_the_rows_of_this_window() -> None:
    past = [{"finetune": 0.7, "scratch": 0.7} for _ in range(5)]
    arms = [tried("finetune", 0.7, 100), tried("pull", 0.4, 110), tried("scratch", 0.7, 900)]
    assert choose(arms, past).name == "pull"


def test_windows_in_which_an_arm_diverged_or_was_left_out_show_nothing_of_it() -> None:
    past = windows(0.11, 0.12, 0.10)
    past[0]["scratch"] = np.inf
    del past[1]["scratch"]
    assert choose(two(0.1), past).name == "finetune"


def test_an_arm_that_was_ended_early_is_neither_chosen_nor_a_measure() -> None:
    ended = Tried.of("ended", np.array([0.8, 1.0]), 40, is_hopeless=True)
    arms = [ended, tried("finetune", 0.5, 100)]
    assert choose(arms, []).reason == "finetune cost 0.5 a validation row; ended was ended early"
    assert choose([ended], []).name == "ended"


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.01, 10), min_size=5, max_size=5), st.integers(1, 1_000), st.booleans()),
        min_size=1,
        max_size=5,
        unique_by=lambda arm: (arm[1], sum(arm[0])),
    ),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_the_choice_over_windows_does_not_depend_on_the_order_and_is_beaten_by_none_that_it_beat_others_with(
    arms: list[tuple[list[float], int, bool]], num_earlier: int, random: Any
) -> None:
    tried = [Tried.of(str(place), np.array(costs), passes, ended) for place, (costs, passes, ended) in enumerate(arms)]
    past = [{each.name: random.uniform(0.1, 1.0) for each in tried} for _ in range(num_earlier)]
    chosen = choose(tried, past).name
    assert choose(random.sample(tried, len(tried)), past).name == chosen
    if any(not each.is_hopeless for each in tried):
        assert not next(each for each in tried if each.name == chosen).is_hopeless


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.floats(0.01, 1))
def test_the_test_over_windows_is_students(behind: list[float], now: float) -> None:
    every = np.array([*behind, now])
    p = stats.ttest_1samp(every, 0, alternative="greater").pvalue if np.ptp(every) else 0.0
    assume(abs(p - 0.05) > 1e-6)
    assert choose(two(now), windows(*behind)).name == ("scratch" if p < 0.05 else "finetune")


def test_the_level_is_shared_by_the_arms_that_are_compared_with_the_cheapest() -> None:
    behind = np.array([0.12, 0.02, 0.06, 0.03])
    assert 0.025 < stats.ttest_1samp(behind, 0, alternative="greater").pvalue < 0.05
    past = windows(*behind[:-1])
    assert choose(two(behind[-1]), past).name == "scratch"
    for costs in past:
        costs["scratch on fading"] = 0.9
    assert choose([*two(behind[-1]), tried("scratch on fading", 0.9, 800)], past).name == "finetune"


@pytest.mark.parametrize("num_dear", [1, 3])
@pytest.mark.parametrize("num_windows", [3, 6])
def test_where_arms_do_not_differ_the_cheapest_is_seldom_left(num_dear: int, num_windows: int) -> None:
    random, left, num_walks = np.random.default_rng(num_dear * num_windows), 0, 1_500
    for _ in range(num_walks):
        costs = random.normal(size=(num_windows, 1 + num_dear))
        past = [{str(arm): float(cost) for arm, cost in enumerate(window)} for window in costs[:-1]]
        arms = [tried(str(arm), float(cost), 1 if arm == 0 else 10) for arm, cost in enumerate(costs[-1])]
        left += choose(arms, past).name != "0"
    assert 0.02 < left / num_walks < 0.05 + 3 * (0.05 * 0.95 / num_walks) ** 0.5


@given(st.lists(CENTS, min_size=0, max_size=8), CENTS, st.integers(-5, 5))
def test_what_a_window_costs_everybody_changes_no_choice(behind: list[float], now: float, shift: int) -> None:
    past = windows(*behind)
    moved = [{name: cost + shift * place for name, cost in costs.items()} for place, costs in enumerate(past)]
    assert choose(two(now), past).name == choose(two(now), moved).name


def test_one_arm_alone_is_chosen() -> None:
    assert choose([tried("finetune", 0.4)]).reason.endswith("there was no other arm")


def test_a_choice_needs_arms_and_validation_rows() -> None:
    with pytest.raises(ValueError, match=r"no arm to choose from; give training\.arms at least one"):
        choose([])
    with pytest.raises(ValueError, match=r"no validation rows to choose by; raise training\.validation_days"):
        choose([Tried.of("finetune", np.array([]), 10)])


def test_without_a_budget_all_arms_are_tried() -> None:
    arms = [Forecast("scratch", 10**12), Forecast("finetune", 10)]
    assert affordable(arms, 1.0, None).names == ("scratch", "finetune")


def test_the_dearest_arms_are_left_out_first() -> None:
    arms = [Forecast("scratch", 60_000), Forecast("finetune", 3_000), Forecast("pull", 6_000)]
    found = affordable(arms, 100.0, 120.0)
    assert found.names == ("finetune", "pull")
    assert found.left_out == ("scratch",)
    assert found.reason == "scratch left out by the budget of 2 minutes; all arms need about 11.5"


@given(
    passes=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    rate=st.floats(1, 1e6),
    budget=st.floats(0.001, 1e6),
)
def test_what_is_tried_fits_the_budget_unless_it_is_the_cheapest_alone(
    passes: list[int], rate: float, budget: float
) -> None:
    arms = [Forecast(str(place), number) for place, number in enumerate(passes)]
    found = affordable(arms, rate, budget)
    kept = [arm.num_passes for arm in arms if arm.name in found.names]
    assert sum(kept) / rate <= budget * (1 + 1e-9) or kept == [min(passes)]
    assert sorted([*found.names, *found.left_out]) == sorted(arm.name for arm in arms)
    assert all(arm.num_passes >= max(kept) for arm in arms if arm.name in found.left_out)


def test_what_stopped_by_patience_is_trained_again_for_its_best_number_of_epochs() -> None:
    scratch = recipe("scratch", epochs=20, patience=3)
    repeated = again(scratch, 7)
    assert (repeated.epochs, repeated.patience) == (7, None)
    assert (repeated.learning_rate, repeated.ingredients) == (scratch.learning_rate, scratch.ingredients)


def test_what_ran_to_its_end_is_trained_again_as_it_was() -> None:
    finetune = recipe("finetune")
    assert again(finetune, 1) == finetune
