"""Walking in time: the periods, the arms, and what is made of their losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.training.gains import summary
from benchmarks.training.walk import CANDIDATES, CHOICES, QUICK, Road, Walker
from models.training.histories import history

TINY = replace(QUICK, num_rows=1_500, num_periods=3, epochs=2, width=8)

# Loss and passes of each arm: on the first stream scratch gains a half, on the second next to nothing.
FOUND = {
    "moving": {
        "static": (1.0, 0.0),
        "stopped": (0.6, 600.0),
        "scratch": (0.5, 1_000.0),
        "finetune": (0.55, 100.0),
        "choice": (0.51, 900.0),
    },
    "still": {
        "static": (0.400, 0.0),
        "stopped": (0.399, 600.0),
        "scratch": (0.399, 1_000.0),
        "finetune": (0.420, 300.0),
        "choice": (0.399, 900.0),
    },
}


def test_the_share_of_the_gain_leaves_out_streams_on_which_scratch_gains_nothing() -> None:
    found = summary(FOUND, CANDIDATES, tuple(CHOICES))
    assert found["left_out_of_gain"] == ["still"]
    assert found["finetune_gain"] == found["finetune_gain_worst"] == pytest.approx(0.9)
    assert found["table"]["scratch"]["gain"] == 1
    assert found["table"]["static"]["gain"] == 0
    assert found["table"]["finetune"]["loss"] == pytest.approx((1.1 + 0.42 / 0.399) / 2)


def test_the_cost_is_a_share_of_the_passes_of_scratch_on_every_stream() -> None:
    found = summary(FOUND, CANDIDATES, tuple(CHOICES))
    assert found["finetune_cost"] == pytest.approx(0.2)
    assert found["finetune_cost_of_stopped"] == pytest.approx((1 / 6 + 1 / 2) / 2)
    assert found["finetune_cost_of_last"] == pytest.approx((1 / 4 + 3 / 4) / 2)


def test_the_regret_of_the_choice_is_against_the_best_candidate_of_each_stream() -> None:
    found = summary(FOUND, CANDIDATES, tuple(CHOICES))
    assert found["regret_by_stream"] == {"choice": {"moving": pytest.approx(0.02), "still": pytest.approx(0.0)}}
    assert found["choice_regret"] == pytest.approx(0.02)


def test_periods_follow_one_another_and_cover_the_stream() -> None:
    road = Road.of("california", TINY)
    assert road.edges[0] == 0
    assert road.edges[-1] == len(road.frame) == 1_500
    assert [len(road.period(number)) for number in range(3)] == [375] * 3
    assert road.frame["event_time"].is_monotonic_increasing


def test_a_retraining_sees_no_row_of_the_period_that_it_is_judged_on() -> None:
    road = Road.of("california", TINY)
    known = road.material(history("all"), road.edges[1], road.edges[2])
    assert len(known.old) == road.edges[1]
    assert max(known.new["event_time"]) < min(road.period(1)["event_time"])


def test_every_arm_walks_and_static_never_trains() -> None:
    size = replace(TINY, only=("static", "stopped", "scratch", "finetune", "choice"))
    tracks = Walker(Road.of("credit_cards", size), size, seed=0).walk()
    assert set(tracks) == set(size.only)
    assert {len(track.costs) for track in tracks.values()} == {2}
    assert all(np.isfinite(track.costs).all() for track in tracks.values())
    assert tracks["static"].num_passes == 0
    assert 0 < tracks["stopped"].num_passes < tracks["scratch"].num_passes
    assert tracks["finetune"].num_passes < tracks["choice"].num_passes
