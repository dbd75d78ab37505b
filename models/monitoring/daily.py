"""The watched series of one look: what each day says of the model, of the business, and of every input column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from models.evaluation.metrics.metric import Metric
from models.monitoring.business import daily
from models.monitoring.measures import Measures
from models.monitoring.performance import FEWEST_SLICE_ROWS, Judged, by_day
from models.monitoring.quality import Expectations, Profile, distance
from models.monitoring.series import Series
from models.monitoring.view import Part, View

LABELLED_ROWS = "labelled_rows"
PERFORMANCE_SHARE = 0.8  # of the budget of false alarms; input columns have the rest, and start nothing


def watched_series(view: View, profiles: Sequence[Profile], earlier: Sequence[Series]) -> tuple[Series, ...]:
    """Every watched series, continued from where an earlier look at the same champion has left it.

    Most of the budget of false alarms belongs to the series of performance: they alone can ask for a retrain.
    """
    known = {series.name: series for series in earlier}
    found = [*_performance(view), *_columns(view, profiles), *_business(view)]
    return tuple(series.continued(known.get(series.name)) for series in found)


def _performance(view: View) -> list[Series]:
    """Both metrics of all rows, the loss of each slice that the reference has, and the rows that there were.

    A slice that is too small has no series, and takes nothing of the others' budget.
    """
    slices = {name: rows for name, rows in view.slices(view.reference).items() if rows.sum() >= FEWEST_SLICE_ROWS}
    before, now = _values(view.measures, view.reference.judged, slices), _by_whole_day(view)
    counted = Series(LABELLED_ROWS, "labelled rows a day", "both", 0.0, 0.0, ())
    series = [
        *(_of_metric(view, name, tuple(values.values()), len(before)) for name, values in before.items()),
        counted,
    ]
    return [each.extended(now.get(each.name, {})) for each in series]


def _of_metric(view: View, name: str, reference: tuple[float, ...], num_series: int) -> Series:
    metric, scope = _metric_of(view.measures, name)
    return Series(
        name=name,
        label=f"{metric.label} of {scope}" if scope else metric.label,
        direction="down" if metric.better == "higher" else "up",
        share=PERFORMANCE_SHARE / num_series,
        worth=view.settings.rules.worth(metric.name),
        reference=reference,
    )


def _metric_of(measures: Measures, name: str) -> tuple[Metric, str]:
    """The metric of a series, and the slice that it is of."""
    head, _, scope = name.partition(".")
    return measures.second if head == measures.second.name else measures.loss, scope


def _by_whole_day(view: View) -> dict[str, dict[str, float]]:
    """The value of each performance series on each whole day most of whose labels, all due, have come."""
    part, found = view.labelled, dict[str, dict[str, float]]()
    for day in part.span:
        rows, due = part.rows_of(day), view.due.rows_of(day)
        share = (rows.stop - rows.start) / max(due.stop - due.start, 1)
        if not day.is_whole or not share or share < view.settings.rules.min_labelled_share:
            continue  # labels that came first are seldom like those that follow
        values = view.memo.once(
            "performance",
            part.day_key(day, dict(view.settings.slices)),
            dict[str, float],
            partial(_values_of_one_day, view, part, rows),
        )
        for name, value in values.items():
            found.setdefault(name, {})[day.iso] = value
    return found


def _values_of_one_day(view: View, part: Part, rows: slice) -> dict[str, float]:
    mask = np.zeros(len(part.frame), dtype=bool)
    mask[rows] = True
    only = part.only(mask)
    values = _values(view.measures, only.judged, view.slices(only))
    found = {name: value for name, of_day in values.items() for value in of_day.values()}
    return found | {LABELLED_ROWS: float(len(only.frame))}


def _values(measures: Measures, judged: Judged, slices: Mapping[str, np.ndarray]) -> dict[str, dict[int, float]]:
    """For each series of performance its value on each day."""
    loss = measures.loss
    found = {metric.name: by_day(metric, judged) for metric in measures.watched}
    found |= {f"{loss.name}.{name}": by_day(loss, judged.take(rows)) for name, rows in slices.items()}
    return {name: values for name, values in found.items() if values}


def _columns(view: View, profiles: Sequence[Profile]) -> list[Series]:
    """How far the values of each column lie from those of the training window, on each whole day."""
    expected = view.champion.expectations
    share = (1 - PERFORMANCE_SHARE) / max(len(view.champion.features), 1)
    return [
        Series(
            name=f"drift.{column}",
            label=f"distance of {column}",
            direction="up",
            share=share,
            worth=view.settings.drift_distance,
            reference=_reference(expected, column),
        ).extended(
            {
                profile.day: found
                for profile in profiles
                if profile.is_complete and (found := distance([profile], expected, column)) is not None
            }
        )
        for column in view.champion.features
    ]


def _reference(expected: Expectations, column: str) -> tuple[float, ...]:
    """Distances of the training days to one another; none where the version has not learned the column."""
    return expected.columns[column].distances if column in expected.columns else ()


def _business(view: View) -> list[Series]:
    """The numbers of the business: users set their own thresholds for them, and no alarm of ours."""
    found = []
    for business in view.settings.business:
        part = view.due if view.columns.label in business.columns else view.newest
        whole = {day.ordinal: day.iso for day in part.span if day.is_whole}
        values = daily(business, part.frame, part.days, view.columns.label)
        has_reference = business.columns <= {*view.reference.frame.columns}
        before = (view.reference.frame, view.reference.days, view.columns.label)
        reference = tuple(daily(business, *before).values()) if has_reference else ()  # named after it was trained
        series = Series(business.name, business.name, "both", 0.0, 0.0, reference)
        found.append(series.extended({whole[day]: value for day, value in values.items() if day in whole}))
    return found
