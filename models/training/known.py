"""The labelled rows that a retrain may train on: held in memory, or left in the file of their snapshot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import pandas as pd

from models.data.learning import label_variance
from models.data.table import Table
from models.training.histories import History
from models.training.recipes import Material, StreamedMaterial, StreamedWindow
from models.training.recipes.ingredient import Stock


class Known(Protocol):
    """All labelled rows from the start of the training window to its end, in time order."""

    def material(self, history: History, since: datetime | None, until: datetime) -> Stock:
        """Those before `until` that a history uses, divided at `since`, where the champion's training rows ended."""
        ...

    def after(self, start: datetime) -> pd.DataFrame | StreamedWindow:
        """Those from `start` on."""
        ...

    def label_variance(self) -> float:
        """Of a label that is a number."""
        ...


@dataclass(frozen=True)
class Held:
    """Rows in a frame."""

    frame: pd.DataFrame
    time: str
    label: str

    def material(self, history: History, since: datetime | None, until: datetime) -> Material:
        """See `Known`."""
        known = self.frame[self.frame[self.time] < pd.Timestamp(until)]
        return Material.of(known, self.time, self.label, history, since, until)

    def after(self, start: datetime) -> pd.DataFrame:
        """See `Known`."""
        return self.frame[self.frame[self.time] >= pd.Timestamp(start)].reset_index(drop=True)

    def label_variance(self) -> float:
        """See `Known`."""
        return float(self.frame[self.label].var(ddof=0))


@dataclass(frozen=True)
class Filed:
    """Rows in a file; `memory` is how many bytes of them a training may hold."""

    table: Table
    memory: int

    def material(self, history: History, since: datetime | None, until: datetime) -> StreamedMaterial:
        """See `Known`."""
        return StreamedMaterial.of(self.table, history, since, until, self.memory)

    def after(self, start: datetime) -> StreamedWindow:
        """See `Known`."""
        return StreamedWindow(replace(self.table, start=start), self.memory)

    def label_variance(self) -> float:
        """See `Known`."""
        return label_variance(self.table)
