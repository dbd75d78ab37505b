"""What a project's YAML may say of training: the network, the arms that may become challengers, and their device."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.component import Component, NetworkComponent, resolve
from configs.section import Count, Days, NotNegative, Positive, Section

RECIPES = "models.training.recipes.recipe"  # by their paths, as a user's class: configs import no models
HISTORIES = "models.training.histories.history"


class History(Section):
    """Which rows of history are learned from, and how much each counts: a name, with its arguments beside it."""

    name: str = "all"
    init_args: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        return _expanded(value, cls, "name")

    @model_validator(mode="after")
    def _exists(self) -> Self:
        resolve(HISTORIES)(self.name, **self.init_args)
        return self


class Arm(Section):
    """One way to make a challenger: a recipe, with its arguments beside it, on a history."""

    recipe: str
    history: History = Field(default_factory=History)
    init_args: dict[str, Any] = Field(default_factory=dict, description="such as {epochs: 5}, or beside the recipe")

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        return _expanded(value, cls, "recipe")

    @model_validator(mode="after")
    def _exists(self) -> Self:
        resolve(RECIPES)(self.recipe, **self.init_args)
        return self

    @property
    def name(self) -> str:
        """How it is called in logs, tables and file names: `finetune`, `scratch on recent(days=56)`."""
        recipe, history = _call(self.recipe, self.init_args), _call(self.history.name, self.history.init_args)
        return recipe if history == "all" else f"{recipe} on {history}"


class Range(Section):
    """Where the search looks for one argument: between two numbers, or among choices."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="whether it is searched on a logarithmic scale")
    choices: Annotated[tuple[float | int | str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        is_range = self.low is not None and self.high is not None
        if is_range == bool(self.choices):
            raise ValueError("give either low and high, or choices")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low={self.low:g} is not below high={self.high:g}")
        if self.log and (self.low is None or self.low <= 0):
            raise ValueError(f"low={self.low} cannot be searched on a logarithmic scale; it must be above 0")
        return self


class Search(Section):
    """One more arm: a recipe whose arguments are looked for with Optuna, by the loss on the validation rows."""

    recipe: str = "finetune"
    history: History = Field(default_factory=History)
    trials: Count = Field(20, description="trainings that are tried; hopeless ones are ended early")
    space: dict[str, Range] = Field(
        default_factory=lambda: {"learning_rate": Range(low=1e-4, high=1e-2, log=True)},
        min_length=1,
        description="arguments of the recipe, each with where it is looked for",
    )

    @model_validator(mode="after")
    def _exists(self) -> Self:
        for name, where in self.space.items():
            for value in where.choices or (where.low, where.high):
                resolve(RECIPES)(self.recipe, **{name: value})
        return self

    @property
    def name(self) -> str:
        """As an arm's."""
        return f"search over {self.recipe}"


Arms = Annotated[tuple[Arm, ...], Field(min_length=1, strict=False)]


class Training(Section):
    """How networks are trained."""

    network: NetworkComponent = Component(class_path="models.networks.mlp.MLP")
    arms: Arms = Field(
        default_factory=lambda: (Arm(recipe="finetune"),),
        description="what a retrain tries once there is a champion; of several the best on validation rows goes on",
    )
    search: Search | None = Field(None, description="one more arm, whose arguments Optuna looks for")
    budget_minutes: Positive | None = Field(
        None, description="of device time for trying several arms; the most expensive ones are left out beyond it"
    )
    epochs: Count = Field(20, description="of a training from scratch, at most")
    patience: Count = Field(3, description="epochs from scratch without a better validation loss before it stops")
    learning_rate: Positive = Field(1e-3, description="of a training from scratch")
    validation_days: Days = Field(7.0, description="last days before the embargo that stop trainings and choose arms")
    memory_mib: Count | None = Field(
        None,
        description="rows of a training window that does not fit in memory are streamed within so many MiB; by default "
        "they are held all at once",
    )
    batch_size: Count = 1024
    weight_decay: NotNegative = 1e-4
    seed: int = 0
    accelerator: str = Field("auto", description="as Lightning's Trainer takes it: auto, cpu, cuda")
    devices: Count = Field(1, description="that share one training")
    strategy: str = Field("auto", description="of several devices, as Lightning's Trainer takes it: ddp, fsdp")
    stall_minutes: Positive = Field(
        30.0,
        description="after so long without a step a training is ended as stuck, and on one device its run with it",
    )
    precision: Literal["auto", "32", "bf16"] = Field("auto", description="auto: bfloat16 where the GPU has it")
    compile: bool = Field(
        False, description="compile the network with torch.compile: pays on GPUs and hundreds of millions of rows"
    )
    side_by_side: Count | None = Field(
        None, description="arms that are tried at the same time; by default one for each free GPU"
    )
    price_an_hour: NotNegative | None = Field(None, description="of one device, for the cost of each promotion")
    currency: str = "USD"

    def why_not_streamed(self, task: str, kinds: str | None) -> str | None:
        """Why rows cannot be streamed, in words, or None; `kinds` are features that are no table, if there are any."""
        if self.memory_mib is None:
            return None
        if kinds:
            return f"{kinds} are not streamed; leave training.memory_mib out"
        tried: list[Arm | Search] = [*self.arms, *([self.search] if self.search else [])]
        rare = next((arm.name for arm in tried if arm.history.name == "rare"), None)
        if rare and task == "regression":
            return (
                f"{rare!r} learns from rare labels, which are not found in pieces for a quantity; choose another "
                "history, or leave training.memory_mib out"
            )
        return None

    @field_validator("arms", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        names = [arm.name for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"arm {', '.join(map(repr, twice))} is there twice; leave one out")
        return self


def _call(name: str, arguments: dict[str, Any]) -> str:
    given = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return f"{name}({given})" if given else name


def _expanded(value: object, section: type[Section], key: str) -> object:
    """`finetune` is `{recipe: finetune}`, and keys that the section has not got are arguments of what it names."""
    if isinstance(value, str):
        return {key: value}
    if not isinstance(value, dict) or "init_args" in value:
        return value
    known = {name: each for name, each in value.items() if name in section.model_fields}
    return known | {"init_args": {name: each for name, each in value.items() if name not in known}}
