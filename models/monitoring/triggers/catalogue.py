"""Triggers by their name in a project's YAML, with arguments that are checked when the trigger is made."""

from __future__ import annotations

import inspect
from typing import Any

from models.monitoring.triggers.compound import AllOf, AnyOf, KOfN
from models.monitoring.triggers.cost import Cost
from models.monitoring.triggers.evidence import Alarm, Harm, Threshold
from models.monitoring.triggers.pace import Amount, Cooldown, Every
from models.monitoring.triggers.situation import Trigger

_SIMPLE: dict[str, type] = {
    "alarm": Alarm,
    "amount": Amount,
    "cost": Cost,
    "every": Every,
    "harm": Harm,
    "threshold": Threshold,
}
_OF_ONE: dict[str, type] = {"cooldown": Cooldown, "k_of_n": KOfN}
_OF_SEVERAL: dict[str, type] = {"all_of": AllOf, "any_of": AnyOf}

NAMES = tuple(sorted(_SIMPLE | _OF_ONE | _OF_SEVERAL))


def trigger(name: str, /, *inner: Trigger, **arguments: Any) -> Trigger:
    """Make a trigger by its name.

    Args:
        name: one of `NAMES`.
        inner: the triggers that it is made of: one for cooldown and k_of_n, at least one for all_of and any_of.
        arguments: of its class, beyond the inner triggers.

    Raises:
        ValueError: for an unknown name, for arguments that it does not take or that it lacks, and for values that mean
            nothing; the message lists what is valid.

    >>> trigger("threshold", when="ctr < 0.0191")
    Threshold(when='ctr < 0.0191')
    >>> trigger("every", day=7)
    Traceback (most recent call last):
        ...
    ValueError: every takes (days), and was given day
    """
    if name not in NAMES:
        raise ValueError(f"no trigger is called {name!r}; choose one of {', '.join(NAMES)}")
    if name in _SIMPLE:
        if inner:
            raise ValueError(f"{name} is not made of triggers; leave out `of`")
        return _made(name, _SIMPLE[name], (), arguments)
    if name in _OF_ONE:
        if len(inner) != 1:
            raise ValueError(f"{name} is made of one trigger, and was given {len(inner)}; name it in `of`")
        return _made(name, _OF_ONE[name], inner, arguments)
    if not inner:
        raise ValueError(f"{name} is made of at least one trigger, and was given none")
    return _made(name, _OF_SEVERAL[name], (inner,), arguments)


def _made(name: str, kind: type, first: tuple[Any, ...], arguments: dict[str, Any]) -> Trigger:
    signature = inspect.signature(kind)
    signature = signature.replace(parameters=list(signature.parameters.values())[len(first) :])
    _check(name, signature, arguments)
    made: Trigger = kind(*first, **arguments)
    return made


def _check(name: str, signature: inspect.Signature, arguments: dict[str, Any]) -> None:
    try:
        signature.bind(**arguments)
    except TypeError as error:
        plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
        valid = f"({', '.join(map(str, plain))})" if plain else "no arguments"
        raise ValueError(f"{name} takes {valid}, and was given {', '.join(arguments) or 'nothing'}") from error
