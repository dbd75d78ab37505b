"""Labels and logged inputs: noise is estimated, and what was scored is what the source holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.monitoring.quality import Limits, check_label_noise, check_skew, label_noise

LIMITS = Limits(missing_share=0.2, unseen_share=0.2, out_of_range_share=0.2, volume_ratio=3.0)


def scored(num_rows: int, seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of a model that is calibrated, before some labels are flipped."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(0.3, 0.6, num_rows)
    labels = generator.random(num_rows) < scores
    return np.where(generator.random(num_rows) < flipped, ~labels, labels).astype(float), scores


@given(seed=st.integers(0, 10_000), flipped=st.sampled_from([0.0, 0.05, 0.2, 0.4]))
@settings(deadline=None, max_examples=30)
def test_the_share_of_flipped_labels_is_estimated(seed: int, flipped: float) -> None:
    noise = label_noise(*scored(10_000, seed, flipped), *scored(10_000, seed + 1))
    assert noise.lower <= noise.share <= noise.upper
    assert noise.share == pytest.approx(flipped, abs=0.07)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = [
        noise.lower <= 0.1 <= noise.upper
        for seed in range(200)
        for noise in [label_noise(*scored(2_000, seed, 0.1), *scored(2_000, seed + 1_000))]
    ]
    assert np.mean(covered) > 0.9


def test_flipped_labels_break_only_a_limit_that_was_set_and_lies_below_the_interval() -> None:
    noise = label_noise(*scored(10_000, 0, 0.2), *scored(10_000, 1))
    assert not check_label_noise(noise, LIMITS).is_broken
    assert check_label_noise(noise, Limits(0.2, 0.2, 0.2, 3.0, label_noise=0.1)).is_broken
    assert not check_label_noise(noise, Limits(0.2, 0.2, 0.2, 3.0, label_noise=0.2)).is_broken
    assert "between" in check_label_noise(noise, LIMITS).sentence


def test_label_noise_needs_rows_of_which_the_champion_is_sure() -> None:
    with pytest.raises(ValueError, match="0 rows now and 10 of the reference are sure"):
        label_noise([1.0], [0.5], *scored(100, 0))


def inputs(num_rows: int = 200) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"r{row}" for row in range(num_rows)],
            "x": generator.normal(size=num_rows),
            "a": generator.choice(["p", "q"], num_rows).astype(object),
        }
    )
    frame.loc[::7, "x"] = np.nan
    frame.loc[::5, "a"] = None
    return frame


def skewed(logged: pd.DataFrame, source: pd.DataFrame, limit: float = 0.01) -> dict[str | None, float]:
    return {
        check.column: check.found for check in check_skew(logged, source, "id", ["x", "a"], limit) if check.is_broken
    }


def test_inputs_are_the_same_in_any_order_after_float32_and_with_more_rows_in_the_source() -> None:
    logged = inputs().assign(x=lambda f: f["x"].astype("float32").astype(float))
    assert skewed(logged.sample(frac=0.5, random_state=0), inputs().iloc[::-1]) == {}


def test_inputs_that_were_scored_otherwise_are_counted_by_column() -> None:
    source = inputs()
    assert skewed(inputs().assign(x=lambda f: f["x"].fillna(0.0)), source) == {"x": pytest.approx(29 / 200)}
    assert skewed(inputs().assign(a=lambda f: f["a"].fillna("?")), source) == {"a": pytest.approx(40 / 200)}
    assert skewed(inputs().assign(x=lambda f: f["x"] * 1.001), source, 0.5) == {"x": pytest.approx(171 / 200)}
    assert skewed(inputs().assign(x=lambda f: f["x"].where(f.index > 0, 9.0)), source) == {}


def test_rows_that_are_not_in_both_are_not_compared_and_columns_must_be_logged() -> None:
    assert [check.found for check in check_skew(inputs().iloc[:0], inputs(), "id", ["x"], 0.1)] == [0.0]
    with pytest.raises(ValueError, match="the logged inputs have no column 'a'"):
        check_skew(inputs().drop(columns="a"), inputs(), "id", ["x", "a"], 0.1)
