"""What a project's gate requires of a challenger, made from its YAML."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pandas as pd

from configs.component import resolve
from configs.gate import MetricRef
from configs.schema import Project
from models.data.scores import Scores, aligned, places, union
from models.evaluation.comparison import WholeMetric
from models.evaluation.fairness import Criterion, Fairness
from models.evaluation.gate import Rules
from models.evaluation.guardrails import Elsewhere, Floor, Guardrail, NegativeFlips, NoWorse
from models.evaluation.hard_rows import regression
from models.evaluation.metrics.catalogue import ACCURACY, AUC, CORRELATION, LOG_LOSS, RMSE, metric
from models.evaluation.metrics.metric import Metric, Undefined
from models.evaluation.minima import Minima
from models.evaluation.resampling import Resampled, from_torchmetrics
from models.evaluation.robustness import with_noise, without_values
from models.evaluation.serving import latency, size_mb
from models.evaluation.slices import Slices, by_query, by_range, by_value, too_rare
from models.evaluation.testing import Test, limit
from models.registry import history
from models.registry.versions import Version, VersionId
from tasks.evaluate import Bench, Contest
from tasks.step import load_version

ROBUSTNESS_SEED = 0  # the same cells are emptied for every model that is ever asked
OF_THE_LABEL = ("mae", "pinball", "rmse")  # metrics in the unit of a regression's label


def rules_of(contest: Contest, level: float) -> Rules:
    """The tests that this challenger has to pass at `level`."""
    project = contest.bench.project
    gate = project.gate
    if contest.champion is None:
        return Rules(primary_of(project, has_champion=False), level, 0.0, _first(project), minima_of(project))
    primary = primary_of(project, has_champion=True)
    return Rules(primary, level, gate.min_gain, tuple(_guardrails(contest)), minima_of(project))


def primary_of(project: Project, has_champion: bool) -> Metric | WholeMetric:
    """The metric in which a challenger must be better, than the baseline where there is no champion.

    A constant is hard to beat in log loss or squared error on two weeks of one season, and says nothing about any row:
    a first champion must tell rows apart, and may not cost more than the baseline by its margin. Of several classes AUC
    may not be defined, for one of them may have no row in the holdout; they must be told apart by log loss.
    """
    if has_champion:
        return metric_of(project.gate.primary, project.data.unit)
    return {"binary": AUC, "multiclass": LOG_LOSS, "regression": CORRELATION}[project.data.task]


def _first(project: Project) -> tuple[Guardrail, ...]:
    """What a first champion must show beside being better than the baseline."""
    first = project.gate.first
    if project.data.task == "binary":
        return Floor(AUC, first.min_auc), NoWorse(LOG_LOSS, first.log_loss_margin)
    if project.data.task == "multiclass":
        return (NoWorse(ACCURACY, first.accuracy_margin),)
    rmse = in_unit(RMSE, project.data.unit)
    return Floor(CORRELATION, first.min_correlation), NoWorse(rmse, share=first.rmse_margin)


def minima_of(project: Project) -> Minima:
    """What rows must have before anything is said about them."""
    minima = project.gate.minima
    return Minima(minima.groups, minima.positives, minima.negatives, minima.class_rows)


def metric_of(ref: MetricRef, unit: str | None = None) -> Metric | WholeMetric:
    """A metric by its name or class; `unit` is that of a regression's label, if a person is to read it."""
    if ref.metric is not None:
        return in_unit(metric(ref.metric, **ref.init_args), unit)
    return from_torchmetrics(resolve(str(ref.class_path)), ref.init_args, ref.better)


def in_unit(metric: Metric, unit: str | None) -> Metric:
    """A metric whose label says the unit, if it has that of the regression's label."""
    return replace(metric, label=f"{metric.label} ({unit})") if unit and metric.name in OF_THE_LABEL else metric


def slices_of(bench: Bench) -> list[Slices]:
    """The slices of the bench's rows, block by block of the YAML, each with the test it has to pass.

    Raises:
        ValueError: for a query that says nothing about the rows.
    """
    gate, holdout, seen = bench.project.gate, bench.holdout, bench.recent
    found = []
    for block in gate.slices:
        if block.query is not None:
            cut = [by_query(block.name or block.query, block.query, holdout, seen)]
        elif block.edges:
            values = (holdout[block.column], seen[block.column])
            cut = by_range(str(block.column), block.edges, *values, min_missing=gate.min_slice_rows)
        else:
            cut = by_value(str(block.column), holdout[block.column], seen[block.column], gate.min_slice_rows)
        guardrail = NoWorse(primary_of(bench.project, has_champion=True), block.margin)
        found.append(Slices(guardrail, tuple(cut), gate.min_slice_rows, minima_of(bench.project)))
    return found


def probe(bench: Bench, scores: Scores) -> None:
    """Compute every guardrail's metric once, so that one that cannot be computed is told before anything is trained.

    Raises:
        ValueError: naming the metric and what it says of these rows.
    """
    paired = bench.pair(scores, scores)
    for ref in bench.project.gate.guardrails:
        try:
            each = metric_of(ref)
            if isinstance(each, Metric):
                each.measure(paired.samples[0])
            elif isinstance(each, Resampled):
                each.value(paired.labels, paired.champion)
        except Undefined:
            continue  # the gate leaves it open, with the reason
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(f"gate.guardrails: {ref.metric or ref.class_path} cannot be computed: {error}") from error


def untestable(bench: Bench, scores: Scores) -> list[str]:
    """Slices that are too small to be tested, in words: what is missing fails closed, so nothing could be promoted."""
    paired = bench.pair(scores, scores)
    return [
        f"{each.name} ({why})"
        for slices in slices_of(bench)
        for each in slices.slices
        if (why := slices.lacking(paired, each))
    ]


def counted(contest: Contest) -> list[Test]:
    """What is counted or timed instead of tested: known-hard rows, and the cost of serving."""
    return [*_known_hard(contest), *_serving(contest)]


def _guardrails(contest: Contest) -> list[Guardrail]:
    bench, gate = contest.bench, contest.bench.project.gate
    primary, unit = primary_of(bench.project, has_champion=True), bench.project.data.unit
    found: list[Guardrail] = [
        NoWorse(metric_of(each, unit), each.margin, each.relative_margin) for each in gate.guardrails
    ]
    if gate.negative_flips is not None:
        found.append(NegativeFlips(gate.negative_flips, gate.threshold))
    if gate.anchor_margin is not None:
        found += _anchor(contest, NoWorse(primary, gate.anchor_margin))
    found += slices_of(bench)
    found += [_fairness(bench, each.column, each.margins) for each in gate.fairness]
    if gate.robustness is not None:
        found += _robustness(contest, NoWorse(primary, gate.robustness.margin))
    return found


def _anchor(contest: Contest, guardrail: NoWorse) -> list[Guardrail]:
    bench, first = contest.bench, anchor_of(contest.bench)
    if first is None or contest.champion is None or first == contest.champion.id:
        return []
    paired = bench.pair(anchor_scores(bench, first), contest.after)
    return [Elsewhere(f"all rows, against the first champion {first}", guardrail, paired)]


def anchor_of(bench: Bench) -> VersionId | None:
    """The first champion that no person has refused, if the project asks for an anchor."""
    promotions = bench.state.promotions
    return promotions[0] if promotions and bench.project.gate.anchor_margin is not None else None


def anchor_scores(bench: Bench, first: VersionId) -> Scores:
    """What the anchor says of the holdout. Raises `ValueError` when it can no longer be loaded, or lacks a column."""
    try:
        return bench.scores(load_version(bench.registry, first), bench.holdout)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"the first champion {first} can no longer score: {error}; restore what it needs, or set "
            "gate.anchor_margin to null"
        ) from error


def _fairness(bench: Bench, column: str, margins: dict[str, float]) -> Fairness:
    gate = bench.project.gate
    found = by_value(column, bench.holdout[column], bench.recent[column], gate.min_slice_rows)
    left_out = too_rare(column, bench.holdout[column], bench.recent[column], gate.min_slice_rows)
    return Fairness(
        column=column,
        groups=tuple(group for group in found if not group.is_rest),
        margins=cast(dict[Criterion, float], margins),
        min_rows=gate.min_slice_rows,
        threshold=gate.threshold,
        left_out=left_out,
    )


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
    versions = (contest.champion, contest.challenger)
    return [
        Elsewhere(name, guardrail, bench.pair(*(bench.scores(version, rows) for version in versions)))
        for name, rows in bad_days.items()
    ]


def _known_hard(contest: Contest) -> list[Test]:
    bench, settings = contest.bench, contest.bench.project.gate.hard_rows
    names = history.hard_rows(bench.state)
    if settings is None or contest.champion is None or not names:
        return []
    kept = pd.concat([bench.registry.hard_rows.read(name) for name in names], ignore_index=True)
    kept = kept.reindex(columns=list(bench.columns.all))  # a feature that came later is missing in rows of before
    kept = kept.dropna(subset=[bench.columns.label])
    rows = kept.drop_duplicates(bench.columns.id, keep="last").tail(settings.newest)
    if rows.empty:
        return []
    labels = rows[bench.columns.label]
    before, after = (bench.scores(version, rows) for version in (contest.champion, contest.challenger))
    known = union(before.classes, after.classes, labels=labels) if before.classes else ()
    happened = places(labels, known) if known else labels.to_numpy(dtype=float)
    champion, challenger = (aligned(each.values, each.classes, known) for each in (before, after))
    return [regression(happened, champion, challenger, bench.project.gate.threshold, settings.margin)]


def _serving(contest: Contest) -> list[Test]:
    settings = contest.bench.project.gate.serving
    if settings is None:
        return []
    before = _cost(contest.champion, contest.bench, settings.rows) if contest.champion else (None, None, None)
    after = _cost(contest.challenger, contest.bench, settings.rows)
    limits = {
        f"median time of a request of {settings.rows:,} rows (ms)": settings.median_ms,
        "99th percentile of it (ms)": settings.p99_ms,
        "size of the weights (MB)": settings.size_mb,
    }
    return [
        limit(name, before[place], after[place], largest)
        for place, (name, largest) in enumerate(limits.items())
        if largest is not None
    ]


def _cost(version: Version, bench: Bench, num_rows: int) -> tuple[float, float, float]:
    request = bench.holdout.head(num_rows)
    timed = latency(lambda: version.model.predict(request), time.perf_counter)
    return timed.median_ms, timed.p99_ms, size_mb(version.model.network)
