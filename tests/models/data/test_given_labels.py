"""Labels that people give: lists that go out, files that come back, and which rows a label reaches when."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.answers import as_text, matched, read_answers
from models.data.contract import Columns
from models.data.given_labels import GivenLabels, Taken, fill
from models.registry.storage import Storage
from tests.places import Place

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
LIST = "wanted/churn/20250501T120000.000000Z"
COLUMNS = Columns(id="customer", time="at", label="churned", numbers=("age",), categories=())


@pytest.fixture
def labels(place: Place) -> GivenLabels:
    return GivenLabels(place.storage(), "churn")


def answers(**given: object) -> pd.DataFrame:
    """`answers(a=1, b=None)`: a label for each id."""
    return pd.DataFrame({"id": list(given), "label": list(given.values())}, dtype=object)


def ids(*values: object) -> pd.Series:
    return pd.Series(values, dtype=object)


def ask(labels: GivenLabels, as_of: datetime, listed: pd.DataFrame) -> str:
    return labels.ask(as_of, listed, listed["customer"], listed["why"] != "by chance")


def wanted(*customers: object) -> pd.DataFrame:
    """A list on which every second row stands by chance."""
    why = ["by chance" if place % 2 else "uncertain" for place in range(len(customers))]
    return pd.DataFrame({"rank": range(1, len(customers) + 1), "customer": customers, "why": why, "churned": np.nan})


def test_a_list_lies_beside_itself_as_csv_and_a_second_one_for_the_moment_changes_nothing(
    labels: GivenLabels, place: Place
) -> None:
    assert labels.asked(NOON) is None
    path = ask(labels, NOON, wanted("a", "b", "c"))
    assert path == f"{place.opening.root}/{LIST}.csv"
    before = place.objects()
    assert ask(labels, NOON, wanted("x", "y")) == path == labels.asked(NOON)
    assert place.objects() == before
    as_csv, as_parquet = (io.BytesIO(place.objects()[f"{LIST}.{kind}"]) for kind in ("csv", "parquet"))
    shown, kept = pd.read_csv(as_csv), pd.read_parquet(as_parquet)
    pd.testing.assert_frame_equal(shown, wanted("a", "b", "c"), check_dtype=False)
    assert kept["__is_selected"].tolist() == [True, False, True]
    assert as_csv.getvalue().startswith(b"\xef\xbb\xbfrank"), "or a spreadsheet takes it for text of its country"


def test_a_run_killed_between_the_two_files_is_finished_by_the_next_with_the_list_that_was_kept(
    labels: GivenLabels, place: Place
) -> None:
    path = ask(labels, NOON, wanted("a", "b"))
    before = place.objects()
    place.remove(f"{LIST}.csv")
    assert ask(labels, NOON, wanted("x")) == path
    assert place.objects() == before


def test_what_a_person_wrote_into_the_list_is_not_overwritten(labels: GivenLabels, place: Place) -> None:
    path = ask(labels, NOON, wanted("a", "b"))
    place.put(f"{LIST}.csv", b"customer,churned\na,1\n")
    assert ask(labels, NOON, wanted("a", "b")) == path
    assert place.objects()[f"{LIST}.csv"] == b"customer,churned\na,1\n"


def test_labels_are_known_from_their_arrival_and_the_first_one_stays(labels: GivenLabels) -> None:
    rows = ids("a", "b", "c", "d")
    first = labels.take(answers(a=1, b=0.0, c=None), NOON, rows)
    assert (first.num_rows, first.num_taken, first.num_blank, first.num_known) == (3, 2, 1, 0)
    later = NOON + timedelta(days=1)
    again = labels.take(answers(a=1, b=0, c="1", d=" "), later, rows)
    assert (again.num_taken, again.num_blank, again.num_known) == (1, 1, 2)
    assert labels.known(NOON - timedelta(seconds=1)).empty
    assert labels.known(NOON)["id"].tolist() == ["a", "b"]
    known = labels.known(later).set_index("id")
    assert known["label"].to_dict() == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert known["arrived"].to_dict() == {"a": NOON, "b": NOON, "c": later}


def test_taking_a_file_twice_keeps_it_once(labels: GivenLabels, place: Place) -> None:
    labels.take(answers(a=1, b=0), NOON, ids("a", "b"))
    before = place.objects()
    again = labels.take(answers(a=1, b=0), NOON + timedelta(hours=1), ids("a", "b"))
    assert (again.num_taken, again.num_known) == (0, 2)
    assert place.objects() == before


def test_of_two_labels_taken_in_side_by_side_the_one_that_arrived_first_counts(labels: GivenLabels) -> None:
    for arrived, label in ((NOON + timedelta(hours=1), 0.0), (NOON, 1.0), (NOON + timedelta(hours=2), 0.0)):
        row = {"id": ["a"], "label": [label], "arrived": [pd.Timestamp(arrived)], "is_selected": [False]}
        labels.files.keep(pd.DataFrame(row))
    assert labels.known(NOON + timedelta(days=1))["label"].tolist() == [1.0]


def test_only_rows_drawn_by_chance_may_judge(labels: GivenLabels) -> None:
    """A row that another list picked for what it is, or that no list held, was labelled for who knows what reason."""
    ask(labels, NOON, wanted("hard", "lucky", "too", "both"))
    ask(labels, NOON + timedelta(days=1), wanted("both", "luckier"))
    rows = ids("hard", "lucky", "luckier", "both", "unasked")
    taken = labels.take(answers(hard=1, lucky=0, luckier=1, both=1, unasked=0), NOON + timedelta(days=2), rows)
    assert (taken.num_taken, taken.num_judging) == (5, 2)
    known = labels.known(NOON + timedelta(days=2)).set_index("id")["is_selected"]
    assert known.to_dict() == {"hard": True, "lucky": False, "luckier": False, "both": True, "unasked": True}


def test_projects_in_one_storage_do_not_see_each_other(labels: GivenLabels, place: Place) -> None:
    labels.take(answers(a=1), NOON, ids("a"))
    other = GivenLabels(place.storage(), "churn-2")
    assert other.known(NOON).empty
    assert other.take(answers(a=0), NOON, ids("a")).num_taken == 1
    assert labels.known(NOON)["label"].tolist() == [1.0]


def test_a_changed_file_of_labels_is_not_believed(labels: GivenLabels, place: Place) -> None:
    labels.take(answers(a=1), NOON, ids("a"))
    [(path, content)] = place.objects().items()
    place.put(path, content + b" ")
    with pytest.raises(ValueError, match="was changed after it was kept"):
        labels.known(NOON)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (answers(), "the file of labels has no rows"),
        (answers(a=None, b=""), "none of the 2 rows has a label"),
        (answers(a=1, b=2), "label of id='b' is 2, expected 0, 1 or nothing"),
        (answers(a="yes"), "label of id='a' is 'yes'"),
        (answers(a=0.5), "label of id='a' is 0.5"),
        (pd.DataFrame({"id": ["a", "b", "a"], "label": [1, 0, 0]}), "id='a' has two labels in the file"),
        (pd.DataFrame({"id": ["7", "007"], "label": [1, 0]}), "id='7' has two labels in the file"),
        (pd.DataFrame({"id": [None, "a"], "label": [1, 1]}), "a label is given for id=None"),
        (pd.DataFrame({"id": ["  "], "label": [1]}), "a label is given for id='  '"),
        (pd.DataFrame({"id": [pd.Timestamp("2025-01-01")], "label": [1]}), "neither text nor a number"),
        (pd.DataFrame({"id": [True], "label": [1]}), "neither text nor a number"),
        (answers(old=0), "label of id='old' is 0 here, and was 1 in a file of 2025-05-01 12:00 UTC"),
        (answers(a=1, old=0), "nothing was taken"),
        (answers(x1=1, x2=0, a=None), "no row has any of the 2 ids with a label, such as 'x1'; rows have ids such as"),
    ],
)
def test_a_file_with_anything_wrong_is_one_message_and_leaves_no_trace(
    labels: GivenLabels, place: Place, rows: pd.DataFrame, message: str
) -> None:
    labels.take(answers(old=1), NOON, ids("old"))
    before = place.objects()
    with pytest.raises(ValueError, match=message):
        labels.take(rows, NOON + timedelta(days=1), ids("old", "a", "b", "7"))
    assert place.objects() == before


def test_ids_without_a_row_are_counted_and_may_be_given_again_when_the_row_is_there(labels: GivenLabels) -> None:
    taken = labels.take(answers(a=1, x=0), NOON, ids("a"))
    assert (taken.num_taken, taken.num_unmatched, taken.unmatched) == (1, 1, "x")
    assert labels.known(NOON)["id"].tolist() == ["a"]
    assert labels.take(answers(a=1, x=0), NOON, ids("a", "x")).num_taken == 1


def test_a_summary_says_what_became_of_every_row() -> None:
    taken = Taken(200, 140, 50, 12, 8, 2, "x9")
    assert taken.sentence == (
        "50 new labels from 200 rows, 12 of them drawn by chance: those may judge a model, the others only train one; "
        "8 were known before; 140 are blank; 2 not kept, as no row has their id, such as 'x9'."
    )


SPREADSHEETS = {
    "as it was": "rank,customer,why,churned\n1,007,uncertain,1\n2,8,by chance,\n3,NA,uncertain,0\n",
    "Windows": "\ufeffrank,customer,why,churned\r\n1,007,uncertain,1\r\n2,8,by chance,\r\n3,NA,uncertain,0\r\n",
    "floats": "\ufeffcustomer,churned\n7.0,1.0\n8.0,\nNA,0.0\n",
    "columns in another order": "churned,note,customer\n1,sure,7\n,,8\n0,,NA\n",
    "semicolons": '"customer";"churned"\n"7";1\n8;\n"NA"; 0 \n',
    "tabs and empty lines": "customer\tchurned\n7\t1\n\n8\t\n\t\nNA\t0\n\n",
    "separators at the ends": "customer,churned\n7,1,\n8,,\nNA,0,\n",
}


@pytest.mark.parametrize("text", SPREADSHEETS.values(), ids=SPREADSHEETS)
@pytest.mark.filterwarnings("ignore:Length of header")
def test_whatever_a_spreadsheet_makes_of_a_list_its_labels_are_found(labels: GivenLabels, text: str) -> None:
    ask(labels, NOON, wanted("007", "8", "NA"))
    taken = labels.take(read_answers("list.csv", text.encode(), "customer", "churned"), NOON, ids("007", "8", "NA"))
    assert taken.num_taken == 2 and taken.num_unmatched == 0
    assert labels.known(NOON).set_index("id")["label"].to_dict() == {"007": 1.0, "NA": 0.0}


def test_a_parquet_is_taken_like_a_csv(labels: GivenLabels) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"customer": [1, 2, 3], "churned": [True, None, False]}).to_parquet(buffer)
    taken = labels.take(read_answers("list", buffer.getvalue(), "customer", "churned"), NOON, pd.Series([1, 2, 3]))
    assert (taken.num_taken, taken.num_blank) == (2, 1)
    assert labels.known(NOON)["label"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,label\na,1\n", "no column 'customer', 'churned'; it has id, label"),
        (b"customer,label\na,1\n", "list.csv has no column 'churned'"),
        (b"", "is no CSV with a header"),
        (b"PK\x03\x04\xff\xfe", "neither a CSV in UTF-8 nor a Parquet"),
        ("customer,churned\nJosé,1\n".encode("latin-1"), "neither a CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_labels_says_what_it_lacks(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_answers("list.csv", content, "customer", "churned")


@given(
    values=st.one_of(
        st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=20, unique=True),
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1, unique=True
        ),
    ),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_a_list_that_was_asked_and_partly_filled_comes_back_on_the_very_rows(
    tmp_path_factory: pytest.TempPathFactory, values: list[int] | list[str], seed: int
) -> None:
    labels = GivenLabels(Storage(tmp_path_factory.mktemp("labels")), "churn")
    random = np.random.default_rng(seed)
    path = ask(labels, NOON, wanted(*values))
    sheet = pd.read_csv(path, dtype=str, keep_default_na=False)
    filled = random.choice(["1", "0", "1.0", ""], len(sheet))
    filled[0] = "1"
    sheet = sheet.assign(churned=filled)[random.permutation(sheet.columns)].sample(frac=1, random_state=seed)
    content = sheet.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
    labels.take(read_answers("list.csv", content, "customer", "churned"), NOON, pd.Series(values))
    frame = pd.DataFrame({"customer": values, "at": pd.Timestamp(NOON), "age": 1.0, "churned": np.nan})
    for until, may_see in ((None, np.arange(len(values)) % 2 == 1), (NOON + timedelta(1), np.full(len(values), True))):
        expected = np.where(may_see & (filled != ""), pd.to_numeric(pd.Series(filled)), np.nan)
        np.testing.assert_array_equal(fill(frame, COLUMNS, labels.known(NOON), until)["churned"], expected)


def test_the_source_wins_and_labels_of_selected_rows_end_at_their_moment(labels: GivenLabels) -> None:
    ask(labels, NOON, wanted(1, 2, 3, 4, 5, 6))
    labels.take(pd.DataFrame({"id": range(1, 7), "label": 1}), NOON, pd.Series(range(1, 9)))
    frame = pd.DataFrame(
        {
            "customer": range(1, 9),
            "at": pd.Timestamp(NOON) + pd.to_timedelta(range(8), unit="h"),
            "age": 1.0,
            "churned": [np.nan, np.nan, 0.0, 0.0, np.nan, np.nan, np.nan, 1.0],
        },
        index=range(10, 18),
    )
    known, nothing = labels.known(NOON), np.nan
    judged = fill(frame, COLUMNS, known, None)
    np.testing.assert_array_equal(judged["churned"], [nothing, 1, 0, 0, nothing, 1, nothing, 1])
    trained = fill(frame, COLUMNS, known, NOON + timedelta(hours=4))
    np.testing.assert_array_equal(trained["churned"], [1, 1, 0, 0, nothing, 1, nothing, 1])
    assert judged["churned"].dtype == trained["churned"].dtype == np.float64
    pd.testing.assert_frame_equal(judged.drop(columns="churned"), frame.drop(columns="churned"))
    assert fill(frame, COLUMNS, labels.known(NOON - timedelta(1)), None) is frame


def test_ids_are_matched_as_text_before_they_are_as_numbers() -> None:
    rows = ids("7", "007", "1e3", "20_25", "x")
    given = ids("7", "007", "7.0", "1000", "2025", " x ", "1E3", "y", "sNaN")
    assert matched(given, rows).tolist() == ["7", "007", None, "1e3", None, "x", "1e3", None, None]
    assert as_text(pd.Series([7, 8])).tolist() == as_text(pd.Series([7.0, 8.0])).tolist() == ["7", "8"]
    assert as_text(pd.Series([2**60 + 1])).tolist() == [str(2**60 + 1)]


CLASSES = ("blue", "red", "3", "Straße")


def of_classes(place: Place) -> GivenLabels:
    return GivenLabels(place.storage(), "paint", "multiclass")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Red", "is 'Red', which is written 'red' elsewhere; write it so"),
        ("STRASSE", "is 'STRASSE', which is written 'Straße' elsewhere"),
        (
            "rde",
            r"no class that is known \(perhaps 'red' was meant\): there are 'blue', 'red', '3', 'Straße'. Write one",
        ),
        (4.0, "is '4', which is no class that is known: there are"),
        ("3.5", "is '3.5', which is no class that is known"),
    ],
)
def test_a_class_that_nobody_knows_is_a_mistake_until_it_is_named(place: Place, label: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_classes(place).take(answers(a=label), NOON, ids("a"), CLASSES)
    assert place.objects() == {}
    of_classes(place).take(answers(a=label), NOON, ids("a"), (*CLASSES, as_text(pd.Series([label]))[0]))
    assert of_classes(place).take(answers(b=label), NOON, ids("b"), CLASSES).num_taken == 1, "given before is known"


@given(
    classes=st.lists(
        st.one_of(
            st.integers(0, 99).map(str),
            st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
        ),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    blanks=st.sampled_from(["", " ", "  "]),
)
@settings(deadline=None, max_examples=60)
def test_every_class_comes_back_from_a_spreadsheet_as_itself(
    tmp_path_factory: pytest.TempPathFactory, classes: list[str], blanks: str
) -> None:
    labels = GivenLabels(Storage(tmp_path_factory.mktemp("labels")), "paint", "multiclass")
    sheet = pd.DataFrame({"customer": range(len(classes)), "churned": [f"{blanks}{each}{blanks}" for each in classes]})
    content = sheet.to_csv(index=False).encode("utf-8-sig")
    labels.take(read_answers("list.csv", content, "customer", "churned"), NOON, ids(*range(len(classes))), classes)
    assert labels.known(NOON)["label"].tolist() == classes


def test_a_number_is_taken_as_it_stands_and_nothing_else_for_one(place: Place) -> None:
    labels = GivenLabels(place.storage(), "minutes", "regression")
    labels.take(answers(a="12.5", b=-3, c=" 1e3 "), NOON, ids("a", "b", "c"))
    assert labels.known(NOON)["label"].tolist() == [12.5, -3.0, 1000.0]
    for wrong in ("12,5", "1_000", "5 min", "12%", "nan", "inf", "0x1A", True):
        with pytest.raises(ValueError, match=r"expected a number such as 12\.5 or nothing"):
            labels.take(answers(d=wrong), NOON, ids("d"))
    assert labels.known(NOON)["id"].tolist() == ["a", "b", "c"]


def test_rows_without_a_class_stay_without_one(place: Place) -> None:
    labels = of_classes(place)
    labels.take(answers(a="red", b="blue"), NOON, ids("a", "b", "c"), CLASSES)
    frame = pd.DataFrame({"customer": list("abc"), "at": pd.Timestamp(NOON), "churned": [None, "3", None]})
    assert fill(frame, COLUMNS, labels.known(NOON), NOON + timedelta(1))["churned"].tolist() == ["red", "3", None]
    assert fill(frame, COLUMNS, labels.known(NOON), None)["churned"].tolist() == [None, "3", None]
