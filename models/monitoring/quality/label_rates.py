"""Checks of what the labels are: how many are positive, or of each class, and where numbers lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.monitoring.quality.bounds import share_at_least, share_at_most
from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.histories import MIN_ROWS, WEEK, ColumnHistory, middle_and_spread
from models.monitoring.quality.layout import CategoryLayout
from models.monitoring.quality.profile import CategoryProfile, NumberProfile, Profile

MIN_ARRIVED = 0.5  # of the share labelled in training: labels that arrive early may be of one class
ONLY_REPORTED = "only reported"


def check_label_rate(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Whether the labels are such as they were: their rate, their classes, or their middle and spread.

    Only days on which about as many labels have arrived as in training count. A rate that moved is otherwise a shift
    that a model may have to learn, and is only reported, unless the project has set a limit.
    """
    known = expected.days
    days = [day for day in profiles if day.rows and day.labelled >= MIN_ARRIVED * known.labelled_share * day.rows]
    days = [day for day in days if day.labelled]
    if expected.label is not None:
        if isinstance(expected.layout.label, CategoryLayout):
            return _check_classes(days, expected.layout.label.values, expected.label, limits.label_rate_ratio)
        return _check_numbers(days, expected.label, limits)
    return _check_positives([day for day in days if day.positives is not None], expected, limits)


def _check_positives(days: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Share of positive labels: broken when all are of one class as chance cannot explain, or beyond the ratio if any.

    The bounds are those of Clopper & Pearson at one level for every check (`bounds`).
    """
    known = expected.days
    if known.positive_share is None or not days:
        return []
    labelled, positives = sum(day.labelled for day in days), sum(day.positives or 0 for day in days)
    lowest, highest = known.lowest_positive_share, known.highest_positive_share
    lowest_week, highest_week = known.lowest_weekly_share, known.highest_weekly_share
    one_class = [day for day in days if _is_one_class(day.positives or 0, day.labelled, lowest, highest)]
    is_one_class = len(days) >= WEEK and _is_one_class(positives, labelled, lowest_week, highest_week)
    if one_class or is_one_class:
        at_fault = one_class or days
        found = sum(day.positives or 0 for day in at_fault) / sum(day.labelled for day in at_fault)
        return [
            _rate(
                found,
                lowest if 2 * found < 1 else highest,
                True,
                [day.day for day in at_fault],
                "all labels are of one class",
            )
        ]
    found, ratio = positives / labelled, limits.label_rate_ratio
    if ratio is None:
        return [_rate(found, lowest if found < known.positive_share else highest, False, [], ONLY_REPORTED)]
    low, high = known.positive_share / ratio, known.positive_share * ratio
    is_broken = share_at_most(positives, labelled) < low or share_at_least(positives, labelled) > high
    return [_rate(found, low if found < known.positive_share else high, is_broken, [])]


def _is_one_class(positives: int, labelled: int, lowest: float, highest: float) -> bool:
    if positives == 0:
        return share_at_most(0, labelled) < lowest
    return positives == labelled and share_at_least(labelled, labelled) > highest


def _rate(found: float, limit: float, is_broken: bool, days: Sequence[str], note: str = "") -> QualityCheck:
    return QualityCheck("label rate", None, found, limit, is_broken, tuple(days), note)


def _check_classes(
    days: Sequence[Profile], classes: Sequence[str], history: ColumnHistory, ratio: float | None
) -> list[QualityCheck]:
    """Share of each class among the labels of known ones: of that which moved most, or lies farthest beyond its limits.

    With f_k the share now and p_k that of training, the class with the largest |f_k - p_k| is reported beside its
    lowest or highest share on a training day. With a ratio r the feed is broken when, for any class, an exact bound of
    f_k (Clopper & Pearson 1934) lies beyond p_k / r or r p_k: a class that has vanished is one. Classes that are new
    have a check of their own.
    """
    places = np.flatnonzero(history.counts[: len(classes)])  # a class of long before is not among the newest days
    known, usual = [classes[place] for place in places], np.array(history.counts, dtype=float)[places]
    counts = [_of_classes(day.label, known) for day in days if isinstance(day.label, CategoryProfile)]
    now = np.sum(counts, axis=0) if counts else np.zeros(len(known))
    if not now.sum():
        return []
    shares, usual = now / now.sum(), usual / usual.sum()
    if ratio is None:
        at = int(np.abs(shares - usual).argmax())
        ends = history.lowest if shares[at] < usual[at] else history.highest
        limit = ends[places[at]] if ends else usual[at]
        return [_of_class(known[at], shares[at], usual[at], limit, False, ONLY_REPORTED)]
    least, most = (np.array([bound(int(n), int(now.sum())) for n in now]) for bound in (share_at_least, share_at_most))
    # How far each is from its limit, either way, as a factor: above 1 it is beyond.
    over, under = least / (usual * ratio), usual / ratio / most
    at = int(np.maximum(over, under).argmax())
    is_broken = bool(max(over[at], under[at]) > 1)
    if not is_broken:
        at = int(np.abs(np.log(np.maximum(shares, 1e-9) / usual)).argmax())
    limit = usual[at] / ratio if shares[at] < usual[at] else usual[at] * ratio
    return [_of_class(known[at], shares[at], usual[at], limit, is_broken)]


def _of_classes(label: CategoryProfile, classes: Sequence[str]) -> list[int]:
    return [label.counts.get(each, 0) for each in classes]


def _of_class(name: str, found: float, usual: float, limit: float, is_broken: bool, note: str = "") -> QualityCheck:
    told = f"{usual:.3g} in training" + (f"; {note}" if note else "")
    return QualityCheck(f"label rate of {name!r}", None, float(found), float(limit), is_broken, (), told)


def _check_numbers(days: Sequence[Profile], history: ColumnHistory, limits: Limits) -> list[QualityCheck]:
    """Middle (median) and spread (10 % to 90 %) of a number, against those of training.

    Either is the mean over days, weighted by their labels, of days with 50 labels or more; the median and not the mean,
    since one wild label moves a mean at will. Reported beside the lowest or highest of a training day. Broken when the
    middle is more than `label_shift` usual spreads away, or the spread `label_spread_ratio` times the usual one either
    way, and also outside every training day.
    """
    found, labels = [], []
    for day in days:
        if isinstance(day.label, NumberProfile) and day.label.deciles and day.labelled >= MIN_ROWS:
            found.append(middle_and_spread(day.label.deciles))
            labels.append(day.labelled)
    if not found or history.deciles is None or not history.lowest or not history.scale:
        return []
    middle, spread = middle_and_spread(history.deciles)
    shift, ratio = limits.label_shift, limits.label_spread_ratio
    asked = {
        "middle of the labels": (middle, () if shift is None else (middle - shift * spread, middle + shift * spread)),
        "spread of the labels (10 % to 90 %)": (spread, () if ratio is None else (spread / ratio, spread * ratio)),
    }
    seen = zip(np.average(found, axis=0, weights=labels).tolist(), history.lowest, history.highest, strict=True)
    checks = []
    for (name, (usual, limit)), (now, lowest, highest) in zip(asked.items(), seen, strict=True):
        low, high = min(lowest, highest, *limit), max(lowest, highest, *limit)
        note = f"{usual:.3g} in training" + ("" if limit else f"; {ONLY_REPORTED}")
        is_broken = bool(limit) and not low <= now <= high
        checks.append(QualityCheck(name, None, now, low if now < usual else high, is_broken, (), note))
    return checks
