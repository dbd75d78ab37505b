"""What a project's gate requires of a challenger, made from its YAML."""

from __future__ import annotations

import time
from typing import cast

import pandas as pd

from configs.component import resolve
from configs.gate import MetricRef
from configs.gate import Slice as SliceConfig
from configs.schema import Project
from models.evaluation.comparison import WholeMetric
from models.evaluation.fairness import Criterion, Fairness
from models.evaluation.gate import Rules
from models.evaluation.guardrails import Elsewhere, Floor, Guardrail, NegativeFlips, NoWorse
from models.evaluation.hard_rows import regression
from models.evaluation.metrics.catalogue import AUC, LOG_LOSS, metric
from models.evaluation.metrics.metric import Metric
from models.evaluation.minima import Minima
from models.evaluation.resampling import from_torchmetrics
from models.evaluation.robustness import with_noise, without_values
from models.evaluation.serving import latency, size_mb
from models.evaluation.slices import REST, Slices, by_query, by_range, by_value
from models.evaluation.testing import Test, limit
from models.registry import history
from models.registry.versions import Version
from tasks.evaluate import Bench, Contest
from tasks.step import load_version

ROBUSTNESS_SEED = 0  # the same cells are emptied for every model that is ever asked


def rules_of(contest: Contest, level: float) -> Rules:
    """The tests that this challenger has to pass at `level`."""
    project = contest.bench.project
    gate = project.gate
    if contest.champion is None:
        # A constant is hard to beat in log loss on two weeks of one season, and says nothing about any row: a first
        # champion must rank rows, and may not cost more than the baseline by its margin.
        guardrails = (Floor(AUC, gate.first.min_auc), NoWorse(LOG_LOSS, gate.first.log_loss_margin))
        return Rules(AUC, level, 0.0, guardrails, minima_of(project))
    return Rules(metric_of(gate.primary), level, gate.min_gain, tuple(_guardrails(contest)), minima_of(project))


def primary_of(project: Project, has_champion: bool) -> Metric | WholeMetric:
    """The metric in which a challenger must be better."""
    return metric_of(project.gate.primary) if has_champion else AUC


def minima_of(project: Project) -> Minima:
    """What rows must have before anything is said about them."""
    minima = project.gate.minima
    return Minima(minima.groups, minima.positives, minima.negatives)


def metric_of(ref: MetricRef) -> Metric | WholeMetric:
    """A metric by its name or class."""
    if ref.metric is not None:
        return metric(ref.metric, **ref.init_args)
    return from_torchmetrics(resolve(str(ref.class_path)), ref.init_args, ref.better)


def slices_of(bench: Bench) -> list[tuple[Slices, SliceConfig]]:
    """The slices of the bench's rows, block by block of the YAML, each with the test it has to pass.

    Raises:
        ValueError: for a query that says nothing about the rows.
    """
    gate, holdout, seen = bench.project.gate, bench.holdout, bench.seen
    found = []
    for block in gate.slices:
        if block.query is not None:
            cut = [by_query(block.name or block.query, block.query, holdout, seen)]
        elif block.edges:
            cut = by_range(str(block.column), block.edges, holdout[block.column], seen[block.column])
        else:
            cut = by_value(str(block.column), holdout[block.column], seen[block.column], gate.min_slice_rows)
        guardrail = NoWorse(metric_of(gate.primary), block.margin)
        found.append((Slices(guardrail, tuple(cut), gate.min_slice_rows, minima_of(bench.project)), block))
    return found


def counted(contest: Contest) -> list[Test]:
    """What is counted or timed instead of tested: known-hard rows, and the cost of serving."""
    return [*_known_hard(contest), *_serving(contest)]


def _guardrails(contest: Contest) -> list[Guardrail]:
    bench, gate = contest.bench, contest.bench.project.gate
    primary = metric_of(gate.primary)
    found: list[Guardrail] = [NoWorse(metric_of(each), each.margin, each.relative_margin) for each in gate.guardrails]
    if gate.negative_flips is not None:
        found.append(NegativeFlips(gate.negative_flips, gate.threshold))
    if gate.anchor_margin is not None:
        found += _anchor(contest, NoWorse(primary, gate.anchor_margin))
    found += [slices for slices, _ in slices_of(bench)]
    found += [_fairness(bench, each.column, each.margins) for each in gate.fairness]
    if gate.robustness is not None:
        found += _robustness(contest, NoWorse(primary, gate.robustness.margin))
    return found


def _anchor(contest: Contest, guardrail: NoWorse) -> list[Guardrail]:
    bench, first = contest.bench, contest.bench.state.first_champion
    if first is None or contest.champion is None or first in (contest.champion.id, contest.challenger.id):
        return []
    scores = load_version(bench.registry, first).model.predict(bench.holdout)
    paired = bench.pair(scores, contest.paired.challenger)
    return [Elsewhere(f"all rows, against the first champion {first}", guardrail, paired)]


def _fairness(bench: Bench, column: str, margins: dict[str, float]) -> Fairness:
    gate = bench.project.gate
    found = by_value(column, bench.holdout[column], bench.seen[column], gate.min_slice_rows)
    protected = tuple(group for group in found if not group.name.endswith(REST))
    return Fairness(column, protected, cast(dict[Criterion, float], margins), gate.min_slice_rows, gate.threshold)


def _robustness(contest: Contest, guardrail: NoWorse) -> list[Guardrail]:
    bench, settings = contest.bench, contest.bench.project.gate.robustness
    assert settings is not None and contest.champion is not None
    columns = bench.columns
    bad_days = {}
    if settings.missing_share:
        name = f"all rows with {settings.missing_share:.0%} of the values missing"
        bad_days[name] = without_values(bench.holdout, columns.features, settings.missing_share, ROBUSTNESS_SEED)
    if settings.noise and columns.numbers:
        name = f"all rows with noise of {settings.noise:g} standard deviations"
        bad_days[name] = with_noise(bench.holdout, columns.numbers, settings.noise, ROBUSTNESS_SEED)
    models = (contest.champion.model, contest.challenger.model)
    return [
        Elsewhere(name, guardrail, bench.pair(*(model.predict(rows) for model in models)))
        for name, rows in bad_days.items()
    ]


def _known_hard(contest: Contest) -> list[Test]:
    bench, settings = contest.bench, contest.bench.project.gate.hard_rows
    names = history.hard_rows(bench.state)
    if settings is None or contest.champion is None or not names:
        return []
    kept = pd.concat([bench.registry.hard_rows.read(name) for name in names], ignore_index=True)
    rows = kept.drop_duplicates(bench.columns.id, keep="last").tail(settings.newest)
    labels = rows[bench.columns.label].to_numpy()
    before, after = (version.model.predict(rows) for version in (contest.champion, contest.challenger))
    return [regression(labels, before, after, bench.project.gate.threshold, settings.margin)]


def _serving(contest: Contest) -> list[Test]:
    settings = contest.bench.project.gate.serving
    if settings is None or contest.champion is None:
        return []
    champion, challenger = (
        _cost(version, contest.bench, settings.rows) for version in (contest.champion, contest.challenger)
    )
    limits = {
        f"median time of a request of {settings.rows:,} rows (ms)": settings.median_ms,
        "99th percentile of it (ms)": settings.p99_ms,
        "size of the weights (MB)": settings.size_mb,
    }
    return [
        limit(name, champion[place], challenger[place], largest)
        for place, (name, largest) in enumerate(limits.items())
        if largest is not None
    ]


def _cost(version: Version, bench: Bench, num_rows: int) -> tuple[float, float, float]:
    request = bench.holdout.head(num_rows)
    timed = latency(lambda: version.model.predict(request), time.perf_counter)
    return timed.median_ms, timed.p99_ms, size_mb(version.model.network)
