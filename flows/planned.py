"""What a person sees of a plan for a server, and of a project that was put there."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from flows.terminal import console_of, show
from tasks.deploying.plan import Change, Deployed, Difference, Plan, What

CHANGE_COLOURS: dict[What, str] = {"added": "green", "changed": "yellow", "removed": "red", "unchanged": "dim"}
LONGEST_VALUE = 60  # characters of a value in a plan


@show.register
def show_plan(result: Plan) -> None:
    """A line for each piece that would change, or not, and what of it."""
    console = console_of(soft_wrap=True)
    for change in result.changes:
        console.print(
            Text(f"{change.what:<10}", CHANGE_COLOURS[change.what]) + f"{change.piece.kind:<12}{_what(change)}"
        )
        for difference in change.differences:
            console.print(Text(f"{'':<22}{_difference(difference)}", "dim"))
    for note in result.notes:
        console.print(Text(f"note      {note}", "cyan"))


def _what(change: Change) -> str:
    """A piece by its name, and what one wants to see of a new one."""
    values, shown = change.piece.values, [change.piece.name]
    if change.what == "added" and change.piece.kind == "deployment":
        shown += [f"on {values['work_pool_name']}"]
        shown += [f"at {each['cron']} {each['timezone']}" for each in values["schedules"]]
        shown += [f"{values['concurrency_limit']} at a time"] if values["concurrency_limit"] else []
    if change.what == "added" and change.piece.kind == "work pool":
        shown.append(values["type"])
    return ", ".join(shown)


def _difference(difference: Difference) -> str:
    return f"{difference.place}: {_short(difference.old)} -> {_short(difference.new)}"


def _short(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


@show.register
def show_deployed(result: Deployed) -> None:
    """One sentence."""
    console_of(soft_wrap=True).print(result.sentence)
