"""From a label to a tensor, and what the outputs of a network mean; saved as JSON beside the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.evaluation.metrics.metric import Task

MIN_CLASS_ROWS = 10  # of a class that a version has not known: fewer say nothing about it


@dataclass(frozen=True)
class Target:
    """What a project's label is.

    Attributes:
        task: binary (0 or 1), multiclass (text) or regression (a number).
        classes: of a multiclass label, in the order of the network's outputs.
        mean, scale: of a regression's label; the network learns `(label - mean) / scale`.
    """

    task: Task = "binary"
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, task: Task, labels: pd.Series) -> Self:
        """Learn classes, or mean and scale, from the labels of training rows.

        Raises:
            ValueError: for a multiclass label with fewer than two classes.
        """
        if task == "multiclass":
            classes = tuple(sorted(labels.unique()))
            if len(classes) < 2:
                raise ValueError(f"the label of every training row is {list(classes)}; several classes are needed")
            return cls(task, classes)
        if task == "regression":
            values = labels.to_numpy(dtype=float)
            spread = float(values.std()) if len(values) else 0.0
            return cls(task, mean=float(values.mean()) if len(values) else 0.0, scale=spread or 1.0)
        return cls(task)

    def grown(self, labels: pd.Series) -> Target:
        """With the classes of `labels` that have ten rows and are new, after those that were known."""
        return self.grown_by(labels.value_counts()) if self.task == "multiclass" else self

    def grown_by(self, counts: pd.Series) -> Target:
        """The same, by the number of rows of each class."""
        if self.task != "multiclass":
            return self
        new = sorted(set(counts[counts >= MIN_CLASS_ROWS].index) - set(self.classes))
        return replace(self, classes=(*self.classes, *new))

    @property
    def num_outputs(self) -> int:
        """Of a network: one for each class, else one."""
        return len(self.classes) or 1

    def knows(self, labels: pd.Series) -> np.ndarray:
        """For each row whether its label can be learned from: a class too rare to be known cannot."""
        return labels.isin(self.classes).to_numpy() if self.task == "multiclass" else np.ones(len(labels), dtype=bool)

    def encode(self, labels: pd.Series) -> Tensor:
        """Labels as tensors of shape (rows,): int64 places of classes, else float32.

        Raises:
            ValueError: for a class that is not known.
        """
        if self.task == "multiclass":
            codes = pd.Categorical(labels, categories=list(self.classes)).codes
            if (codes < 0).any():
                unknown = labels[codes < 0].tolist()[0]
                raise ValueError(f"label {unknown!r} is none of the classes {', '.join(self.classes)}")
            return torch.from_numpy(codes.astype(np.int64))
        return torch.from_numpy(((labels.to_numpy(dtype=float) - self.mean) / self.scale).astype(np.float32))

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """A network's scores in the unit of the label: probabilities as they are, values scaled back."""
        return scores * self.scale + self.mean if self.task == "regression" else scores

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal target."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        return cls(**content | {"classes": tuple(content.get("classes", ()))})
