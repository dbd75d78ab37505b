"""Alarms hold at every look: they cost what they say, and find what is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.monitoring.alarms import Alarm, detect
from models.monitoring.change import Direction
from tests.models.monitoring.noise import autoregressive, random

DAY = 1 / 365


def test_evidence_of_a_quiet_series_stays_below_the_years_that_have_passed() -> None:
    found = [detect(values[:20], values[20:], DAY, direction="up") for values in random(2).standard_normal((120, 50))]
    means = np.mean([each.path for each in found], axis=0)
    errors = np.std([each.path for each in found], axis=0) / np.sqrt(len(found))
    assert np.allclose(found[0].elapsed, np.arange(1, 31) * DAY)
    assert (means <= found[0].elapsed + 4 * errors).all()
    assert means[-1] > 0.1 * found[0].elapsed[-1], "it is not safe by never saying anything"


@pytest.mark.parametrize("kind", ["normal", "lognormal", "t3", "autoregressive"])
def test_false_alarms_stay_within_the_level_however_often_one_looks(kind: str) -> None:
    """At alpha 0.5 a year a life of 30 days may raise at most 0.041 false alarms."""
    noise = random(3).standard_normal((80, 44))
    values = {
        "normal": noise,
        "lognormal": np.exp(noise),
        "t3": random(4).standard_t(3, noise.shape),
        "autoregressive": autoregressive(noise, 0.6),
    }[kind]
    raised = [detect(each[:14], each[14:], DAY, alpha=0.5, direction="up").raised_at is not None for each in values]
    allowed = 0.5 * 30 * DAY
    assert np.mean(raised) <= allowed + 3 * np.sqrt(allowed * (1 - allowed) / len(raised))


@given(st.integers(0, 50), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.sampled_from(["up", "down", "both"]))
@settings(max_examples=25)
def test_neither_origin_nor_unit_matters(seed: int, origin: float, unit: float, direction: Direction) -> None:
    values = random(seed).standard_normal(30)
    values[22:] += 2
    plain = detect(values[:15], values[15:], DAY, direction=direction)
    moved = detect(origin + unit * values[:15], origin + unit * values[15:], DAY, direction=direction)
    assert np.allclose(plain.path, moved.path, rtol=1e-4)
    assert plain.start == moved.start


@given(st.integers(0, 50))
@settings(max_examples=25)
def test_down_is_up_upside_down(seed: int) -> None:
    values = random(seed).standard_normal(30)
    up = detect(values[:15], values[15:], DAY, direction="up")
    assert np.allclose(up.path, detect(-values[:15], -values[15:], DAY, direction="down").path)


@given(st.integers(0, 50), st.integers(1, 14))
@settings(max_examples=25)
def test_a_look_does_not_see_the_future(seed: int, num_looks: int) -> None:
    values = random(seed).standard_normal(30)
    whole = detect(values[:15], values[15:], DAY)
    part = detect(values[:15], values[15 : 15 + num_looks], DAY)
    assert np.allclose(whole.path[:num_looks], part.path)


@pytest.mark.parametrize(("direction", "shift"), [("up", 3.0), ("down", -3.0), ("both", 3.0), ("both", -3.0)])
def test_a_change_is_found_with_its_start_and_level(direction: Direction, shift: float) -> None:
    values = random(6).standard_normal(100)
    values[70:] += shift
    labels = [f"day {place}" for place in range(50)]
    alarm = detect(values[:50], values[50:], DAY, direction=direction).alarm("log_loss", labels)
    assert alarm.is_raised and alarm.is_current
    assert alarm.since in ("day 19", "day 20", "day 21")
    assert alarm.before is not None and abs(alarm.before) < 0.5
    assert alarm.interval is not None and alarm.interval[0] < shift < alarm.interval[1]
    moved = "rose" if shift > 0 else "fell"
    assert alarm.sentence.startswith(f"log_loss {moved} to {alarm.after:.4g} since {alarm.since} from ")


def test_a_change_in_the_other_direction_is_no_harm() -> None:
    values = random(5).standard_normal(100)
    values[70:] -= 5
    assert detect(values[:50], values[50:], DAY, direction="up").raised_at is None


def test_a_quiet_series_says_so() -> None:
    values = random(6).standard_normal(60)
    alarm = detect(values[:30], values[30:], DAY).alarm("auc")
    assert not alarm.is_raised and not alarm.is_current
    assert alarm.since is alarm.before is alarm.after is alarm.interval is None
    assert alarm.sentence.startswith("auc shows no change: evidence ")
    assert alarm.sentence.endswith(" of 20 years.")


def test_a_smaller_share_needs_more_evidence() -> None:
    values = random(5).standard_normal(60)
    values[45:] += 3
    alone, shared = (detect(values[:30], values[30:], DAY, share=share) for share in (1.0, 0.01))
    assert (alone.threshold, shared.threshold) == (20.0, 2000.0)
    assert np.array_equal(alone.path, shared.path)
    assert alone.raised_at is not None and shared.raised_at is not None
    assert alone.raised_at < shared.raised_at


def test_an_alarm_stays_raised_but_is_not_current_when_the_level_has_come_back() -> None:
    values = random(7).standard_normal(160)
    values[65:75] += 5
    during = detect(values[:60], values[60:75], DAY, direction="up").alarm("log_loss")
    after = detect(values[:60], values[60:], DAY, direction="up").alarm("log_loss")
    assert during.is_raised and during.is_current
    assert after.is_raised and not after.is_current
    assert after.since == during.since, "the start of what was found, not of what is left of it"
    assert after.sentence.endswith("and has come back since the alarm.")


def test_one_outlier_is_never_an_alarm_however_far_it_lies() -> None:
    values = random(8).standard_normal(60)
    for outlier in (10.0, 1e3, 1e9):
        values[40] = outlier
        assert detect(values[:30], values[30:], DAY, share=0.05).raised_at is None


def test_a_level_that_has_come_back_is_not_current_again_before_the_threshold() -> None:
    values = random(7).standard_normal(200)
    values[65:75] += 5
    values[75:] -= 0.5
    values[192:] += 3
    found = detect(values[:60], values[60:], DAY, direction="up")
    assert found.elapsed[-1] < found.path[-1] < found.threshold
    assert not found.is_current
    assert found.start == 5, "the start of what was found, not of what rises now"
    assert found.after is not None and found.after > 3
    values[180:192] += 3
    again = detect(values[:60], values[60:], DAY, direction="up")
    assert again.is_current
    assert again.start in (119, 120, 121)


def test_how_far_values_lie_beyond_three_standard_deviations_does_not_matter() -> None:
    paths = []
    for farthest in (10.0, 1e6):
        values = random(8).standard_normal(60)
        values[40:44] = farthest
        paths.append(detect(values[:30], values[30:], DAY).path)
    assert np.allclose(*paths)


def test_a_share_that_is_mostly_zero_may_blink() -> None:
    values = np.zeros(60)
    values[[35, 50]] = 0.001
    assert detect(values[:30], values[30:], DAY, share=0.05, direction="up").raised_at is None


def test_a_constant_series_says_nothing_until_it_changes_for_good() -> None:
    constant = np.full(40, 0.1) + np.where(np.arange(40) % 2, 1e-17, 0)
    quiet = detect(constant[:20], constant[20:], DAY)
    assert quiet.raised_at is None
    assert (quiet.path <= quiet.elapsed).all()
    changed = np.concatenate([constant, np.full(10, 0.2)])
    found = detect(changed[:20], changed[20:], DAY)
    assert found.raised_at is not None and found.start == 20


def test_a_look_without_a_value_is_skipped_and_its_time_passes() -> None:
    values = random(9).standard_normal(40)
    current = np.insert(values[20:], [0, 3, 3, 20], np.nan)
    reference = np.insert(values[:20], 5, np.nan)
    gaps = detect(reference, current, DAY)
    assert gaps.elapsed[-1] == pytest.approx(24 * DAY)
    assert gaps.path[0] == 0
    assert gaps.path[5] == gaps.path[4] == gaps.path[3]
    assert gaps.path[-1] == gaps.path[-2]
    covered = np.full(20, DAY)
    covered[0], covered[3] = 2 * DAY, 3 * DAY
    assert np.allclose(gaps.path[~np.isnan(current)], detect(values[:20], values[20:], covered).path)


def test_the_start_is_a_place_in_the_values_as_given() -> None:
    values = np.concatenate([random(10).standard_normal(40), 6 + random(11).standard_normal(12)])
    current = np.insert(values[30:], 2, [np.nan, np.nan, np.nan])
    found = detect(values[:30], current, DAY)
    assert found.start == 13
    assert found.before == pytest.approx(values[:40].mean())
    assert found.after == pytest.approx(values[40:].mean())


def test_no_values_yet_is_no_evidence() -> None:
    for current in (np.array([]), np.array([np.nan])):
        found = detect(np.arange(5.0), current, DAY)
        assert found.start is None and not found.path.any()
        assert found.alarm("auc").sentence.startswith("auc shows no change")


def test_one_value_is_at_most_as_much_evidence_as_being_the_largest_of_all() -> None:
    values = np.concatenate([np.zeros(200), [1.0, 1.0]])
    path = detect(values[:200], values[200:], 1.0, direction="up").path
    assert path[0] == pytest.approx(201), "C(201, 1)"
    assert path[1] <= 20_301 + 202 + 1e-6, "C(202, 2) for both, C(202, 1) for the second alone"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference": np.array([1.0, np.nan])}, "the reference has 1 values; an alarm needs at least 2"),
        ({"current": np.array([np.inf])}, "infinite values"),
        ({"years_a_point": 0.0}, "years_a_point=0; every look covers some time"),
        ({"alpha": 5.0}, "alpha=5 is not a rate of false alarms"),
        ({"share": 0.0}, "share=0 is no share of alpha"),
    ],
)
def test_what_means_nothing_is_refused(values: dict[str, object], message: str) -> None:
    valid = {"reference": np.arange(5.0), "current": np.ones(1), "years_a_point": DAY}
    with pytest.raises(ValueError, match=message):
        detect(**valid | values)  # type: ignore[arg-type]


def test_evidence_beyond_all_doubt_is_written_shortly() -> None:
    alarm = Alarm("ctr", 1e40, 20.0, True, True, "2026-01-05", 0.02, 0.01, (0.009, 0.011))
    assert alarm.sentence == (
        "ctr fell to 0.01 since 2026-01-05 from 0.02 (95 % interval 0.009 to 0.011): by chance at most once in "
        "1,000,000 years."
    )
