"""The strip of verdicts: one mark for each look, and below them the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.reporting.marks import BLUE, GREEN, MARKS, PURPLE, VERMILLION, Mark
from models.reporting.svg import QUIET, RULE, Chart, Shape, canvas, chart, place
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
from models.reporting.watch import History, moment_of
from models.reporting.wording import counted

OCHRE = "#8a5a00"
# From the gravest to the best. Each has a shape of its own, and its lane, for whoever does not see colours.
VERDICTS = (
    Mark("serving_fault", "serving fault", "X", OCHRE, True),
    Mark("broken_feed", "broken feed", "s", OCHRE, True),
    Mark("harmful_shift", "harmful shift", "v", VERMILLION, True),
    Mark("concept_change", "concept change", "D", PURPLE, True),
    Mark("labels_needed", "labels needed", "^", QUIET, False),
    Mark("benign_shift", "benign shift", "o", BLUE, False),
    Mark("healthy", "healthy", "o", GREEN, True),
)
SIGNS = {"X": "✖", "s": "■", "v": "▼", "D": "◆", "^": "△", "o": "●"}
ROW = 20  # pixels of a lane


def sign_of(verdict: str) -> str:
    """The shape of a verdict as a character, to stand in text."""
    mark = next((mark for mark in VERDICTS if mark.kind == verdict), None)
    if mark is None:
        return "·"
    return SIGNS[mark.marker] if mark.is_filled or mark.marker == "^" else "○"


def strip(history: History) -> Chart:
    """One mark for each look, in the lane of its verdict, with the decisions in lanes below."""
    counts = [(mark, sum(look.diagnosis.verdict == mark.kind for look in history.looks)) for mark in VERDICTS]
    told = ", ".join(f"{count} {mark.label}" for mark, count in counts if count)
    changed = counted(len(history.changes), "changes")
    says = f"{counted(len(history.looks), 'looks')}: {told}; {changed} of champion. The table of looks names them all."
    return chart("verdicts", says, lambda shape: _draw_strip(history, shape))


def _draw_strip(history: History, shape: Shape) -> Figure:
    frame = frame_of(history, shape, *((102, 10) if shape.is_narrow else (142, 14)))
    seen = {look.diagnosis.verdict for look in history.looks}
    lanes = [mark for mark in VERDICTS if mark.kind in seen]
    kinds = {entry.kind for entry in history.decisions}
    below = [mark for mark in MARKS if mark.kind in kinds]
    height = ROW * (len(lanes) + len(below)) + (8 if below else 0)
    rows = label_rows(history.changes, frame)
    figure = canvas(shape.width, 44 + height + labels_height(rows) + 6)
    axes = place(figure, frame.left, 44, frame.width, height + labels_height(rows))
    axes.set_ylim(0, height + labels_height(rows))
    time_axis(axes, history, frame)
    draw_changes(axes, history.changes, rows, height)
    levels_of = {mark: height - ROW * (place_of + 0.5) for place_of, mark in enumerate(lanes)}
    levels_of |= {mark: ROW * (len(below) - place_of - 0.5) for place_of, mark in enumerate(below)}
    for mark in lanes:
        axes.axhline(levels_of[mark], color=RULE, linewidth=0.6, zorder=0)
    _draw_verdicts(axes, history, frame, levels_of)
    for mark in below:
        found = [day_of(moment_of(entry)) for entry in history.decisions if entry.kind == mark.kind]
        _draw_marks(axes, found, levels_of[mark], mark)
    axes.set_yticks(list(levels_of.values()), [mark.label for mark in levels_of])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def _draw_verdicts(axes: Axes, history: History, frame: Frame, levels_of: dict[Mark, float]) -> None:
    """Single looks as marks; where marks of a run would touch, a bar from its first to its last look."""
    marks = {mark.kind: mark for mark in VERDICTS}
    for verdict, run in groupby(history.looks, key=lambda look: look.diagnosis.verdict):
        days = [day_of(look.as_of) for look in run]
        mark = marks[verdict]
        is_dense = len(days) > 1 and (frame.across(days[-1]) - frame.across(days[0])) / (len(days) - 1) < CLOSEST
        if is_dense:
            axes.plot([days[0], days[-1]], [levels_of[mark]] * 2, color=mark.colour, linewidth=6.5)
        else:
            _draw_marks(axes, days, levels_of[mark], mark)


def _draw_marks(axes: Axes, days: Sequence[float], level: float, mark: Mark) -> None:
    axes.plot(
        days,
        [level] * len(days),
        linestyle="",
        marker=mark.marker,
        color=mark.colour,
        markerfacecolor=mark.colour if mark.is_filled else "white",
        markersize=10 if mark.marker == "*" else 6,
        markeredgewidth=1.4,
        clip_on=False,
        zorder=3,
    )
