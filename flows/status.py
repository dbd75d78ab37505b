"""What a project's log says today; reads only, and needs no Prefect server."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.schema import ProjectRef
from flows.command import run
from tasks.foresee import ledger_of
from tasks.step import registry_of


def status(project: ProjectRef, last: int = 10) -> None:
    """Show the champion and the last decisions."""
    registry = registry_of(project)
    state = registry.log.read()
    console = Console(markup=False, emoji=False)  # names and reasons come from outside
    if state.champion is None:
        console.print(f"{project.name} has no champion yet; run python -m flows.retrain or python -m flows.replay")
        return
    lineage, batch = registry.versions.lineage(state.champion), registry.predictions.last()
    console.print(Text(project.name, "bold"), f" champion {state.champion}  ({lineage['recipe']})")
    console.print(f"trained on {lineage['num_rows']:,} rows until {lineage['trained_until'][:10]}")
    if batch:
        console.print(
            f"scored until {batch.end:%Y-%m-%d %H:%M} UTC, the last {batch.num_rows:,} rows by {batch.version}"
        )
    console.print(ledger_of(project, state).sentence)
    for waiting in state.awaiting:
        console.print(f"{waiting.version} waits for a person: python -m flows.approve --help")
    table = Table("no.", "as of", "kind", "version", "reason", title=f"last decisions of {len(state.entries)} entries")
    for entry in [entry for entry in state.entries if entry.kind != "registered"][-last:]:
        table.add_row(str(entry.sequence), entry.as_of[:10], entry.kind, entry.version or "–", entry.reason)
    console.print(table)


if __name__ == "__main__":
    run(status)
