"""What a project's YAML may say of its place on a Prefect server: when its flows run, on which pools, whom to alert."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from configs.component import resolve
from configs.section import Count, Names, NotNegative, Section, Zone

VERDICT = "models.monitoring.diagnosis.Verdict"  # by its path: configs import no models
DERIVED: Literal["derived"] = "derived"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {3: {name: 1 + index for index, name in enumerate(_MONTHS)}, 4: {name: i for i, name in enumerate(_WEEKDAYS)}}
_LIMITS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")

# The rarest calendar that comes about as often as `schedule.baseline_days` asks: cron knows months, and no 28 days.
BASELINES = (
    (1, "0 7 * * *"),
    (7, "0 7 * * 1"),
    (14, "0 7 1,15 * *"),
    (28, "0 7 1 * *"),
    (84, "0 7 1 */3 *"),
    (168, "0 7 1 */6 *"),
    (360, "0 7 1 1 *"),
)


def _cron(text: str) -> str:
    if text == DERIVED:
        return text
    fields = text.split()
    if len(fields) != len(_LIMITS):
        raise ValueError(
            f"{text!r} is no cron schedule; write its five fields, such as '30 5 * * *' for each day at 5:30"
        )
    for place, (field, (name, low, high)) in enumerate(zip(fields, _LIMITS, strict=True)):
        for part in field.split(","):
            if not _is_possible(part, _NAMES.get(place, {}), low, high):
                raise ValueError(
                    f"{part!r} in the cron schedule {text!r} is no {name}; write *, a number between {low} and {high}, "
                    "a range such as 1-5, or a step such as */2"
                )
    return text


def _is_possible(part: str, names: dict[str, int], low: int, high: int) -> bool:
    found = _PART.fullmatch(part.lower())
    if not found or found["step"] == "0":
        return False
    ends = [names.get(end, end) for end in (found["first"], found["last"]) if end is not None]
    return all(str(end).isdecimal() and low <= int(end) <= high for end in ends)


Cron = Annotated[str, AfterValidator(_cron)]
BlockName = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
PoolType = Literal["process", "docker", "kubernetes"]


class Pool(Section):
    """A work pool: where runs are executed. Pools are shared: projects that name the same one wait in the same line."""

    pool: Annotated[str, Field(pattern=r"^[^/%&><]+$", description="its name; by default that of the block")]
    type: PoolType = Field("process", description="what its worker starts for a run")
    queue: str = Field("default", description="the line in which the project's runs wait")
    priority: Count | None = Field(
        None, description="of that queue: 1 is served first; by default as the server has it"
    )
    limit: Count | None = Field(None, description="runs of the whole pool at once; by default as the server has it")
    job_variables: dict[str, Any] = Field(
        default_factory=dict, description="of the pool's base job template, such as image or gpus"
    )


class Deploy(Section):
    """How the project lives on a Prefect server; what is left out follows from `schedule` and `data`."""

    score: Cron | None = Field(DERIVED, description="cron of scoring; null: nobody scores by the clock")
    watch: Cron | None = Field(DERIVED, description="cron of the watch; by default half an hour after scoring")
    baseline: Cron | None = Field(
        DERIVED, description="cron of the retrain that waits for no reason; by default about every baseline_days"
    )
    timezone: Zone | None = Field(None, description="of the crons; by default data.timezone")
    cpu: Pool = Pool(pool="cpu-pool")
    gpu: Pool = Field(Pool(pool="gpu-pool"), description="of retrain; all other flows run on cpu")
    cool_down_hours: NotNegative = Field(12.0, description="events that want a retrain start at most one in this time")
    heartbeat_seconds: Annotated[int, Field(ge=30)] = Field(
        30, description="a run of which three heartbeats are missing has crashed"
    )
    start_minutes: Count = Field(
        30,
        description="a run that a worker took and has not begun by then has crashed: room for a node and an image",
    )
    overdue_hours: NotNegative = Field(2.0, description="a watch that is this late is told of")
    notify: Annotated[tuple[BlockName, ...], Field(strict=False)] = Field(
        (), description="notification blocks on the server by type and name: slack-webhook/on-call; none: no alerts"
    )
    alert_on: Names = Field(("broken_feed", "serving_fault"), description="verdicts that somebody must hear of")

    @model_validator(mode="before")
    @classmethod
    def _pools_have_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        named = {block: values[block] for block in ("cpu", "gpu") if isinstance(values.get(block), dict)}
        return values | {block: {"pool": f"{block}-pool"} | value for block, value in named.items()}

    @model_validator(mode="after")
    def _verdicts_exist(self) -> Self:
        verdicts = get_args(resolve(VERDICT))
        unknown = [name for name in self.alert_on if name not in verdicts]
        if unknown:
            raise ValueError(f"alert_on names {unknown[0]!r}, which is no verdict; choose from {', '.join(verdicts)}")
        return self

    @model_validator(mode="after")
    def _a_pool_is_described_once(self) -> Self:
        if self.cpu.pool == self.gpu.pool and (self.cpu.type, self.cpu.limit) != (self.gpu.type, self.gpu.limit):
            raise ValueError(
                f"cpu and gpu name the same pool, {self.cpu.pool!r}, with another type or limit; say it once"
            )
        return self

    def on_pools(self, names: tuple[str, ...]) -> Self:
        """With other pools: one for all flows, or one for cpu and one for gpu. None leaves it as it is."""
        if len(names) > 2:
            raise ValueError(f"--pool takes one name for all flows, or two for cpu and gpu; found {' '.join(names)}")
        if not names:
            return self
        values = self.model_dump()
        for block, name in (("cpu", names[0]), ("gpu", names[-1])):
            values[block]["pool"] = name
        return type(self).model_validate(values)

    def crons(self, step_days: float, baseline_days: float) -> dict[str, str]:
        """The schedule of each flow that has one.

        Scoring comes each day, or several times a day where `step_days` is less than one; the watch looks at what was
        scored half an hour before it, and the baseline retrain at what was watched.

        >>> Deploy(score=None).crons(step_days=0.25, baseline_days=30)
        {'watch': '30 */6 * * *', 'retrain': '0 7 1 * *'}
        """
        every = max(hours for hours in (1, 2, 3, 4, 6, 8, 12, 24) if hours == 1 or hours <= 24 * step_days)
        hour = "5" if every == 24 else "*" if every == 1 else f"*/{every}"
        derived = {
            "score": f"0 {hour} * * *",
            "watch": f"30 {hour} * * *",
            "retrain": max((days, cron) for days, cron in BASELINES if days <= max(1, baseline_days))[1],
        }
        given = {"score": self.score, "watch": self.watch, "retrain": self.baseline}
        return {flow: derived[flow] if cron == DERIVED else cron for flow, cron in given.items() if cron is not None}
