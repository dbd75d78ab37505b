"""Lists of rows worth a label: what stands on them, why, and how much of it was drawn by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.contract import Columns
from models.data.scores import Scores
from models.monitoring import labelling
from models.monitoring.labelling import (
    BY_CHANCE,
    COVERAGE,
    DISAGREE,
    DISAGREEMENT,
    NEW,
    RANK,
    SCORE,
    UNCERTAIN,
    UNCERTAINTY,
    WHY,
    as_if_even,
    lots,
    spread_out,
    uncertainty,
    was_selected,
)

COLUMNS = Columns(id="id", time="event_time", label="churned", numbers=("age", "usage"), categories=("plan",))
AGE, AGE_AND_PLAN = replace(COLUMNS, numbers=("age",), categories=()), replace(COLUMNS, numbers=("age",))


def worth_labelling(
    frame: pd.DataFrame, scores: np.ndarray, others: np.ndarray | None, *further: object
) -> pd.DataFrame:
    """The list, from plain scores."""
    return labelling.worth_labelling(frame, Scores(scores), None if others is None else Scores(others), *further)


def customers(num_rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows in time order without a label."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(num_rows) * 7 + 3,
            "event_time": pd.Timestamp("2025-05-01", tz="UTC") + pd.to_timedelta(np.arange(num_rows), unit="min"),
            "age": random.normal(45, 12, num_rows),
            "usage": random.gamma(2, 10, num_rows),
            "plan": random.choice(["free", "pro"], num_rows),
            "churned": np.nan,
        }
    )


@st.composite
def looks(draw: st.DrawFn) -> tuple[pd.DataFrame, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Rows, some with a label and some with a value missing, and what is known of them."""
    num_rows = draw(st.integers(0, 60))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    frame = customers(num_rows, seed=draw(st.integers(0, 10_000)))
    frame["churned"] = random.choice([0.0, 1.0, np.nan], num_rows, p=[0.2, 0.1, 0.7])
    frame["age"] = frame["age"].where(random.uniform(size=num_rows) < 0.8)
    frame["plan"] = frame["plan"].where(random.uniform(size=num_rows) < 0.8, None)
    coarse = draw(st.sampled_from([1, 4, 1000]))  # with few values many rows are equally good
    scores, other, chances = (np.round(random.uniform(size=num_rows) * coarse) / coarse for _ in range(3))
    chances[random.uniform(size=num_rows) < 0.2] = np.nan
    return frame, scores, draw(st.sampled_from([other, None])), draw(st.sampled_from([chances, None]))


@given(look=looks(), num_rows=st.integers(1, 80), share=st.floats(0, 1))
@settings(deadline=None, max_examples=80)
def test_a_list_holds_as_many_open_rows_as_asked_each_once_and_its_share_by_chance(
    look: tuple[pd.DataFrame, np.ndarray, np.ndarray | None, np.ndarray | None], num_rows: int, share: float
) -> None:
    frame, scores, other, chances = look
    listed = worth_labelling(frame, scores, other, chances, num_rows, share, COLUMNS)
    unlabelled = frame[frame["churned"].isna()]
    assert len(listed) == min(num_rows, len(unlabelled))
    assert listed["id"].is_unique and set(listed["id"]) <= set(unlabelled["id"])
    assert listed[RANK].tolist() == list(range(1, len(listed) + 1))
    by_chance = (listed[WHY] == BY_CHANCE).to_numpy()
    assert abs(by_chance.sum() - len(listed) * share) <= 0.5 + 1e-9
    assert was_selected(listed).tolist() == (~by_chance).tolist()
    tops = np.arange(1, len(listed) + 1)
    assert (np.abs(np.cumsum(by_chance) - tops * by_chance.mean()) < 1).all() if len(listed) else True
    known = listed[[UNCERTAINTY, DISAGREEMENT, COVERAGE, SCORE]].stack()
    assert known.between(0, 1).all()
    assert listed["churned"].isna().all()
    found = frame.set_index("id").loc[listed["id"], ["event_time", "age", "usage", "plan"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(listed[["event_time", "age", "usage", "plan"]], found)


@given(look=looks(), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_who_is_drawn_by_chance_rests_on_neither_scores_nor_order(
    look: tuple[pd.DataFrame, np.ndarray, np.ndarray | None, np.ndarray | None], seed: int
) -> None:
    frame, scores, other, chances = look
    order = np.random.default_rng(seed).permutation(len(frame))
    drawn = [
        listed[~was_selected(listed)]["id"].tolist()
        for listed in (
            worth_labelling(frame, scores, other, chances, 12, 0.5, COLUMNS),
            worth_labelling(frame, 1 - scores**2, None, None, 12, 0.5, COLUMNS),
            worth_labelling(frame.iloc[order].reset_index(drop=True), scores[order], None, None, 12, 0.5, COLUMNS),
        )
    ]
    assert drawn[0] == drawn[1] == drawn[2]


def test_the_order_of_the_rows_does_not_change_the_list() -> None:
    frame, random = customers(400), np.random.default_rng(5)
    scores, other, chances = (np.round(random.uniform(size=400), 1) for _ in range(3))
    order = random.permutation(400)
    listed = [
        worth_labelling(rows, scores[place], other[place], chances[place], 60, 0.25, COLUMNS)
        for rows, place in ((frame, np.arange(400)), (frame.iloc[order].reset_index(drop=True), order))
    ]
    pd.testing.assert_frame_equal(listed[0], listed[1])


def test_rows_drawn_by_chance_look_like_all_rows_and_the_others_do_not() -> None:
    scores = np.random.default_rng(1).beta(1, 6, 8_000)
    listed = worth_labelling(customers(8_000), scores, None, None, 2_000, 0.5, COLUMNS)
    means = listed.groupby(was_selected(listed))[SCORE].mean()
    assert means[False] == pytest.approx(scores.mean(), abs=4 * scores.std() / np.sqrt(1_000))
    assert means[True] > 2 * scores.mean()


def test_each_reason_picks_what_it_is_named_after() -> None:
    frame = customers(900)
    scores, other, chances = np.full(900, 0.01), np.full(900, 0.01), np.full(900, 0.5)
    scores[:20] = 0.5
    other[:20] = 0.5
    other[20:40] = 0.6
    chances[40:60] = 0.9
    listed = worth_labelling(frame, scores, other, chances, 60, 0.0, COLUMNS)
    places = (listed["id"] - 3) // 7
    assert set(places[listed[WHY] == UNCERTAIN]) == set(range(20))
    assert set(places[listed[WHY] == DISAGREE]) == set(range(20, 40))
    assert set(places[listed[WHY] == NEW]) == set(range(40, 60))
    assert listed[WHY].tolist() == [UNCERTAIN, DISAGREE, NEW] * 20


def test_a_row_that_is_best_for_every_reason_stands_on_the_list_once_for_the_first() -> None:
    scores, other, chances = np.full(100, 0.01), np.full(100, 0.02), np.full(100, 0.5)
    scores[[1, 2, 3]], other[[1, 2]], chances[[1, 2, 3]] = [0.5, 0.4, 0.3], [1.0, 0.8], [0.99, 0.98, 0.97]
    listed = worth_labelling(customers(100), scores, other, chances, 5, 0.0, COLUMNS)
    assert ((listed["id"][:3] - 3) // 7).tolist() == [1, 2, 3]
    assert listed[WHY].tolist() == [UNCERTAIN, DISAGREE, NEW, UNCERTAIN, UNCERTAIN]


def test_a_reason_that_has_no_rows_leaves_its_turns_to_the_others() -> None:
    frame, scores = customers(300), np.linspace(0.001, 0.5, 300)
    alike, as_before = scores + 0.04, np.full(300, 0.6)
    listed = worth_labelling(frame, scores, alike, as_before, 100, 0.2, COLUMNS)
    assert listed[WHY].value_counts().to_dict() == {UNCERTAIN: 80, BY_CHANCE: 20}
    alone = worth_labelling(frame, scores, None, None, 100, 0.2, COLUMNS)
    assert alone["id"].tolist() == listed["id"].tolist()
    assert alone[[DISAGREEMENT, COVERAGE]].isna().all(axis=None)


def test_uncertain_rows_come_in_the_order_of_their_entropy() -> None:
    scores = np.random.default_rng(3).uniform(size=200)
    listed = worth_labelling(customers(200), scores, None, None, 50, 0.0, COLUMNS)
    assert np.abs(listed[SCORE] - 0.5).is_monotonic_increasing
    assert listed[SCORE].tolist() == sorted(scores, key=lambda score: abs(score - 0.5))[:50]


def test_what_is_new_is_covered_and_not_asked_in_copies() -> None:
    """One clump of 500 rows that are surely new, and 50 rows here and there that are a little less so."""
    random = np.random.default_rng(2)
    frame = customers(2_000)
    chances = np.full(2_000, 0.3)
    chances[:500], chances[500:550] = 0.99, 0.8
    frame.loc[:499, ["age", "usage"]] = random.normal([90, 200], 0.01, (500, 2))
    frame.loc[:499, "plan"] = "pro"
    frame.loc[500:549, "age"], frame.loc[500:549, "usage"] = np.linspace(0, 80, 50), np.linspace(150, 0, 50)
    scores = np.where(np.arange(2_000) < 550, 0.0, 0.5)
    listed = worth_labelling(frame, scores, None, chances, 60, 0.0, COLUMNS)
    picked = listed[listed[WHY] == NEW]
    assert len(picked) == 30
    assert (picked[COVERAGE] < 0.9).sum() >= 15, "half of the picks lie outside the clump that holds 9 rows of 10"
    assert picked[COVERAGE].iloc[0] == 0.99, "and the surest row comes first"


@given(num_rows=st.integers(0, 30), num=st.integers(1, 40), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_rows_that_are_spread_out_leave_no_gap_that_is_larger_than_between_them(
    num_rows: int, num: int, seed: int
) -> None:
    frame = customers(num_rows, seed)
    picked = spread_out(frame, AGE, np.ones(num_rows), num)
    assert len(set(picked)) == len(picked) == min(num, num_rows)
    ages = frame["age"].clip(*frame["age"].quantile([0.01, 0.99])).to_numpy()
    if 1 < len(picked) < num_rows:
        rest = np.setdiff1d(np.arange(num_rows), picked)
        gap = np.abs(ages[rest, None] - ages[picked]).min(axis=1).max()
        apart = min(abs(ages[one] - ages[other]) for one in picked for other in picked if one != other)
        assert gap <= apart + 1e-9


def test_copies_of_one_row_are_spread_out_to_themselves() -> None:
    frame = pd.DataFrame({"age": [1.0] * 6, "plan": [None] * 6})
    assert spread_out(frame, AGE_AND_PLAN, np.ones(6), 4).tolist() == [0, 1, 2, 3]


def test_what_is_missing_is_as_far_as_can_be_from_what_is_there_and_no_distance_from_itself() -> None:
    frame = pd.DataFrame({"age": [np.nan, np.nan, 1.0, 2.0, 3.0]})
    assert spread_out(frame, AGE, np.ones(5), 5).tolist() == [0, 2, 4, 3, 1]


def test_a_row_that_is_worth_less_has_to_be_farther_away() -> None:
    frame = pd.DataFrame({"age": np.linspace(0, 1, 101)})
    worth = np.where(frame["age"] > 0.6, 0.5, 1.0)
    assert spread_out(frame, AGE, np.ones(101), 2).tolist() == [0, 99]
    assert spread_out(frame, AGE, worth, 2).tolist() == [0, 60]


def test_columns_with_our_names_stay_as_they_are_and_ours_give_way() -> None:
    columns = Columns(id="rank", time="event_time", label="score", numbers=("coverage",), categories=("why",))
    names = {"id": "rank", "age": "coverage", "plan": "why", "churned": "score"}
    frame = customers(40).rename(columns=names)[["rank", "event_time", "coverage", "why", "score"]]
    listed = worth_labelling(frame, np.linspace(0, 1, 40), None, None, 10, 0.5, columns)
    assert listed.columns.tolist() == [
        *("__rank", "rank", "event_time", "__why", "uncertainty", "disagreement", "__coverage", "__score"),
        *("coverage", "why", "score"),
    ]
    assert set(listed["rank"]) <= set(frame["rank"]) and listed["score"].isna().all()
    assert was_selected(listed).sum() == 5


def test_lots_rest_on_the_text_of_an_id_and_are_spread_evenly() -> None:
    drawn = lots(pd.Series(range(20_000)))
    assert (lots(pd.Series(map(str, range(20_000)))) == drawn).all()
    assert len(set(drawn)) == 20_000
    shares = np.histogram(drawn.astype(float), bins=10, range=(0, 2.0**64))[0] / 20_000
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.012)


@given(chance=st.floats(0, 1), num=st.integers(1, 10_000))
def test_chances_among_as_many_rows_stay_and_the_balance_turns_them_one_way(chance: float, num: int) -> None:
    chances = np.array([chance])
    assert as_if_even(chances, num, num)[0] == pytest.approx(chance, abs=1e-9)
    assert 0 <= as_if_even(chances, 3 * num, num)[0] <= 1
    assert as_if_even(chances, 3 * num, num)[0] >= chance - 1e-9


@given(score=st.floats(0, 1))
def test_uncertainty_is_the_same_on_both_sides_of_one_half(score: float) -> None:
    here, there = uncertainty(np.array([score, 1 - score]))
    assert here == pytest.approx(there, abs=1e-9)
    assert 0 <= here <= 1 + 1e-12


def test_of_several_classes_the_row_is_uncertain_whose_probabilities_are_alike() -> None:
    chances = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert uncertainty(chances).round(3).tolist() == [0.0, 0.631, 1.0]


def test_two_models_that_know_different_classes_disagree_where_one_sees_the_new_one() -> None:
    first = Scores(np.array([[0.5, 0.5], [0.5, 0.5]]), ("a", "b"))
    second = Scores(np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]), ("a", "b", "c"))
    assert labelling.disagreement(first, second, "multiclass").tolist() == [0.0, 1.0]


def test_numbers_disagree_in_shares_of_their_spread_whatever_their_unit() -> None:
    values = np.linspace(0, 100, 11)
    first = labelling.disagreement(Scores(values), Scores(values + 8), "regression")
    assert first == pytest.approx(0.1)
    second = labelling.disagreement(Scores(60 * values), Scores(60 * (values + 8)), "regression")
    assert second == pytest.approx(first)


def test_of_numbers_the_list_begins_with_the_largest_expected_error() -> None:
    frame, errors = customers(100), np.random.default_rng(3).uniform(size=100)
    listed = labelling.worth_labelling(frame, Scores(np.zeros(100)), None, None, 5, 0.0, COLUMNS, errors)
    assert listed["uncertainty"].tolist() == sorted(errors, reverse=True)[:5]
