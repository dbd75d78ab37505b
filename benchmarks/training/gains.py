"""What arms lost and cost on each stream, as shares of what training from scratch gains and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

SMALLEST_GAIN = 0.01  # of the static loss: where scratch gains less, a share of its gain says nothing


def summary(
    streams: Mapping[str, Mapping[str, tuple[float, float]]], candidates: Sequence[str], rules: Sequence[str]
) -> dict[str, Any]:
    """The table, from the loss and the passes of each arm on each stream.

    Args:
        streams: name -> arm -> (mean loss, rows that went through training steps).
        candidates: the arms among which was chosen.
        rules: the arms that choose.
    """
    arms = list(next(iter(streams.values())))
    gains = {name: 1 - found["scratch"][0] / found["static"][0] for name, found in streams.items()}
    judged = [name for name, gain in gains.items() if gain >= SMALLEST_GAIN]
    table = {arm: _row(arm, streams, judged) for arm in arms}
    regrets = {
        rule: {name: _regret(rule, found, candidates) for name, found in streams.items()}
        for rule in rules
        if rule in arms
    }
    own = regrets.get("choice", {})
    default = table.get("finetune", {})
    return {
        "finetune_gain": default.get("gain"),
        "finetune_gain_worst": default.get("gain_worst"),
        "finetune_cost": default.get("passes"),
        "finetune_cost_of_stopped": _share(streams, lambda found: found["stopped"][1]),
        "finetune_cost_of_last": _share(streams, lambda found: found["scratch"][1] - found["stopped"][1]),
        "choice_regret": max(own.values(), default=None),
        "choice_regret_mean": fmean(own.values()) if own else None,
        "choice_cost": table["choice"]["passes"] if own else None,
        "gain_of_scratch": gains,
        "left_out_of_gain": [name for name in streams if name not in judged],
        "table": table,
        "regret_by_stream": regrets,
        "loss_by_stream": {
            name: {arm: loss / found["scratch"][0] for arm, (loss, _) in found.items()}
            for name, found in streams.items()
        },
    }


def _share(
    streams: Mapping[str, Mapping[str, tuple[float, float]]],
    passes: Callable[[Mapping[str, tuple[float, float]]], float],
) -> float | None:
    if any(not {"finetune", "stopped"} <= set(found) for found in streams.values()):
        return None
    return fmean(found["finetune"][1] / passes(found) for found in streams.values())


def _row(arm: str, streams: Mapping[str, Mapping[str, tuple[float, float]]], judged: list[str]) -> dict[str, Any]:
    losses = {name: found[arm][0] / found["scratch"][0] for name, found in streams.items()}
    shares = {}
    for name in judged:
        static, scratch, own = (streams[name][each][0] for each in ("static", "scratch", arm))
        shares[name] = (static - own) / (static - scratch)
    worst = min(shares, key=lambda name: shares[name], default=None)
    return {
        "loss": fmean(losses.values()),
        "loss_worst": max(losses.values()),
        "gain": fmean(shares.values()) if shares else None,
        "gain_worst": shares[worst] if worst else None,
        "worst_stream": worst,
        "passes": fmean(found[arm][1] / found["scratch"][1] for found in streams.values()),
    }


def _regret(rule: str, found: Mapping[str, tuple[float, float]], candidates: Sequence[str]) -> float:
    return found[rule][0] / min(found[arm][0] for arm in candidates if arm in found) - 1
