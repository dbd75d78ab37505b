"""The values and blocks that a YAML is made of."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Probability = Annotated[float, Field(gt=0, lt=1, strict=False)]
Level = Annotated[float, Field(gt=0, lt=0.5, strict=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Positive = Annotated[float, Field(gt=0, strict=False)]
NotNegative = Annotated[float, Field(ge=0, strict=False)]
Days = Annotated[float, Field(gt=0, strict=False)]
Count = Annotated[int, Field(gt=0)]
Time = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(lambda value: _in_utc(value)),
    AfterValidator(lambda moment: utc(moment)),
]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Zone = Annotated[str, AfterValidator(lambda name: _zone(name))]


def _in_utc(value: object) -> object:
    """A bare date means its midnight, and a time without a zone is UTC, as event times are."""
    if isinstance(value, int | float):  # pydantic would take a bare year for seconds since 1970
        raise ValueError("a number is no time; write it as 2013-01-01 or 2013-01-01T05:00:00Z")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def utc(moment: datetime) -> datetime:
    """The moment with UTC's own zone object: pandas refuses a list of moments whose zones are of different types."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a time zone; write one such as UTC or America/New_York")
    return str(ZoneInfo(name))


class Section(BaseModel):
    """A block of the YAML: frozen, and closed against keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
