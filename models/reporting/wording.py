"""How numbers, dates and names stand on a page, and what the terms mean to somebody without statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeGuard

from markupsafe import Markup

MINUS, DASH = "\u2212", "\u2013"
VERDICTS = {
    "healthy": "Nothing moved and the model does as well as when it was promoted.",
    "benign_shift": "The inputs moved, and the model does no worse for it.",
    "harmful_shift": "The inputs moved and the model got worse: a reason to retrain.",
    "concept_change": "The model got worse though its inputs did not move: the world answers differently now.",
    "broken_feed": "The incoming data are damaged; nothing is trained on them until they are mended.",
    "serving_fault": "The model no longer gives the scores it gave before: a fault of code or features, not of data.",
    "labels_needed": (
        "Too few outcomes are known to tell, or an estimate warns before they are: outcomes are needed, not a retrain."
    ),
}
TERMS = {
    "log loss": (
        "The price of a forecast: the worse the probability given to what then happened, the more it costs. "
        "Measured in nats; 0 is perfect, 0.693 is a coin toss, lower is better."
    ),
    "AUC": "The chance that a case with the outcome scores above one without it. 0.5 is guessing, 1 is perfect.",
    "CBPE": (
        "Confidence-based performance estimation: how well the model should do, worked out from its own probabilities "
        "before any outcome is known. An early warning, never proof: it cannot see that the world answers differently."
    ),
    "realised": "Measured once the outcomes (labels) had arrived, which may be long after the forecast.",
    "champion": "The model in use. A challenger is a newly trained one that may replace it.",
    "gate": "The statistical test between a challenger and the champion, on rows that neither model was trained on.",
    "promoted": "The challenger was shown to be better, and no worse in anything that is guarded. It took over.",
    "rejected": "The challenger was shown not to be better by enough, or to be worse in something that is guarded.",
    "inconclusive": "The data do not say either way; the champion stays until there are more.",
    "declined": "No training was begun, for the reason that is given.",
    "awaiting approval": "The challenger has passed the gate, and takes over once a person has approved it.",
    "approved": "A person approved what had passed the gate, under their name. It took over.",
    "refused": "A person refused what had passed the gate, under their name. It never takes over by itself.",
    "approval expired": "Nobody approved in time, or the champion changed meanwhile; the champion of the moment stays.",
    "rolled back": "The last promotion was taken back, and the champion before it is in use again.",
    "against the gate": (
        "A person promoted or refused a model whatever the gate had said, under their name and with a reason (★)."
    ),
    "level": "The chance of calling a challenger better that is not: how much doubt the gate lets itself have.",
    "false promotion": "A challenger that took over though it is no better: its test was passed by luck.",
}
WATCH_TERMS = {
    "look": "One visit of the watch: it reads what the champion has scored lately and gives one of seven verdicts.",
    "when it was new": (
        "The level that the champion reached on rows it was not trained on, when it was made: what it is held against."
    ),
    "95% interval": (
        "Where the true number is expected. Of a hundred such intervals five miss it; a wide one means that few days "
        "are known."
    ),
    "expected": (
        "Worked out from the inputs and the scores before any outcome is known. An early warning, never proof: it "
        "cannot see that the same inputs now mean something else."
    ),
    "silenced": "An estimate that was wrong too often on this project: it is still drawn, and no longer listened to.",
    "alarm": (
        "A number has moved by more than chance explains. It may be looked at every day: how often a false alarm comes "
        "in a year is settled beforehand, for all numbers together."
    ),
    "drift": "How far the values of an input column have moved. Drift explains; by itself it never starts a retrain.",
    "distance": "Jensen-Shannon distance between old and new values of a column: 0 is no difference, 1 is no overlap.",
    "expected harm": (
        "By how much {loss} should rise if nothing but this column had moved. Below zero, the new rows are easier."
    ),
    "slice": "A part of the rows that is watched by itself: one airport, one group of people.",
    "replay": "The champion scores the logged inputs once more. It must give the scores that it gave then.",
}
METRIC_TERMS = {
    "log_loss": ("log loss", TERMS["log loss"]),
    "auc": ("AUC", TERMS["AUC"]),
    "accuracy": ("accuracy", "The share of rows whose most likely class was the right one. 1 is perfect."),
    "mae": (
        "mean absolute error",
        "How far the forecast was off on average, in the unit of what is forecast. 0 is perfect, lower is better.",
    ),
    "rmse": (
        "RMSE",
        "Root of the mean squared error: as the mean absolute error, but large errors weigh more. Lower is better.",
    ),
}
DIRECTIONS = {
    "accuracy": ", 1 is perfect",
    "mae": ", lower is better",
    "rmse": ", lower is better",
    "log_loss": ", lower is better",
    "auc": ", 0.5 is chance and 1 is perfect",
    "calibration_error": ", 0 is perfect",
    "brier": ", 0 is perfect",
}
ESTIMATORS = {"cbpe": "CBPE", "dle": "DLE", "weighted": "reweighted old rows"}
TRIGGERS = {"scheduled": "the schedule"}


def watch_terms(loss: str) -> dict[str, str]:
    """What the terms of the watch mean where this is the loss."""
    return {term: meaning.replace("{loss}", loss) for term, meaning in WATCH_TERMS.items()}


def words(name: str) -> str:
    """A name as it is read: `harmful_shift` is "harmful shift"."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Names in a row.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def shown(text: str, missing: str = "not known") -> str | Markup:
    """A number as text for a page, on which a dash says what is `missing`."""
    if text != DASH:
        return text
    return Markup('<span class="missing" role="img" aria-label="{0}" title="{0}">{1}</span>').format(missing, DASH)


def decimals(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A number with so many decimals, a dash when there is none.

    >>> decimals(0.01, 4, sign="+"), decimals(-0.00001), decimals(None)
    ('+0.0100', '0.000', '–')
    """
    return f"{value:{sign}z,.{digits}f}".replace("-", MINUS) if _is_number(value) else DASH


def number(value: float | None, digits: int = 3, missing: str = "not known") -> str | Markup:
    """A number with so many decimals, for a page."""
    return shown(decimals(value, digits), missing)


def count(value: object) -> str:
    """A whole number with its thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,.0f}" if _is_number(value) else DASH


def counted(value: object, name: str) -> str:
    """So many of something that is named in the plural.

    >>> counted(1, "tests"), counted(2345, "rows")
    ('1 test', '2,345 rows')
    """
    return f"{count(value)} {name.removesuffix('s') if value == 1 else name}"


def probability(value: float | None) -> str:
    """A p value: three decimals, and no smaller than they can say.

    >>> probability(0.00002)
    '< 0.001'
    """
    return "< 0.001" if value is not None and value < 0.001 else decimals(value)


def level(value: float | None) -> str:
    """The level of a test, in three digits however small it is.

    >>> level(0.05), level(0.0072183), level(0.0)
    ('0.05', '0.00722', '0')
    """
    if not _is_number(value) or value <= 0:
        return decimals(value, 0)
    return f"{value:.{2 - math.floor(math.log10(value))}f}".rstrip("0").rstrip(".")


def rough(value: float | None) -> str:
    """A number of any size in three digits, without needless zeros.

    >>> rough(1234567.0), rough(0.20), rough(0.00001234), rough(0.0)
    ('1,234,567', '0.2', '0.0000123', '0')
    """
    if not _is_number(value):
        return DASH
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    text = decimals(value, max(digits, 0))
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share of a hundred.

    >>> percent(0.9), percent(0.9856)
    ('90%', '98.6%')
    """
    return f"{100 * share:.3g}%"


def days(number_of_days: float) -> str:
    """A number of days.

    >>> days(1.0), days(1.5)
    ('1 day', '1.5 days')
    """
    return f"{number_of_days:g} day{'' if number_of_days == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time span in its two largest units.

    >>> duration(192)
    '3 min 12 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def moment(value: datetime | str) -> str:
    """A date, with its time of day unless that is midnight.

    >>> moment("2013-02-01T00:00:00+00:00")
    '1 Feb 2013'
    """
    if isinstance(value, str):
        return moment(datetime.fromisoformat(value))
    date = f"{value.day} {value:%b %Y}"
    return date if value.time() == datetime.min.time() else f"{date}, {value:%H:%M}"


def period(start: datetime, end: datetime) -> str:
    """The dates of a period, first and last day, the year once when it is one."""
    last = end - timedelta(microseconds=1)
    if start.date() == last.date():
        return moment(start)
    first = f"{start.day} {start:%b}" if start.year == last.year else moment(start)
    return f"{first} {DASH} {last.day} {last:%b %Y}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
