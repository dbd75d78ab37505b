"""Data quality: a broken feed is seen on the day it breaks, and a sound one that changes is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.contract import Columns
from models.monitoring.quality import Expectations, Limits, Profile, QualityCheck, check_days, check_scored, distance
from models.monitoring.quality.distances import jensen_shannon
from models.monitoring.quality.layout import Layout
from models.monitoring.quality.profiling import profile_days

LIMITS = Limits(missing_share=0.2, unseen_share=0.2, out_of_range_share=0.2, volume_ratio=3.0, unscored_share=1.0)
COLUMNS = Columns("id", "time", "late", ("distance", "seats"), ("carrier", "dest"))
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS_A_DAY, TRAINING_DAYS = 300, 20
DESTS = {"BOS": 200.0, "ORD": 700.0, "MIA": 1100.0, "DEN": 1600.0, "LAX": 2500.0}


def rows(num_days: int, seed: int = 0, start: int = 0, rows_a_day: int = ROWS_A_DAY) -> pd.DataFrame:
    """Flights of days `start` to `start + num_days`: the distance follows from the destination."""
    generator = np.random.default_rng((seed, start))
    num_rows = num_days * rows_a_day
    seconds = np.sort(generator.integers(0, num_days * 86_400, num_rows)) + start * 86_400
    dest = generator.choice(list(DESTS), num_rows)
    frame = pd.DataFrame(
        {
            "id": [f"{start}-{row}" for row in range(num_rows)],
            "time": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
            "distance": np.array([DESTS[name] for name in dest]) * generator.normal(1, 0.05, num_rows),
            "seats": generator.integers(50, 300, num_rows).astype(float),
            "carrier": generator.choice(["UA", "B6", "AA", "DL"], num_rows, p=[0.5, 0.3, 0.15, 0.05]),
            "dest": dest,
            "late": generator.integers(0, 2, num_rows).astype(float),
        }
    )
    frame.loc[generator.random(num_rows) < 0.1, "seats"] = np.nan
    frame.loc[generator.random(num_rows) < 0.1, "carrier"] = None
    return frame.astype({"carrier": object, "dest": object})


def learn(frame: pd.DataFrame, num_days: int = TRAINING_DAYS) -> Expectations:
    return Expectations.learn(frame, COLUMNS, START, START + timedelta(days=num_days))


EXPECTED = learn(rows(TRAINING_DAYS))


def profiles(frame: pd.DataFrame, start: int, num_days: int, expected: Expectations = EXPECTED) -> list[Profile]:
    first = START + timedelta(days=start)
    return profile_days(frame, expected.layout, COLUMNS, first, first + timedelta(days=num_days))


def checks(
    frame: pd.DataFrame, num_days: int, before: int = 0, expected: Expectations = EXPECTED, limits: Limits = LIMITS
) -> list[QualityCheck]:
    """Checks of the days after `before` days of `frame`, which begins where training ended."""
    found = profiles(frame, TRAINING_DAYS, num_days, expected)
    return check_days(found[before:], expected, limits, found[:before])


def broken(found: list[QualityCheck]) -> set[tuple[str, str | None]]:
    return {(check.name, check.column) for check in found if check.is_broken}


def on(day: int, change: Callable[[pd.DataFrame], pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the rows of one of its days changed."""
    is_day = (frame["time"] - pd.Timestamp(START)).dt.days == TRAINING_DAYS + day
    parts = [frame[~is_day], change(frame[is_day].reset_index(drop=True))]
    return pd.concat(parts).sort_values("time", kind="stable", ignore_index=True)


@given(seed=st.integers(1, 100_000), num_days=st.integers(1, 14))
@settings(deadline=None, max_examples=15)
def test_days_like_those_of_training_are_not_broken(seed: int, num_days: int) -> None:
    assert broken(checks(rows(num_days, seed, TRAINING_DAYS), num_days)) == set()


@given(seed=st.integers(1, 100_000), rows_a_day=st.integers(1, 40))
@settings(deadline=None, max_examples=15)
def test_days_of_few_rows_raise_no_alarm(seed: int, rows_a_day: int) -> None:
    expected = learn(rows(TRAINING_DAYS, seed, rows_a_day=rows_a_day))
    frame = rows(7, seed, TRAINING_DAYS, rows_a_day)
    assert broken(checks(frame, 7, expected=expected)) == set()


@given(seed=st.integers(0, 1_000))
@settings(deadline=None, max_examples=5)
def test_training_days_pass_their_own_checks(seed: int) -> None:
    frame = rows(TRAINING_DAYS, seed)
    expected = learn(frame)
    assert broken(check_days(profiles(frame, 0, TRAINING_DAYS, expected), expected, LIMITS)) == set()


FAULTS = [
    (lambda f: f.assign(distance=f["distance"].where(f.index % 2 == 0)), ("missing share", "distance")),
    (lambda f: f.assign(carrier=f["carrier"].where(f.index % 2 == 0, None)), ("missing share", "carrier")),
    (lambda f: f.assign(distance=np.nan), ("missing share", "distance")),
    (lambda f: f.assign(distance=1_000 * f["distance"]), ("share far out of range", "distance")),
    (lambda f: f.assign(distance=1_000 * f["distance"]), ("share of days in another unit", "distance")),
    (lambda f: f.assign(distance=f["distance"] / 1_000), ("share of days in another unit", "distance")),
    (lambda f: f.assign(distance=1.609344 * f["distance"]), ("share of days in another unit", "distance")),
    (lambda f: f.assign(seats=-f["seats"]), ("share of days in another unit", "seats")),
    (lambda f: f.assign(carrier=f["carrier"].str.lower()), ("share of unseen values", "carrier")),
    (
        lambda f: f.assign(dest=f["dest"].replace(dict(zip(DESTS, [*DESTS][1:] + [*DESTS][:1], strict=True)))),
        ("share of days with exchanged values", "dest"),
    ),
    (
        lambda f: f.assign(dest=f["dest"].replace({"BOS": "LAX", "LAX": "BOS"})),
        ("share of days with exchanged values", "dest"),
    ),
    (
        lambda f: f.assign(carrier=f["carrier"].replace({"UA": "DL", "B6": "UA", "DL": "B6"})),
        ("share of days with exchanged values", "carrier"),
    ),
    (lambda f: f.assign(seats=180.0), ("share of one value", "seats")),
    (lambda f: f.assign(carrier="UA"), ("share of one value", "carrier")),
    (
        lambda f: f.assign(seats=f["seats"].where(f.index < len(f) // 2, 180.0)),
        ("longest share of rows on end with one value", "seats"),
    ),
    (lambda f: pd.concat([f, f]), ("share of rows with the time and features of another", None)),
    (lambda f: f.iloc[: len(f) // 4], ("rows a day", None)),
    (lambda f: f.iloc[:0], ("rows a day", None)),
    (lambda f: pd.concat([f] * 4), ("rows a day", None)),
    (lambda f: f.assign(late=0.0), ("label rate", None)),
    (lambda f: f.assign(late=1.0), ("label rate", None)),
]


@pytest.mark.parametrize(("fault", "found"), FAULTS)
def test_each_fault_of_a_single_day_is_seen_and_dated(
    fault: Callable[[pd.DataFrame], pd.DataFrame], found: tuple[str, str | None]
) -> None:
    seen = checks(on(5, fault, rows(7, 1, TRAINING_DAYS)), 7, before=3)
    check = next(check for check in seen if (check.name, check.column) == found)
    assert check.is_broken
    assert check.days == ("2024-01-26",)
    assert "2024-01-26" in check.sentence
    assert {column for _, column in broken(seen)} <= {found[1], None}


SHIFTS = {
    "another mix of destinations": lambda f: f[(f["dest"] != "BOS") | (f.index % 4 == 0)],
    "two carriers change places for an honest reason": lambda f: f.assign(
        carrier=f["carrier"].replace({"UA": "DL", "DL": "UA"})
    ),
    "larger planes": lambda f: f.assign(seats=f["seats"] + 60),
    "longer ways": lambda f: f.assign(distance=1.15 * f["distance"]),
    "more late arrivals": lambda f: f.assign(late=np.where(f.index % 5 == 0, 0.0, 1.0)),
    "half the traffic": lambda f: f.iloc[::2],
    "a few new destinations": lambda f: f.assign(dest=f["dest"].where(f.index % 10 > 0, "SFO")),
}


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_a_real_shift_is_no_fault(shift: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = rows(7, 1, TRAINING_DAYS)
    assert broken(checks(shift(frame), 7)) == set()
    assert broken(checks(on(5, shift, frame), 7, before=3)) == set()


def test_values_that_moved_on_to_where_no_conversion_takes_them_were_not_converted() -> None:
    frame = rows(8, 1, TRAINING_DAYS)
    for day, factor in ((4, 1.609344), (5, 1.4), (6, 1.35), (7, 1.45)):
        frame = on(day, lambda f, by=factor: f.assign(distance=by * f["distance"]), frame)
    assert broken(checks(frame[frame["time"] < START + timedelta(days=TRAINING_DAYS + 5)], 5)) == {
        ("share of days in another unit", "distance")
    }
    assert broken(checks(frame, 8)) == set()


def test_a_season_that_looks_like_another_unit_of_winter_is_no_fault() -> None:
    # From 30 to 75 degrees Fahrenheit in 60 days; 75 in Celsius would be a winter day again, if it came over night.
    def year(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 3, start)
        day = (frame["time"] - pd.Timestamp(START)).dt.days
        noise = np.random.default_rng(start).normal(0, 3, len(frame))
        return frame.assign(seats=30 + 45 * (day - TRAINING_DAYS).clip(0, 60) / 60 + 4 * np.sin(day * 2.4) + noise)

    expected, frame = learn(year(TRAINING_DAYS, 0)), year(70, TRAINING_DAYS)
    any_range = replace(LIMITS, out_of_range_share=1.0)
    assert broken(checks(frame, 70, expected=expected, limits=any_range)) == set()
    in_celsius = on(65, lambda f: f.assign(seats=(f["seats"] - 32) / 1.8), frame)
    found = checks(in_celsius, 70, 50, expected, any_range)[0]
    assert (found.name, found.column, found.days) == ("share of days in another unit", "seats", ("2024-03-26",))
    assert found.sentence.endswith("it looks like Fahrenheit turned into Celsius")


def test_a_rainy_day_after_a_dry_training_is_not_rain_in_other_units_but_days_of_it_on_end_may_be() -> None:
    def dry(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 5, start)
        is_drizzle = (frame["time"] - pd.Timestamp(START)).dt.days % 6 == 0
        drops = np.random.default_rng(start).integers(0, 20, len(frame)) / 1_000
        return frame.assign(seats=np.where(is_drizzle, drops, 0.0))

    def wet(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(seats=np.random.default_rng(9).integers(0, 40, len(frame)) / 4)

    expected, frame = learn(dry(TRAINING_DAYS, 0)), dry(10, TRAINING_DAYS)
    limits = replace(LIMITS, out_of_range_share=1.0)
    unit = ("share of days in another unit", "seats")
    assert unit not in broken(checks(on(5, wet, frame), 10, expected=expected, limits=limits))
    far_apart = on(9, wet, on(5, wet, frame))
    assert unit not in broken(checks(far_apart, 10, expected=expected, limits=limits))
    on_end = on(6, wet, on(5, wet, frame))
    assert unit in broken(checks(on_end, 10, expected=expected, limits=limits))


def test_two_storms_a_week_apart_do_not_bear_each_other_out() -> None:
    def weather(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 6, start)
        day = (frame["time"] - pd.Timestamp(START)).dt.days
        noise = np.random.default_rng(start).normal(0, 2, len(frame))
        return frame.assign(seats=15 + 6 * np.sin(day * 2.4) + noise)

    def storm(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(seats=1.75 * frame["seats"])

    expected, frame = learn(weather(TRAINING_DAYS, 0)), weather(12, TRAINING_DAYS)
    unit = ("share of days in another unit", "seats")
    any_range = replace(LIMITS, out_of_range_share=1.0)
    assert unit not in broken(checks(on(9, storm, on(2, storm, frame)), 12, expected=expected, limits=any_range))
    assert unit in broken(checks(on(10, storm, on(9, storm, frame)), 12, expected=expected, limits=any_range))


def test_yesterdays_rows_with_new_times_are_seen_among_todays_own_and_in_their_place() -> None:
    frame = rows(7, 1, TRAINING_DAYS)
    yesterday = frame[(frame["time"] - pd.Timestamp(START)).dt.days == TRAINING_DAYS + 4]
    again = yesterday.assign(time=yesterday["time"] + pd.Timedelta(days=1))
    added = checks(on(5, lambda f: pd.concat([f, again]), frame), 7, before=3)
    instead = checks(on(5, lambda f: again, frame), 7, before=3)
    either = {("share of rows with the features of an earlier one", None)}
    assert broken(added) >= either
    assert broken(instead) == either | {("share of rows in a sequence that came before", None)}


def test_coarse_rows_repeat_one_another_by_nature_and_only_their_order_gives_a_second_delivery_away() -> None:
    def coarse(num_days: int, start: int) -> pd.DataFrame:
        return rows(num_days, 2, start).assign(distance=1.0, seats=2.0)

    expected, frame = learn(coarse(TRAINING_DAYS, 0)), coarse(7, TRAINING_DAYS)
    yesterday = frame[(frame["time"] - pd.Timestamp(START)).dt.days == TRAINING_DAYS + 4]
    again = on(5, lambda f: yesterday.assign(time=yesterday["time"] + pd.Timedelta(days=1)), frame)
    assert expected.days.seen > 0.9
    assert broken(checks(frame, 7, expected=expected)) == set()
    assert broken(checks(again, 7, 3, expected)) == {("share of rows in a sequence that came before", None)}


def test_a_long_time_without_rows_is_seen_between_two_and_after_the_last() -> None:
    frame = rows(7, 1, TRAINING_DAYS)
    hours = (frame["time"] - pd.Timestamp(START)).dt.total_seconds() / 3600 - 24 * TRAINING_DAYS
    found = profiles(frame[(hours < 50) | (hours > 60)], TRAINING_DAYS, 7)
    until = START + timedelta(days=TRAINING_DAYS + 7)
    assert broken(check_days(found, EXPECTED, LIMITS, until=until)) == {("hours between rows", None)}
    late = check_days(found[:2], EXPECTED, LIMITS, until=START + timedelta(days=TRAINING_DAYS + 2, hours=7))
    assert broken(late) == {("hours since the last row", None)}
    gentle = replace(LIMITS, gap_ratio=100.0)
    assert broken(check_days(found, EXPECTED, gentle, until=until)) == set()


def test_a_weekly_rhythm_is_no_fault_and_a_silent_weekday_is_one() -> None:
    def weekly(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 4, start)
        is_sunday = frame["time"].dt.dayofweek == 6
        return frame[~is_sunday | (frame.index % 10 == 0)].reset_index(drop=True)

    expected, frame = learn(weekly(TRAINING_DAYS, 0)), weekly(14, TRAINING_DAYS)
    assert broken(checks(frame, 14, expected=expected)) == set()
    quiet = on(2, lambda f: f.iloc[::100], frame)
    assert ("rows a day", None) in broken(checks(quiet, 14, expected=expected))


def test_a_weekday_that_stands_still_or_is_exchanged_is_seen_by_the_calendar() -> None:
    def with_weekday(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 5, start)
        return frame.assign(carrier=frame["time"].dt.day_name().str[:3].astype(object))

    expected, frame = learn(with_weekday(TRAINING_DAYS, 0)), with_weekday(14, TRAINING_DAYS)
    assert broken(checks(frame, 14, expected=expected)) == set()
    exchanged = frame.assign(carrier=frame["carrier"].replace({"Mon": "Tue", "Tue": "Mon"}))
    found = checks(exchanged, 14, expected=expected)
    assert broken(found) == {("share of days with exchanged values", "carrier")}
    assert "by their day of the week" in found[0].sentence
    still = checks(frame.assign(carrier="Mon"), 14, expected=expected)
    assert broken(still) == {("days on end with one value", "carrier")}


def test_a_fault_of_every_day_too_small_for_one_is_seen_over_all() -> None:
    expected = learn(rows(TRAINING_DAYS, rows_a_day=40))
    frame = rows(14, 1, TRAINING_DAYS, rows_a_day=40)
    frame.loc[np.random.default_rng(0).random(len(frame)) < 0.32, "distance"] = np.nan
    assert broken(checks(frame, 14, expected=expected)) == {("missing share", "distance")}
    assert broken(checks(frame, 1, expected=expected)) == set()


def test_a_night_is_not_judged_as_if_it_were_a_day() -> None:
    def nightly(num_days: int, start: int) -> pd.DataFrame:
        frame = rows(num_days, 6, start)
        is_night = frame["time"].dt.hour < 6
        return frame.assign(
            seats=frame["seats"].where(~is_night),
            carrier=frame["carrier"].where(~is_night, "UA"),
            late=frame["late"] * ~is_night,
        )

    expected, frame = learn(nightly(TRAINING_DAYS, 0)), nightly(8, TRAINING_DAYS)
    first = START + timedelta(days=TRAINING_DAYS)
    found = profile_days(frame, expected.layout, COLUMNS, first, first + timedelta(days=7, hours=6))
    assert [day.is_complete for day in found] == [True] * 7 + [False]
    assert broken(check_days(found, expected, LIMITS)) == set()


def test_labels_that_arrive_early_are_of_one_class_by_nature() -> None:
    frame = rows(7, 1, TRAINING_DAYS)
    frame["late"] = frame["late"].where(frame["late"] == 1.0)
    early = on(5, lambda f: f.assign(late=f["late"].where(f.index % 3 == 0)), frame)
    assert ("label rate", None) in broken(checks(frame.assign(late=frame["late"].fillna(1.0)), 7))
    assert "2024-01-26" not in next(check for check in checks(early, 7) if check.name == "label rate").days


def test_the_share_of_positive_labels_is_judged_only_if_asked() -> None:
    frame = rows(7, 1, TRAINING_DAYS)
    rare = frame.assign(late=np.where(frame.index % 10 == 0, 1.0, 0.0))
    assert broken(checks(rare, 7)) == set()
    assert broken(checks(rare, 7, limits=replace(LIMITS, label_rate_ratio=2.0))) == {("label rate", None)}
    assert broken(checks(frame, 7, limits=replace(LIMITS, label_rate_ratio=2.0))) == set()


def test_other_labels_than_two_classes_are_counted_and_not_judged() -> None:
    frame = rows(TRAINING_DAYS).assign(late=lambda f: f["seats"] / 10)
    expected = learn(frame)
    assert expected.days.positive_share is None
    assert all(check.name != "label rate" for check in checks(rows(7, 1, TRAINING_DAYS), 7, expected=expected))


def test_there_is_one_check_of_each_kind_and_the_broken_ones_come_first() -> None:
    found = checks(on(5, lambda f: f.assign(distance=np.nan), rows(7, 1, TRAINING_DAYS)), 7)
    names = [(check.name, check.column) for check in found]
    assert len(names) == len(set(names))
    assert [check.is_broken for check in found] == sorted((check.is_broken for check in found), reverse=True)
    assert any(not check.is_broken for check in found)


def test_a_check_names_what_was_found_its_limit_the_days_and_examples() -> None:
    found = checks(on(5, lambda f: f.assign(carrier="ZZ"), rows(7, 1, TRAINING_DAYS)), 7)
    check = next(check for check in found if check.name == "share of unseen values" and check.is_broken)
    assert check.sentence == "share of unseen values of carrier is 1 (limit 0.2) on 2024-01-26: such as 'ZZ'"
    empty = checks(rows(7, 1, TRAINING_DAYS).iloc[:0], 7)
    assert empty[0].sentence.startswith("rows a day is 0 (limit 100) on 7 days from 2024-01-21 to 2024-01-27")
    assert check_scored(10, 5, LIMITS).sentence == "share of rows without a prediction is 0.5 (limit 1)"
    assert check_scored(10, 5, replace(LIMITS, unscored_share=0.4)).is_broken


def test_rows_that_cannot_be_read_are_a_check_too() -> None:
    check = QualityCheck.schema(ValueError("feature 'age' was a number and holds 'x'"))
    assert check.is_broken
    assert check.sentence == "the rows cannot be read: feature 'age' was a number and holds 'x'"


@pytest.mark.parametrize("check", [QualityCheck("a", None, 1.0, 2.0, False, ("2024-01-01",), "b")])
def test_a_check_comes_back_from_json_and_from_records_without_days(check: QualityCheck) -> None:
    content = json.loads(json.dumps(asdict(check), allow_nan=False))
    assert QualityCheck.from_dict(content) == check
    old = {name: content[name] for name in ("name", "column", "found", "limit", "is_broken")}
    assert QualityCheck.from_dict(old) == replace(check, days=(), note="")


def test_a_column_that_the_champion_was_trained_with_may_not_go() -> None:
    with pytest.raises(ValueError, match=r"rows have no column 'seats', .*data\.numbers"):
        profiles(rows(7).drop(columns="seats"), 0, 7)


@given(seed=st.integers(0, 1_000), num_days=st.integers(1, 12))
@settings(deadline=None, max_examples=8)
def test_expectations_come_back_from_json(seed: int, num_days: int) -> None:
    expected = learn(rows(num_days, seed, rows_a_day=20), num_days)
    assert Expectations.from_json(expected.to_json()) == expected


def test_expectations_of_versions_from_before_days_were_profiled_check_what_they_knew() -> None:
    content = {
        "rows_per_day": 300.0,
        "missing_share": {"distance": 0.0, "seats": 0.1, "carrier": 0.1, "dest": 0.0},
        "ranges": {"distance": [100.0, 3000.0], "seats": [50.0, 300.0]},
        "values": {"carrier": ["AA", "B6", "DL", "UA"], "dest": sorted(DESTS)},
    }
    expected = Expectations.from_json(json.dumps(content))
    frame = rows(7, 1, TRAINING_DAYS)
    names = {check.name for check in checks(frame, 7, expected=expected)}
    assert names == {"rows a day", "missing share", "share far out of range", "share of unseen values"}
    assert broken(checks(frame, 7, expected=expected)) == set()
    assert distance(profiles(frame, TRAINING_DAYS, 7, expected), expected, "seats") is None
    wrong = frame.assign(distance=np.nan, carrier="ZZ", seats=1e6).iloc[:100]
    assert broken(checks(wrong, 7, expected=expected)) == {
        ("rows a day", None),
        ("missing share", "distance"),
        ("share far out of range", "seats"),
        ("share of unseen values", "carrier"),
    }
    assert Expectations.from_json(expected.to_json()) == expected


def test_a_column_without_a_value_in_training_has_no_range_and_all_its_values_are_unseen() -> None:
    expected = learn(rows(TRAINING_DAYS).assign(seats=np.nan, carrier=None))
    assert broken(checks(rows(7, 1, TRAINING_DAYS).assign(carrier=None), 7, expected=expected)) == set()
    assert broken(checks(rows(7, 1, TRAINING_DAYS), 7, expected=expected)) == {("share of unseen values", "carrier")}


def test_a_column_that_was_constant_may_move_by_its_size() -> None:
    expected = learn(rows(TRAINING_DAYS).assign(seats=100.0))
    frame = rows(7, 1, TRAINING_DAYS)
    assert broken(checks(frame.assign(seats=190.0), 7, expected=expected)) == set()
    found = broken(checks(frame.assign(seats=210.0), 7, expected=expected))
    assert found == {("share far out of range", "seats")}


def test_distance_is_zero_to_itself_one_to_what_never_was_and_in_between_otherwise() -> None:
    frame = rows(TRAINING_DAYS)
    own = profiles(frame, 0, TRAINING_DAYS)
    for column in ("distance", "seats", "carrier", "dest"):
        assert distance(own, EXPECTED, column) == pytest.approx(0.0, abs=1e-6)
        assert 0 < (distance(own[:1], EXPECTED, column) or 0) <= max(EXPECTED.columns[column].distances) + 0.05
        assert len(EXPECTED.columns[column].distances) == TRAINING_DAYS
    day = np.array([own[3].categories["dest"].counts[name] for name in EXPECTED.layout.categories["dest"].values])
    others = np.array(EXPECTED.columns["dest"].counts[: len(DESTS)]) - day
    assert EXPECTED.columns["dest"].distances[3] == pytest.approx(jensen_shannon(others, day), abs=1e-6)
    never = profiles(frame.assign(dest="SFO", distance=1e9), 0, TRAINING_DAYS)
    assert distance(never, EXPECTED, "dest") == distance(never, EXPECTED, "distance") == 1.0
    assert distance([], EXPECTED, "dest") is None


def test_layout_knows_all_values_but_tells_only_the_frequent_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.monitoring.quality.layout.MAX_VALUES", 2)
    layout = Layout.learn(rows(TRAINING_DAYS), COLUMNS)
    assert layout.categories["carrier"].values == ("UA", "B6")
    assert set(layout.categories["carrier"].rare) == {"AA", "DL"}
    first = profile_days(rows(1), layout, COLUMNS, START, START + timedelta(days=1))[0].categories["carrier"]
    assert first.unseen == 0
    assert first.rare > 0
    assert layout.categories["dest"].companion is not None
    assert layout.categories["dest"].companion.column == "distance"
