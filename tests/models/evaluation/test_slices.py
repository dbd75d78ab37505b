"""Slices: which rows are in which, what is missing, what is surely broken, and what a query may say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import Grouping, by_key, ladder
from models.evaluation.guardrails import NoWorse
from models.evaluation.holm import holm_levels
from models.evaluation.metrics import AUC, LOG_LOSS
from models.evaluation.minima import Minima
from models.evaluation.slices import Slice, Slices, by_query, by_range, by_value, too_rare
from models.evaluation.testing import Test

NUM_ROWS = 1_200
MINIMA = Minima(groups=10, positives=5, negatives=5)
FRAME = pd.DataFrame(
    {
        "distance": [100.0, 2000.0, np.nan, 1500.0],
        "carrier": pd.Categorical(["UA", "UA", "B6", None]),
        "tail": ["N1", "N2", "N1", None],
        "is_late": [True, False, True, True],
        "day": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04"]),
    }
)


def pair(worse_in: np.ndarray | None = None, by: float = 0.15, grouping: Grouping | None = None) -> Paired:
    """Two models that are alike, but that the challenger is off by so much in some rows; 24 groups unless told."""
    random = np.random.default_rng(0)
    chances = random.uniform(0.2, 0.8, NUM_ROWS)
    labels = (random.random(NUM_ROWS) < chances).astype(float)
    champion, challenger = ((chances + random.normal(0, 0.05, NUM_ROWS)).clip(0.01, 0.99) for _ in range(2))
    if worse_in is not None:
        challenger = np.where(worse_in, (challenger - by * np.sign(labels - 0.5)).clip(0.01, 0.99), challenger)
    return Paired(labels, champion, challenger, grouping or by_key(np.arange(NUM_ROWS) % 24, "days"))


def sliced(*masks: np.ndarray, min_rows: int = 50, margin: float = 0.01, expected: float = 0.0) -> Slices:
    parts = tuple(Slice(f"part={number}", mask, expected) for number, mask in enumerate(masks))
    return Slices(NoWorse(LOG_LOSS, margin=margin), parts, min_rows, MINIMA)


def thirds() -> list[np.ndarray]:
    return [np.arange(NUM_ROWS) // 24 % 3 == number for number in range(3)]


def test_each_slice_is_tested_on_its_own_rows() -> None:
    masks = thirds()
    paired = pair(worse_in=masks[1])
    tests = sliced(*masks, margin=0.05).tests(paired, 0.05)
    assert [test.verdict for test in tests] == ["holds", "fails", "holds"]
    for test, mask, number in zip(tests, masks, range(3), strict=True):
        comparison = compare(LOG_LOSS, paired.take(mask))
        assert (test.gain, test.p_value) == (comparison.gain, comparison.spread.p_above(-0.05))
        assert (test.scope, test.num_rows, test.num_groups) == (f"part={number}", mask.sum(), 24)
        assert test.title == f"log loss of part={number}"


def test_a_slice_that_is_too_small_stays_open_and_says_what_its_share_would_give() -> None:
    few = np.arange(NUM_ROWS) < 20
    (test,) = sliced(few, expected=400.4).tests(pair(), 0.05)
    assert (test.verdict, test.num_rows, test.gain, test.margin) == ("open", 20, None, 0.01)
    assert test.note == "only 20 rows of 50 needed, where its share before would give 400"
    (test,) = sliced(few, expected=3.0).tests(pair(), 0.05)
    assert test.note == "only 20 rows of 50 needed"
    (test,) = sliced(np.zeros(NUM_ROWS, bool), expected=60.0).tests(pair(), 0.05)
    assert test.note == "only 0 rows of 50 needed, where its share before would give 60"


def test_a_slice_of_few_groups_or_of_one_class_stays_open() -> None:
    paired = pair()
    same_days = np.arange(NUM_ROWS) % 24 < 9
    (test,) = sliced(same_days).tests(paired, 0.05)
    assert (test.verdict, test.note) == ("open", "9 groups where 10 are needed")
    (test,) = sliced(paired.labels == 1).tests(paired, 0.05)
    assert (test.verdict, test.note) == ("open", "0 negatives where 5 are needed")
    no_minima = Slices(NoWorse(AUC, margin=0.01), (Slice("positives", paired.labels == 1, 0.0),), 50, Minima(0, 0, 0))
    (test,) = no_minima.tests(paired, 0.05)
    assert test.verdict == "open" and "AUC needs both classes" in test.note
    assert test.num_rows == paired.labels.sum()


def test_a_slice_may_have_a_relative_margin() -> None:
    masks = thirds()
    parts = (Slice("a third", masks[0], 0.0), Slice("none", masks[0] & False, 0.0))
    slices = Slices(NoWorse(LOG_LOSS, share=0.1), parts, 50, MINIMA)
    tested, small = slices.tests(pair(), 0.05)
    assert tested.margin == pytest.approx(0.1 * compare(LOG_LOSS, pair().take(masks[0])).champion)
    assert (small.verdict, small.margin) == ("open", None)


def p_of_not_broken(paired: Paired, mask: np.ndarray, margin: float) -> float:
    return compare(LOG_LOSS, paired.take(mask)).spread.p_below(-margin)


@pytest.mark.parametrize("name", ["t", "sign flips", "ladder"])
@pytest.mark.parametrize(("seed", "by"), [(1, 0.02), (2, 0.04), (3, 0.06)])
def test_a_slice_is_called_broken_only_by_holms_correction(name: str, seed: int, by: float) -> None:
    groupings = {"t": by_key(np.arange(NUM_ROWS) % 40, "days"), "sign flips": None, "ladder": ladder(NUM_ROWS)}
    numbers = np.random.default_rng(seed).integers(0, 8, NUM_ROWS)
    masks = [numbers == number for number in range(8)]
    paired = pair(worse_in=numbers < 2, by=by, grouping=groupings[name])
    tests = sliced(*masks).tests(paired, 0.2)
    chances = [p_of_not_broken(paired, mask, 0.01) for mask in masks]
    levels = holm_levels(chances, 0.2)
    is_broken = [chance <= own for chance, own in zip(chances, levels, strict=True)]
    assert [test.verdict == "fails" for test in tests] == is_broken
    for test, chance in zip(tests, chances, strict=True):
        if test.verdict == "open" and chance <= 0.2:
            assert test.note == "worse here, but among so many slices one may be by chance"
        if test.verdict == "holds":
            assert test.p_value is not None and test.p_value <= 0.2


def test_among_very_many_slices_few_groups_can_break_none() -> None:
    """The smallest p of 10 groups is 2^-10, which is more than 0.05 / 60."""
    grouping = by_key(np.arange(NUM_ROWS) % 10, "days")
    masks = [np.arange(NUM_ROWS) // 10 % 60 == number for number in range(60)]
    paired = pair(worse_in=masks[0] | masks[1], by=0.5, grouping=grouping)
    tests = sliced(*masks, min_rows=20).tests(paired, 0.05)
    assert compare(LOG_LOSS, paired.take(masks[0])).spread.p_below(-0.01) == 2.0**-10
    assert tests[0].verdict == "open"
    few = sliced(*masks[:30], min_rows=20).tests(paired, 0.05)
    assert few[0].verdict == "fails"


@given(
    now=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=5, max_size=40),
    before=st.lists(st.sampled_from(["a", "b", "c", "e", None]), min_size=1, max_size=40),
    min_rows=st.integers(1, 10),
    is_category=st.booleans(),
)
@settings(deadline=None, max_examples=15)
def test_slices_by_value_share_no_row_and_leave_out_only_a_small_rest(
    now: list[str | None], before: list[str | None], min_rows: int, is_category: bool
) -> None:
    current, earlier = pd.Series(now, dtype=object), pd.Series(before, dtype=object)
    if is_category:
        current, earlier = current.astype("category"), earlier.astype("category")
    slices = by_value("carrier", current, earlier, min_rows)
    counted = np.sum([each.rows for each in slices], axis=0) if slices else np.zeros(len(now))
    assert set(np.unique(counted)) <= {0, 1}
    assert (counted == 0).sum() < min_rows
    names = [each.name for each in slices]
    for value in ("a", "b", "c", "d", "e", None):
        name, count = f"carrier={value or 'missing'}", now.count(value)
        share = before.count(value) / len(before) * len(now)
        assert (name in names) == (count >= min_rows or share >= min_rows)
        if name in names:
            found = slices[names.index(name)]
            assert found.rows.tolist() == [each == value for each in now]
            assert found.expected == pytest.approx(share)


def test_rare_values_are_judged_together() -> None:
    current = pd.Series(["UA"] * 6 + ["AA", "B6", "DL"])
    *own, rest = by_value("carrier", current, current, min_rows=3)
    assert [each.name for each in own] == ["carrier=UA"]
    assert rest.name == "carrier=other values"
    assert rest.rows.tolist() == [False] * 6 + [True] * 3
    assert [each.is_rest for each in (*own, rest)] == [False, True]
    assert too_rare("carrier", current, current, min_rows=3) == ("carrier=AA", "carrier=B6", "carrier=DL")
    assert too_rare("carrier", current, current, min_rows=1) == ()
    many_before = pd.Series(["AA"] * 2 + ["B6"])
    assert too_rare("carrier", current, many_before, min_rows=3) == ("carrier=DL",)
    assert [each.name for each in by_value("carrier", current, current, min_rows=4)] == ["carrier=UA"]


def test_a_value_that_has_gone_missing_stays_open() -> None:
    before = pd.Series(["UA"] * 600 + ["B6"] * 600)
    slices = by_value("carrier", pd.Series(["UA"] * NUM_ROWS), before, min_rows=200)
    tests = Slices(NoWorse(LOG_LOSS, margin=0.1), tuple(slices), 200, MINIMA).tests(pair(), 0.05)
    assert [(test.scope, test.verdict) for test in tests] == [("carrier=B6", "open"), ("carrier=UA", "holds")]
    assert tests[0].note == "only 0 rows of 200 needed, where its share before would give 600"


def test_whole_numbers_are_the_same_value_when_one_of_them_is_missing() -> None:
    """A column of whole numbers with a missing one is of floats, and 1 is 1.0."""
    current, before = pd.Series([1.0, 1.0, 2.0, 2.0, np.nan, np.nan]), pd.Series([1, 1, 2, 2, 2, 2])
    for one, other in ((current, before), (before, current)):
        assert len(by_value("dest", one, other, min_rows=2)) == 3


@given(
    values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=30),
    edges=st.sets(st.floats(-100, 100), max_size=4),
)
@settings(deadline=None, max_examples=30)
def test_every_number_is_in_exactly_one_range(values: list[float], edges: set[float]) -> None:
    current = pd.Series([*values, *edges], dtype=float)
    slices = by_range("distance", sorted(edges), current, current)
    assert len(slices) == len(edges) + 1
    assert (np.sum([each.rows for each in slices], axis=0) == 1).all()
    assert [each.expected for each in slices] == pytest.approx([each.rows.sum() for each in slices])


def test_ranges_begin_at_their_edges_and_expect_what_was_there_before() -> None:
    current, before = pd.Series([0.0, 10.0, 19.9, 20.0]), pd.Series([5.0, 5.0, 15.0, 25.0])
    low, middle, high = by_range("distance", [20, 10], current, before)
    assert [each.name for each in (low, middle, high)] == [
        "distance below 10",
        "distance from 10 to 20",
        "distance from 20",
    ]
    assert low.rows.tolist() == [True, False, False, False]
    assert middle.rows.tolist() == [False, True, True, False]
    assert high.rows.tolist() == [False, False, False, True]
    assert [each.expected for each in (low, middle, high)] == [2.0, 1.0, 1.0]


def test_rows_without_a_number_are_a_range_of_their_own() -> None:
    current, before = pd.Series([1.0, np.nan, 20.0, np.nan]), pd.Series([1.0, np.nan])
    low, high, missing = by_range("distance", [10], current, before)
    assert [each.rows.tolist() for each in (low, high, missing)] == [
        [True, False, False, False],
        [False, False, True, False],
        [False, True, False, True],
    ]
    assert (missing.name, missing.expected) == ("distance missing", 2.0)
    assert len(by_range("distance", [10], current, before, min_missing=3)) == 2
    assert len(by_range("distance", [10], current.fillna(0), before)) == 3  # they ought to be there
    assert len(by_range("distance", [10], current.fillna(0), before.fillna(0))) == 2


@pytest.mark.parametrize("kind", ["Int64", "Float64", "float64", object, "category"])
def test_nullable_numbers_are_sliced_as_others(kind: str) -> None:
    current = pd.Series(pd.array([5, None, 15, 25], dtype="Int64")).astype(kind)
    *ranges, missing = by_range("stops", [10, 20], current, current)
    assert [each.rows.tolist() for each in (*ranges, missing)] == np.eye(4, dtype=bool)[[0, 2, 3, 1]].tolist()
    assert all(each.rows.dtype == bool and each.expected == 1 for each in (*ranges, missing))
    values = by_value("stops", current, current, min_rows=1)
    assert np.sum([each.rows for each in values], axis=0).tolist() == [1, 1, 1, 1]
    assert values[-1].name == "stops=missing" and values[-1].rows.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("values", "held"),
    [(["a", None], "text"), ([1, "2"], "text"), (pd.to_datetime(["2025-01-01"]), "values of the kind datetime")],
)
@pytest.mark.parametrize("kind", [None, "category"])
def test_ranges_are_of_numbers_only(values: list[object], held: str, kind: str | None) -> None:
    message = f"^gate.slices: edges need a column of numbers, and carrier holds {held}"
    with pytest.raises(ValueError, match=message):
        by_range("carrier", [10], pd.Series(values, dtype=kind), pd.Series([1.0]))
    with pytest.raises(ValueError, match=message):
        by_range("carrier", [10], pd.Series([1.0]), pd.Series(values, dtype=kind))


def test_a_column_without_any_number_is_missing_throughout() -> None:
    nothing = pd.Series([None, None], dtype=object)
    *_, missing = by_range("stops", [10], nothing, pd.Series([], dtype=float))
    assert (missing.rows.tolist(), missing.expected) == ([True, True], 0.0)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ('distance > 1000 and carrier == "UA"', [False, True, False, False]),
        ("not is_late", [False, True, False, False]),
        ("is_late", [True, False, True, True]),
        ("distance.isna()", [False, False, True, False]),
        ("carrier in ['B6', 'DL']", [False, False, True, False]),
        ("100 <= distance < 1600", [True, False, False, True]),
        ("`distance` >= 1500 or tail == 'N1'", [True, True, True, True]),
        ("day >= '2013-01-03'", [False, False, True, True]),
    ],
)
def test_a_query_picks_the_rows_for_which_it_is_true(query: str, rows: list[bool]) -> None:
    found = by_query("some", query, FRAME, FRAME.iloc[:2])
    assert (found.name, found.rows.tolist()) == ("some", rows)
    assert found.expected == sum(rows[:2]) / 2 * 4


@pytest.mark.parametrize(
    "query",
    [
        "@__import__('os')",
        "__import__('os')",
        "@pd.eval('1')",
        "@FRAME.distance > 1",
        "@query == '1'",
        "@np.isnan(distance)",
        "print(1)",
        "distance > @open",
        "tail.map(len) > 1",
        "distance.isna().__class__.__init__.__globals__['sys'].modules['os'].getcwd() == tail",
        "distance.__class__ == 1",
        "is_late.__class__",
        "lambda x: x",
        "[x for x in distance]",
        "distance > 1 if True else False",
        "1 / 0",
        "altitude > 1",
        "distance >",
        "distance > 'far'",
        "",
        "is_late\nis_late",
    ],
)
def test_a_query_knows_columns_and_nothing_else(query: str) -> None:
    with pytest.raises(ValueError, match=r"slice 'some': .* cannot be evaluated: .*; change gate.slices"):
        by_query("some", query, FRAME, FRAME)


@pytest.mark.parametrize("query", ["distance + 1", "x = 1", "distance", "tail", "1 > 0"])
def test_a_query_answers_yes_or_no_for_each_row(query: str) -> None:
    before = FRAME.copy()
    with pytest.raises(ValueError, match=r"slice 'some'.*change gate.slices"):
        by_query("some", query, FRAME, FRAME)
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize("query", ["is_late", "stops > 1", "stops.isna() or stops > 1"])
def test_a_missing_answer_is_no(query: str) -> None:
    frame = pd.DataFrame(
        {
            "is_late": pd.array([True, None, False, False], dtype="boolean"),
            "stops": pd.array([2, None, 1, 0], dtype="Int64"),
        }
    )
    found = by_query("some", query, frame, frame.iloc[:2])
    is_first = [True, "isna" in query, False, False]
    assert found.rows.tolist() == is_first
    assert found.rows.dtype == bool
    assert found.expected == 4 * sum(is_first) / 2


def test_nothing_broken_is_told_without_a_correction() -> None:
    tests: list[Test] = sliced(*thirds(), margin=0.1).tests(pair(), 0.05)
    assert [replace(test, scope="") for test in tests] == [
        replace(NoWorse(LOG_LOSS, margin=0.1).test(pair().take(mask), 0.05), scope="") for mask in thirds()
    ]
