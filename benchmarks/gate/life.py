"""What many decisions in a row come to: a year of retrains under each rule of the budget, and holdouts used again.

A decision is its z statistic, which is all that a rule sees: the levels are those of `models.evaluation.budget.ledger`
and its history holds what was tested. 52 retrains make a life. Three tables:

- no challenger is any better: how many lives see a false promotion, and how many each;
- some attempts are real, by 2.5 standard errors: the power, and the share of false ones among the promotions;
- 30 daily looks at the last 14 days with a model that is no better, where a day may decide only so often; a look with
  fewer than ten days that may still decide is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy import special

from benchmarks.work import cut, error_of, generator, spread_out
from models.evaluation.budget import Rule, Tested, ledger
from models.evaluation.spread import sign_flip

Policy = Literal["fixed", "spending", "lord", "point"]
ALPHAS: dict[Rule, float] = {"fixed": 0.05, "spending": 0.05, "lord": 0.10}
POINT_LEVEL = 0.5  # promote whatever looks better

NUM_ATTEMPTS = 52
TRUE_GAIN = 2.5  # standard errors
REAL_SHARES = (0.0, 0.1, 0.3, 0.6, 0.9)

NUM_LOOKS, WINDOW_DAYS, FEWEST_DAYS = 30, 14, 10
MOST_USES: tuple[int | None, ...] = (1, 2, 3, None)
LIKENESSES = (1.0, 0.5, 0.0)  # correlation of one day's gains at two looks: the same challenger again, or another


@dataclass(frozen=True)
class Size:
    """How many lives."""

    num_lives: int


QUICK = Size(300)
FULL = Size(2_000)


@dataclass(frozen=True)
class Piece:
    """Some lives under one rule, where a share of the attempts is really better."""

    policy: Policy
    real_share: float
    number: int
    count: int


@dataclass(frozen=True)
class Reuse:
    """Some months of daily looks, where a day may decide so many times."""

    most_uses: int | None
    likeness: float
    number: int
    count: int


@dataclass(frozen=True)
class Life:
    """What became of one life."""

    false: int
    true: int
    real: int


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The three tables, and the share of lives with a false promotion under `spending`."""
    pieces = [
        Piece(policy, share, number, count)
        for share in REAL_SHARES
        for policy in get_args(Policy)
        for number, count in enumerate(cut(size.num_lives))
    ]
    lives: dict[tuple[float, Policy], list[Life]] = {}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, "lives"), strict=True):
        lives.setdefault((piece.real_share, piece.policy), []).extend(found)
    nothing_better = {policy: _of_lives(found) for (share, policy), found in lives.items() if share == 0}
    return {
        "life_false_promotion": nothing_better["spending"]["any_false"],
        "attempts": NUM_ATTEMPTS,
        "nothing_better": nothing_better,
        "some_better": [
            {"real_share": share, "rule": policy, **_of_lives(found)}
            for (share, policy), found in lives.items()
            if share
        ],
        "reuse": _reuse(size, jobs),
    }


def simulate(piece: Piece) -> list[Life]:
    """Live so many lives."""
    random = generator("life", piece.real_share, piece.number)  # the same attempts for every policy
    is_real = random.random((piece.count, NUM_ATTEMPTS)) < piece.real_share
    p_values = special.ndtr(-(random.standard_normal(is_real.shape) + TRUE_GAIN * is_real))
    return [_live(piece.policy, *life) for life in zip(p_values, is_real, strict=True)]


def _live(policy: Policy, p_values: np.ndarray, is_real: np.ndarray) -> Life:
    is_promoted = np.array(list(_promotions(policy, p_values)))
    return Life(int((is_promoted & ~is_real).sum()), int((is_promoted & is_real).sum()), int(is_real.sum()))


def _promotions(policy: Policy, p_values: np.ndarray) -> Iterator[bool]:
    history: list[Tested] = []
    for p_value in p_values:
        level = POINT_LEVEL if policy == "point" else ledger(policy, ALPHAS[policy], history).next_level
        history.append(Tested(level, bool(p_value <= level)))
        yield history[-1].is_promotion


def _of_lives(lives: list[Life]) -> dict[str, Any]:
    any_false = float(np.mean([life.false > 0 for life in lives]))
    real = sum(life.real for life in lives)
    return {
        "any_false": any_false,
        "error": error_of(any_false, len(lives)),
        "mean_false": float(np.mean([life.false for life in lives])),
        "power": sum(life.true for life in lives) / real if real else None,
        "false_share": float(np.mean([life.false / max(1, life.false + life.true) for life in lives])),
        "lives": len(lives),
    }


def _reuse(size: Size, jobs: int) -> list[dict[str, Any]]:
    pieces = [
        Reuse(most_uses, likeness, number, count)
        for likeness in LIKENESSES
        for most_uses in MOST_USES
        for number, count in enumerate(cut(size.num_lives))
    ]
    seen: dict[tuple[float, int | None], list[tuple[int, int]]] = {}
    for piece, found in zip(pieces, spread_out(look_daily, pieces, jobs, "holdouts used again"), strict=True):
        seen.setdefault((piece.likeness, piece.most_uses), []).extend(found)
    return [_of_months(likeness, most_uses, found) for (likeness, most_uses), found in seen.items()]


def _of_months(likeness: float, most_uses: int | None, months: list[tuple[int, int]]) -> dict[str, Any]:
    any_false = float(np.mean([false > 0 for _, false in months]))
    return {
        "likeness": likeness,
        "most_uses": most_uses,
        "tests": float(np.mean([tests for tests, _ in months])),
        "any_false": any_false,
        "error": error_of(any_false, len(months)),
        "mean_false": float(np.mean([false for _, false in months])),
        "months": len(months),
    }


def look_daily(piece: Reuse) -> list[tuple[int, int]]:
    """How many tests were made in each month, and how many of them promoted."""
    random = generator("reuse", piece.likeness, piece.number)
    num_days = NUM_LOOKS + WINDOW_DAYS - 1
    months = []
    for _ in range(piece.count):
        common = np.sqrt(piece.likeness) * random.standard_normal(num_days)
        own = np.sqrt(1 - piece.likeness) * random.standard_normal((NUM_LOOKS, num_days))
        months.append(_month(common + own, piece.most_uses))
    return months


def _month(gains: np.ndarray, most_uses: int | None) -> tuple[int, int]:
    """Gains of each day at each look, shape (looks, days)."""
    uses, tests, false = np.zeros(gains.shape[1], dtype=int), 0, 0
    for look, of_days in enumerate(gains):
        window = np.arange(look, look + WINDOW_DAYS)
        fresh = window if most_uses is None else window[uses[window] < most_uses]
        if len(fresh) < FEWEST_DAYS:
            continue
        uses[fresh] += 1
        tests += 1
        false += sign_flip(of_days[fresh]) <= ALPHAS["fixed"]
    return tests, false
