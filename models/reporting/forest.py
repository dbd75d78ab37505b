"""The forest plot of one decision: the test of being better, large, and below it a line for each of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import shorten, wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.reporting.evidence import Finding
from models.reporting.marks import PURPLE, VERDICTS
from models.reporting.panels import Line, Panel
from models.reporting.svg import INK, QUIET, Chart, Shape, canvas, chart, place, write

LETTER = 0.56  # width of a letter as a share of the text's size, in the fonts of a browser
FOOT = 58  # pixels for the numbers of an axis and two lines of what it shows


def primary(test: Finding | None) -> Chart | None:
    """The test of being better, or None when it was not made or states no interval."""
    if test is None or not test.is_tested:
        return None
    says = f"{test.metric}: gain {test.difference(test.gain)}, {test.interval}, {test.verdict}."
    return chart("forest", f"The test of being better. {says}", lambda shape: _draw_primary(test, shape))


def lines(panel: Panel, name: str, drawn: Sequence[Line]) -> Chart | None:
    """Some lines of a panel on its axis; None when no line of it has an interval, or there is none to draw."""
    limits = panel.limits
    if limits is None or not drawn:
        return None
    told = "; ".join(f"{line.name}: {line.said}, {line.verdict}" for line in drawn)
    return chart(name, f"{panel.axis}. {told}.", _drawing(panel, drawn, limits))


def _drawing(panel: Panel, drawn: Sequence[Line], limits: tuple[float, float]) -> Callable[[Shape], Figure]:
    return lambda shape: _draw_lines(panel, drawn, limits, shape)


def _draw_primary(test: Finding, shape: Shape) -> Figure:
    assert test.gain is not None and test.lower is not None and test.upper is not None
    figure = canvas(shape.width, 196 if shape.is_narrow else 188)
    large, colour = shape.text + (3 if shape.is_narrow else 5), VERDICTS.get(test.verdict, QUIET)
    top = 174 if shape.is_narrow else 164
    write(figure, 4, top, test.metric, fontsize=large, fontweight="bold")
    write(figure, shape.width - 4, top, test.verdict, ha="right", fontsize=large, fontweight="bold", color=colour)
    asks, found = test.asks, f"gain {test.difference(test.gain)}, {test.interval}"
    if shape.is_narrow:
        write(figure, 4, top - 20, asks, color=QUIET)
        write(figure, 4, top - 38, found, fontsize=shape.text - 0.5)
    else:
        write(figure, 4, top - 22, f"{asks};  {found}", color=QUIET)
    axes = place(figure, 26, 50, shape.width - 52, 56)
    threshold = test.threshold or 0.0
    low, high = min(test.lower, threshold, 0.0), max(test.upper, threshold, 0.0)
    air = 0.08 * (high - low) or 1.0
    axes.set_xlim(low - air, high + air)
    axes.set_ylim(-1, 1)
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.plot([test.lower, test.upper], [0, 0], color=colour, linewidth=5)
    axes.plot([test.gain], [0], marker="D", color=colour, markersize=12)
    if threshold:
        _draw_threshold(axes, test, threshold)
    unit = f" ({test.unit})" if test.unit else ""
    _bare(axes, f"gain in {test.metric}{unit}, right is better", num_ticks=4 if shape.is_narrow else 8)
    return figure


def _draw_threshold(axes: Axes, test: Finding, threshold: float) -> None:
    axes.axvline(threshold, color=PURPLE, linewidth=1.3, linestyle=(0, (4, 3)))
    low, high = axes.get_xlim()
    is_left = (threshold - low) / (high - low) < 0.5
    axes.annotate(
        f"worth having {test.difference(threshold)}",
        (threshold, 1),
        xytext=(5 if is_left else -5, -1),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="top",
        color=PURPLE,
    )


def _draw_lines(panel: Panel, drawn: Sequence[Line], limits: tuple[float, float], shape: Shape) -> Figure:
    height = 56 if shape.is_narrow else 44 if panel.is_tall else 28
    figure = canvas(shape.width, height * len(drawn) + FOOT + 4)
    left, width = (24, shape.width - 48) if shape.is_narrow else (412, 316)
    axes = place(figure, left, FOOT, width, height * len(drawn))
    axes.set_xlim(*limits)
    axes.set_ylim(0, height * len(drawn))
    for row, line in enumerate(drawn):
        bottom = height * (len(drawn) - 1 - row)
        if shape.is_narrow:
            _write_above(figure, line, FOOT + bottom, panel.is_tall, shape)
            _draw_line(axes, line, bottom + 9, 8, panel.has_zero)
        else:
            _write_beside(figure, line, FOOT + bottom + height / 2 - 5, panel.is_tall, shape)
            _draw_line(axes, line, bottom + height / 2, height / 2, panel.has_zero)
    _bare(axes, "\n".join(filter(None, (panel.axis, panel.dashed))), num_ticks=5)
    return figure


def _draw_line(axes: Axes, line: Line, middle: float, reach: float, has_zero: bool) -> None:
    if line.centre is None or line.low is None or line.high is None:
        return
    if has_zero:
        axes.vlines(0, middle - reach, middle + reach, color=INK, linewidth=1.1)
    colour = VERDICTS.get(line.verdict, QUIET)
    if line.threshold is not None:
        dashes = (0, (4, 3))
        axes.vlines(line.threshold, middle - reach, middle + reach, color=PURPLE, linewidth=1.3, linestyle=dashes)
    axes.plot([line.low, line.high], [middle] * 2, color=colour, linewidth=2.6)
    face = "white" if line.verdict == "open" else colour
    axes.plot([line.centre], [middle], marker="D", color=colour, markerfacecolor=face, markersize=6.5)


def _write_beside(figure: Figure, line: Line, base: float, is_tall: bool, shape: Shape) -> None:
    colour = VERDICTS.get(line.verdict, QUIET)
    if is_tall:
        write(figure, 8, base + 8, _fitting(line.name, 390, shape), fontweight="bold")
        write(figure, 8, base - 9, _fitting(line.detail, 390, shape), color=QUIET)
    else:
        beside = len(line.detail) * shape.text * LETTER + 16
        write(figure, 8, base, _fitting(line.name, 392 - beside, shape))
        write(figure, 396, base, line.detail, ha="right", color=QUIET)
    write(figure, 992, base, line.verdict, ha="right", fontweight="bold", color=colour)
    if line.centre is None:
        write(figure, 424, base, _fitting(line.said, 510, shape), color=QUIET)
    else:
        write(figure, 744, base, line.said)


def _write_above(figure: Figure, line: Line, bottom: float, is_tall: bool, shape: Shape) -> None:
    colour = VERDICTS.get(line.verdict, QUIET)
    room = shape.width - 60 - (len(line.said) * shape.text * LETTER if is_tall and line.centre is not None else 0)
    write(figure, shape.width - 4, bottom + 40, line.verdict, ha="right", fontweight="bold", color=colour)
    write(figure, 4, bottom + 40, _fitting(line.name, room, shape), fontweight="bold")
    if line.centre is None:
        letters = int((shape.width - 8) / (shape.text * LETTER))
        for row, part in enumerate(wrap(line.said, letters, max_lines=2, placeholder=" …")):
            write(figure, 4, bottom + 24 - 14 * row, part, color=QUIET)
        return
    beside = 0 if is_tall else len(line.said) * shape.text * LETTER
    write(figure, 4, bottom + 24, _fitting(line.detail, shape.width - 12 - beside, shape), color=QUIET)
    # A short name leaves room for the numbers, and details of a bad day need all of theirs.
    right, base = (shape.width - 54, bottom + 40) if is_tall else (shape.width - 4, bottom + 24)
    write(figure, right, base, line.said, ha="right")


def _fitting(text: str, width: float, shape: Shape) -> str:
    """As much of a text as fits; the table has all of it."""
    letters = max(int(width / (shape.text * LETTER)), 6)
    short = shorten(text, letters, placeholder=" …")
    return short if len(short) > letters // 2 or len(text) <= letters else text[: letters - 1] + "…"


def _bare(axes: Axes, label: str, num_ticks: int) -> None:
    """Only the lower axis, with few round numbers."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=3)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=num_ticks, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes.set_xlabel(label)
