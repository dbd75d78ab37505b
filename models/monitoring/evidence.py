"""Everything that a diagnosis rests on, each kind with its numbers. What could not be computed is None or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation.domain import Domain
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.reverse_concept import ConceptCost
from models.monitoring.estimation.track_record import Matured, Trust
from models.monitoring.performance import Realised
from models.monitoring.quality import QualityCheck
from models.monitoring.replay import Replay


@dataclass(frozen=True)
class JointDrift:
    """Whether new rows can be told from the reference by all columns together.

    Attributes:
        auc: of a classifier that tells them apart: 0.5 is no difference, 1 is no overlap.
        lower: end of its 95 % interval, as is `upper`.
        upper: the other end.
        p_value: of "they cannot be told apart".
        unit: what was taken as independent: days or rows.
        effective_share: what the reference is worth, in shares of its rows, when it is weighted to look like new rows.
        note: why the reference cannot stand for new rows; empty if it can.
        importance: share of each column in telling them apart, largest first.
    """

    auc: float
    lower: float
    upper: float
    p_value: float
    unit: str
    effective_share: float
    note: str
    importance: dict[str, float]

    @classmethod
    def of(cls, domain: Domain) -> Self:
        """What a fitted classifier says, without its rows."""
        return cls(
            domain.auc,
            domain.lower,
            domain.upper,
            domain.p_value,
            domain.unit,
            domain.effective_share,
            domain.no_overlap,
            domain.importance,
        )


@dataclass(frozen=True)
class Settled:
    """An estimate of an earlier look with what came true: `as_of` says which look."""

    as_of: str
    estimator: str
    metric: str
    matured: Matured


@dataclass(frozen=True)
class Trusted:
    """What the past errors of one estimator on this project say of it."""

    estimator: str
    metric: str
    trust: Trust

    @property
    def num_periods(self) -> int:
        """Periods whose labels have come."""
        return self.trust.num_periods

    @property
    def is_silenced(self) -> bool:
        """Whether its alarms are kept back."""
        return self.trust.is_silenced

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"{self.trust.sentence}; {self.trust.reason}" if self.trust.reason else self.trust.sentence


@dataclass(frozen=True)
class SeriesAlarm:
    """What the test that is valid at every look says of one series.

    Attributes:
        series: its name.
        label: as a person reads it, the unit in brackets.
        years: so much evidence comes by chance at most once in so many years, however often one looks.
        years_needed: from which on the alarm is raised: the reciprocal of its share of the false alarms a year.
        is_raised: whether it was reached since the champion came, and the series has not come back since.
        since: day on which the change most likely began.
        before: mean until then.
        after: mean from then on.
        worse: how much worse that is, in the unit of the series; for a series without direction, how much it moved.
        worth: smallest change that matters.
        is_performance: whether the series measures the model itself, and not one of its inputs.
    """

    series: str
    label: str
    years: float
    years_needed: float
    is_raised: bool
    since: str | None
    before: float | None
    after: float | None
    worse: float
    worth: float
    is_performance: bool

    @property
    def shows_harm(self) -> bool:
        """Whether the model has become worse, surely and by as much as matters."""
        return self.is_performance and self.is_raised and self.worse >= self.worth

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        if self.before is None or self.after is None:
            return f"{self.label} has too few days to say anything"
        since = f" since {self.since}" if self.since else ""
        return f"{self.label} went from {self.before:.3f} to {self.after:.3f}{since}"


@dataclass(frozen=True)
class Unsaid:
    """What could not be computed, and why."""

    what: str
    why: str

    @property
    def sentence(self) -> str:
        """For a person.

        >>> Unsaid("label noise", "no row is sure").sentence
        'label noise: not known, since no row is sure'
        """
        return f"{self.what}: not known, since {self.why}"


@dataclass(frozen=True)
class Evidence:
    """What one look has found.

    Attributes:
        quality: every check of the feed, broken ones first.
        replay: logged scores computed again; None where no inputs were logged.
        drift: of each input column, those that explain the most harm first.
        joint: of all columns together; None where there was nothing to compare.
        estimates: performance of the newest rows, expected without their labels.
        trust: what each estimator's past errors on this project say of it.
        realised: performance of the rows whose labels are due.
        concept: what the change of concept costs apart from the shift of inputs; asked where there is harm.
        alarms: of every watched series.
        labelled_share: of the rows whose labels are due; None without any.
        unsaid: what was asked and cannot be known, with the reason.
    """

    quality: tuple[QualityCheck, ...] = ()
    replay: Replay | None = None
    drift: tuple[ColumnDrift, ...] = ()
    joint: JointDrift | None = None
    estimates: tuple[Estimate, ...] = ()
    trust: tuple[Trusted, ...] = ()
    realised: Realised | None = None
    concept: tuple[ConceptCost, ...] = ()
    alarms: tuple[SeriesAlarm, ...] = ()
    labelled_share: float | None = None
    unsaid: tuple[Unsaid, ...] = ()

    @property
    def moved(self) -> list[ColumnDrift]:
        """The columns that have moved."""
        return [column for column in self.drift if column.has_moved]

    @property
    def harmed(self) -> list[SeriesAlarm]:
        """The series that show harm, the worst first, by how often they exceed what matters."""
        return sorted(
            (alarm for alarm in self.alarms if alarm.shows_harm),
            key=lambda alarm: -alarm.worse / max(alarm.worth, 1e-12),
        )

    def estimate(self, metric: str, estimator: str | None = None) -> Estimate | None:
        """The estimate of a metric, by the first estimator that has one or by the one that is named."""
        return next(
            (each for each in self.estimates if each.metric == metric and estimator in (None, each.estimator)), None
        )
