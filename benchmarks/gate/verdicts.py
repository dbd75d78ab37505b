"""The gate's answer, by the gate itself or by its test of superiority alone, which is what it comes to without guards.

`gate.judge` also computes intervals, equivalence and sentences. Simulations of one test need none of them, so
`superiority_of` repeats only what decides: the minima, the comparison, its p value and the smallest gain.
`tests/benchmarks/test_gate.py` holds it to the gate's own answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.evaluation.comparison import Paired, compare
from models.evaluation.gate import Rules, judge
from models.evaluation.guardrails import NoWorse
from models.evaluation.metrics.catalogue import AUC, LOG_LOSS, SQUARED_CALIBRATION_ERROR, metric
from models.evaluation.metrics.metric import Metric, Undefined
from models.evaluation.minima import Minima

LEVEL = 0.05
MINIMA = Minima()
DEFAULT = Rules(
    primary=LOG_LOSS,
    level=LEVEL,
    min_gain=0.002,
    guardrails=(NoWorse(AUC, 0.01), NoWorse(SQUARED_CALIBRATION_ERROR, 0.0004)),
    minima=MINIMA,
)
CALLED_AT_A_THRESHOLD = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc")
WORTHS = {"true_positive": 10.0, "false_positive": -1.0, "true_negative": 0.0, "false_negative": -2.0}


@dataclass(frozen=True)
class Verdict:
    """What one decision came to; `gain` and `standard_error` are None where nothing could be tested."""

    is_promoted: bool
    gain: float | None = None
    standard_error: float | None = None

    @property
    def is_refused(self) -> bool:
        """Whether there was too little to judge by."""
        return self.gain is None


def binary_metrics(threshold: float) -> dict[str, Metric]:
    """The metrics of a binary label, those of decisions at the threshold."""
    at_threshold = {name: metric(name, threshold=threshold) for name in CALLED_AT_A_THRESHOLD}
    whole = {name: metric(name) for name in ("log_loss", "brier", "auc", "average_precision", "calibration_error")}
    return whole | at_threshold | {"expected_value": metric("expected_value", threshold=threshold, **WORTHS)}


def multiclass_metrics() -> dict[str, Metric]:
    """Some metrics of four classes."""
    return {"top_k": metric("top_k", k=2), "log_loss": metric("log_loss"), "f1": metric("f1"), "auc": metric("auc")}


def regression_metrics() -> dict[str, Metric]:
    """The metrics of quantities."""
    return {name: metric(name) for name in ("rmse", "mae", "r2")} | {"pinball": metric("pinball", quantile=0.8)}


def superiority_of(measure: Metric, paired: Paired, level: float = LEVEL, min_gain: float = 0.0) -> Verdict:
    """The answer of a gate without guardrails."""
    if MINIMA.lacking_in(paired):
        return Verdict(is_promoted=False)
    try:
        found = compare(measure, paired)
    except Undefined:
        return Verdict(is_promoted=False)
    is_promoted = found.gain >= min_gain and found.spread.p_above(0.0) <= level
    return Verdict(is_promoted, found.gain, found.standard_error)


def default_gate(paired: Paired) -> Verdict:
    """The answer of the gate that a project has by default; the guardrails are asked of what is better only."""
    first = superiority_of(DEFAULT.primary, paired, DEFAULT.level, DEFAULT.min_gain)  # type: ignore[arg-type]
    if not first.is_promoted:
        return first
    return Verdict(judge(paired, DEFAULT).answer == "promoted", first.gain, first.standard_error)
