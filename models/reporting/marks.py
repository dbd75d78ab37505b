"""How each kind of decision looks: its colour, its marker, and the word beside it."""

from __future__ import annotations

from dataclasses import dataclass

from models.reporting.svg import QUIET

# Okabe & Ito's colours, darkened until text in them has a contrast of 4.5 on white.
BLUE, VERMILLION, PURPLE, GREEN = "#0067a3", "#b84a00", "#8e4585", "#00705a"


@dataclass(frozen=True)
class Mark:
    """How one kind of decision looks in the lane above the curve."""

    kind: str
    label: str
    marker: str
    colour: str
    is_filled: bool


MARKS = (
    Mark("promoted", "promoted", "^", BLUE, True),
    Mark("approved", "approved", "^", GREEN, True),
    Mark("overridden", "against gate", "*", GREEN, True),
    Mark("rolled_back", "rolled back", "v", PURPLE, True),
    Mark("rejected", "rejected", "x", VERMILLION, True),
    Mark("inconclusive", "inconclusive", "o", QUIET, False),
    Mark("declined", "declined", "_", QUIET, True),
)
CHANGES = {
    mark.kind: mark.colour for mark in MARKS if mark.kind in ("promoted", "approved", "overridden", "rolled_back")
}
VERDICTS = {"holds": BLUE, "fails": VERMILLION}
