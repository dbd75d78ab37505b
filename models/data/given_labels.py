"""Labels that people give: what was asked of them, what they answered and when, and what a label may be used for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from models.data.answers import answered, as_text, matched, one_each
from models.data.contract import Columns
from models.data.predictions import NAME_FORMAT
from models.data.row_sets import RowSets
from models.data.scores import union
from models.evaluation.metrics.metric import Task
from models.registry.storage import Storage

ID, IS_SELECTED = "__id", "__is_selected"  # beside the columns of a list, in its Parquet alone


@dataclass(frozen=True)
class Taken:
    """What has become of the rows of one file of labels.

    Attributes:
        num_rows: in the file.
        num_blank: without a label.
        num_taken: ids whose label is new.
        num_judging: of those, rows that were drawn by chance: the others may train a model and may not judge one.
        num_known: ids whose label was given before, and is the same.
        num_unmatched: labels with an id that no row has; they are not kept.
        unmatched: one of those ids.
    """

    num_rows: int
    num_blank: int
    num_taken: int
    num_judging: int
    num_known: int
    num_unmatched: int
    unmatched: str | None

    @property
    def sentence(self) -> str:
        """All of it, for a person."""
        parts = [
            f"{self.num_taken:,} new labels from {self.num_rows:,} rows, {self.num_judging:,} of them drawn by chance: "
            "those may judge a model, the others only train one",
            f"{self.num_known:,} were known before" if self.num_known else "",
            f"{self.num_blank:,} are blank" if self.num_blank else "",
            f"{self.num_unmatched:,} not kept, as no row has their id, such as {self.unmatched!r}"
            if self.unmatched
            else "",
        ]
        return "; ".join(filter(None, parts)) + "."


class GivenLabels:
    """What was asked and given for one project: `wanted/<project>/<as_of>.*` and `labels/<project>/<hash>.parquet`.

    Nothing is overwritten: the first list for a moment stays, and so does the first label for an id.
    """

    def __init__(self, storage: Storage, project: str, task: Task = "binary") -> None:
        self.task = task
        self.storage, self.wanted, self.folder = storage, f"wanted/{project}", f"labels/{project}"
        self.files = RowSets(storage, self.folder)

    def ask(self, as_of: datetime, rows: pd.DataFrame, ids: pd.Series, is_selected: pd.Series) -> str:
        """Write a list of rows worth a label, and return where a person finds it as CSV: a file or a URL.

        Args:
            as_of: the moment of the look; if there is a list for it, that one stays.
            rows: the list as a person sees it.
            ids: of its rows.
            is_selected: whether a row was picked for what it is, and not drawn by chance.
        """
        buffer = io.BytesIO()
        kept = rows.assign(**{ID: as_text(ids), IS_SELECTED: is_selected})
        kept.to_parquet(buffer, compression="zstd", index=False)
        self.storage.create(f"{self._path(as_of)}.parquet", buffer.getvalue())
        path = self.asked(as_of)
        assert path, "the list was written above"
        return path

    def asked(self, as_of: datetime) -> str | None:
        """Where the list of a moment lies as CSV, which is written now if a killed run had not come so far."""
        path = self._path(as_of)
        if not self.storage.exists(f"{path}.parquet"):
            return None
        rows = pd.read_parquet(io.BytesIO(self.storage.read(f"{path}.parquet"))).drop(columns=[ID, IS_SELECTED])
        # Without the mark that utf-8-sig puts in front, a spreadsheet takes the text for that of its country.
        self.storage.create(f"{path}.csv", rows.to_csv(index=False).encode("utf-8-sig"))
        return self.storage.place(f"{path}.csv")

    def take(self, rows: pd.DataFrame, arrived: datetime, ids: pd.Series, classes: Sequence[str] = ()) -> Taken:
        """Keep the labels of a file, or nothing of it if anything is wrong.

        Args:
            rows: columns id and label, which is blank or what the task says; others are passed over.
            arrived: when they became known.
            ids: of all rows that a label may be given for.
            classes: that a multiclass label may have, beside those that were given before.

        Raises:
            ValueError: for no rows or no labels, a label that is none of the task or of the classes, an id that is
                neither text nor a number, two labels for one id, here or against an earlier file, or when no row has
                any of the ids.
        """
        given = self._all()
        known = union(classes, labels=given["label"]) if self.task == "multiclass" else ()
        answers = answered(rows, self.task, known)
        row_ids = matched(answers["id"], ids)
        unmatched = answers["id"][row_ids.isna()]
        if len(unmatched) == len(answers):
            raise ValueError(
                f"no row has any of the {len(answers)} ids with a label, such as {unmatched.iloc[0]!r}; rows have ids "
                f"such as {next(iter(as_text(ids)), None)!r}. Give the ids as they stand in the list or the source"
            )
        found = one_each(answers.assign(id=row_ids).dropna(subset="id"))
        earlier = given.set_index("id").reindex(found["id"])
        _require_agreement(found, earlier)
        new = found[earlier["label"].isna().to_numpy()]
        is_selected = ~new["id"].isin(self._drawn())
        if len(new):
            self.files.keep(new.assign(arrived=pd.Timestamp(arrived).tz_convert("UTC"), is_selected=is_selected))
        return Taken(
            num_rows=len(rows),
            num_blank=len(rows) - len(answers),
            num_taken=len(new),
            num_judging=int((~is_selected).sum()),
            num_known=len(found) - len(new),
            num_unmatched=len(unmatched),
            unmatched=str(unmatched.iloc[0]) if len(unmatched) else None,
        )

    def known(self, as_of: datetime) -> pd.DataFrame:
        """The labels that had arrived by `as_of`, the first for each id.

        Returns:
            id as text, label (a float, or text of a multiclass label), arrived, and is_selected: the row stood on a
            list for another reason than chance, or on none, and nobody knows why it was labelled. Such labels may train
            and may not judge.
        """
        given = self._all()
        return given[given["arrived"] <= pd.Timestamp(as_of)].reset_index(drop=True)

    def _all(self) -> pd.DataFrame:
        names = [path.split("/")[-1].removesuffix(".parquet") for path in self.storage.list(self.folder)]
        given = pd.concat(map(self.files.read, names)) if names else _nothing(self.task)
        # Two files with the same id can only have been taken in side by side; the one that arrived first counts.
        return given.sort_values("arrived", kind="stable").drop_duplicates("id").reset_index(drop=True)

    def _drawn(self) -> set[str]:
        """Ids that stood on a list by chance, and on none for another reason."""
        drawn: set[str] = set()
        selected: set[str] = set()
        for content in self.storage.read_folder(self.wanted, suffix=".parquet").values():
            listed = pd.read_parquet(io.BytesIO(content), columns=[ID, IS_SELECTED])
            selected.update(listed[ID][listed[IS_SELECTED]])
            drawn.update(listed[ID][~listed[IS_SELECTED]])
        return drawn - selected

    def _path(self, as_of: datetime) -> str:
        return f"{self.wanted}/{as_of.astimezone(UTC):{NAME_FORMAT}}"


def fill(frame: pd.DataFrame, columns: Columns, given: pd.DataFrame, selected_until: datetime | None) -> pd.DataFrame:
    """Rows with the labels that were given where the source has none.

    Args:
        frame: rows as `contract.read` gives them.
        columns: what they mean.
        given: labels as `GivenLabels.known` returns them.
        selected_until: labels of rows that were picked for what they are count for events before this moment alone;
            None: for none.
    """
    if given.empty:
        return frame
    found = given.set_index("id").reindex(as_text(frame[columns.id])).set_axis(frame.index)
    may_count = found["is_selected"].eq(False)
    if selected_until is not None:
        may_count |= frame[columns.time] < pd.Timestamp(selected_until)
    labels, is_given = frame[columns.label], found["label"].notna() & may_count
    return frame.assign(**{columns.label: labels.where(labels.notna() | ~is_given, found["label"])})


def _require_agreement(found: pd.DataFrame, earlier: pd.DataFrame) -> None:
    """Raise `ValueError` when a label is another than the one that is known; both frames hold the same ids in order."""
    differs = earlier["label"].notna().to_numpy() & (earlier["label"].to_numpy() != found["label"].to_numpy())
    if differs.any():
        now, before = found.iloc[np.argmax(differs)], earlier.iloc[np.argmax(differs)]
        raise ValueError(
            f"the label of id={now['id']!r} is {_shown(now['label'])} here, and was {_shown(before['label'])} in a "
            f"file of {before['arrived']:%Y-%m-%d %H:%M} UTC; the first label stays and nothing was taken. "
            "Correct this file, or the source, whose label wins"
        )


def _shown(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else repr(label)


def _nothing(task: Task) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": pd.Series(dtype=object),
            "label": pd.Series(dtype=object if task == "multiclass" else "float64"),
            "arrived": pd.Series(dtype="datetime64[us, UTC]"),
            "is_selected": pd.Series(dtype=bool),
        }
    )
