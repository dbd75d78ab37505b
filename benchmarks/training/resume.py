"""Kills: trainings that are killed by SIGKILL at random steps, again and again, and end with the same weights.

Each training is a real process on one thread of the CPU, and is started again until it has finished; an uninterrupted
one of the same settings says what its weights should be, bit for bit. The trainings differ in what they carry from
step to step besides weights: averaged weights, the best weights so far and how long ago they were, a penalty, dropout,
a learning rate that changes.

`resume_identical` counts the kills of trainings that ended with identical weights and the same history of losses, and
whose last process did not train from the start again.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.data.batches import Labelled
from models.networks.inputs import Encoded
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, Hooks, seeded

NUM_ROWS = 700
STEPS_BETWEEN_STATES = 3
LONGEST_LIFE = 14  # steps until a kill, at most


@dataclass(frozen=True)
class Size:
    """How often is killed."""

    num_kills: int


QUICK = Size(20)
FULL = Size(20)


@dataclass(frozen=True)
class Case:
    """What a training carries along."""

    name: str
    settings: FitSettings
    has_validation: bool = False
    penalty: float = 0.0
    is_warmed: bool = False


PLAIN = FitSettings(epochs=5, batch_size=32, learning_rate=5e-3, accelerator="cpu")
CASES = (
    Case("dropout", PLAIN),
    Case("averaged", FitSettings(6, 32, 5e-3, ema_decay=0.95, accelerator="cpu")),
    Case("patience", FitSettings(12, 64, 2e-2, patience=2, ema_decay=0.9, accelerator="cpu"), has_validation=True),
    Case("penalty", FitSettings(5, 32, 5e-3, seed=3, accelerator="cpu"), penalty=0.1, is_warmed=True),
)


class Mortal(nn.Module):
    """A small network with dropout whose process is killed at a step.

    Args:
        life: calls in training until then; None lives on.
    """

    def __init__(self, life: int | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
        self.life, self.num_steps = life, 0

    def forward(self, numbers: Tensor) -> Tensor:
        """Logits (rows,)."""
        if self.training and self.num_steps == self.life:
            os.kill(os.getpid(), signal.SIGKILL)
        self.num_steps += self.training
        outputs: Tensor = self.layers(numbers)
        return outputs.squeeze(1)


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Kill, and compare."""
    choose = random.Random(0)
    kills = dict.fromkeys((case.name for case in CASES), 0)
    identical = dict(kills)
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(_endless()):
            if sum(kills.values()) >= size.num_kills:
                break
            place, wanted = Path(folder) / str(number), size.num_kills - sum(kills.values())
            lives = [choose.randint(1, LONGEST_LIFE) for _ in range(min(wanted, -(-size.num_kills // len(CASES))))]
            died = survive(case, place, lives)
            kills[case.name] += died
            found, expected = result(place), result(whole(case, Path(folder)))
            is_continued = found["num_steps"] < expected["num_steps"] - LONGEST_LIFE
            identical[case.name] += died if is_continued and are_same(found, expected) else 0
    by_case = {name: {"kills": kills[name], "identical": identical[name]} for name in kills}
    return {"resume_identical": sum(identical.values()), "kills": sum(kills.values()), "cases": by_case}


def survive(case: Case, place: Path, lives: list[int]) -> int:
    """Train in processes that are killed after so many steps each, then in one that is not; how many were killed."""
    for died, life in enumerate([*lives, None]):
        code = _process(case, place, life)
        if code == 0:
            return died
        if code != -signal.SIGKILL:
            raise RuntimeError(f"a training of {case.name} ended with code {code}, and was not killed")
    raise AssertionError("the last one lives on")


def whole(case: Case, folder: Path) -> Path:
    """Where the result of an uninterrupted training is."""
    place = folder / f"whole-{case.name}"
    if not place.exists() and _process(case, place, None):
        raise RuntimeError(f"an uninterrupted training of {case.name} failed")
    return place


def result(place: Path) -> dict[str, Any]:
    """Weights, history without times, and passes of a training, and the steps of its last process."""
    found: dict[str, Any] = torch.load(place / "result", weights_only=True)
    return found


def are_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Bit for bit."""
    weights = zip(one["weights"].values(), other["weights"].values(), strict=True)
    is_same = all(torch.equal(mine, theirs) for mine, theirs in weights)
    return is_same and all(one[key] == other[key] for key in ("losses", "num_passes", "best_epoch"))


def train(case: Case, place: Path, life: int | None) -> None:
    """Train, or go on, and write down how it ended."""
    torch.set_num_threads(1)
    with seeded(7):
        network = Mortal(life)
    start = [weight.detach().clone() for weight in network.parameters()]

    def penalty(network: nn.Module) -> Tensor:
        return case.penalty * torch.stack([(w - s).square().sum() for w, s in zip(network.parameters(), start)]).sum()  # noqa: B905

    hooks = Hooks(penalty if case.penalty else None, (lambda share: 1 - 0.9 * share) if case.is_warmed else None)
    fitted = fit(
        network,
        objective("binary"),
        _rows(1),
        _rows(2) if case.has_validation else None,
        case.settings,
        hooks,
        checkpoint=place,
        save_every=STEPS_BETWEEN_STATES,
    )
    losses = [{key: value for key, value in epoch.items() if key != "rows_per_second"} for epoch in fitted.history]
    told = {"losses": losses, "num_passes": fitted.num_passes, "best_epoch": fitted.best_epoch}
    told["num_steps"] = network.num_steps  # of this process
    torch.save({"weights": network.state_dict(), **told}, place / "result")


def _rows(seed: int) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(NUM_ROWS, 4, generator=generator)
    noise = 2 * torch.randn(NUM_ROWS, generator=generator)
    return Labelled(Encoded((numbers,)), (numbers[:, 0] - numbers[:, 1] + noise > 0).float())


def _endless() -> Iterator[Case]:
    while True:
        yield from CASES


def _process(case: Case, place: Path, life: int | None) -> int | None:
    process = _context().Process(target=train, args=(case, place, life))
    process.start()
    process.join()
    return process.exitcode


@functools.cache
def _context() -> Any:
    # A server that has imported torch, and nothing else, and is forked for each training: imports take seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "lightning"])
    return context
