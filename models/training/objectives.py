"""What training makes small, and what a network's outputs mean: one for each kind of label.

A network may return the outputs of several members that are trained side by side (an ensemble), on a dimension of its
own after the rows; its score is the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from models.evaluation.metrics.metric import Task

SMALLEST_LOG = -100.0  # as in torch's binary_cross_entropy: certain and wrong is bad, but not infinite


@dataclass(frozen=True)
class Objective:
    """How outputs become losses, scores and costs.

    Attributes:
        name: of the loss, as it is said in logs.
        losses: `(outputs, targets) -> (rows,)`, the mean over members, with a gradient.
        scores: `(outputs) -> scores`: (rows,) or (rows, classes), the mean over members.
        costs: `(scores, targets) -> (rows,)`: what a score costs once the target is known.
    """

    name: str
    losses: Callable[[Tensor, Tensor], Tensor]
    scores: Callable[[Tensor], Tensor]
    costs: Callable[[Tensor, Tensor], Tensor]

    def loss(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss of a batch, by the weights of its rows if they have any."""
        losses = self.losses(outputs, targets)
        return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def objective(task: Task) -> Objective:
    """That of a kind of label."""
    return _OBJECTIVES[task]


def _binary_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Log loss; logits (rows,) or (rows, members)."""
    if logits.ndim == 1:
        return binary_cross_entropy_with_logits(logits, labels, reduction="none")
    several = labels[:, None].expand_as(logits)
    return binary_cross_entropy_with_logits(logits, several, reduction="none").mean(dim=1)


def _probabilities(logits: Tensor) -> Tensor:
    probabilities = logits.float().sigmoid()
    return probabilities.mean(dim=1) if probabilities.ndim == 2 else probabilities


def _binary_costs(probabilities: Tensor, labels: Tensor) -> Tensor:
    # Written out, since torch's binary_cross_entropy stops at NaN, on a GPU with the whole CUDA context.
    chances = torch.where(labels == 1, probabilities.log(), torch.log1p(-probabilities))
    return -chances.clamp_min(SMALLEST_LOG)


def _class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Log loss; logits (rows, classes) or (rows, members, classes)."""
    if logits.ndim == 2:
        return cross_entropy(logits, labels, reduction="none")
    several = labels[:, None].expand(logits.shape[:2])
    return cross_entropy(logits.flatten(0, 1), several.flatten(), reduction="none").view(several.shape).mean(dim=1)


def _class_probabilities(logits: Tensor) -> Tensor:
    probabilities = logits.float().softmax(dim=-1)
    return probabilities.mean(dim=1) if probabilities.ndim == 3 else probabilities


def _class_costs(probabilities: Tensor, labels: Tensor) -> Tensor:
    return -probabilities.gather(1, labels[:, None]).squeeze(1).log().clamp_min(SMALLEST_LOG)


def _squared_errors(values: Tensor, labels: Tensor) -> Tensor:
    """Squared error; values (rows,) or (rows, members)."""
    if values.ndim == 1:
        return (values - labels) ** 2
    return ((values - labels[:, None]) ** 2).mean(dim=1)


def _values(values: Tensor) -> Tensor:
    return values.float().mean(dim=1) if values.ndim == 2 else values.float()


_OBJECTIVES: dict[Task, Objective] = {
    "binary": Objective("log loss", _binary_losses, _probabilities, _binary_costs),
    "multiclass": Objective("log loss", _class_losses, _class_probabilities, _class_costs),
    "regression": Objective("squared error", _squared_errors, _values, _squared_errors),
}
