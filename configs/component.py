"""A user's own class, named in YAML by `class_path` and `init_args` and checked before anything runs."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Component(BaseModel):
    """A class or function by its import path, with the arguments it is built with (Lightning's convention)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    class_path: str
    init_args: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_arguments(self) -> Self:
        check_arguments(self.resolve(), self.class_path, self.init_args)
        return self

    def resolve(self) -> type:
        """The class itself. Raises `ValueError` when the path names nothing that can be imported."""
        return resolve(self.class_path)

    def build(self, *args: object) -> Any:
        """An instance: `args` come from us and go first, `init_args` come from the YAML."""
        return self.resolve()(*args, **self.init_args)


def resolve(class_path: str) -> type:
    """Import `package.module.Name`. Raises `ValueError` with the part that could not be found."""
    module_path, _, name = class_path.rpartition(".")
    if not module_path:
        raise ValueError(f"class_path={class_path!r} has no module; write it as package.module.ClassName")
    try:
        module = importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"class_path={class_path!r}: there is no module {error.name!r}; "
            "check the spelling and that its folder is on PYTHONPATH"
        ) from error
    if not hasattr(module, name):
        classes = sorted(
            key for key, value in vars(module).items() if isinstance(value, type) and not key.startswith("_")
        )
        raise ValueError(
            f"class_path={class_path!r}: module {module_path!r} has no {name!r}; it has {', '.join(classes)}"
        )
    target = getattr(module, name)
    if not callable(target):
        raise ValueError(
            f"class_path={class_path!r} is a {type(target).__name__}, and cannot be called; "
            "write it as package.module.ClassName"
        )
    return target


def check_arguments(target: type, class_path: str, init_args: dict[str, Any]) -> None:
    """Refuse names that the constructor of `target` does not take. Types are its own to check."""
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = sorted(set(init_args) - set(parameters))
    if unknown:
        raise ValueError(
            f"init_args of {class_path} has {', '.join(map(repr, unknown))}; it takes {', '.join(parameters) or 'none'}"
        )
