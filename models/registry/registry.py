"""Everything a project has written, behind one door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models.data.logged import LoggedInputs
from models.data.predictions import Predictions
from models.data.row_sets import RowSets
from models.data.snapshots import Snapshots
from models.monitoring.memo import StoredMemo
from models.monitoring.watches import Watches
from models.registry.leases import Leases
from models.registry.log import DecisionLog
from models.registry.storage import Storage
from models.registry.trials import Trials
from models.registry.versions import Versions


@dataclass(frozen=True)
class Registry:
    """The log and what it refers to, for one project in one storage."""

    storage: Storage
    log: DecisionLog
    leases: Leases
    versions: Versions
    predictions: Predictions
    inputs: LoggedInputs
    snapshots: Snapshots
    watches: Watches
    memo: StoredMemo
    holdouts: RowSets
    hard_rows: RowSets
    trials: Trials
    searches: Trials

    @classmethod
    def open(cls, storage: Storage | Path | str, project: str) -> Self:
        """Open the registry of `project` in a storage, or under a folder, which is made when it does not exist."""
        storage = storage if isinstance(storage, Storage) else Storage(storage)
        return cls(
            storage=storage,
            log=DecisionLog(storage, project),
            leases=Leases(storage, project),
            versions=Versions(storage, project),
            predictions=Predictions(storage, project),
            inputs=LoggedInputs(storage, project),
            snapshots=Snapshots(storage, project),
            watches=Watches(storage, project),
            memo=StoredMemo(storage, project),
            holdouts=RowSets(storage, f"holdouts/{project}"),
            hard_rows=RowSets(storage, f"hard_rows/{project}"),
            trials=Trials(storage, project),
            searches=Trials(storage, f"{project}/searches"),
        )
