"""The frame of a chart over time: its margins and span, its axis, and the changes of champion across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib import dates
from matplotlib.axes import Axes

from models.registry.log import Entry
from models.reporting.charts import levels
from models.reporting.marks import CHANGES
from models.reporting.svg import Shape
from models.reporting.watch import History, moment_of

CLOSEST = 7.0  # pixels between marks, below which they would touch
LABEL_ROW = 16  # pixels that the number of a decision takes


@dataclass(frozen=True)
class Frame:
    """Where a chart over time has its margins, in pixels, and which moments it spans, in days."""

    left: int
    right: int
    first: float
    last: float
    shape: Shape

    @property
    def width(self) -> int:
        """Of the part on which time runs, in pixels."""
        return self.shape.width - self.left - self.right

    def across(self, day: float) -> float:
        """Pixels from the left end to a day."""
        return (day - self.first) / (self.last - self.first) * self.width


def frame_of(history: History, shape: Shape, left: int, right: int) -> Frame:
    """Of a chart that spans everything that is drawn of a history."""
    first, last = map(day_of, history.drawn)
    air = 0.015 * (last - first) or 1.0
    return Frame(left, right, first - air, last + air, shape)


def day_of(moment: datetime) -> float:
    """A moment as matplotlib counts days."""
    return float(dates.date2num(moment))


def time_axis(axes: Axes, history: History, frame: Frame) -> None:
    """The dates below the axes."""
    axes.set_xlim(frame.first, frame.last)
    locator = dates.AutoDateLocator(minticks=3, maxticks=5 if frame.shape.is_narrow else 12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    first, last = history.span
    axes.set_xlabel(f"date, {first:%Y}" if first.year == last.year else f"date, {first:%Y} to {last:%Y}")
    axes.tick_params(length=3)


def label_rows(changes: Sequence[Entry], frame: Frame) -> list[int]:
    """Rows on which the numbers of the changes stand, so that they do not touch."""
    longest = max((len(f"#{entry.sequence}") for entry in changes), default=0)
    width = longest * 0.68 * frame.shape.text + 3
    return levels([frame.across(day_of(moment_of(entry))) for entry in changes], width=width)


def labels_height(rows: Sequence[int]) -> int:
    """Pixels that so many rows take."""
    return LABEL_ROW * (max(rows, default=-1) + 1)


def draw_changes(axes: Axes, changes: Sequence[Entry], rows: Sequence[int], base: float) -> None:
    """A line through the axes for each change of champion, and the number of its decision above `base`."""
    for entry, row in zip(changes, rows, strict=True):
        day, level = day_of(moment_of(entry)), base + LABEL_ROW * row + 2
        axes.plot([day] * 2, [0, level], color=CHANGES[entry.kind], linewidth=1.1, alpha=0.7)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # hides the line of a label above
        number = f"#{entry.sequence}"
        axes.annotate(number, (day, level), ha="center", va="bottom", color=CHANGES[entry.kind], bbox=paper)
