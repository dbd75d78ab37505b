"""What a project's YAML may say of triggers: one of ours by name, a user's own by its class, or several of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from configs.component import Component, resolve
from configs.section import Section

CATALOGUE = "models.monitoring.triggers.catalogue.trigger"  # by its path, as a user's class: configs import no models
SEVERAL = ("any_of", "all_of")  # may be written as a key of their own


class TriggerRef(Section):
    """A trigger: one of ours by `trigger`, with its arguments beside it, or a class by `class_path` and `init_args`.

    {trigger: threshold, when: "ctr < 0.0191"}
    {trigger: k_of_n, k: 3, n: 5, of: {trigger: alarm, series: log_loss}}
    {any_of: [{trigger: harm}, {trigger: every, days: 28}]}
    {class_path: own.Mine, init_args: {limit: 3}}
    """

    trigger: str | None = Field(None, description="name of a trigger; a wrong one is answered with the list")
    class_path: str | None = Field(None, description="a class of your own instead, with one method `reason`")
    init_args: dict[str, Any] = Field(default_factory=dict, description="its arguments; for ours they stand beside it")
    of: Annotated[tuple[TriggerRef, ...], Field(strict=False)] = Field(
        (), description="what it is made of: one trigger or a list"
    )

    @model_validator(mode="before")
    @classmethod
    def _in_full(cls, values: Any) -> Any:
        """The short ways to write it, in full; what is written in full stays as it is."""
        if not isinstance(values, dict):
            return values
        found = dict(values)
        for name in SEVERAL:
            if name in found and len(found) == 1:
                found = {"trigger": name, "of": found[name]}
        if isinstance(found.get("of"), dict):
            found["of"] = [found["of"]]
        if found.get("trigger") is None:
            return found
        beside = {name: found.pop(name) for name in list(found) if name not in cls.model_fields}
        return found | {"init_args": found.get("init_args", {}) | beside} if beside else found

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        if (self.trigger is None) == (self.class_path is None):
            raise ValueError(f"name one of trigger, class_path, {', '.join(SEVERAL)}")
        if self.class_path is None:
            self.build()
            return self
        if self.of:
            raise ValueError(f"{self.class_path} is your own class; `of` belongs to triggers of ours")
        target = Component(class_path=self.class_path, init_args=self.init_args).check_call(num_ours=0).resolve()
        if not callable(getattr(target, "reason", None)):
            raise ValueError(f"{self.class_path} has no method `reason(self, situation)`, which makes it a trigger")
        return self

    def build(self) -> Any:
        """The trigger itself.

        Raises:
            ValueError: when it refuses its arguments.
        """
        if self.class_path is not None:
            return Component(class_path=self.class_path, init_args=self.init_args).build()
        return resolve(CATALOGUE)(self.trigger, *[each.build() for each in self.of], **self.init_args)

    @property
    def all(self) -> Iterator[TriggerRef]:
        """This one and those that it is made of, at any depth."""
        yield self
        for each in self.of:
            yield from each.all
