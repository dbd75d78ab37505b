"""False alarms of quiet years and the delay of true ones, ours next to NannyML's defaults on the same rows.

A world has 20 features (12 numbers and 8 categories, half of them correlated), binary labels and the scores of a model.
A year is 26 weeks of reference and 52 weeks that are watched through 22 series: the Jensen-Shannon distance of each
feature, log loss and AUC. Ours share one level: half for the features, a quarter each for log loss and AUC. NannyML
runs its univariate drift, its realised AUC and its CBPE with default methods and default thresholds.

- `rows`: quiet years, looked at every week or every day.
- `delays`: a feature moves, or the AUC falls, after 13 quiet weeks; in which week after it, counted from 1, the series
  concerned says so. The size 0 says how soon it does so by chance, without which a delay means nothing.
- `values`: series of daily values from several distributions, without rows; the champion is replaced every 60 days and
  20 series share the level.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import signal, special

from benchmarks.work import error_of, generator, share, spread_out
from models.evaluation.metrics.proper import log_loss
from models.evaluation.metrics.ranking import auc
from models.monitoring.alarms import detect
from models.monitoring.change import Direction
from models.monitoring.nannyml_boundary import nannyml, numpy_seeded

ALPHA = 0.05
NUM_NUMBERS, NUM_CATEGORIES, NUM_LEVELS = 12, 8, 5
NUMBERS = tuple(f"number_{place}" for place in range(NUM_NUMBERS))
CATEGORIES = tuple(f"category_{place}" for place in range(NUM_CATEGORIES))
FEATURES = NUMBERS + CATEGORIES
MOVED = "number_0"
CORRELATION = 0.6  # of every second feature with a common cause
NUM_BINS = 10
SIGNAL = 1.2  # standard deviation of the log odds: an AUC of 0.79

REFERENCE_WEEKS, WATCHED_WEEKS, CHANGE_WEEK, DAYS_A_WEEK = 26, 52, 13, 7
SHARES = {"log_loss": 0.25, "auc": 0.25} | dict.fromkeys(FEATURES, 0.5 / len(FEATURES))
DIRECTIONS: dict[str, Direction] = {"auc": "down"}  # the others are harm when they rise

DISTRIBUTIONS = ("normal", "lognormal 0.5", "lognormal 1", "t3", "AR 0.3", "AR 0.5", "AR 0.9")
REFERENCE_DAYS = (14, 60)
LIFE_DAYS, YEAR_DAYS, NUM_SERIES = 60, 365, 20

Change = Literal["feature", "auc"]
SIZES: dict[Change, tuple[float, ...]] = {"feature": (0.0, 0.1, 0.25, 0.5, 1.0), "auc": (0.0, 0.01, 0.02, 0.03, 0.05)}


@dataclass(frozen=True)
class Size:
    """How many years of each kind, and rows a week."""

    years: int
    daily_years: int
    nannyml_years: int
    delay_years: int
    value_years: int
    rows_a_week: int
    piece: int


QUICK = Size(years=6, daily_years=1, nannyml_years=2, delay_years=1, value_years=1, rows_a_week=350, piece=2)
FULL = Size(
    years=500, daily_years=60, nannyml_years=60, delay_years=20, value_years=60, rows_a_week=1_001, piece=10
)  # rows a week divide by 7 days


@dataclass(frozen=True)
class Piece:
    """Some simulated years of rows.

    Attributes:
        change, size: what changes in week 13, in standard deviations or in AUC; size 0 is a quiet year.
        points_a_week: 1 or 7 looks.
        nannyml: in how many of the years NannyML watches too.
        first, count: numbers of the years.
    """

    change: Change
    size: float
    points_a_week: int
    rows_a_week: int
    nannyml: int
    first: int
    count: int


@dataclass(frozen=True)
class Watched:
    """Of one year, the watched weeks in which each series was first said to have changed after `CHANGE_WEEK` or
    before it; series that were never are left out."""

    alarms: Mapping[str, Sequence[int]]
    nannyml: Mapping[str, Sequence[int]] | None


@dataclass(frozen=True)
class Values:
    """Some years of daily values."""

    distribution: str
    reference_days: int
    number: int
    years: int


@dataclass(frozen=True)
class Rows:
    """The rows of a year, in order of time."""

    features: Mapping[str, np.ndarray]
    labels: np.ndarray
    scores: np.ndarray


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The share of quiet years with a false alarm under ours and NannyML's, and the tables."""
    weekly = _years(_quiet(size, 1, size.years, size.nannyml_years), jobs, "quiet years, weekly")
    daily = _years(_quiet(size, DAYS_A_WEEK, size.daily_years, 0), jobs, "quiet years, daily")
    theirs = [year.nannyml for year in weekly if year.nannyml is not None]
    ours = _false([year.alarms for year in weekly])
    return {
        "false_alarm_years": ours["any"],
        "false_alarm_years_nannyml": _false(theirs)["any"],
        "alpha": ALPHA,
        "rows": {"weekly": ours, "daily": _false([year.alarms for year in daily]), "nannyml_weekly": _false(theirs)},
        "delays": [_delay(size, change, amount, jobs) for change, sizes in SIZES.items() for amount in sizes],
        "values": _values(size, jobs),
    }


def _quiet(size: Size, points_a_week: int, years: int, nannyml_years: int) -> list[Piece]:
    return _pieces("feature", 0.0, points_a_week, size, years, nannyml_years)


def _pieces(
    change: Change, amount: float, points_a_week: int, size: Size, years: int, nannyml_years: int
) -> list[Piece]:
    starts = range(0, years, size.piece)
    return [
        Piece(
            change,
            amount,
            points_a_week,
            size.rows_a_week,
            nannyml=min(max(nannyml_years - first, 0), size.piece),
            first=first,
            count=min(size.piece, years - first),
        )
        for first in starts
    ]


def _years(pieces: list[Piece], jobs: int, part: str) -> list[Watched]:
    return [year for found in spread_out(watch, pieces, jobs, part) for year in found]


def watch(piece: Piece) -> list[Watched]:
    """Simulate and watch so many years."""
    years = []
    for place in range(piece.count):
        random = generator("watch", piece.change, piece.size, piece.points_a_week, piece.first + place)
        rows = rows_of(random, piece.rows_a_week, piece.change, piece.size)
        theirs = nannyml_alarms(rows, piece.rows_a_week, piece.first + place) if place < piece.nannyml else None
        years.append(Watched(alarms_of(rows, piece.rows_a_week, piece.points_a_week), theirs))
    return years


def rows_of(random: np.random.Generator, rows_a_week: int, change: Change, size: float) -> Rows:
    """A reference and a watched year; from week 13 of the latter on `size` of `change` is there."""
    num_rows = rows_a_week * (REFERENCE_WEEKS + WATCHED_WEEKS)
    changed = np.arange(num_rows) >= rows_a_week * (REFERENCE_WEEKS + CHANGE_WEEK)
    common = random.standard_normal(num_rows)
    features, odds = {}, np.zeros(num_rows)
    for place, name in enumerate(FEATURES):
        weight = CORRELATION if place % 2 else 0.0
        drawn = weight * common + np.sqrt(1 - weight**2) * random.standard_normal(num_rows)
        odds += drawn / np.sqrt(len(FEATURES))
        if change == "feature" and name == MOVED:
            drawn = drawn + size * changed  # the label does not follow it: the inputs move and nothing else
        features[name] = drawn if name in NUMBERS else _levels(drawn)
    odds *= SIGNAL / odds.std()
    scores = special.expit(odds - 1.0)
    labels = (random.random(num_rows) < scores).astype(float)
    if change == "auc" and size:
        forgotten = changed & (random.random(num_rows) < size / (auc(labels, scores).value - 0.5))
        labels = np.where(forgotten, random.random(num_rows) < labels.mean(), labels).astype(float)
    return Rows(features, labels, scores)


def _levels(drawn: np.ndarray) -> np.ndarray:
    """A category of five levels, from rare to common."""
    return np.searchsorted(special.ndtri([0.05, 0.15, 0.35, 0.6]), drawn)


def alarms_of(rows: Rows, rows_a_week: int, points_a_week: int) -> dict[str, list[int]]:
    """Ours: the week of each series' alarm."""
    found = {}
    num_reference = REFERENCE_WEEKS * points_a_week
    for name, values in series_of(rows, rows_a_week // points_a_week, num_reference).items():
        seen = detect(
            values[:num_reference],
            values[num_reference:],
            years_a_point=1 / (WATCHED_WEEKS * points_a_week),
            alpha=ALPHA,
            share=SHARES[name],
            direction=DIRECTIONS.get(name, "up"),
        )
        if seen.raised_at is not None:
            found[name] = [seen.raised_at // points_a_week]
    return found


def series_of(rows: Rows, rows_a_point: int, num_reference: int) -> dict[str, np.ndarray]:
    """A value for each point of time of every series."""
    num_points = len(rows.labels) // rows_a_point
    points = [slice(place * rows_a_point, (place + 1) * rows_a_point) for place in range(num_points)]
    losses = np.array([log_loss(rows.labels[point], rows.scores[point]).value for point in points])
    aucs = np.array([auc(rows.labels[point], rows.scores[point]).value for point in points])
    distances = {name: distances_of(values, num_points, num_reference) for name, values in rows.features.items()}
    return {"log_loss": losses, "auc": aucs} | distances


def distances_of(values: np.ndarray, num_points: int, num_reference: int) -> np.ndarray:
    """Jensen-Shannon distance of each point's values from the reference's; a point of the reference is compared with
    the rest of it, so that all are alike while nothing changes."""
    points = values.reshape(num_points, -1)
    if values.dtype.kind == "f":
        edges = np.quantile(points[:num_reference], np.arange(1, NUM_BINS) / NUM_BINS)
        points, num_bins = np.searchsorted(edges, points), NUM_BINS
    else:
        num_bins = NUM_LEVELS
    cells = points + num_bins * np.arange(num_points)[:, None]
    counts = np.bincount(cells.ravel(), minlength=num_points * num_bins).reshape(num_points, num_bins)
    against = np.tile(counts[:num_reference].sum(axis=0), (num_points, 1))
    against[:num_reference] -= counts[:num_reference]
    return jensen_shannon(counts, against)


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance, base 2, of counts in shape (pairs, bins): 0 is the same, 1 no overlap (Lin 1991).

    >>> jensen_shannon(np.array([[1, 1], [1, 0]]), np.array([[2, 2], [0, 3]]))
    array([0., 1.])
    """
    one = first / first.sum(axis=1, keepdims=True)
    two = second / second.sum(axis=1, keepdims=True)
    middle = (one + two) / 2
    divergence = (special.rel_entr(one, middle) + special.rel_entr(two, middle)).sum(axis=1) / (2 * np.log(2))
    found: np.ndarray = np.sqrt(np.maximum(divergence, 0.0))
    return found


def nannyml_alarms(rows: Rows, rows_a_week: int, seed: int) -> dict[str, list[int]]:
    """NannyML's: the weeks of each series' alerts, with its default methods and thresholds."""
    frame = pd.DataFrame(dict(rows.features)).assign(
        label=rows.labels.astype(int), score=rows.scores, decision=(rows.scores > 0.5).astype(int)
    )
    reference, current = frame[: REFERENCE_WEEKS * rows_a_week], frame[REFERENCE_WEEKS * rows_a_week :]
    module = nannyml()
    shared = {
        "y_pred_proba": "score",
        "y_pred": "decision",
        "y_true": "label",
        "problem_type": "classification_binary",
        "metrics": ["roc_auc"],
        "chunk_size": rows_a_week,
    }
    with warnings.catch_warnings(), numpy_seeded(seed):
        warnings.simplefilter("ignore")
        drift = module.UnivariateDriftCalculator(
            column_names=list(FEATURES), treat_as_categorical=list(CATEGORIES), chunk_size=rows_a_week
        )
        moved = drift.fit(reference).calculate(current.reset_index(drop=True))
        realised = module.PerformanceCalculator(**shared).fit(reference).calculate(current.reset_index(drop=True))
        estimated = module.CBPE(**shared).fit(reference).estimate(current.reset_index(drop=True))
    drifts = moved.filter(period="analysis").to_df()
    alerts = {name: drifts[(name, "jensen_shannon", "alert")] for name in FEATURES}
    alerts["auc"] = realised.filter(period="analysis").to_df()[("roc_auc", "alert")]
    alerts["estimated_auc"] = estimated.filter(period="analysis").to_df()[("roc_auc", "alert")]
    return {name: np.flatnonzero(said.to_numpy(bool)).tolist() for name, said in alerts.items() if said.any()}


def _false(years: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """The share of quiet years with an alarm, in any series and by kind of series."""
    if not years:
        return {"any": None, "error": None, "years": 0}
    kinds = {"features": FEATURES, "log_loss": ("log_loss",), "auc": ("auc",), "estimated_auc": ("estimated_auc",)}
    rate = float(np.mean([bool(year) for year in years]))
    return {
        "any": rate,
        "error": error_of(rate, len(years)),
        **{
            kind: float(np.mean([any(name in year for name in names) for year in years]))
            for kind, names in kinds.items()
        },
        "alarms_a_year": float(np.mean([sum(map(len, year.values())) for year in years])),
        "years": len(years),
    }


def _delay(size: Size, change: Change, amount: float, jobs: int) -> dict[str, Any]:
    years, part = size.delay_years, f"delay, {change} {amount:g}"
    weekly = _years(_pieces(change, amount, 1, size, years, years), jobs, f"{part}, weekly")
    daily = _years(_pieces(change, amount, DAYS_A_WEEK, size, years, 0), jobs, f"{part}, daily")
    names = (MOVED,) if change == "feature" else ("log_loss", "auc")
    return {
        "change": change,
        "size": amount,
        "weekly": _seen([year.alarms for year in weekly], names),
        "daily": _seen([year.alarms for year in daily], names),
        "nannyml_weekly": _seen([year.nannyml for year in weekly if year.nannyml is not None], names),
    }


def _seen(years: Sequence[Mapping[str, Sequence[int]]], names: Sequence[str]) -> dict[str, Any]:
    """How often the series concerned say so within the 39 weeks after the change, and after how many weeks.

    Ours tell once, so a year in which they did so before the change counts as not seen.
    """
    weeks = [sorted(week - CHANGE_WEEK + 1 for name in names for week in year.get(name, ())) for year in years]
    after = [next((week for week in found if week > 0), None) for found in weeks]
    delays = [week for week in after if week is not None]
    return {
        "seen": share(len(delays), len(years)),
        "median_weeks": float(np.median(delays)) if delays else None,
        "alarm_before_the_change": share(sum(bool(found and found[0] <= 0) for found in weeks), len(years)),
        "years": len(years),
    }


def _values(size: Size, jobs: int) -> list[dict[str, Any]]:
    pieces = [
        Values(distribution, days, number, min(size.piece, size.value_years - number))
        for distribution in DISTRIBUTIONS
        for days in REFERENCE_DAYS
        for number in range(0, size.value_years, size.piece)
    ]
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for piece, largest in zip(pieces, spread_out(live, pieces, jobs, "daily values"), strict=True):
        found.setdefault((piece.distribution, piece.reference_days), []).append(largest)
    return [_of_values(*key, np.concatenate(largest)) for key, largest in found.items()]


def live(piece: Values) -> np.ndarray:
    """The largest evidence of every life of every series, shape (years, series, lives)."""
    random = generator("values", piece.distribution, piece.reference_days, piece.number)
    num_days = piece.reference_days + YEAR_DAYS
    series = daily_values(random, piece.distribution, (piece.years * NUM_SERIES, num_days))
    largest = [
        [_largest(values, start, piece.reference_days) for start in range(piece.reference_days, num_days, LIFE_DAYS)]
        for values in series
    ]
    return np.array(largest).reshape(piece.years, NUM_SERIES, -1)


def _largest(values: np.ndarray, start: int, reference_days: int) -> float:
    reference, current = values[start - reference_days : start], values[start : start + LIFE_DAYS]
    return float(detect(reference, current, 1 / YEAR_DAYS, ALPHA, direction="up").path.max())


def daily_values(random: np.random.Generator, distribution: str, shape: tuple[int, int]) -> np.ndarray:
    """Values without any change, shape (series, days)."""
    kind, _, amount = distribution.partition(" ")
    if kind == "t3":
        return random.standard_t(3, shape)
    noise = random.standard_normal(shape)
    if kind == "lognormal":
        found: np.ndarray = np.exp(float(amount) * noise)
        return found
    if kind == "AR":
        noise[:, 1:] *= np.sqrt(1 - float(amount) ** 2)
        noise = signal.lfilter([1.0], [1.0, -float(amount)], noise, axis=1)
    return noise


def _of_values(distribution: str, reference_days: int, largest: np.ndarray) -> dict[str, Any]:
    """Years with a false alarm when 20 series share the level, and when one series has it alone."""
    shared = (largest >= NUM_SERIES / ALPHA).any(axis=(1, 2))
    alone = (largest >= 1 / ALPHA).any(axis=2)
    return {
        "distribution": distribution,
        "reference_days": reference_days,
        "years_with_a_false_alarm": float(shared.mean()),
        "error": error_of(float(shared.mean()), shared.size),
        "of_one_series_alone": float(alone.mean()),
        "error_of_one": error_of(float(alone.mean()), alone.size),
        "years": len(largest),
    }
