"""The charts of a year: performance with the decisions above it, and the estimate against what came true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.registry.log import Entry
from models.reporting.marks import BLUE, CHANGES, MARKS, PURPLE, VERMILLION, Mark
from models.reporting.svg import INK, QUIET, Chart, Shape, canvas, chart, place, write
from models.reporting.year import Period, Year


@dataclass(frozen=True)
class Series:
    """One curve: a value for each period, None where it is not known."""

    label: str
    values: Sequence[float | None]
    colour: str
    line: str
    marker: str

    @property
    def heights(self) -> list[float]:
        """The values with NaN for what is not known, which breaks the line there."""
        return [math.nan if value is None else value for value in self.values]

    @property
    def last(self) -> float | None:
        """The last value that is known, beside which the label stands."""
        return next((value for value in reversed(self.heights) if math.isfinite(value)), None)


@dataclass(frozen=True)
class Layout:
    """Margins and heights of a chart over time, in pixels."""

    left: int
    right: int
    bottom: int
    height: int
    lane_row: int
    label_row: int


def performance(year: Year) -> Chart:
    """Log loss of the champions and of the first model by period, with the decisions in a lane above."""
    says = (
        f"{_loss(year)} over {len(year.periods)} periods, of the champions and of the first model, never retrained, "
        f"with {year.count('promoted')} promotions marked. The table below has the numbers."
    )
    return chart("performance", says, lambda shape: _draw_performance(year, shape))


SCALES = {"AUC": "0.5 is chance, 1 is perfect", "accuracy": "1 is perfect"}


def estimation(year: Year) -> Chart:
    """The second metric estimated without labels, with its band, against what was realised."""
    says = (
        f"{year.second} over {len(year.periods)} periods, estimated before labels arrived, with its band, and "
        "realised. The table below has the numbers."
    )
    return chart("estimation", says, lambda shape: _draw_estimation(year, shape))


def _loss(year: Year) -> str:
    """As a sentence begins with it."""
    said = f"{year.of.name} in {year.of.unit}" if year.of.unit else year.of.name
    return said[0].upper() + said[1:]


def levels(positions: Sequence[float], width: float) -> list[int]:
    """The lowest row for each label, given in order, on which it does not touch the label before it.

    >>> levels([0, 10, 20, 90], width=15)
    [0, 1, 0, 0]
    """
    ends: list[float] = []
    rows = []
    for position in positions:
        row = next((row for row, end in enumerate(ends) if position >= end), len(ends))
        ends[row : row + 1] = [position + width]
        rows.append(row)
    return rows


def _layout(shape: Shape) -> Layout:
    if shape.is_narrow:
        return Layout(left=78, right=76, bottom=46, height=210, lane_row=19, label_row=13)
    return Layout(left=112, right=118, bottom=52, height=290, lane_row=21, label_row=15)


def _draw_performance(year: Year, shape: Shape) -> Figure:
    layout = _layout(shape)
    kinds = {entry.kind for entry in _drawn(year)}
    marks = [mark for mark in MARKS if mark.kind in kinds]
    changes = _changes(year)
    rows = _label_rows(year, changes, shape, layout)
    lane_height = layout.lane_row * len(marks) + layout.label_row * (max(rows, default=-1) + 1)
    figure = canvas(shape.width, layout.bottom + layout.height + 34 + lane_height + 8)
    axes = _time_axes(figure, year, shape, layout, f"{year.of}, lower is better")
    series = (
        Series("champions", [period.realised_loss for period in year.periods], BLUE, "-", "o"),
        Series("never\nretrained", [period.static_loss for period in year.periods], VERMILLION, "--", "s"),
    )
    _draw_series(axes, year.periods, series, layout, shape)
    if marks:
        lane = place(
            figure,
            layout.left,
            layout.bottom + layout.height + 34,
            shape.width - layout.left - layout.right,
            lane_height,
        )
        _draw_lane(lane, year, marks, changes, rows, layout)
        lane.set_xlim(axes.get_xlim())
    for entry in changes:
        axes.axvline(_moment(entry), color=CHANGES[entry.kind], linewidth=0.9, alpha=0.55)
    return figure


def _draw_estimation(year: Year, shape: Shape) -> Figure:
    layout = _layout(shape)
    figure = canvas(shape.width, layout.bottom + layout.height + 34)
    axes = _time_axes(figure, year, shape, layout, f"{year.second} ({SCALES[year.second]})")
    estimated = Series("estimated\n(CBPE)", [period.estimated_second for period in year.periods], PURPLE, "--", "")
    realised = Series("realised", [period.realised_second for period in year.periods], INK, "-", "o")
    lower = Series("", [period.estimated_lower for period in year.periods], PURPLE, "", "").heights
    upper = Series("", [period.estimated_upper for period in year.periods], PURPLE, "", "").heights
    axes.fill_between([_middle(period) for period in year.periods], lower, upper, color=PURPLE, alpha=0.16, linewidth=0)
    _draw_series(axes, year.periods, (estimated, realised), layout, shape)
    return figure


def _time_axes(figure: Figure, year: Year, shape: Shape, layout: Layout, title: str) -> Axes:
    axes = place(figure, layout.left, layout.bottom, shape.width - layout.left - layout.right, layout.height)
    axes.set_xlim(*_span(year))
    locator = dates.AutoDateLocator(minticks=3, maxticks=5 if shape.is_narrow else 12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    axes.set_xlabel(_dates_label(year))
    axes.grid(axis="y")
    axes.tick_params(length=3)
    write(figure, 8, layout.bottom + layout.height + 12, title, color=QUIET)
    return axes


def _dates_label(year: Year) -> str:
    first, last = year.first_and_last
    return f"date, {first:%Y}" if first.year == last.year else f"date, {first:%Y} to {last:%Y}"


def _draw_series(axes: Axes, periods: Sequence[Period], series: Sequence[Series], layout: Layout, shape: Shape) -> None:
    middles = [_middle(period) for period in periods]
    for one in series:
        axes.plot(
            middles,
            one.heights,
            color=one.colour,
            linestyle=one.line,
            marker=one.marker,
            linewidth=1.8,
            markersize=3.5 if shape.is_narrow else 5,
        )
    axes.set_ylim(axes.get_ylim())
    low, high = axes.get_ylim()
    labelled = sorted((one for one in series if one.last is not None), key=lambda one: one.last or 0.0)
    wanted = [((one.last or 0.0) - low) / (high - low) * layout.height for one in labelled]
    for one, height in zip(labelled, _apart(wanted, gap=2.7 * shape.text), strict=True):
        place_beside = (1, height / layout.height)
        axes.annotate(
            one.label,
            place_beside,
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=one.colour,
            fontweight="normal" if shape.is_narrow else "bold",
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Two heights, in order, moved from one another until they are `gap` apart; fewer or more stay."""
    if len(heights) != 2 or heights[1] - heights[0] >= gap:
        return list(heights)
    middle = (heights[0] + heights[1]) / 2
    return [middle - gap / 2, middle + gap / 2]


def _draw_lane(
    lane: Axes, year: Year, marks: Sequence[Mark], changes: Sequence[Entry], rows: Sequence[int], layout: Layout
) -> None:
    top = len(marks) * layout.lane_row
    heights = {mark.kind: top - (row + 0.5) * layout.lane_row for row, mark in enumerate(marks)}
    lane.set_ylim(0, top + layout.label_row * (max(rows, default=-1) + 1))
    for mark in marks:
        moments = [_moment(entry) for entry in _drawn(year) if entry.kind == mark.kind]
        face = mark.colour if mark.is_filled else "none"
        lane.plot(
            moments,
            [heights[mark.kind]] * len(moments),
            linestyle="",
            marker=mark.marker,
            color=mark.colour,
            markerfacecolor=face,
            markersize=11 if mark.marker == "*" else 6.5,  # a star is mostly corners
            markeredgewidth=1.6,
            clip_on=False,
        )
    for entry, row in zip(changes, rows, strict=True):
        colour = CHANGES[entry.kind]
        level = top + (row + 0.15) * layout.label_row
        lane.plot([_moment(entry)] * 2, [0, level], color=colour, linewidth=0.9, alpha=0.55)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # hides the line of a label above
        number = f"#{entry.sequence}"
        lane.annotate(number, (_moment(entry), level), ha="center", va="bottom", color=colour, bbox=paper)
    lane.set_yticks([heights[mark.kind] for mark in marks], [mark.label for mark in marks])
    lane.tick_params(length=0)
    lane.xaxis.set_visible(False)
    for spine in lane.spines.values():
        spine.set_visible(False)


def _label_rows(year: Year, changes: Sequence[Entry], shape: Shape, layout: Layout) -> list[int]:
    """Rows on which the numbers of the changes stand, so that they do not touch."""
    start, end = _span(year)
    pixels = (shape.width - layout.left - layout.right) / (end - start)
    longest = max((len(f"#{entry.sequence}") for entry in changes), default=0)
    return levels([(_moment(entry) - start) * pixels for entry in changes], width=longest * 0.68 * shape.text + 3)


def _drawn(year: Year) -> list[Entry]:
    """The decisions within the span, in the order of the data's time."""
    return sorted((entry for entry in year.entries if year.covers(entry)), key=_moment)


def _changes(year: Year) -> list[Entry]:
    """The entries that changed the champion, in the order of the data's time."""
    return [entry for entry in _drawn(year) if entry.kind in CHANGES and not _is_only_a_word(entry)]


def _is_only_a_word(entry: Entry) -> bool:
    """Whether a person refused a version that was not the champion."""
    refuses = entry.kind == "overridden" and entry.evidence.get("answer") != "promoted"
    return refuses and entry.version != entry.against


def _span(year: Year) -> tuple[float, float]:
    """The days from the first to the last moment that is drawn, with a little air."""
    kinds = {mark.kind for mark in MARKS}
    decided = [_moment(entry) for entry in _drawn(year) if entry.kind in kinds]
    first, last = (float(dates.date2num(moment)) for moment in year.first_and_last)
    first, last = min([first, *decided]), max([last, *decided])
    air = 0.015 * (last - first)
    return first - air, last + air


def _moment(entry: Entry) -> float:
    return float(dates.date2num(datetime.fromisoformat(entry.as_of)))


def _middle(period: Period) -> float:
    return float(dates.date2num(period.start) + dates.date2num(period.end)) / 2
