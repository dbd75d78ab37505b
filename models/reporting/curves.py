"""A metric of the model over time: measured, expected, and what it was when each champion was new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.reporting.marks import BLUE, CHANGES, PURPLE, VERMILLION
from models.reporting.svg import INK, QUIET, Chart, Shape, canvas, chart, place, write
from models.reporting.timeline import (
    CLOSEST,
    Frame,
    day_of,
    draw_changes,
    frame_of,
    label_rows,
    labels_height,
    time_axis,
)
from models.reporting.tracks import Point, Stretch, Track, thinned
from models.reporting.watch import History, moment_of
from models.reporting.watch_words import reading

PALE = "#c3cad2"
MOST_DAYS, MOST_NARROW = 400, 130  # values of single days of one champion; of more, each is the mean of some neighbours
MOST_RETRAINS = 30  # dotted lines that leave the curve legible


def curve(track: Track, history: History) -> Chart:
    """One metric over time: measured and expected, against what it was when each champion was new."""
    says = f"{track.axis} over time. {' '.join(reading(track))}"
    return chart(f"curve-{track.name}", says, lambda shape: _draw_curve(track, history, shape))


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Heights in rising order, moved as little as it takes to be `gap` apart and not above `top`.

    >>> spread([10, 12, 50], gap=20, top=60)
    [10, 30, 50]
    """
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    ceiling = top
    for place_of in reversed(range(len(moved))):
        moved[place_of] = min(moved[place_of], ceiling)
        ceiling = moved[place_of] - gap
    return moved


def _draw_curve(track: Track, history: History, shape: Shape) -> Figure:
    frame = frame_of(history, shape, *((52, 84) if shape.is_narrow else (70, 128)))
    height, bottom = (190, 44) if shape.is_narrow else (250, 46)
    rows, has_alarms = label_rows(history.changes, frame), bool(track.spells)
    lane_height = labels_height(rows) + (16 if has_alarms else 0)
    figure = canvas(shape.width, bottom + height + lane_height + 30)
    axes = place(figure, frame.left, bottom, frame.width, height)
    axes.set_ylim(*_limits(track))
    time_axis(axes, history, frame)
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    lane = place(figure, frame.left, bottom + height, frame.width, max(lane_height, 1))
    lane.set_axis_off()
    lane.set_xlim(frame.first, frame.last)
    lane.set_ylim(0, max(lane_height, 1))
    write(figure, 4, bottom + height + lane_height + 12, track.axis, color=QUIET)
    _draw_retrains(axes, history)
    for stretch in track.stretches:
        _draw_stretch(axes, lane, stretch, frame)
    draw_changes(lane, history.changes, rows, 16 if has_alarms else 0)
    for entry in history.changes:
        axes.axvline(day_of(moment_of(entry)), color=CHANGES[entry.kind], linewidth=1.1, alpha=0.7)
    _label(axes, track, height, shape)
    return figure


def _draw_stretch(axes: Axes, lane: Axes, stretch: Stretch, frame: Frame) -> None:
    for spell in stretch.spells:
        axes.axvspan(day_of(spell.begins), day_of(spell.ends), color=VERMILLION, alpha=0.09, linewidth=0)
        lane.plot([day_of(spell.raised)], [8], marker="^", color=VERMILLION, markersize=6.5, clip_on=False)
        axes.axvline(day_of(spell.raised), color=VERMILLION, linewidth=1.1, linestyle=(0, (2, 2)))
    if stretch.reference is not None:
        axes.hlines(stretch.reference, day_of(stretch.start), day_of(stretch.end), color=BLUE, linewidth=1.4)
    days = thinned(stretch.days, MOST_NARROW if frame.shape.is_narrow else MOST_DAYS)
    axes.plot([day_of(each.when) for each in days], [each.value for each in days], color=PALE, linewidth=0.8, zorder=1)
    for start, end in _runs([point.is_heard for point in stretch.estimates]):
        is_heard = stretch.estimates[start].is_heard
        _draw_line(axes, stretch.estimates[max(start - 1, 0) : end], PURPLE, "--" if is_heard else ":")
        if is_heard:
            _draw_band(axes, stretch.estimates[start:end], PURPLE)
    _draw_band(axes, stretch.windows, INK)
    _draw_line(axes, stretch.windows, INK, "-", _has_room(stretch.windows, frame))


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First place of each run of equal flags, and the place after its last.

    >>> list(_runs([True, True, False]))
    [(0, 2), (2, 3)]
    """
    start = 0
    for _, run in groupby(flags):
        end = start + len(list(run))
        yield start, end
        start = end


def _has_room(points: Sequence[Point], frame: Frame) -> bool:
    """Whether a marker for each point leaves them apart."""
    if len(points) < 2:
        return True
    days = [frame.across(day_of(point.when)) for point in points]
    return (days[-1] - days[0]) / (len(days) - 1) > CLOSEST


def _draw_line(axes: Axes, points: Sequence[Point], colour: str, line: str, has_marks: bool = False) -> None:
    days, values = [day_of(point.when) for point in points], [point.value for point in points]
    marker = "o" if has_marks or len(points) == 1 else ""
    axes.plot(days, values, color=colour, linestyle=line, marker=marker, linewidth=1.7, markersize=3.5)


def _draw_band(axes: Axes, points: Sequence[Point], colour: str) -> None:
    days = [day_of(point.when) for point in points]
    lower = [math.nan if point.lower is None else point.lower for point in points]
    upper = [math.nan if point.upper is None else point.upper for point in points]
    axes.fill_between(days, lower, upper, color=colour, alpha=0.14, linewidth=0)
    if len(points) == 1:
        axes.vlines(days, lower, upper, color=colour, linewidth=1.2)


def _draw_retrains(axes: Axes, history: History) -> None:
    """A dotted line for each retrain that left the champion in place, unless they are so many that they hide it."""
    changed = {entry.sequence for entry in history.changes}
    found = [entry for entry in history.decisions if entry.sequence not in changed and entry.kind != "declined"]
    for entry in found if len(found) <= MOST_RETRAINS else []:
        axes.axvline(day_of(moment_of(entry)), color=QUIET, linewidth=0.8, linestyle=(0, (1, 3)))


def _label(axes: Axes, track: Track, height: int, shape: Shape) -> None:
    """What each line is, beside its end and in its colour, moved apart where they would touch."""
    low, high = axes.get_ylim()
    ends: list[tuple[float, str, str]] = []
    for name, colour, points in (
        ("measured", INK, [point for each in track.stretches for point in each.windows]),
        ("expected", PURPLE, [point for each in track.stretches for point in each.estimates]),
    ):
        if points:
            ends.append((points[-1].value, name, colour))
    if track.reference is not None:
        ends.append((track.reference, "when new", BLUE))
    ends.sort()
    heights = [min(max((value - low) / (high - low), 0.0), 1.0) * height for value, _, _ in ends]
    for (_, name, colour), level in zip(ends, spread(heights, 1.35 * shape.text, height), strict=True):
        axes.annotate(
            name,
            (1, level / height),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="normal" if shape.is_narrow else "bold",
        )


def _limits(track: Track) -> tuple[float, float]:
    """Ends of the vertical axis: all that was measured or expected, and of days and intervals what is not extreme."""
    points = [point for each in track.stretches for point in (*each.windows, *each.estimates)]
    values = [point.value for point in points]
    values += [each.reference for each in track.stretches if each.reference is not None]
    days = sorted(point.value for each in track.stretches for point in each.days)
    values += days[len(days) // 50 : len(days) - len(days) // 50]
    low, high = min(values), max(values)
    bands = [(point.lower, point.upper) for point in points if point.lower is not None and point.upper is not None]
    widths = sorted(upper - lower for lower, upper in bands)
    reach = max(0.3 * (high - low), 0.6 * widths[len(widths) // 2] if widths else 0.0)
    bottom = min([low, *(max(lower, low - reach) for lower, _ in bands)])
    top = max([high, *(min(upper, high + reach) for _, upper in bands)])
    air = 0.05 * (top - bottom) or max(0.05 * abs(top), 0.01)
    return bottom - air, top + air
