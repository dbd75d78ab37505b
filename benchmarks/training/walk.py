"""Walking in time: each model predicts the next period of a real stream before it learns from it.

Every stream is thinned to the same number of rows. The first period is a quarter of them, and a model from scratch
learns it; the others are cut into periods of equal length. All arms start with that model, go on from their own last
one, and are compared over the periods after the first retraining. Sums are over seeds first, then over streams.

- `static` never trains again. `scratch` learns the rows known so far until the newer half of the newest period costs no
  less, and then all rows for as many epochs as were best: two trainings, and the passes of both. `stopped` is the first
  of the two alone, which has not learned its validation rows. The cost of fine-tuning is said in shares of either.
- `gain` of an arm is `(static - arm) / (static - scratch)` in loss. Where scratch itself gains less than 1 % of the
  static loss this divides by noise: such streams are left out of it, and named.
- `choice` tries three arms up to the newer half of the newest period, compares them there, and trains the one that it
  prefers again. `choice by one window` knows nothing of earlier ones; `choice of the lowest` takes the lowest cost,
  whatever its error.

The arms that the headline numbers are made of walk with three seeds; `benchmarks.training.recipes` has all others.

The loss is the log loss, of car prices the squared error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.training.gains import summary
from benchmarks.watch.streams import NAMES, stream
from benchmarks.work import spread_out
from models.model import Model
from models.networks.inputs import Inputs, TableInputs
from models.networks.mlp import MLP
from models.training.choice import Choice, Tried, again, choose
from models.training.histories import History, history
from models.training.recipes import Columns, Material, Recipe, Trained, cook, recipe
from models.training.settings import FitSettings

FIRST_SHARE = 0.25
SMALLEST_CHANCE = 1e-15
SCRATCH_RATE = 2e-3  # on these streams no worse than 1e-3 or 5e-3, with fewer epochs than 1e-3


@dataclass(frozen=True)
class Size:
    """How much is walked.

    Attributes:
        streams: by name.
        seeds: of the weights, the order of the rows, and the replay.
        num_rows: of each stream at most.
        num_periods: after the first; a model learns each but the last.
        epochs: of a training from scratch, at most.
        width: of the network's two hidden layers.
        batch_size: of all trainings.
        only: arms, by default all.
    """

    streams: tuple[str, ...] = NAMES
    seeds: tuple[int, ...] = (0, 1, 2)
    num_rows: int = 30_000
    num_periods: int = 9
    epochs: int = 20
    width: int = 96
    batch_size: int = 512
    only: tuple[str, ...] = ()


def _all(days: float) -> History:
    return history("all")


def _fading(days: float) -> History:
    return history("fading", half_life_days=4 * days)


def _recent(days: float) -> History:
    return history("recent", days=3 * days)


def _seasonal(days: float) -> History:
    return history("seasonal", days=2 * days)


def _rare(days: float) -> History:
    return history("rare", days=3 * days, share=0.3)


def _by_name(name: str, **changes: Any) -> Callable[[int], Recipe]:
    return lambda epochs: recipe(name, **changes)


# For each arm that continues its own last model: the recipe, given the epochs that scratch needs, and the history.
CHAINS: dict[str, tuple[Callable[[int], Recipe], Callable[[float], History]]] = {
    "finetune": (_by_name("finetune"), _all),
    "finetune on fading": (_by_name("finetune"), _fading),
    "finetune on recent": (_by_name("finetune"), _recent),
    "finetune on rare": (_by_name("finetune"), _rare),
    "plain": (_by_name("plain"), _all),
    "rewarm": (_by_name("rewarm"), _all),
    "replay": (_by_name("replay"), _all),
    "replay 10 epochs": (_by_name("replay", epochs=10), _all),
    "finetune, 10 epochs": (_by_name("finetune", epochs=10), _all),
    "finetune, rate 5e-4": (_by_name("finetune", learning_rate=5e-4), _all),
    "pull": (_by_name("pull"), _all),
    "last_layers": (_by_name("last_layers"), _all),
    "low_rank": (_by_name("low_rank"), _all),
    "interpolate": (_by_name("interpolate"), _all),
    "online": (_by_name("online"), _all),
    "shrink_perturb": (lambda epochs: recipe("shrink_perturb", epochs=epochs, patience=None), _all),
    "shrink_perturb, a third": (
        lambda epochs: recipe("shrink_perturb", epochs=max(1, round(epochs / 3)), patience=None),
        _all,
    ),
}
SCRATCHES: dict[str, Callable[[float], History]] = {
    "scratch": _all,
    "scratch on fading": _fading,
    "scratch on recent": _recent,
    "scratch on seasonal": _seasonal,
    "scratch on rare": _rare,
}
CANDIDATES = ("finetune", "scratch", "scratch on fading")


Past = list[Mapping[str, float]]  # what the arms cost on earlier windows


def _lowest(tried: Sequence[Tried], earlier: Past) -> Choice:
    best = min(tried, key=lambda each: each.cost)
    return Choice(best.name, best.cost, "")


def _by_one_window(tried: Sequence[Tried], earlier: Past) -> Choice:
    return choose(tried)


Rule = Callable[[Sequence[Tried], Past], Choice]
CHOICES: dict[str, Rule] = {
    "choice": choose,
    "choice by one window": _by_one_window,
    "choice of the lowest": _lowest,
}
CLAIMED = ("static", "stopped", *CANDIDATES, *CHOICES)  # what the headline numbers are made of
QUICK = Size(("employment", "california", "credit_cards"), (0,), 9_000, 4, 6, 48, only=CLAIMED)
FULL = Size(only=CLAIMED)


@dataclass
class Track:
    """One arm's way: the mean cost of each period, and the rows that went through training steps."""

    costs: list[float] = field(default_factory=list)
    num_passes: int = 0


@dataclass(frozen=True)
class Road:
    """A stream in periods.

    Attributes:
        frame: thinned, in time order; classes as text.
        columns: what its columns are.
        edges: where the periods start and end: the first, then those that are walked.
        days: of a walked period, in the mean.
    """

    frame: pd.DataFrame
    columns: Columns
    edges: list[int]
    days: float

    @classmethod
    def of(cls, name: str, size: Size) -> Road:
        """Every so many rows of a stream."""
        found = stream(name)
        chosen = np.linspace(0, len(found.frame) - 1, min(size.num_rows, len(found.frame))).astype(int)
        frame = found.frame.iloc[chosen].reset_index(drop=True)
        if found.task == "multiclass":
            frame[found.label] = frame[found.label].map("class {:.0f}".format)
        first = int(FIRST_SHARE * len(frame))
        edges = [0, *np.linspace(first, len(frame), size.num_periods + 1).astype(int).tolist()]
        span = frame["event_time"].iloc[-1] - frame["event_time"].iloc[first]
        columns = Columns(found.label, found.numbers, found.categories, found.task)
        return cls(frame, columns, edges, span.total_seconds() / 86_400 / size.num_periods)

    def period(self, number: int) -> pd.DataFrame:
        """A period that is walked, from 0."""
        return self.frame.iloc[self.edges[number + 1] : self.edges[number + 2]]

    def material(self, chosen: History, start: int, until: int) -> Material:
        """The rows before the position `until`, as new from the position `start` on."""
        rows, times = self.frame.iloc[:until], self.frame["event_time"]
        since: datetime | None = times.iloc[start].to_pydatetime() if start else None
        end = times.iloc[until] if until < len(times) else times.iloc[-1]
        return Material.of(rows, "event_time", self.columns.label, chosen, since, end.to_pydatetime())


@dataclass(frozen=True)
class Walker:
    """Trains and scores on one road with one seed."""

    road: Road
    size: Size
    seed: int

    def build(self, inputs: Inputs) -> nn.Module:
        """The network of all arms."""
        assert isinstance(inputs, TableInputs)
        return MLP(inputs, width=self.size.width)

    def train(
        self, how: Recipe, champion: Model | None, material: Material, validation: pd.DataFrame | None = None
    ) -> Trained:
        """One training."""
        settings = FitSettings(1, self.size.batch_size, seed=self.seed, accelerator="cpu")
        return cook(how, self.build, champion, material, validation, self.road.columns, settings)

    def costs(self, model: Model, rows: pd.DataFrame) -> np.ndarray:
        """What the model's scores of the rows cost, (rows,)."""
        labels, scores = rows[self.road.columns.label], model.predict(rows)
        if model.target.task == "regression":
            return (scores - labels.to_numpy()) ** 2
        if model.target.task == "binary":
            chances = np.where(labels.to_numpy() == 1, scores, 1 - scores)
        else:
            chances = scores[np.arange(len(rows)), [model.target.classes.index(each) for each in labels]]
        return -np.log(np.maximum(chances, SMALLEST_CHANCE))

    def walk(self) -> dict[str, Track]:
        """All arms, side by side through the periods."""
        names, first = self.arms(), self._first()
        models = dict.fromkeys(names, first.model)
        tracks = {name: Track() for name in names}
        pasts: dict[str, Past] = {name: [] for name in CHOICES}
        self._score(models, tracks, 0)
        for number in range(self.size.num_periods - 1):
            self._retrain(models, tracks, pasts, number)
            self._score(models, tracks, number + 1)
        for track in tracks.values():
            del track.costs[0]  # that of the model they share
        return tracks

    def arms(self) -> tuple[str, ...]:
        """The names of all arms that are walked."""
        names = ("static", "stopped", *SCRATCHES, *CHAINS, *CHOICES)
        return tuple(name for name in names if not self.size.only or name in self.size.only)

    def _score(self, models: Mapping[str, Model], tracks: Mapping[str, Track], number: int) -> None:
        rows = self.road.period(number)
        for name, model in models.items():
            tracks[name].costs.append(float(self.costs(model, rows).mean()))

    def _retrain(self, models: dict[str, Model], tracks: dict[str, Track], pasts: dict[str, Past], number: int) -> None:
        """Every arm learns the period of that number."""
        road = self.road
        start, end = road.edges[number + 1], road.edges[number + 2]
        middle = (start + end) // 2
        held_out = road.frame.iloc[middle:end]
        trials: dict[str, Trained] = {}
        finals: dict[str, Trained] = {}
        for name, weigh in SCRATCHES.items():
            if name in models:
                how = recipe("scratch", epochs=self.size.epochs, learning_rate=SCRATCH_RATE, patience=3)
                chosen = weigh(road.days)
                trials[name] = self.train(how, None, road.material(chosen, 0, middle), held_out)
                tracks[name].num_passes += trials[name].fitted.num_passes
                finals[name] = self.train(
                    again(how, trials[name].fitted.best_epoch), None, road.material(chosen, 0, end)
                )
        if "stopped" in models:
            self._take("stopped", trials["scratch"], models, tracks)
        best_epochs = trials["scratch"].fitted.best_epoch
        for name, rule in CHOICES.items():
            if name in models:
                trained, num_passes = self._choose(rule, models[name], trials, finals, pasts[name], number)
                tracks[name].num_passes += num_passes
                models[name] = trained.model
        for name, (make, weigh) in CHAINS.items():
            if name in models:
                material = road.material(weigh(road.days), start, end)
                finals[name] = self.train(make(best_epochs), models[name], material)
        for name, final in finals.items():
            self._take(name, final, models, tracks)

    def _choose(
        self,
        rule: Rule,
        own: Model,
        trials: Mapping[str, Trained],
        finals: Mapping[str, Trained],
        past: Past,
        number: int,
    ) -> tuple[Trained, int]:
        """What a rule trains on all rows, and the passes of all its trainings: a fine-tune of its own last model."""
        road, (make, weigh) = self.road, CHAINS["finetune"]
        start, end = road.edges[number + 1], road.edges[number + 2]
        middle, how = (start + end) // 2, make(0)
        trial = self.train(how, own, road.material(weigh(road.days), start, middle))
        tried = {name: trials[name] for name in CANDIDATES if name in trials} | {"finetune": trial}
        held_out = road.frame.iloc[middle:end]
        costs = {name: self.costs(each.model, held_out) for name, each in tried.items()}
        name = rule([Tried.of(name, costs[name], each.fitted.num_passes) for name, each in tried.items()], past).name
        past.append({name: float(found.mean()) for name, found in costs.items()})
        if name == "finetune":
            repeated = again(how, trial.fitted.best_epoch)
            trained = self.train(repeated, own, road.material(weigh(road.days), start, end))
        else:
            trained = finals[name]
        return trained, sum(each.fitted.num_passes for each in tried.values()) + trained.fitted.num_passes

    def _take(self, name: str, trained: Trained, models: dict[str, Model], tracks: dict[str, Track]) -> None:
        models[name] = trained.model
        tracks[name].num_passes += trained.fitted.num_passes

    def _first(self) -> Trained:
        """The model that all arms start with: from scratch, for as long as is best on the last tenth of its rows."""
        road, how = self.road, recipe("scratch", epochs=self.size.epochs, learning_rate=SCRATCH_RATE)
        end = road.edges[1]
        middle = round(0.9 * end)
        trial = self.train(how, None, road.material(_all(0), 0, middle), road.frame.iloc[middle:end])
        return self.train(again(how, trial.fitted.best_epoch), None, road.material(_all(0), 0, end))


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The headline numbers, the table of all arms, and each stream."""
    pieces = [(name, seed, size) for seed in size.seeds for name in size.streams]
    walked = spread_out(_walk, pieces, jobs, "walk")
    tracks: dict[str, list[dict[str, Track]]] = {name: [] for name in size.streams}
    for (name, _, _), found in zip(pieces, walked, strict=True):
        tracks[name].append(found)
    return summary({name: _mean(found) for name, found in tracks.items()}, CANDIDATES, tuple(CHOICES))


def _mean(seeds: list[dict[str, Track]]) -> dict[str, tuple[float, float]]:
    return {
        arm: (fmean(fmean(each[arm].costs) for each in seeds), fmean(each[arm].num_passes for each in seeds))
        for arm in seeds[0]
    }


def _walk(piece: tuple[str, int, Size]) -> dict[str, Track]:
    name, seed, size = piece
    torch.set_num_threads(1)
    return Walker(Road.of(name, size), size, seed).walk()
