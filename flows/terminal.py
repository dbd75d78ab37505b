"""What a person sees in the terminal at the end of a command: a table, or a few lines."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.data.given_labels import Taken
from models.data.predictions import Batch
from models.monitoring.diagnosis import Verdict
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.reporting.year import Period, Year

ANSWER_COLOURS = {
    "promoted": "green",
    "rejected": "red",
    "inconclusive": "yellow",
    "declined": "yellow",
    "overridden": "magenta",
    "awaiting": "yellow",
    "approved": "green",
    "refused": "red",
    "expired": "yellow",
}
VERDICT_COLOURS: dict[Verdict, str] = {
    "healthy": "green",
    "benign_shift": "green",
    "labels_needed": "yellow",
    "harmful_shift": "red",
    "concept_change": "red",
    "broken_feed": "magenta",
    "serving_fault": "magenta",
}


@singledispatch
def show(result: Any) -> None:
    """Print what a flow returned."""


@show.register
def _(result: Year) -> None:
    console = console_of()
    first, last = result.first_and_last
    title = f"{result.project}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    table = Table(title=title, box=None, padding=(0, 1), pad_edge=False)
    loss = "\n".join(result.of.name.split(maxsplit=1))
    seconds = (f"est.\n{result.second}", f"real\n{result.second}") if result.has_second else ()
    for name in ("until", "rows", *seconds, loss, "never\nretr."):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("diagnosis", "decision", "champion"):
        table.add_column(name, no_wrap=True)
    for period in result.periods:
        table.add_row(*_cells(period, result.has_second))
    console.print(table)
    console.print(result.headline)
    console.print(result.answers.capitalize())
    if result.spent:
        console.print(result.spent)
    if result.report:
        console.print(f"Report: {result.report}", soft_wrap=True)


def console_of(soft_wrap: bool = False) -> Console:
    """A console for text from outside."""
    # Names, paths and reasons come from outside: a bracket in them is a bracket, and no markup.
    return Console(soft_wrap=soft_wrap, markup=False, emoji=False)


def _cells(period: Period, has_second: bool) -> list[str | Text]:
    answer = period.decision.kind if period.decision else "–"
    return [
        f"{period.end:%m-%d}",
        f"{period.num_rows:,}",
        *((_three(period.estimated_second), _three(period.realised_second)) if has_second else ()),
        _three(period.realised_loss),
        _three(period.static_loss),
        period.diagnosis,
        Text(answer, ANSWER_COLOURS.get(answer, "")),
        period.champion.split("-")[0],
    ]


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@show.register
def _(result: Entry) -> None:
    colour = ANSWER_COLOURS.get(result.kind, "cyan")
    console_of(soft_wrap=True).print(Text(result.kind, f"bold {colour}"), f"{result.version or ''}  {result.reason}")


@show.register
def _(result: Watched) -> None:
    diagnosis = result.diagnosis
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_row(Text(diagnosis.verdict, f"bold {VERDICT_COLOURS[diagnosis.verdict]}"), diagnosis.reason)
    lines.add_row("what to do", diagnosis.action)
    if result.wanted:
        lines.add_row("retrain", f"wanted: {result.wanted}")
    console_of().print(lines)


@show.register
def _(result: Taken) -> None:
    console_of(soft_wrap=True).print(result.sentence)


@show.register
def _(result: Batch) -> None:
    console_of(soft_wrap=True).print(
        f"{result.num_rows:,} rows until {result.end:%Y-%m-%d %H:%M} UTC scored by {result.version}"
    )
