"""The rows of a training that stay in a Parquet file, in the place of `Material`, and the rows it is stopped by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from models.data.learning import fit_in_pieces, grown_in_pieces, label_counts
from models.data.streaming import Streamed
from models.data.table import MEMORY, SHARE_FOR_READING, Table
from models.evaluation.metrics.metric import Task
from models.features.encoder import Encoder
from models.features.encoding import FeatureEncoder, Features
from models.features.target import Target
from models.model import Model
from models.training.growth import Build, grow_to
from models.training.histories import All, History, Rare

SHARE_OF_TRAINING = 0.75  # of the memory; the rest is for the validation rows


@dataclass(frozen=True)
class Weighing:
    """A history as `Table.weigh`; a class, because it may be sent to other processes."""

    history: History
    until: datetime

    def __call__(self, times: pd.Series, labels: pd.Series) -> np.ndarray:
        return self.history.weights(times, labels, self.until)


@dataclass(frozen=True)
class StreamedMaterial:
    """Labelled rows of a file in time order: those since the champion was trained, and those from before.

    Attributes:
        table: all of them.
        since: when the champion's training rows ended; None without a champion: all rows are new.
        num_new, num_old: how many there are.
        memory: bytes that all of the training may take for rows, the validation rows included.
    """

    table: Table
    since: datetime | None
    num_new: int
    num_old: int
    memory: int = MEMORY

    @classmethod
    def of(
        cls,
        table: Table,
        history: History,
        since: datetime | None,
        until: datetime,
        memory: int = MEMORY,
    ) -> StreamedMaterial:
        """The rows of a window before `until` that `history` uses, divided at `since`, as `Material.of` has them.

        Args:
            table: the labelled rows of the window, with the column of their times.
            history: which rows are used, and how much each counts.
            since: when the champion's training rows ended; None without a champion.
            until: when the rows end.
            memory: bytes that all of the training may take for rows.

        Raises:
            ValueError: for a history of rare labels that are quantities: they are not counted in pieces.
        """
        table = replace(table, end=until)
        if isinstance(history, Rare):
            history = history.among(_few(label_counts(table), table))
        table = table if isinstance(history, All) else replace(table, weigh=Weighing(history, until))
        counts = np.zeros(2, dtype=int)
        assert table.time is not None
        for piece in table.pieces(table.groups(), (table.time,)):
            is_old = (piece.frame[table.time] < since).to_numpy() if since else np.zeros(len(piece.labels), dtype=bool)
            counts += (len(is_old) - is_old.sum(), is_old.sum())
        return cls(table, since, int(counts[0]), int(counts[1]), memory)

    def drawn(self, number: int, seed: int) -> StreamedMaterial:
        """With a sample of the old rows alone; another one than `Material` draws, of the same size and chances."""
        if not self.num_old:
            return self
        assert self.since is not None
        table = self.table.drawing(self.since, number, seed) if number else replace(self.table, start=self.since)
        return replace(self, table=table, num_old=number)

    def learn(self, features: Features, task: Task, label: str) -> tuple[FeatureEncoder, Target]:
        """What a training from scratch has to know of all rows before it begins.

        Raises:
            ValueError: for texts and images.
        """
        if features.texts or features.images:
            raise ValueError("texts and images are not streamed; leave training.memory_mib out")
        return fit_in_pieces(self.table, features.numbers, features.categories, task, memory=self.memory)

    def grow(self, champion: Model, label: str, build: Build) -> Model:
        """The champion with weights for what is new in the rows."""
        assert isinstance(champion.encoder, Encoder), "other features are not streamed"
        encoder, target, some = grown_in_pieces(self.table, champion.encoder, champion.target, self.memory)
        return grow_to(champion, encoder, target, some, build)

    def rows(self, model: Model, label: str) -> Streamed:
        """The rows as the model's network is trained on them."""
        return Streamed(self.table, model.encoder, model.target, int(self.memory * SHARE_OF_TRAINING))


@dataclass(frozen=True)
class StreamedWindow:
    """Labelled rows of a window of a file that models are judged by, in time order.

    Attributes:
        table: the rows.
        memory: bytes that all of the training may take for rows, those that are trained on included.
    """

    table: Table
    memory: int = MEMORY

    def rows(self, model: Model) -> Streamed:
        """As they are scored while a network trains."""
        return Streamed(self.table, model.encoder, model.target, int(self.memory * (1 - SHARE_OF_TRAINING)))

    def frames(self, model: Model) -> Iterator[pd.DataFrame]:
        """A piece at a time: the columns that the model reads, and the label."""
        columns = model.encoder.columns
        num_rows = self.table.piece_rows(columns, int(self.memory * SHARE_FOR_READING))
        for piece in self.table.pieces(self.table.groups(), columns, num_rows=num_rows):
            yield piece.frame.assign(**{self.table.label: piece.labels})


def _few(counts: pd.Series, table: Table) -> pd.Series:
    if counts.index.dtype.kind == "f" and not counts.index.isin((0, 1)).all():
        raise ValueError(
            f"the history rare cannot be streamed for a label that is a quantity, such as {table.label!r}; choose "
            "another history, or leave training.memory_mib out"
        )
    return counts
