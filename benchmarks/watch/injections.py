"""What is put into an episode: shifts, harmless or not, and faults of the feed, of serving and of labels.

Each returns an episode, or None where the stream has no column for it. Sizes are drawn from the ranges that
`docs/watch.md` names. A fault strikes the inputs before they are scored, so that the scores, and with them performance,
suffer as they would in production; labels stay true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.watch.episodes import LABEL_DELAY, Episode, World, log_of, plain, truth
from models.data.predictions import SCORE

TRIES = 60
BENIGN_FALL, BENIGN_RISE = 0.005, 0.008  # points of AUC, nats: what a benign shift may cost in truth
HARM_FALL = (0.03, 0.12)  # points of AUC that a harmful shift or a change of concept costs
HARM_RISE = 0.02  # nats that it costs at least: `watch.harm`
CONVERSIONS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "miles to km": lambda values: values * 1.609344,
    "kg to lb": lambda values: values * 2.204623,
    "in to cm": lambda values: values * 2.54,
    "m to ft": lambda values: values * 3.28084,
    "F to C": lambda values: (values - 32) / 1.8,
    "C to F": lambda values: values * 1.8 + 32,
    "hours to minutes": lambda values: values * 60,
    "unit to cents": lambda values: values * 100,
    "unit to thousands": lambda values: values / 1000,
    "thousands to unit": lambda values: values * 1000,
}
TEMPERATURES = ("temp", "dewp")  # the columns that a temperature's units make sense for
CONVERTED = 0.5  # of the distance from the tenth to the ninetieth percentile: the median moves at least so far
MANY_VALUES = 10
MISSING = (0.4, 1.0)  # share of the values of one column
REMAPPED = 0.2  # at least so large a share of the rows has another value afterwards
FROZEN_VARIETY = 0.9  # share of its commonest value that a column must stay below to be worth freezing

Weigh = Callable[[pd.DataFrame], np.ndarray]
Inject = Callable[[World, np.random.Generator], Episode | None]


def nothing(world: World, random: np.random.Generator) -> Episode:
    """Nothing at all."""
    return plain(world)


def benign_shift(world: World, random: np.random.Generator) -> Episode | None:
    """Rows are drawn again with other frequencies, along a random feature, so that performance stays as it was."""
    return _reweighted(
        world, random, "benign_shift", lambda fall, rise: fall <= BENIGN_FALL and rise <= BENIGN_RISE, _along_a_feature
    )


def harmful_shift(world: World, random: np.random.Generator) -> Episode | None:
    """Rows are drawn again with other frequencies, so that AUC falls by three points or more, and log loss rises.

    Where other rows are merely harder to rank while log loss falls, as with flights in fair weather, nobody is harmed.
    """

    def is_wanted(fall: float, rise: float) -> bool:
        return HARM_FALL[0] <= fall <= HARM_FALL[1] and rise >= HARM_RISE

    found = _reweighted(world, random, "harmful_shift", is_wanted, _along_a_feature)
    return found or _reweighted(world, random, "harmful_shift", is_wanted, _towards_doubt)


def concept_change(world: World, random: np.random.Generator) -> Episode | None:
    """In one part of the inputs the label is no longer what it was: it is turned round with some probability."""
    changed = world.is_changed
    for _ in range(TRIES):
        column = random.choice(world.pool.numbers + world.pool.categories)
        inside = _half(world.frame[column], random) & changed
        flips = random.uniform(size=len(inside)) < random.uniform(0.1, 0.5)
        frame = world.frame.assign(label=world.frame["label"].where(~(inside & flips), 1 - world.frame["label"]))
        fall, rise = truth(frame[~changed], frame[changed])
        if HARM_FALL[0] <= fall <= HARM_FALL[1] and rise >= HARM_RISE:
            size = f"AUC -{fall:.3f}, {(inside & flips).sum() / changed.sum():.0%} of the labels"
            return _of(world, "concept_change", size, frame, fall, rise)
    return None


def prior_shift(world: World, random: np.random.Generator) -> Episode | None:
    """Positives become 1.5 to 2.5 times as frequent, or as rare, with the inputs of either class as they were."""
    times = random.uniform(1.5, 2.5) ** random.choice([-1, 1])
    frame = _drawn_again(world, lambda rows: np.where(rows["label"] == 1, times, 1.0), random)
    fall, rise = truth(frame[~world.is_changed], frame[world.is_changed])
    return _of(world, "prior_shift", f"odds of a positive times {times:.2f}", frame, fall, rise)


def unit_change(world: World, random: np.random.Generator) -> Episode | None:
    """One number column comes in another unit, which moves its median by at least half of its usual spread."""
    columns = [name for name in world.pool.numbers if world.frame[name].nunique() > MANY_VALUES]
    for _ in range(TRIES if columns else 0):
        column, unit = str(random.choice(columns)), str(random.choice(list(CONVERSIONS)))
        low, middle, high = world.frame[column].quantile([0.1, 0.5, 0.9])
        moved = abs(CONVERSIONS[unit](pd.Series([middle])).iloc[0] - middle)
        if moved < CONVERTED * (high - low) or (unit in ("F to C", "C to F") and column not in TEMPERATURES):
            continue
        return _fault(world, "unit_change", f"{column}, {unit}", partial(_converted, column, unit))
    return None


def missing_burst(world: World, random: np.random.Generator) -> Episode | None:
    """Two to seven days on which one column is mostly missing."""
    column, share = random.choice(world.pool.numbers + world.pool.categories), random.uniform(*MISSING)
    length = int(random.integers(2, 8))

    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        hit = (random.uniform(size=len(rows)) < share) & _first_days(world, rows, length)
        return rows.assign(**{column: rows[column].mask(hit, None if rows[column].dtype == object else np.nan)})

    return _fault(world, "missing_burst", f"{column}, {share:.0%} for {length} days", spoil)


def category_remapping(world: World, random: np.random.Generator) -> Episode | None:
    """The codes of one category column are exchanged, or written in another way."""
    for _ in range(TRIES):
        if not world.pool.categories:
            return None
        column = random.choice(world.pool.categories)
        values = sorted(world.frame[column].dropna().unique())
        is_renamed = random.uniform() < 0.5
        after = [f"{value}.0" for value in values] if is_renamed else list(random.permutation(values))
        codes = dict(zip(values, after, strict=True))
        mapped = world.frame[column].map(codes, na_action="ignore")
        before = world.frame[column].value_counts(normalize=True)
        moved = float((before.sub(mapped.value_counts(normalize=True), fill_value=0).abs()).sum() / 2)
        if moved >= REMAPPED:
            how = "renamed" if is_renamed else "exchanged"
            size = f"{column}, {len(values)} values {how}, {moved:.0%} moved"
            return _fault(world, "category_remapping", size, partial(_recoded, column, codes))
    return None


def frozen_column(world: World, random: np.random.Generator) -> Episode | None:
    """A column repeats its last value from then on."""
    names = world.pool.numbers + world.pool.categories
    before = world.frame[~world.is_changed]
    lively = [name for name in names if before[name].value_counts(normalize=True).iloc[0] < FROZEN_VARIETY]
    if not lively:
        return None
    column = random.choice(lively)
    last = before[column].dropna().iloc[-1]
    return _fault(world, "frozen_column", f"{column} stays {last}", lambda rows: rows.assign(**{column: last}))


def duplicated_batch(world: World, random: np.random.Generator) -> Episode | None:
    """One to three days are delivered twice, with new ids: at their own time, or a day later."""
    length, is_late = int(random.integers(1, 4)), bool(random.uniform() < 0.5)
    rows = world.frame
    again = rows[world.is_changed & _first_days(world, rows, length)]
    copy = again.assign(
        id=again["id"] + 10_000_000, event_time=again["event_time"] + timedelta(days=1 if is_late else 0)
    )
    frame = pd.concat([rows, copy]).sort_values("event_time", kind="stable").reset_index(drop=True)
    size = f"{length} days, {'a day later' if is_late else 'at the same time'}"
    return plain(
        world,
        "duplicated_batch",
        size,
        delivered=frame,
        logged=log_of(frame),
        has_label_at=frame["event_time"] + LABEL_DELAY,
    )


def late_labels(world: World, random: np.random.Generator) -> Episode | None:
    """Labels come three weeks late, or those of one class do."""
    one_class = random.uniform() < 0.5
    late = world.is_changed & ((world.frame["label"] == random.integers(2)) if one_class else True)
    has_label_at = world.frame["event_time"] + LABEL_DELAY + pd.to_timedelta(np.where(late, 21, 0), unit="D")
    return plain(world, "late_labels", "of one class" if one_class else "of all rows", has_label_at=has_label_at)


def serving_bug(world: World, random: np.random.Generator) -> Episode | None:
    """What serves the model is not the model that was trained: a column is ignored, or swapped, or scores are stale."""
    kind = random.choice(["column ignored", "columns swapped", "stale scores", "other threshold of a calibration"])
    rows, names = world.frame[world.is_changed], world.pool.numbers + world.pool.categories
    if kind == "column ignored":
        column = random.choice(names)
        scores = world.pool.predict(rows.assign(**{column: None if rows[column].dtype == object else np.nan}))
    elif kind == "columns swapped" and len(world.pool.numbers) > 1:
        first, second = random.choice(world.pool.numbers, 2, replace=False)
        scores = world.pool.predict(rows.assign(**{first: rows[second], second: rows[first]}))
    elif kind == "stale scores":
        scores = np.roll(rows[SCORE].to_numpy(), 1)
    else:
        scores = rows[SCORE].to_numpy() ** random.uniform(1.2, 2.0)
    wrong = world.frame.copy()
    wrong.loc[world.is_changed, SCORE] = scores
    if np.mean(np.abs(scores - rows[SCORE].to_numpy()) > 1e-3) < 0.05:
        return None  # a column that the model does not use was ignored: nothing happened
    return plain(world, "serving_bug", str(kind), delivered=wrong, logged=log_of(wrong))


INJECTIONS: dict[str, Inject] = {
    "nothing": nothing,
    "benign_shift": benign_shift,
    "harmful_shift": harmful_shift,
    "concept_change": concept_change,
    "prior_shift": prior_shift,
    "unit_change": unit_change,
    "missing_burst": missing_burst,
    "category_remapping": category_remapping,
    "frozen_column": frozen_column,
    "duplicated_batch": duplicated_batch,
    "late_labels": late_labels,
    "serving_bug": serving_bug,
}
FAULTS = ("unit_change", "missing_burst", "category_remapping", "frozen_column", "duplicated_batch", "serving_bug")
HARMFUL = ("harmful_shift", "concept_change")


def _of(world: World, kind: str, size: str, frame: pd.DataFrame, fall: float = 0.0, rise: float = 0.0) -> Episode:
    """An episode in which the rows truly are `frame`, with the scores of the champion."""
    return plain(
        replace(world, frame=frame),
        kind,
        size,
        delivered=frame,
        logged=log_of(frame),
        has_label_at=frame["event_time"] + LABEL_DELAY,
        auc_fall=fall,
        loss_rise=rise,
    )


def _fault(world: World, kind: str, size: str, spoil: Callable[[pd.DataFrame], pd.DataFrame]) -> Episode:
    """The feed delivers spoilt inputs from the change on, and they are scored as they come."""
    spoilt = spoil(world.frame[world.is_changed])
    spoilt = spoilt.assign(**{SCORE: world.pool.predict(spoilt)})
    delivered = pd.concat([world.frame[~world.is_changed], spoilt]).reset_index(drop=True)
    fall, rise = truth(world.frame[world.is_changed], spoilt)
    return plain(world, kind, size, delivered=delivered, logged=log_of(delivered), auc_fall=fall, loss_rise=rise)


def _reweighted(
    world: World,
    random: np.random.Generator,
    kind: str,
    is_wanted: Callable[[float, float], bool],
    choose: Callable[[World, np.random.Generator], tuple[Weigh, str]],
) -> Episode | None:
    """Draw the changed rows again until what it costs is as wanted."""
    changed = world.is_changed
    for _ in range(TRIES):
        weigh, name = choose(world, random)
        frame = _drawn_again(world, weigh, random)
        fall, rise = truth(frame[~changed], frame[changed])
        if is_wanted(fall, rise):
            return _of(world, kind, f"{name}, AUC {-fall:+.3f}, log loss {rise:+.3f}", frame, fall, rise)
    return None


def _along_a_feature(world: World, random: np.random.Generator) -> tuple[Weigh, str]:
    """Weights that grow or fall e-fold over one or two deviations of a feature; categories in a random order."""
    column = random.choice(world.pool.numbers + world.pool.categories)
    strength, seed = random.uniform(0.5, 1.5) * random.choice([-1, 1]), int(random.integers(2**32))

    def weigh(rows: pd.DataFrame) -> np.ndarray:
        values = rows[column]
        if values.dtype == object:
            kinds = pd.Index(sorted(values.dropna().unique()))
            height = np.random.default_rng(seed).normal(size=len(kinds) + 1)[kinds.get_indexer(values)]
        else:
            height = (values.rank(pct=True).fillna(0.5).to_numpy() - 0.5) * np.sqrt(12)
        return np.exp(strength * height)

    return weigh, f"{column} x {strength:+.1f}"


def _towards_doubt(world: World, random: np.random.Generator) -> tuple[Weigh, str]:
    """Weights that grow where the champion is in doubt."""
    strength = random.uniform(0.2, 1.0)

    def weigh(rows: pd.DataFrame) -> np.ndarray:
        scores = np.clip(rows[SCORE].to_numpy(), 1e-4, 1 - 1e-4)
        return np.exp(-strength * np.abs(np.log(scores / (1 - scores))))

    return weigh, f"doubt x {strength:.1f}"


def _drawn_again(
    world: World, weigh: Callable[[pd.DataFrame], np.ndarray], random: np.random.Generator
) -> pd.DataFrame:
    """The changed rows replaced by spare ones, drawn with these weights, none twice, at the same times and ids.

    The largest of log w + Gumbel noise are such a draw (Vieira 2014, "Gumbel-max trick and weighted reservoir
    sampling").
    """
    changed, frame, rows = world.is_changed, world.frame, world.spare
    keys = np.log(weigh(rows)) + random.gumbel(size=len(rows))
    chosen = random.permutation(np.argpartition(-keys, int(changed.sum()) - 1)[: int(changed.sum())])
    drawn = rows.iloc[chosen].reset_index(drop=True)
    drawn["id"], drawn["event_time"] = frame["id"].to_numpy()[changed], frame["event_time"].array[changed]
    return pd.concat([frame[~changed], drawn[frame.columns]], ignore_index=True)


def _converted(column: str, unit: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{column: CONVERSIONS[unit](rows[column])})


def _recoded(column: str, codes: dict[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{column: rows[column].map(codes, na_action="ignore")})


def _half(values: pd.Series, random: np.random.Generator) -> np.ndarray:
    """About half of the rows by one column."""
    if values.dtype == object:
        kinds = list(values.dropna().unique())
        chosen = random.choice(kinds, max(1, len(kinds) // 2), replace=False)
        return values.isin(chosen).to_numpy()
    return (values > values.median()).to_numpy() ^ bool(random.integers(2))


def _first_days(world: World, rows: pd.DataFrame, length: int) -> np.ndarray:
    end = pd.Timestamp(world.change) + pd.Timedelta(days=length)
    return (rows["event_time"] < end).to_numpy()
