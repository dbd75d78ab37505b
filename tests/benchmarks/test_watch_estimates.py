"""The benchmarks of estimates and of the domain classifier run, on settings that take seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.watch import estimates, multivariate, streams
from benchmarks.watch.multivariate import Change
from benchmarks.work import generator, rounded


@pytest.mark.parametrize("name", ["car_loan", "work_from_home", "california", "credit_cards", "car_price"])
def test_a_stream_is_in_time_order_with_typed_columns(name: str) -> None:
    data = streams.stream(name)
    assert data is streams.stream(name)
    assert data.frame["event_time"].is_monotonic_increasing
    assert str(data.frame["event_time"].dt.tz) == "UTC"
    assert list(data.frame) == ["id", "event_time", *data.numbers, *data.categories, data.label]
    assert all(data.frame[column].dtype == float for column in (*data.numbers, data.label))
    assert all(data.frame[column].dtype == object for column in data.categories)
    assert len(data.score) == len(data.frame)
    assert 0 < data.train_end < data.reference_end < len(data.frame)
    chunks = data.chunks()
    assert len(chunks) == data.num_chunks
    assert (chunks[0].start, chunks[-1].stop) == (data.reference_end, len(data.frame))


def test_the_loans_and_the_days_at_home_are_one_stream_under_two_names() -> None:
    first, second = (streams.stream(name) for name in ("car_loan", "work_from_home"))
    assert (first.score == second.score).all()
    assert (first.frame[first.label] == second.frame[second.label]).all()
    assert "work_from_home" not in estimates.STREAMS


def test_a_stream_predicts_rows_with_missing_and_unknown_values() -> None:
    data = streams.stream("california")
    rows = data.frame.iloc[data.reference].head(50).copy()
    before = data.predict(rows)
    rows[list(data.numbers)] = np.nan
    assert before.shape == data.predict(rows).shape == (50,)
    assert ((before >= 0) & (before <= 1)).all()
    assert (data.predict(rows) != before).any()
    with pytest.raises(ValueError, match="regression label"):
        streams.stream("car_price").predict(rows)


def test_an_unknown_stream_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="choose one of flights, employment, car_loan"):
        streams.stream("titanic")


def test_estimates_are_held_against_the_truth() -> None:
    found = estimates.run(estimates.Size(("california", "car_price"), 3), jobs=1)
    json.dumps(rounded(found))
    assert 0 <= found["raw_coverage"] <= found["coverage"] <= 1
    assert found["num_intervals"] == 3 * (3 + 2) * 2
    cells = {(cell["stream"], cell["metric"]): cell for cell in found["streams"]}
    assert set(cells) == {("california", metric) for metric in ("auc", "log_loss", "accuracy")} | {
        ("car_price", metric) for metric in ("rmse", "mae")
    }
    assert cells["california", "auc"]["weighted"]["unreliable_share"] == 1
    assert cells["car_price", "mae"]["nannyml"]["mean_error"] < cells["car_price", "mae"]["unchanged"]["mean_error"]


def test_the_domain_classifiers_are_compared() -> None:
    size = multivariate.Size(600, 300, 4, 2, 1_000, (Change("shift", 1.0),))
    found = multivariate.run(size, jobs=1)
    json.dumps(rounded(found))
    assert found["multivariate_speedup"] > 1
    assert found["detection"] == [
        {
            "change": "shift",
            "size": 1.0,
            "num_chunks": 2,
            "ours": 1.0,
            "nannyml": 1.0,
            "pca": pytest.approx(0.5, abs=0.5),
        }
    ]


@pytest.mark.parametrize("change", multivariate.CHANGES, ids=str)
def test_only_shifts_are_seen_in_a_margin(change: Change) -> None:
    rows = multivariate.world(generator("test"), 20_000, change).to_numpy()
    assert rows.std(axis=0) == pytest.approx(np.ones(16), abs=0.03)
    assert abs(rows.mean(axis=0)).max() == pytest.approx(change.size if change.kind == "shift" else 0, abs=0.03)
