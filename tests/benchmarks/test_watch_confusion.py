"""The episodes of the watch's benchmark: what is put in is what it says, and the counting is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.watch import confusion, episodes, injections, speed
from benchmarks.watch.__main__ import HEADLINE, WATCH
from benchmarks.watch.confusion import Piece, Played, _counted, play
from benchmarks.watch.injections import FAULTS, HARMFUL, INJECTIONS
from benchmarks.work import generator
from models.data.predictions import SCORE

STREAM = "car_loan"


@pytest.fixture(scope="module")
def scene() -> episodes.World:
    return episodes.world(STREAM, 3)


def injected(scene: episodes.World, kind: str) -> episodes.Episode:
    found = INJECTIONS[kind](scene, generator("test", kind))
    assert found is not None
    return found


def test_an_episode_has_whole_days_no_row_twice_and_a_model_that_knows_its_trade(scene: episodes.World) -> None:
    frame = scene.frame
    assert frame["event_time"].is_monotonic_increasing
    assert frame["id"].is_unique
    assert frame["event_time"].dt.floor("D").nunique() == episodes.NUM_DAYS
    quiet, changed = frame[~scene.is_changed], frame[scene.is_changed]
    fall, _ = episodes.truth(quiet, changed)
    assert abs(fall) < 0.02, "nothing was put in"


@pytest.mark.parametrize("kind", INJECTIONS)
def test_what_came_before_is_left_alone(kind: str, scene: episodes.World) -> None:
    before = scene.frame.copy(deep=True)
    episode = injected(scene, kind)
    assert scene.frame.equals(before)
    early = episode.delivered["event_time"] < episodes.pd.Timestamp(scene.change)
    columns = [name for name in before if name != "id"]
    assert episode.delivered[early][columns].reset_index(drop=True).equals(before[~scene.is_changed][columns])


@pytest.mark.parametrize("kind", HARMFUL)
def test_harm_costs_three_points_of_auc_or_more_in_truth(kind: str, scene: episodes.World) -> None:
    frame = injected(scene, kind).delivered
    fall, rise = episodes.truth(frame[~scene.is_changed], frame[scene.is_changed])
    assert fall >= 0.03
    assert rise >= 0.02


def test_a_benign_shift_moves_inputs_and_costs_nothing(scene: episodes.World) -> None:
    frame = injected(scene, "benign_shift").delivered
    fall, rise = episodes.truth(frame[~scene.is_changed], frame[scene.is_changed])
    assert fall <= injections.BENIGN_FALL
    assert rise <= injections.BENIGN_RISE
    assert (
        not frame[scene.is_changed]["car_value"]
        .reset_index(drop=True)
        .equals(scene.frame[scene.is_changed]["car_value"].reset_index(drop=True))
    )


def test_faults_of_the_feed_are_scored_as_they_come_and_a_serving_bug_is_not(scene: episodes.World) -> None:
    for kind in ("unit_change", "missing_burst", "frozen_column", "category_remapping"):
        logged = injected(scene, kind).logged
        assert np.allclose(scene.pool.predict(logged), logged[SCORE])
    logged = injected(scene, "serving_bug").logged
    assert (np.abs(scene.pool.predict(logged) - logged[SCORE]) > 1e-3).mean() > 0.05


@pytest.mark.parametrize(
    ("kind", "verdicts"),
    [
        ("nothing", {"healthy"}),
        ("unit_change", {"broken_feed"}),
        ("serving_bug", {"serving_fault"}),
        ("concept_change", {"healthy", "concept_change"}),
    ],
)
def test_an_episode_is_played_to_its_verdicts(kind: str, verdicts: set[str]) -> None:
    played = play(Piece(kind, STREAM, 3))
    assert set(played.verdicts) == verdicts
    assert len(played.verdicts) == len(confusion.STEPS)


def test_the_four_numbers_count_what_they_say() -> None:
    calm = Played(Piece("nothing", STREAM, 0), "", ("healthy",) * 4, ("",) * 4)
    cases = {
        "unit_change": ("broken_feed", "broken_feed", "harmful_shift", "broken_feed"),
        "serving_bug": ("serving_fault",) * 4,
        "harmful_shift": ("labels_needed", "healthy", "healthy", "harmful_shift"),
        "concept_change": ("healthy", "concept_change", "healthy", "healthy"),
        "benign_shift": ("healthy", "harmful_shift", "benign_shift", "benign_shift"),
    }
    played = [calm, *(replace(calm, piece=Piece(kind, STREAM, 0), verdicts=each) for kind, each in cases.items())]
    found = _counted(played)
    assert found["retrain_on_fault"] == 1
    assert found["harmful_found"] == 0.5, "what was found and lost again is not found"
    assert found["found_before_labels"] == 0.5
    assert found["benign_retrained"] == 1
    assert {each["kind"] for each in found["missed"]} == {"unit_change", "concept_change", "benign_shift"}
    assert found["matrix"]["nothing"] == {
        "episodes": 1,
        "gravest": {"healthy": 1},
        "last": {"healthy": 1},
        "retrain_recommended": 0,
    }


def test_every_kind_is_a_fault_harmful_or_named_as_neither() -> None:
    neither = {"nothing", "benign_shift", "prior_shift", "late_labels"}
    assert set(INJECTIONS) == {*FAULTS, *HARMFUL} | neither
    assert set(HEADLINE) == set(WATCH.parts)


@pytest.mark.slow
def test_a_look_is_timed_in_a_process_of_its_own() -> None:
    found = speed.run(speed.Size(rows=7_000), jobs=1)
    assert 0 < found["seconds_again"] < found["seconds"]
    assert found["seconds_1e6"] is None
    assert found["broken"] == []
