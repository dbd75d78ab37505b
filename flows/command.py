"""`python -m flows.NAME configs/PROJECT.yaml`: one command line for every flow, made from its signature."""

from __future__ import annotations

import argparse
import inspect
import logging
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Flow, tags
from rich.console import Console

from flows import embedded
from flows.lines import quieten

USERS_MISTAKE, WORLDS_FAULT = 2, 1


@dataclass(frozen=True)
class Given:
    """The project as it was given on the command line, for a command that tells it to others.

    Attributes:
        path: of the YAML.
        overrides: what follows each --set.
    """

    path: str
    overrides: tuple[str, ...] = ()

    def refuse_overrides_outside(self, block: str) -> None:
        """Raise `ValueError` for a value that would be changed here and in no run, which reads the YAML by itself."""
        for override in self.overrides:
            if not override.startswith(f"{block}."):
                raise ValueError(
                    f"--set {override!r} would reach no run that is begun later; write it into {self.path}"
                )


def run(function: Callable[..., Any]) -> None:
    """Run a flow, or a plain function; a user's mistake is one message and exit code 2, the world's fault code 1."""
    given = {name: _plain(value) for name, value in vars(_parser(function).parse_args()).items() if value is not None}
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    quieten(is_service=not _takes_project(function))
    try:
        if _takes_project(function):
            _run_for_project(function, given)
        else:
            function(**given)
    except (ValueError, RuntimeError) as error:
        errors.print(f"error: {error}", style="red")
        sys.exit(USERS_MISTAKE if isinstance(error, ValueError) else WORLDS_FAULT)
    logging.shutdown()


def _run_for_project(function: Callable[..., Any], given: dict[str, Any]) -> None:
    path, overrides = given.pop("project"), given.pop("set")
    given |= {name: Given(Path(path).as_posix(), overrides) for name in _names_of(Given, function)}
    from configs.schema import load  # with torch and all: a worker, which reads no project, lives for long
    from flows.terminal import show

    project = load(path, overrides)
    if isinstance(function, Flow):
        embedded.wait()
    with tags("perennial", project.name):
        result = function(project, **given)
    show(result)


def _takes_project(function: Callable[..., Any]) -> bool:
    return "project" in inspect.signature(getattr(function, "fn", function)).parameters


def _parser(function: Callable[..., Any]) -> argparse.ArgumentParser:
    target = getattr(function, "fn", function)
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{target.__name__}", description=inspect.cleandoc(target.__doc__ or "").splitlines()[0]
    )
    if _takes_project(function):
        parser.add_argument("project", help="path of the project's YAML, such as configs/flights.yaml")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="override a value: gate.alpha=0.01"
        )
    hints, notes = typing.get_type_hints(target), typing.get_type_hints(target, include_extras=True)
    for name, parameter in inspect.signature(target).parameters.items():
        if name != "project" and hints[name] is not Given:
            note = next((each for each in getattr(notes[name], "__metadata__", ()) if isinstance(each, str)), None)
            parser.add_argument(f"--{name.replace('_', '-')}", **_option(parameter, hints[name], note))
    return parser


def _option(parameter: inspect.Parameter, hint: Any, note: str | None) -> dict[str, Any]:
    """How argparse takes a parameter: a flag for a bool, names for a tuple, choices for a literal, else one value."""
    if hint is bool:
        return {"action": "store_true", "help": note}
    if hint == tuple[str, ...]:
        return {"nargs": "+", "metavar": "NAME", "help": note}
    is_required = parameter.default is inspect.Parameter.empty
    usual = "required" if is_required else f"default: {parameter.default}"
    is_choice = typing.get_origin(hint) is typing.Literal
    kind = str if is_choice else _kind(hint)
    return {
        "type": _moment if kind is datetime else kind,
        "choices": typing.get_args(hint) if is_choice else None,
        "required": is_required,
        "metavar": "YYYY-MM-DD[THH:MM]" if kind is datetime else None,
        "help": note or ("now, if not given; UTC" if kind is datetime else usual),
    }


def _names_of(kind: type, function: Callable[..., Any]) -> list[str]:
    """The parameters of a function that are annotated as `kind`."""
    return [name for name, hint in typing.get_type_hints(getattr(function, "fn", function)).items() if hint is kind]


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _kind(hint: Any) -> type:
    """The one of our kinds of argument that an annotation such as `int` or `datetime | None` asks for."""
    return next(kind for kind in (datetime, int, str) if kind is hint or kind in typing.get_args(hint))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it as YYYY-MM-DD or YYYY-MM-DDTHH:MM") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
