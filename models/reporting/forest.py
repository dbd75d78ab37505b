"""The forest plot of one decision: each test's gain with its interval, beside zero and the margin that decides."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.reporting.charts import BLUE, PURPLE, VERMILLION
from models.reporting.evidence import Finding
from models.reporting.svg import INK, QUIET, Chart, Shape, canvas, chart, place, write
from models.reporting.wording import asks, signed

COLOURS = {"holds": BLUE, "fails": VERMILLION}


def forest(findings: Sequence[Finding]) -> Chart | None:
    """A row for each test on its own scale, or None when no test states its interval."""
    drawn = [one for one in findings if _numbers(one)]
    if not drawn:
        return None
    says = "; ".join(
        f"{one.metric}: gain {_with_unit(one.gain, one)}, {_interval(one)}, {one.verdict}" for one in drawn
    )
    return chart("forest", f"The tests of the gate. {says}.", lambda shape: _draw(drawn, shape))


def _numbers(finding: Finding) -> tuple[float, float, float] | None:
    """Gain, lower and upper end, when all are stated."""
    if finding.gain is None or finding.lower is None or finding.upper is None:
        return None
    return finding.gain, finding.lower, finding.upper


def _draw(findings: Sequence[Finding], shape: Shape) -> Figure:
    row_height = 182 if shape.is_narrow else 112
    figure = canvas(shape.width, row_height * len(findings))
    for row, finding in enumerate(findings):
        bottom = row_height * (len(findings) - 1 - row)
        if shape.is_narrow:
            _write_above(figure, finding, bottom, shape)
            axes = place(figure, 14, bottom + 48, shape.width - 28, 40)
        else:
            _write_beside(figure, finding, bottom, shape)
            axes = place(figure, 270, bottom + 48, 430, 36)
        _draw_row(axes, finding)
    return figure


def _write_beside(figure: Figure, finding: Finding, bottom: float, shape: Shape) -> None:
    colour = COLOURS.get(finding.verdict, QUIET)
    right = 732
    write(figure, 8, bottom + 70, finding.metric, fontsize=shape.text + 2, fontweight="bold")
    write(figure, 8, bottom + 50, asks(finding.kind), color=QUIET)
    write(figure, right, bottom + 78, finding.verdict, fontsize=shape.text + 2, fontweight="bold", color=colour)
    write(figure, right, bottom + 58, f"gain {_with_unit(finding.gain, finding)}")
    write(figure, right, bottom + 40, _interval(finding), color=QUIET)


def _write_above(figure: Figure, finding: Finding, bottom: float, shape: Shape) -> None:
    colour = COLOURS.get(finding.verdict, QUIET)
    write(figure, 4, bottom + 160, finding.metric, fontsize=shape.text + 2, fontweight="bold")
    style = {"fontsize": shape.text + 2, "fontweight": "bold", "color": colour}
    write(figure, shape.width - 4, bottom + 160, finding.verdict, ha="right", **style)
    write(figure, 4, bottom + 142, asks(finding.kind), color=QUIET)
    write(
        figure,
        4,
        bottom + 122,
        f"gain {_with_unit(finding.gain, finding)}, {_interval(finding)}",
        fontsize=shape.text - 0.5,
    )


def _draw_row(axes: Axes, finding: Finding) -> None:
    numbers = _numbers(finding)
    assert numbers, "only tests with an interval are drawn"
    gain, lower, upper = numbers
    colour = COLOURS.get(finding.verdict, QUIET)
    axes.set_xlim(*_limits([lower, upper, 0.0, finding.threshold or 0.0]))
    axes.set_ylim(-1, 1)
    axes.axvline(0, color=INK, linewidth=1.1)
    axes.plot([lower, upper], [0, 0], color=colour, linewidth=3)
    axes.plot([gain], [0], marker="D", color=colour, markersize=8)
    if finding.threshold is not None:
        _draw_threshold(axes, finding, finding.threshold)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=3)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    unit = f" ({finding.unit})" if finding.unit else ""
    axes.set_xlabel(f"gain in {finding.metric}{unit}, right is better")


def _draw_threshold(axes: Axes, finding: Finding, threshold: float) -> None:
    axes.axvline(threshold, color=PURPLE, linewidth=1.3, linestyle=(0, (4, 3)))
    low, high = axes.get_xlim()
    is_left = (threshold - low) / (high - low) < 0.5
    word = "largest loss allowed" if finding.kind == "non-inferiority" else "worth having"
    axes.annotate(
        f"{word} {_with_unit(threshold, finding)}",
        (threshold, 1),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="bottom",
        color=PURPLE,
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 1.0
    return low - air, high + air


def _with_unit(difference: float | None, finding: Finding) -> str:
    return f"{signed(difference)} {finding.unit}".strip()


def _interval(finding: Finding) -> str:
    confidence = "" if finding.confidence is None else f"{finding.confidence:.0%} "
    return f"{confidence}interval {signed(finding.lower)} to {signed(finding.upper)}"
