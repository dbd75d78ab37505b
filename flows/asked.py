"""What a command line asks for, read before anything is imported that takes long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# The commands that are flows: what they do is recorded by a Prefect server.
RECORDED = ("approve", "label", "override", "replay", "retrain", "rollback", "score", "watch")


def asks_for_a_run(command: Sequence[str]) -> bool:
    """Whether a command line such as `python -m flows.retrain configs/flights.yaml` will call a flow.

    One that asks for help, or names no file, will not. A mistake in the other arguments is not seen here.
    """
    if "-m" not in command:
        return False
    module, *arguments = command[command.index("-m") + 1 :]
    return (
        module in {f"flows.{name}" for name in RECORDED}
        and not {"-h", "--help"} & set(arguments)
        and any(Path(each).is_file() for each in arguments)
    )
