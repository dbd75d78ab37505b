"""Which rows are worth a label: those that teach most, and some drawn by chance, which alone may judge a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import entr

from models.data.contract import Columns
from models.data.scores import Scores, aligned, union
from models.evaluation.metrics.metric import Task

RANK, WHY, UNCERTAINTY, DISAGREEMENT, COVERAGE, SCORE = OURS = (
    "rank",
    "why",
    "uncertainty",
    "disagreement",
    "coverage",
    "score",
)
UNCERTAIN, DISAGREE, NEW, BY_CHANCE = "uncertain", "models disagree", "like nothing seen before", "by chance"
SMALLEST_DISAGREEMENT = 0.05  # two trainings on the same rows differ by as much
SMALLEST_COVERAGE = 0.75  # three times as common now as before


def worth_labelling(
    frame: pd.DataFrame,
    scores: Scores,
    other_scores: Scores | None,
    shift_chances: np.ndarray | None,
    num_rows: int,
    random_share: float,
    columns: Columns,
    expected_errors: np.ndarray | None = None,
) -> pd.DataFrame:
    """The rows without a label that are worth one, best first.

    Three reasons take turns: the most uncertain row (Lewis & Gale 1994), the one on which two models differ most, as a
    committee of two (Seung et al. 1992), and the one farthest from those already picked of the region that is new, so
    that a list is spread over it (Sener & Savarese 2018). Burr Settles, "Active learning literature survey", 2009,
    says why such rows teach more, and why they cannot judge: they were picked for being hard. The rows drawn by chance
    stand evenly among the others: whoever labels only the top of the list has labelled a fair share of them.

    Args:
        frame: rows as `contract.read` gives them; those with a label are left out.
        scores: the champion's.
        other_scores: another model's; None where there is none.
        shift_chances: of being a row of the new population, both being as large (`as_if_even`), shape (rows,); NaN
            where it is not known, and None where it is for no row.
        num_rows: length of the list, if there are as many rows.
        random_share: of the list, drawn by chance. The lot of a row rests on its id alone: the same rows, whatever
            their order, give the same list.
        columns: what the columns of `frame` mean.
        expected_errors: of a number, how far off the champion is likely to be on each row, in [0, 1], shape (rows,);
            None of classes, whose probabilities say it.

    Returns:
        One row each with its rank from 1 on, id, event time, the reason, three measures in [0, 1] (NaN where not
        known), the champion's score (of several classes the most likely one), the features, and an empty label. Where a
        column of `frame` has one of our names (`OURS`), ours begins with two underscores.
    """
    measures = pd.DataFrame(
        {
            UNCERTAINTY: uncertainty(scores.values) if expected_errors is None else expected_errors,
            DISAGREEMENT: np.nan if other_scores is None else disagreement(scores, other_scores, columns.task),
            COVERAGE: np.nan if shift_chances is None else shift_chances,
            SCORE: np.array(scores.classes, dtype=object)[scores.values.argmax(axis=1)]
            if scores.classes
            else scores.values,
        },
        index=frame.index,
    )
    is_open = frame[columns.label].isna()
    rows, measures = frame[is_open].reset_index(drop=True), measures[is_open].reset_index(drop=True)
    by_lot = np.argsort(lots(rows[columns.id]), kind="stable")
    num_rows = min(num_rows, len(rows))
    num_drawn = int(num_rows * random_share + 0.5)
    drawn = by_lot[:num_drawn]
    orders = _orders(rows, measures, by_lot[num_drawn:], num_rows - num_drawn, columns)
    picked = dict(_by_turns(orders, num_rows - num_drawn))
    places = _spread_evenly(drawn.tolist(), list(picked))
    why = [picked.get(place, BY_CHANCE) for place in places]
    return _listed(rows.iloc[places], measures.iloc[places], why, columns)


def uncertainty(scores: np.ndarray) -> np.ndarray:
    """Entropy of each row's probabilities as a share of the largest, shape (rows,): 1 where nothing is known, 0 if all.

    Args:
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> [float(value) for value in uncertainty(np.array([0.5, 1.0, 0.11])).round(3)]
    [1.0, 0.0, 0.5]
    """
    chances = scores if scores.ndim == 2 else np.column_stack((scores, 1 - scores))
    return np.asarray(entr(chances).sum(axis=1) / np.log(chances.shape[1]))


def disagreement(scores: Scores, others: Scores, task: Task) -> np.ndarray:
    """How far two models are apart on each row, shape (rows,), in [0, 1].

    Of probabilities the total variation: half the sum of absolute differences over classes. Of numbers the difference,
    as a share of the 10th to the 90th percentile of the first model's, and 1 from there on.
    """
    if task == "multiclass":
        known = union(scores.classes, others.classes)
        first, second = (aligned(each.values, each.classes, known) for each in (scores, others))
        return np.asarray(np.abs(first - second).sum(axis=1) / 2)
    apart = np.abs(scores.values - others.values)
    if task == "binary" or not len(apart):
        return apart
    low, high = np.quantile(scores.values, [0.1, 0.9])
    return np.asarray(np.minimum(apart / ((high - low) or 1.0), 1.0))


def as_if_even(chances: np.ndarray, num_reference: int, num_current: int) -> np.ndarray:
    """Chances of being current, as if there had been as many reference rows: what is as common as before has 1/2.

    >>> [float(chance) for chance in as_if_even(np.array([0.1, 0.5, 1.0]), 900, 100).round(3)]
    [0.5, 0.9, 1.0]
    """
    current = chances * num_reference
    return current / (current + (1 - chances) * num_current)


def lots(ids: pd.Series) -> np.ndarray:
    """A number for each row by its id alone, as if drawn by chance and drawn once and for all, shape (rows,).

    Lots that stay are the permanent random numbers of survey sampling (Ohlsson 1995): two lists over much the same
    rows ask by chance for much the same ones.
    """
    digests = (hashlib.sha256(f"label {value}".encode()).digest()[:8] for value in ids)
    return np.fromiter((int.from_bytes(digest) for digest in digests), dtype=np.uint64, count=len(ids))


def was_selected(listed: pd.DataFrame) -> pd.Series:
    """Which rows of a list were picked for what they are, and not by chance."""
    return listed[_our_name(WHY, listed.columns)] != BY_CHANCE


def _our_name(name: str, columns: Sequence[str]) -> str:
    # A user's column never begins with two underscores: if one of ours does, it had to give way.
    return f"__{name}" if f"__{name}" in columns else name


def _orders(
    rows: pd.DataFrame, measures: pd.DataFrame, candidates: np.ndarray, num: int, columns: Columns
) -> dict[str, Sequence[int]]:
    """For each reason the candidates it would pick, best first; equal ones in the order in which they came."""
    known = {name: measures[name].to_numpy()[candidates] for name in (UNCERTAINTY, DISAGREEMENT, COVERAGE)}
    unlike = candidates[known[DISAGREEMENT] >= SMALLEST_DISAGREEMENT]
    new = _falling(candidates[known[COVERAGE] >= SMALLEST_COVERAGE], measures[COVERAGE])
    return {
        UNCERTAIN: _falling(candidates, measures[UNCERTAINTY]),
        DISAGREE: _falling(unlike, measures[DISAGREEMENT]),
        NEW: new[spread_out(rows.iloc[new], columns, 2 * measures[COVERAGE].to_numpy()[new] - 1, num)],
    }


def _falling(places: np.ndarray, measure: pd.Series) -> np.ndarray:
    return places[np.argsort(-measure.to_numpy()[places], kind="stable")]


def spread_out(frame: pd.DataFrame, columns: Columns, worth: np.ndarray, num: int) -> np.ndarray:
    """Positions of `num` rows, each the farthest from all before it; the first row comes first, and of equals too.

    How far a row is counts as much as the row is worth, shape (rows,): what is hardly new would otherwise be picked
    for being odd.
    Farthest-first traversal (Gonzalez 1985), whose largest gap is at most twice the smallest possible. Distance is
    Gower's (1971): mean over columns of the difference of numbers as shares of their range, which ends at the 1st and
    the 99th percentile so that no outlier stretches it, or of 1 where texts differ or one is missing. Ranks would be
    no use: a crowd of copies would fill them.
    """
    points = _points(frame, columns.measured, columns.categories)
    gaps = np.full(len(points), np.inf)
    picked = np.empty(min(num, len(points)), dtype=int)
    for turn in range(len(picked)):
        picked[turn] = int(np.argmax(gaps * worth))
        difference = np.minimum(np.abs(points - points[picked[turn]]), 1).mean(axis=1)
        gaps = np.minimum(gaps, difference)
        gaps[picked[: turn + 1]] = -1  # or copies of a row would hide the row from itself
    return picked


def _points(frame: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> np.ndarray:
    """Numbers as shares of their range and texts as codes, both with -1 for missing, shape (rows, columns)."""
    coded = [pd.factorize(frame[name])[0] for name in categories]
    return np.column_stack([*(_share_of_range(frame[name]) for name in numbers), *coded]).astype(float)


def _share_of_range(values: pd.Series) -> pd.Series:
    low, high = values.quantile([0.01, 0.99])
    return ((values.clip(low, high) - low) / ((high - low) or 1.0)).fillna(-1)


def _by_turns(orders: Mapping[str, Sequence[int]], num: int) -> Iterator[tuple[int, str]]:
    """Rows and their reasons: each reason picks its best in turn of what no other has picked."""
    queues = [(why, iter(order)) for why, order in orders.items()]
    picked: set[int] = set()
    while len(picked) < num:
        why, queue = queues.pop(0)
        place = next((int(place) for place in queue if int(place) not in picked), None)
        if place is None:
            continue  # this reason has no more rows; the others go on
        picked.add(place)
        queues.append((why, queue))
        yield place, why


def _spread_evenly(drawn: Sequence[int], picked: Sequence[int]) -> list[int]:
    """One list of both, each in its order, in which every beginning holds its share of the drawn ones.

    >>> _spread_evenly([7, 8], [1, 2, 3, 4])
    [1, 2, 7, 3, 4, 8]
    """
    num, few, others = len(drawn) + len(picked), iter(drawn), iter(picked)
    is_drawn = [(place + 1) * len(drawn) // num > place * len(drawn) // num for place in range(num)]
    return [next(few if is_one else others) for is_one in is_drawn]


def _listed(rows: pd.DataFrame, measures: pd.DataFrame, why: Sequence[str], columns: Columns) -> pd.DataFrame:
    theirs = [columns.id, columns.time, *columns.features, columns.label]
    found = {
        columns.id: rows[columns.id],
        columns.time: rows[columns.time],
        **{name: rows[name] for name in columns.features},
        columns.label: np.nan,
    }
    ours = {RANK: np.arange(1, len(rows) + 1), WHY: np.array(why, dtype=object), **measures}
    named = {f"__{name}" if name in theirs else name: values for name, values in ours.items()}
    rank, reason, *scores = named
    order = [rank, columns.id, columns.time, reason, *scores, *columns.features, columns.label]
    return pd.DataFrame({**found, **named}, index=rows.index)[order].reset_index(drop=True)
