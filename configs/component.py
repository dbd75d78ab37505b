"""A user's own class, named in YAML by `class_path` and `init_args` and checked before anything runs."""

from __future__ import annotations

import importlib
import inspect
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


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
        """An instance: `args` come from us and go first, `init_args` come from the YAML.

        Raises:
            ValueError: when the class refuses what it is given.
        """
        target = self.resolve()
        try:
            return target(*args, **self.init_args)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.class_path} cannot be built with init_args={self.init_args}: {error}") from error

    def check_call(self, num_ours: int) -> Self:
        """Refuse arguments with which `build` could not call the class after `num_ours` of our own."""
        signature = inspect.signature(self.resolve())
        try:
            signature.bind(*[None] * num_ours, **self.init_args)
        except TypeError as error:
            positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            ours = [name for name, each in signature.parameters.items() if each.kind in positional][:num_ours]
            theirs = [
                str(each.replace(annotation=each.empty, default=each.empty))
                for name, each in signature.parameters.items()
                if name not in ours
            ]
            raise ValueError(
                f"init_args of {self.class_path}: {error}; init_args may have {', '.join(theirs) or 'nothing'}"
                + (f", and {', '.join(ours) or 'the first argument'} comes from us" if num_ours else "")
            ) from error
        return self


SourceComponent = Annotated[Component, AfterValidator(lambda component: component.check_call(num_ours=0))]
"""A source of rows, built from its `init_args` alone."""

BaselineComponent = Annotated[Component, AfterValidator(lambda component: component.check_call(num_ours=0))]
"""A forecast that a first champion has to beat, built from its `init_args` alone."""

NetworkComponent = Annotated[Component, AfterValidator(lambda component: component.check_call(num_ours=1))]
"""A network, whose first argument are the inputs that it is made for."""


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
    try:
        parameters = inspect.signature(target).parameters
    except ValueError as error:  # some built-in classes
        raise ValueError(f"class_path={class_path!r}: {error}; name a class or function of your own") from error
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = sorted(set(init_args) - set(parameters))
    if unknown:
        raise ValueError(
            f"init_args of {class_path} has {', '.join(map(repr, unknown))}; it takes {', '.join(parameters) or 'none'}"
        )
