"""What a recipe is made of: rows to learn from, and the hooks by which an ingredient changes one training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from torch import Tensor, nn

from models.training.fit import FitSettings
from models.training.histories import History

Penalty = Callable[[nn.Module], Tensor]
Rate = Callable[[float], float]


@dataclass(frozen=True)
class Material:
    """Labelled rows in time order: those since the champion was trained, and those from before.

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
        rows = pd.concat([self.old, self.new], ignore_index=True) if len(self.old) else self.new
        if self.new_weights is None and self.old_weights is None:
            return rows, None
        old, new = (
            np.ones(len(part)) if weights is None else weights
            for part, weights in ((self.old, self.old_weights), (self.new, self.new_weights))
        )
        return rows, np.concatenate([old, new])

    def without_old(self) -> Material:
        """The new rows alone."""
        return replace(self, old=self.old.iloc[:0], old_weights=None)


class Ingredient:
    """One thing that a recipe does; each hook does nothing unless an ingredient says otherwise.

    Hooks are called in the order of the ingredients: one that changes the network's layers, as low rank does, stands
    before one that compares its weights with the champion's at the end. What `penalty` and `rate` return is sent to
    other processes where several devices train, and so is no closure.
    """

    def rows(self, material: Material, seed: int) -> Material:
        """The rows that are trained on: `old` comes as all rows of history, and what is left of it is used."""
        return material

    def count(self, num_new: int, num_old: int) -> tuple[int, int]:
        """How many rows `rows` would leave of so many, for a forecast."""
        return num_new, num_old

    def prepare(self, network: nn.Module, seed: int) -> None:
        """Change the champion's copy in place before it is trained."""

    def settings(self, settings: FitSettings) -> FitSettings:
        """Change how it is trained."""
        return settings

    def penalty(self, network: nn.Module) -> Penalty | None:
        """What is added to the loss of every step; `network` is as `prepare` left it."""
        return None

    def rate(self) -> Rate | None:
        """The factor on the learning rate, as a function of the share of the training that is done."""
        return None

    def finish(self, network: nn.Module, champion: nn.Module) -> None:
        """Change the trained network in place; `champion` is as it was before the training, with the same shape."""
