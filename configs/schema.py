"""What a project's YAML may say. Strict: a misspelt key is an error, never a default."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from configs.component import SourceComponent
from configs.deploy import Deploy
from configs.gate import GUARDRAILS, Gate, Task
from configs.section import Count, Days, Names, NotNegative, Section, Time, Zone, utc
from configs.storage import WHERE_CREDENTIALS_GO, StorageOptions, holds_a_secret
from configs.training import Training
from configs.watch import Watch

TABLE_NETWORKS = ("models.networks.mlp.MLP", "models.networks.tabm.TabM")


class Data(Section):
    """Where rows come from and what their columns mean."""

    source: SourceComponent
    id: str = "id"
    time: str = "event_time"
    label: str
    task: Task = Field(
        "binary", description="what the label is: binary (0 or 1), multiclass (names of classes), regression (a number)"
    )
    unit: str | None = Field(None, description="of a regression's label, in words, such as minutes")
    label_time: str | None = Field(None, description="column with the arrival time of the label, if it is known")
    label_delay_days: NotNegative = Field(0.0, description="a label counts as known this long after its event")
    numbers: Names = ()
    categories: Names = ()
    texts: Names = Field((), description="columns of free text; a project has a table, texts or images")
    images: Names = Field((), description="a column of images: paths of files, or their bytes")
    image_folder: str | None = Field(None, description="what the paths of images are relative to")
    image_size: Count | None = Field(None, description="pixels, height and width; by default as the backbone expects")
    tokenizer: str | None = Field(
        None, description="of texts: a folder, or a name on the Hugging Face hub; by default that of the backbone"
    )
    max_tokens: Count = Field(256, description="of the texts of a row together; what is longer is cut off")
    other: Names = Field(
        (), description="columns that are no features and are kept for judging: a customer, a protected group, a worth"
    )
    timezone: Zone = Field("UTC", description="where midnight is: rows of one local day are one group for the gate")

    @property
    def features(self) -> tuple[str, ...]:
        """All feature columns, numbers first."""
        return self.numbers + self.categories + self.texts + self.images

    @model_validator(mode="after")
    def _only_a_number_has_a_unit(self) -> Self:
        if self.unit is not None and self.task != "regression":
            raise ValueError(f"unit={self.unit!r} is of a regression's label, and task is {self.task}; leave unit out")
        return self

    @model_validator(mode="after")
    def _columns_have_one_meaning(self) -> Self:
        if not self.features:
            raise ValueError(
                "no features; name at least one column under data.numbers or data.categories, or under data.texts, or "
                "one under data.images"
            )
        if bool(self.numbers + self.categories) + bool(self.texts) + bool(self.images) > 1 or len(self.images) > 1:
            raise ValueError(
                f"features are {', '.join(self.features)}; a project has a table (data.numbers, data.categories), or "
                "texts (data.texts), or one column of images (data.images), and not yet several of these"
            )
        named = [self.id, self.time, self.label, *self.features, *self.other] + (
            [self.label_time] if self.label_time else []
        )
        reserved = [name for name in named if name.startswith("__")]
        if reserved:
            raise ValueError(f"column {reserved[0]!r} begins with two underscores, which is reserved; rename it")
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"column {', '.join(map(repr, twice))} is named twice; each column has one meaning")
        return self


class Schedule(Section):
    """When a retrain is due without a warning, and how the history is replayed."""

    start: Time = Field(description="first event that counts; training never reaches further back")
    first_champion: Time = Field(description="the first champion is trained on what lies before")
    end: Time | None = Field(None, description="where replay stops; by default after the last row of the source")
    step_days: Days = Field(14.0, description="between two batches in replay")
    baseline_days: Days = Field(28.0, description="a retrain is due this long after the last one that was not declined")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.start < self.first_champion or (self.end and not self.first_champion < self.end):
            raise ValueError(
                f"start={self.start}, first_champion={self.first_champion}, end={self.end} are not in that order"
            )
        return self


class Project(Section):
    """One model in production: its data, how it is trained, watched, judged and scheduled."""

    model_config = ConfigDict(hide_input_in_errors=True)  # what was found may be a credential in the wrong place

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$", description="lower case, digits and dashes")]
    data: Data
    schedule: Schedule
    training: Training = Field(default_factory=Training)
    watch: Watch = Watch()
    gate: Gate = Gate()
    deploy: Deploy = Field(default_factory=Deploy)
    storage: str = Field(
        ".perennial",
        description="folder, or s3://bucket/prefix (gs://, az://), for registry, predictions, snapshots, reports",
    )
    storage_options: StorageOptions = StorageOptions()
    work_folder: str | None = Field(
        None,
        description="folder of this machine for trainings under way, copies, and W&B's offline runs; by default the "
        "storage, or .perennial if that is no folder",
    )
    wandb_project: str = "perennial"

    @model_validator(mode="before")
    @classmethod
    def _storage_holds_no_secret(cls, values: Any) -> Any:
        if isinstance(values, dict) and holds_a_secret(values.get("storage")):
            raise ValueError(
                f"storage is a URL with more in it than a bucket and a prefix, such as s3://bucket/prefix; if it is a "
                f"credential, {WHERE_CREDENTIALS_GO}"
            )
        return values

    @model_validator(mode="before")
    @classmethod
    def _guardrails_are_those_of_the_task(cls, values: Any) -> Any:
        data, gate = (values.get(block, {}) for block in ("data", "gate")) if isinstance(values, dict) else ({}, None)
        if not isinstance(data, dict) or not isinstance(gate, dict):
            return values
        guardrails = GUARDRAILS.get(data.get("task", "binary"), ())  # a task that does not exist is told of later
        return values | {"gate": {"guardrails": [dict(each) for each in guardrails]} | gate}

    @model_validator(mode="after")
    def _gate_and_watch_fit_the_task(self) -> Self:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{why}", {"why": why}), loc=(name, *place), input=value
            )
            for name, block in (("gate", self.gate), ("watch", self.watch))
            for place, value, why in block.why_not(self.data.task)
        ]
        if problems:
            raise ValidationError.from_exception_data("Project", problems)
        return self

    @model_validator(mode="after")
    def _network_fits_the_features(self) -> Self:
        network = self.training.network.class_path
        wanted = "models.networks.text.TextClassifier" if self.data.texts else "models.networks.image.ImageClassifier"
        if network in TABLE_NETWORKS and (self.data.texts or self.data.images):
            raise ValueError(
                f"training.network={network} is for tables; name {wanted} with init_args.backbone, or one of your own"
            )
        return self

    @model_validator(mode="after")
    def _rows_can_be_streamed(self) -> Self:
        kinds = "texts" if self.data.texts else "images" if self.data.images else None
        if why := self.training.why_not_streamed(self.data.task, kinds):
            raise ValueError(f"training.memory_mib={self.training.memory_mib}: {why}")
        return self

    @model_validator(mode="after")
    def _columns_are_read(self) -> Self:
        known = (*self.data.features, *self.data.other)
        for block, named in (("gate", self.gate.columns), ("watch", self.watch.columns)):
            unknown = [name for name in named if name not in known and (block, name) != ("watch", self.data.label)]
            if unknown:
                raise ValueError(
                    f"{block} names column {', '.join(map(repr, unknown))}, which is not read; add it to data.other, "
                    f"or use one of {', '.join(known)}"
                )
        return self

    @property
    def work(self) -> Path:
        """Folder of this machine for what is under way or can be fetched again."""
        return Path(self.work_folder or (".perennial" if "://" in self.storage else self.storage))

    @property
    def embargo_days(self) -> float:
        """Gap between the last training row and the first holdout row."""
        return self.data.label_delay_days if self.gate.embargo_days is None else self.gate.embargo_days


def load(path: Path | str, overrides: tuple[str, ...] = ()) -> Project:
    """Read and check a project's YAML. `overrides` are `gate.alpha=0.01`.

    Raises:
        ValueError: with the file, the key, the value and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist; name a project's YAML such as configs/flights.yaml")
    try:
        values = yaml.load(path.read_text(), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, not the keys of a project")
    for override in overrides:
        _set(values, override)
    try:
        return Project.model_validate(values)
    except ValidationError as error:
        raise ValueError(_explain(path, error)) from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a block, as YAML does; the library would take the last one without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The block as it is written, before merges of others are put in."""
        node = super().compose_mapping_node(anchor)
        seen = dict[tuple[str, str], yaml.Mark]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if first := seen.get((key.tag, key.value)):
                    raise yaml.composer.ComposerError(
                        f"{key.value!r} stands first",
                        first,
                        "and again; put both together, or delete one",
                        key.start_mark,
                    )
                seen[key.tag, key.value] = key.start_mark
        return node


def _set(values: dict[str, Any], override: str) -> None:
    keys, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"--set {override!r} has no '='; write it as gate.alpha=0.01")
    *parents, last = keys.split(".")
    for key in parents:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise ValueError(f"--set {override!r}: {key!r} is a value, not a block of keys")
    try:
        values[last] = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {override!r}: the value is not YAML: {error}") from error


def _explain(path: Path, error: ValidationError) -> str:
    lines = [f"{path} is not a valid project:"]
    for problem in error.errors():
        place = ".".join(map(str, problem["loc"])) or "project"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"unknown key; {_known_keys(problem['loc'][:-1])}"
            lines.append(f"  {place}: {message}")
        elif problem["type"] == "missing":
            lines.append(f"  {place}: required, and not there")
        else:
            value = problem["input"]
            # What was found may be a credential in the wrong place.
            is_hidden = isinstance(value, dict) or place.startswith("storage_options")
            lines.append(f"  {place}: {message}" + ("" if is_hidden else f" (found {value!r})"))
    return "\n".join(lines)


def _known_keys(block: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Project
    for key in block:
        if isinstance(key, str):  # a number is a place in a list of blocks of the same kind
            section = _section_of(section.model_fields[key].annotation)
    return f"{'.'.join(map(str, block)) or 'a project'} has {', '.join(section.model_fields)}"


def _section_of(annotation: Any) -> type[BaseModel]:
    """The block in an annotation such as `Block`, `Block | None` or `tuple[Block, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_section_of(part) for part in get_args(annotation) if part not in (type(None), Ellipsis))


def _from_path(value: object) -> object:
    return load(value) if isinstance(value, str | Path) else value


ProjectRef = Annotated[
    Project,
    BeforeValidator(_from_path),
    WithJsonSchema({"title": "Project", "type": "string", "description": "path of the project's YAML"}),
]
"""A flow's parameter: a `Project`, or the path of its YAML as a deployment passes it."""

Moment = Annotated[datetime, AfterValidator(utc)]
"""A flow's parameter: a time as a deployment or an event passes it, in any zone; without one it is UTC."""
