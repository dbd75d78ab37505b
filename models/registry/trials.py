"""Trials: what the arms of an attempt came to on validation rows, each kept once, so that none is tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from models.registry.storage import Storage
from models.training.cost import Cost


@dataclass(frozen=True)
class Trial:
    """One training that ended before the validation rows, and what it cost on them.

    Attributes:
        arm: its name.
        init_args: of the recipe, as far as they differ from its defaults.
        loss: mean over the validation rows, in the unit of the label (nats, or squared); None where it diverged.
        best_epoch: 1-based.
        num_rows: that it learned from.
        is_hopeless: whether it was ended early, far behind the best arm so far.
        cost: of the trial, a search's of all its trainings.
        problem: why there is no loss.
        notes: what a person should know.
        block_losses: the same over blocks of consecutive validation rows, by which arms are compared in pairs.
        since, until: the times between which the validation rows lie, in ISO 8601.
        setting: a digest of what else decides what it costs: network, features, label, arguments. Costs of trials with
            different ones are not of the same arm, whatever its name.
    """

    arm: str
    init_args: Mapping[str, Any]
    loss: float | None
    best_epoch: int
    num_rows: int
    is_hopeless: bool
    cost: Cost
    problem: str = ""
    notes: tuple[str, ...] = field(default=())
    block_losses: tuple[float, ...] = field(default=())
    since: str = ""
    until: str = ""
    setting: str = ""


class Trials:
    """The trials of one project in a storage: `trials/<project>/<attempt>/<arm>.json`, both named by their hash."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"trials/{project}"

    def keep(self, attempt: str, trial: Trial) -> Trial:
        """Write a trial if the arm has none in this attempt, and return the one that is there."""
        self.storage.create(self._path(attempt, trial.arm), _adapter().dump_json(trial))
        return _adapter().validate_json(self.storage.read(self._path(attempt, trial.arm)))

    def find(self, attempt: str, arm: str) -> Trial | None:
        """The trial of an arm, if it was made."""
        try:
            return _adapter().validate_json(self.storage.read(self._path(attempt, arm)))
        except FileNotFoundError:
            return None

    def of(self, attempt: str) -> list[Trial]:
        """All trials of an attempt, in the order of their names."""
        contents = self.storage.read_folder(f"{self.folder}/{_hash(attempt)}").values()
        return sorted(map(_adapter().validate_json, contents), key=lambda each: each.arm)

    def _path(self, attempt: str, arm: str) -> str:
        return f"{self.folder}/{_hash(attempt)}/{_hash(arm)}.json"


@cache
def _adapter() -> TypeAdapter[Trial]:
    return TypeAdapter(Trial)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
