"""One picture in two shapes, as inline SVG that is the same text for the same numbers."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

POINTS_PER_INCH = 72  # of matplotlib's SVG, so that a pixel of ours is a unit of the view box
INK, QUIET, RULE = "#1b1f24", "#57606a", "#d0d7de"
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name from outside may hold a dollar
    "font.family": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "lines.solid_capstyle": "round",
    "date.converter": "concise",
}


@dataclass(frozen=True)
class Shape:
    """Width of a picture and size of its text, in pixels of the screen it is meant for."""

    name: str
    width: int
    text: float
    is_narrow: bool


@dataclass(frozen=True)
class Chart:
    """A picture as two SVG elements; the page's style sheet shows the one that fits the screen."""

    wide: str
    narrow: str

    def __html__(self) -> str:
        """What a template inserts, unescaped."""
        return f'<div class="chart wide">{self.wide}</div>\n<div class="chart narrow">{self.narrow}</div>'


WIDE = Shape("wide", width=1000, text=13, is_narrow=False)
NARROW = Shape("narrow", width=356, text=11.5, is_narrow=True)


def chart(name: str, says: str, draw: Callable[[Shape], Figure]) -> Chart:
    """Draw both shapes.

    Args:
        name: of the chart, unlike any other on its page.
        says: the picture in words, for whoever cannot see it.
        draw: makes the figure in one shape.
    """
    return Chart(*(_render(f"{name}-{shape.name}", says, shape, draw) for shape in (WIDE, NARROW)))


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many pixels."""
    return Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH))


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in pixels from the lower left corner."""
    across, up = figure.get_size_inches() * POINTS_PER_INCH
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def write(figure: Figure, left: float, bottom: float, text: str, **style: Any) -> None:
    """Text at a place given in pixels from the lower left corner."""
    across, up = figure.get_size_inches() * POINTS_PER_INCH
    figure.text(left / across, bottom / up, text, **style)


def _render(name: str, says: str, shape: Shape, draw: Callable[[Shape], Figure]) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "font.size": shape.text, "svg.hashsalt": name}):
        no_metadata = dict.fromkeys(("Format", "Type", "Creator", "Date"))
        draw(shape).savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    return _inline(buffer.getvalue(), name, says)


def _inline(document: str, name: str, says: str) -> str:
    """Take the SVG element out of its document, with ids that no other chart of the page has.

    Groups lose their ids, which nothing refers to, and the picture its style sheet, which would apply to the page.
    """
    element = document[document.index("<svg") :].strip()
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", element, flags=re.DOTALL)
    element = re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'(url\(|href=")#', rf"\1#{name}-", element).replace("xlink:href", "href")
    view = re.search(r'viewBox="[^"]*"', element)
    assert view, "matplotlib states a view box"
    label = html.escape(says, quote=True)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {view[0]} role="img" aria-label="{label}">'
    return opening + re.sub(r"\n\s*", "\n", element[element.index(">") + 1 :])
