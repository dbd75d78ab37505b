"""A file of labels as a person gives it back: read from whatever a spreadsheet made of it, checked, and matched."""

from __future__ import annotations

import csv
import difflib
import io
import numbers
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd

from models.evaluation.metrics.metric import Task

EXPECTED: dict[Task, str] = {"binary": "0 or 1", "multiclass": "its class", "regression": "a number such as 12.5"}
NUM_SHOWN = 10  # classes in a message
SEPARATORS = ",;\t"  # a spreadsheet writes the one of its country


def read_answers(name: str, content: bytes, id: str, label: str) -> pd.DataFrame:
    """The columns id and label of a file that a person has filled in, under these names.

    Args:
        name: of the file, for messages.
        content: a CSV as UTF-8, with commas, semicolons or tabs, or a Parquet.
        id: the column of ids.
        label: the column of labels.

    Raises:
        ValueError: when it is neither, or lacks a column.
    """
    frame = pd.read_parquet(io.BytesIO(content)) if content.startswith(b"PAR1") else _from_csv(name, content, id, label)
    missing = [column for column in (id, label) if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{name} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(str, frame.columns))}. "
            "Labels are given as two columns named after data.id and data.label"
        )
    return frame[[id, label]].set_axis(["id", "label"], axis=1)


def answered(rows: pd.DataFrame, task: Task = "binary", classes: Sequence[str] = ()) -> pd.DataFrame:
    """Ids as text and labels of the rows that have one: 0.0 or 1.0, of a multiclass label text, else a number.

    Args:
        rows: columns id and label.
        task: what the label is.
        classes: those that a multiclass label may have. One that a spreadsheet has turned into another number (3 into
            3.0) or given blanks is found; another spelling is a mistake, since nobody knows what was meant.

    Raises:
        ValueError: for no rows or no labels, a label that is none of the task or none of the classes, or an id that is
            neither text nor a number.
    """
    if rows.empty:
        raise ValueError("the file of labels has no rows; give it columns of ids and labels, a row each")
    is_blank = rows["label"].isna() | (rows["label"].astype(str).str.strip() == "")
    filled = rows[~is_blank]
    if filled.empty:
        raise ValueError(f"none of the {len(rows)} rows has a label; write {EXPECTED[task]} for those that you know")
    labels = _classes(filled, classes) if task == "multiclass" else _numbers(filled, task)
    for value in filled["id"]:
        _check_id(value)
    return pd.DataFrame({"id": as_text(filled["id"]), "label": labels}).reset_index(drop=True)


def _numbers(filled: pd.DataFrame, task: Task) -> pd.Series:
    labels = pd.to_numeric(filled["label"], errors="coerce").astype("float64")
    if task == "binary":
        is_right = labels.isin([0.0, 1.0])
    else:  # yes and no are no quantities, though pandas counts them
        is_right = np.isfinite(labels) & ~filled["label"].map(lambda value: isinstance(value, bool | np.bool_))
    if not is_right.all():
        wrong, right = filled[~is_right].iloc[0], EXPECTED[task].replace(" or ", ", ")
        raise ValueError(f"the label of id={wrong['id']!r} is {wrong['label']!r}, expected {right} or nothing")
    return labels


def _classes(filled: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    labels = as_text(filled["label"])
    found = matched(labels, pd.Series(classes, dtype=object))
    unknown = found.isna().to_numpy()
    if unknown.any():
        first, others = filled[unknown].iloc[0], labels[unknown].str.strip().nunique() - 1
        more = f" ({others:,} more are not known either)" if others else ""
        text = labels[unknown].iloc[0].strip()
        raise ValueError(f"the label of id={first['id']!r} is {text!r}, {_instead(text, classes)}{more}")
    return found


def _instead(text: str, classes: Sequence[str]) -> str:
    """What to do about a class that is none of those that are known.

    >>> _instead("Red", ("blue", "red"))
    "which is written 'red' elsewhere; write it so"
    """
    alike = [each for each in classes if each.casefold() == text.casefold()]
    if alike:
        return f"which is written {alike[0]!r} elsewhere; write it so"
    near = difflib.get_close_matches(text, classes, n=1)
    meant = f" (perhaps {near[0]!r} was meant)" if near else ""
    shown = ", ".join(map(repr, classes[:NUM_SHOWN])) or "none"
    left = f" and {len(classes) - NUM_SHOWN:,} more" if len(classes) > NUM_SHOWN else ""
    return (
        f"which is no class that is known{meant}: there are {shown}{left}. Write one of them, or take a new class in "
        f'by --new-classes "{text}"'
    )


def as_text(ids: pd.Series) -> pd.Series:
    """Ids as text: 7 and 7.0 are "7", and text stays as it is."""
    return ids.astype(object).map(_text)


def matched(given: pd.Series, ids: pd.Series) -> pd.Series:
    """For each id that was given, that of a row: the same text, or else the one that is the same number; else None.

    A spreadsheet turns 007 into 7, and other programs 7 into 7.0.

    >>> matched(pd.Series(["7.0", "a", "9"]), pd.Series(["007", "a", "b"])).tolist()
    ['007', 'a', None]
    """
    known = set(as_text(ids))
    by_number: dict[Decimal, str | None] = {}
    for text in set() if set(given) <= known else known:
        if (number := _number(text)) is not None:
            by_number[number] = None if number in by_number else text  # of two rows nobody knows which is meant

    def match(text: str) -> str | None:
        as_it_stands = next((each for each in (text, text.strip()) if each in known), None)
        number = None if as_it_stands else _number(text)
        return as_it_stands if number is None else by_number.get(number)

    return pd.Series([match(text) for text in given], index=given.index, dtype=object)


def one_each(answers: pd.DataFrame) -> pd.DataFrame:
    """Each id once. Raises `ValueError` when one has two labels."""
    answers = answers.drop_duplicates()
    twice = answers["id"][answers["id"].duplicated()]
    if len(twice):
        both = sorted(answers["label"][answers["id"] == twice.iloc[0]].tolist())[:2]
        first, second = map(_text, both)
        raise ValueError(f"id={twice.iloc[0]!r} has two labels in the file, {first} and {second}; nothing was taken")
    return answers.reset_index(drop=True)


def _from_csv(name: str, content: bytes, id: str, label: str) -> pd.DataFrame:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is neither a CSV in UTF-8 nor a Parquet; save it as one of them") from error
    first = text.splitlines()[:1]
    headers = {separator: next(csv.reader(first, delimiter=separator), []) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda each: (len({id, label} & set(headers[each])), len(headers[each])))
    try:
        # No column is an index, whatever stands behind the last separator; no text such as NA is a missing id.
        return pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{name} is no CSV with a header: {error}") from error


def _check_id(value: object) -> None:
    is_one = isinstance(value, str | numbers.Number) and not isinstance(value, bool | np.bool_)
    if not is_one or pd.isna(value) or not str(value).strip():
        raise ValueError(f"a label is given for id={value!r}, which is neither text nor a number")


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _number(text: str) -> Decimal | None:
    try:
        number = None if "_" in text else Decimal(text)  # 20_25 is a name, though Python reads it as 2025
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
