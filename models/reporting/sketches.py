"""Small charts side by side: one for each slice, input or number of the business, all on one canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.reporting.marks import BLUE, VERMILLION
from models.reporting.svg import INK, QUIET, RULE, Chart, Shape, canvas, chart, place
from models.reporting.timeline import day_of
from models.reporting.tracks import Group, Track, thinned
from models.reporting.watch_words import summary
from models.reporting.wording import decimals

MOST_SKETCHES = 12  # more of them are a wall, and go where a reader can open them
MOST_POINTS, MOST_NARROW = 72, 40  # of a curve; of more days, each point is the mean of some neighbours
LETTER = 0.58  # width of a letter as a share of the text's size, in the fonts of a browser
HEIGHT, PLOT = 132, 66  # pixels of one small chart with its words, and of the part with the curve


@dataclass(frozen=True)
class Cell:
    """Where one small chart stands, in pixels from the lower left corner, and what its ends mean."""

    left: float
    bottom: float
    width: float
    first: float
    last: float
    low: float
    high: float

    def across(self, moment: datetime) -> float:
        """Pixels from the left for a moment."""
        share = (day_of(moment) - self.first) / (self.last - self.first)
        return self.left + min(max(share, 0.0), 1.0) * self.width

    def up(self, value: float) -> float:
        """Pixels from below for a value; one beyond the scale stands at its end."""
        return self.bottom + min(max((value - self.low) / (self.high - self.low), 0.0), 1.0) * PLOT


def sketches(group: Group, tracks: Sequence[Track], name: str, span: tuple[datetime, datetime]) -> Chart | None:
    """Small charts of some numbers of a group; None when there are none."""
    if not tracks:
        return None
    told = "; ".join(f"{track.title}: {summary(track)}{', alarm' if track.is_raised else ''}" for track in tracks)
    return chart(name, f"{group.title}. {told}.", lambda shape: _draw(group, tracks, span, shape))


def _draw(group: Group, tracks: Sequence[Track], span: tuple[datetime, datetime], shape: Shape) -> Figure:
    across = 2 if shape.is_narrow else 4
    across = min(across, max(len(tracks), 2))
    rows = -(-len(tracks) // across)
    figure = canvas(shape.width, HEIGHT * rows)
    axes = place(figure, 0, 0, shape.width, HEIGHT * rows)
    axes.set_axis_off()
    axes.set_xlim(0, shape.width)
    axes.set_ylim(0, HEIGHT * rows)
    scales = _scales(group.tracks if group.is_alike else tracks, group.is_alike)
    column = shape.width / across
    for number, track in enumerate(tracks):
        low, high = scales[track.name]
        cell = Cell(
            left=column * (number % across) + 4,
            bottom=HEIGHT * (rows - 1 - number // across) + 24,
            width=column - (58 if shape.is_narrow else 72),
            first=day_of(span[0]),
            last=day_of(span[1]),
            low=low,
            high=high,
        )
        _draw_cell(axes, cell, track, shape)
        _write_cell(axes, cell, track, span, shape)
    return figure


def _draw_cell(axes: Axes, cell: Cell, track: Track, shape: Shape) -> None:
    right, most = cell.left + cell.width, MOST_NARROW if shape.is_narrow else MOST_POINTS
    num_days = sum(len(stretch.days) for stretch in track.stretches)
    axes.plot([cell.left, right], [cell.bottom] * 2, color=RULE, linewidth=0.8)
    for stretch in track.stretches:
        for spell in stretch.spells:
            ends = [cell.across(spell.begins), max(cell.across(spell.ends), cell.across(spell.begins) + 1.5)]
            axes.fill_between(ends, cell.bottom, cell.bottom + PLOT, color=VERMILLION, alpha=0.12, linewidth=0)
        start, end = cell.across(stretch.start), cell.across(stretch.end)
        if stretch.reference is not None:
            axes.plot([start, end], [cell.up(stretch.reference)] * 2, color=BLUE, linewidth=1.2)
        points = thinned(stretch.days, max(int(most * len(stretch.days) / num_days), 1))
        axes.plot(
            [cell.across(point.when) for point in points],
            [cell.up(point.value) for point in points],
            color=INK,
            linewidth=1.1,
            marker="o" if len(points) == 1 else "",
            markersize=3,
        )


def _write_cell(axes: Axes, cell: Cell, track: Track, span: tuple[datetime, datetime], shape: Shape) -> None:
    right, top = cell.left + cell.width, cell.bottom + PLOT
    small = shape.text - 1
    room = cell.width + (50 if shape.is_narrow else 60)
    name = f"▲ {track.title}" if track.is_raised else track.title
    colour = VERMILLION if track.is_raised else INK
    axes.text(cell.left, top + 25, fitting(name, room, shape.text), fontweight="bold", color=colour)
    axes.text(cell.left, top + 10, fitting(summary(track), room, small), fontsize=small, color=QUIET)
    for value, height in ((cell.high, top), (cell.low, cell.bottom)):
        axes.text(right + 5, height, decimals(value, _digits(cell)), fontsize=small, color=QUIET, va="center")
    axes.text(cell.left, cell.bottom - 14, f"{span[0]:%b %Y}", fontsize=small, color=QUIET)
    axes.text(right, cell.bottom - 14, f"{span[1]:%b %Y}", fontsize=small, color=QUIET, ha="right")


def _scales(tracks: Sequence[Track], is_alike: bool) -> dict[str, tuple[float, float]]:
    """Ends of each scale: as wide for all where they are alike, so that a small move looks small."""
    ends = {track.name: _ends(track) for track in tracks}
    if not is_alike:
        return ends
    widest = max(high - low for low, high in ends.values())
    return {name: ((low + high - widest) / 2, (low + high + widest) / 2) for name, (low, high) in ends.items()}


def _ends(track: Track) -> tuple[float, float]:
    num_days = sum(len(stretch.days) for stretch in track.stretches)
    values = [
        point.value
        for each in track.stretches
        for point in thinned(each.days, max(int(MOST_POINTS * len(each.days) / num_days), 1))
    ]
    values += [each.reference for each in track.stretches if each.reference is not None]
    low, high = min(values), max(values)
    air = 0.04 * (high - low) or max(0.05 * abs(high), 0.01)
    return low - air, high + air


def _digits(cell: Cell) -> int:
    """Decimals that tell the ends of a scale apart."""
    return min(max(2 - math.floor(math.log10(cell.high - cell.low)), 0), 6) if cell.high - cell.low < 100 else 0


def fitting(text: str, width: float, size: float) -> str:
    """As much of a text as fits into so many pixels.

    >>> fitting("a long name of a slice", width=60, size=10)
    'a long na…'
    """
    letters = max(int(width / (size * LETTER)), 4)
    return text if len(text) <= letters else text[: letters - 1] + "…"
