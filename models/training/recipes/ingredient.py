"""What a recipe is made of: rows to learn from, and the hooks by which an ingredient changes one training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import pandas as pd
from torch import nn

from models.data.batches import Rows
from models.evaluation.metrics.metric import Task
from models.features.encoding import FeatureEncoder, Features
from models.features.target import Target
from models.model import Model
from models.training.growth import Build, grow
from models.training.histories import History
from models.training.settings import FitSettings, Penalty

Rate = Callable[[float], float]


class Stock(Protocol):
    """The rows of one training, wherever they are: those since the champion was trained, and those from before."""

    @property
    def num_new(self) -> int:
        """Rows since the champion was trained; all of them where there is none."""
        ...

    @property
    def num_old(self) -> int:
        """Rows from before."""
        ...

    def drawn(self, number: int, seed: int) -> Self:
        """With a sample of the old rows without repetition; they then count as much as each other.

        With weights, a row's chance is proportional to its own.
        """
        ...

    def learn(self, features: Features, task: Task, label: str) -> tuple[FeatureEncoder, Target]:
        """What a training from scratch has to know of all rows before it begins."""
        ...

    def grow(self, champion: Model, label: str, build: Build) -> Model:
        """The champion with weights for what is new in the rows."""
        ...

    def rows(self, model: Model, label: str) -> Rows:
        """The rows as the model's network is trained on them, the old ones first."""
        ...


@dataclass(frozen=True)
class Material:
    """Labelled rows in time order, held in memory: those since the champion was trained, and those from before.

    Attributes:
        new, old: the rows; without a champion all are new.
        new_weights, old_weights: above zero, one for each row, as a history says; None: all rows count the same.
    """

    new: pd.DataFrame
    old: pd.DataFrame
    new_weights: np.ndarray | None = None
    old_weights: np.ndarray | None = None

    @classmethod
    def of(
        cls, frame: pd.DataFrame, time: str, label: str, history: History, since: datetime | None, until: datetime
    ) -> Material:
        """The rows of `frame` that `history` uses, divided at `since`.

        Args:
            frame: labelled rows in time order, all before `until`.
            time: the column of their times, in UTC.
            label: the column of the label.
            history: which rows are used, and how much each counts.
            since: when the champion's training rows ended; None without a champion: all rows are new.
            until: when the rows end.
        """
        weights = history.weights(frame[time], frame[label], until)
        is_new = (frame[time] >= since).to_numpy() if since is not None else np.ones(len(frame), dtype=bool)
        is_used = weights > 0
        is_plain = bool((weights[is_used] == 1).all())
        new, old = is_used & is_new, is_used & ~is_new
        return cls(frame[new], frame[old], None if is_plain else weights[new], None if is_plain else weights[old])

    def together(self) -> tuple[pd.DataFrame, np.ndarray | None]:
        """All rows, the old ones first, and their weights if any has one."""
        return self._together

    @cached_property
    def _together(self) -> tuple[pd.DataFrame, np.ndarray | None]:
        rows = pd.concat([self.old, self.new], ignore_index=True) if len(self.old) else self.new
        if self.new_weights is None and self.old_weights is None:
            return rows, None
        old, new = (
            np.ones(len(part)) if weights is None else weights
            for part, weights in ((self.old, self.old_weights), (self.new, self.new_weights))
        )
        return rows, np.concatenate([old, new])

    @property
    def num_new(self) -> int:
        """Rows since the champion was trained."""
        return len(self.new)

    @property
    def num_old(self) -> int:
        """Rows from before."""
        return len(self.old)

    def drawn(self, number: int, seed: int) -> Material:
        """With a sample of the old rows alone, in time order; they then count as much as each other."""
        chances = None if self.old_weights is None else self.old_weights / self.old_weights.sum()
        places = np.random.default_rng(seed).choice(len(self.old), number, replace=False, p=chances)
        return replace(self, old=self.old.iloc[np.sort(places)], old_weights=None)

    def learn(self, features: Features, task: Task, label: str) -> tuple[FeatureEncoder, Target]:
        """What a training from scratch has to know of all rows before it begins."""
        rows, _ = self.together()
        return features.fit(rows), Target.fit(task, rows[label])

    def grow(self, champion: Model, label: str, build: Build) -> Model:
        """The champion with weights for what is new in the rows."""
        rows, _ = self.together()
        return grow(champion, rows, label, build)

    def rows(self, model: Model, label: str) -> Rows:
        """The rows as the model's network is trained on them."""
        rows, weights = self.together()
        return model.label(rows, rows[label], weights)


class Ingredient:
    """One thing that a recipe does; each hook does nothing unless an ingredient says otherwise.

    Hooks are called in the order of the ingredients: one that changes the network's layers, as low rank does, stands
    before one that compares its weights with the champion's at the end. What `penalty` and `rate` return is sent to
    other processes where several devices train, and so is no closure.
    """

    def rows(self, stock: Stock, seed: int) -> Stock:
        """The rows that are trained on: old ones come as all rows of history, and what is left of them is used."""
        return stock

    def count(self, num_new: int, num_old: int) -> tuple[int, int]:
        """How many rows `rows` would leave of so many, for a forecast."""
        return num_new, num_old

    def prepare(self, network: nn.Module, seed: int) -> None:
        """Change the champion's copy in place before it is trained."""

    def settings(self, settings: FitSettings) -> FitSettings:
        """Change how it is trained."""
        return settings

    def penalty(self, network: nn.Module) -> Penalty | None:
        """What is added to the loss of every step, as of `Hooks`; `network` is as `prepare` left it."""
        return None

    def rate(self) -> Rate | None:
        """The factor on the learning rate, as a function of the share of the training that is done."""
        return None

    def finish(self, network: nn.Module, champion: nn.Module) -> None:
        """Change the trained network in place; `champion` is as it was before the training, with the same shape."""
