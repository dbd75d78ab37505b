"""Looks at a champion whose world is known: what is found, what is remembered, and what is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.data.contract import Columns
from models.data.predictions import SCORE
from models.monitoring.business import Business
from models.monitoring.concept import with_concept
from models.monitoring.diagnosis import Diagnosis, Rules, diagnose
from models.monitoring.look import Looked, look
from models.monitoring.quality import Expectations, Limits
from models.monitoring.view import Champion, Seen, Settings, View, part_of
from models.monitoring.watches import Watched
from models.monitoring.without_labels import settle
from models.registry.versions import VersionId

START = datetime(2025, 1, 1, tzinfo=UTC)
TRAIN, REFERENCE, ROWS_A_DAY = 20, 20, 150
FIRST = START + timedelta(days=TRAIN + REFERENCE)
COLUMNS = Columns("id", "at", "label", ("age", "income"), ("plan",), label_delay=timedelta(days=2))
Change = Callable[[pd.DataFrame], pd.DataFrame]


def score(frame: pd.DataFrame) -> np.ndarray:
    logit = (frame["age"].fillna(45) - 45) / 8 + (frame["income"].fillna(30) - 30) / 30 + (frame["plan"] == "pro")
    return (1 / (1 + np.exp(-logit))).to_numpy(dtype=float)


def people(first_day: int, num_days: int) -> pd.DataFrame:
    random = np.random.default_rng(first_day)
    num_rows = num_days * ROWS_A_DAY
    seconds = np.sort(random.uniform(first_day, first_day + num_days, num_rows)) * 86_400
    frame = pd.DataFrame(
        {
            "id": np.arange(num_rows) + first_day * 100_000,
            "at": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
            "age": random.normal(45, 12, num_rows),
            "income": random.gamma(3, 10, num_rows),
            "plan": random.choice(np.array(["free", "basic", "pro"], dtype=object), num_rows, p=[0.5, 0.3, 0.2]),
        }
    )
    return frame.assign(label=(random.uniform(size=num_rows) < score(frame)).astype(float))


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{SCORE: score(frame)})


@pytest.fixture(scope="module")
def champion() -> Champion:
    end = START + timedelta(days=TRAIN)
    expectations = Expectations.learn(people(0, TRAIN), COLUMNS, START, end)
    return Champion("v1", score, COLUMNS.numbers, COLUMNS.categories, expectations, scored(people(TRAIN, REFERENCE)))


def view(champion: Champion, rows: pd.DataFrame, as_of: datetime, **settings: object) -> View:
    known = rows[rows["at"] < pd.Timestamp(as_of)].reset_index(drop=True)
    known["label"] = known["label"].where(known["at"] < pd.Timestamp(as_of - COLUMNS.label_delay))
    with_scores = scored(known)
    logged = with_scores.iloc[::10].drop(columns="label").reset_index(drop=True)
    seen = Seen(known, with_scores, logged, FIRST, FIRST, as_of, as_of - COLUMNS.label_delay)
    return View(champion, COLUMNS, seen, replace(Settings(jobs=1), **settings))


def after(day: int, change: Change, num_days: int = 35) -> pd.DataFrame:
    """Days of the champion's life, changed from the given one on; scores follow the feed, and labels the truth."""
    rows = people(TRAIN + REFERENCE, num_days)
    is_late = rows["at"] >= pd.Timestamp(FIRST + timedelta(days=day))
    return pd.concat([rows[~is_late], change(rows[is_late])], ignore_index=True)


def looks(champion: Champion, rows: pd.DataFrame, days: list[int]) -> list[tuple[Looked, Diagnosis]]:
    found: list[tuple[Looked, Diagnosis]] = []
    for day in days:
        before = found[-1][0] if found else None
        one = look(
            view(champion, rows, FIRST + timedelta(days=day)),
            before.series if before else (),
            sound=before.sound if before else (),
        )
        found.append((one, diagnose(one.evidence, Rules())))
    return found


def test_nothing_is_found_where_nothing_happens(champion: Champion) -> None:
    (one, diagnosis), *_ = looks(champion, after(99, lambda rows: rows), [20])
    assert diagnosis.verdict == "healthy"
    assert one.sound == ()
    assert one.evidence.replay.mismatch_share == 0
    assert one.evidence.joint.lower < 0.55
    assert {each.estimator for each in one.evidence.estimates} == {"cbpe", "weighted"}
    assert one.evidence.realised.num_days == 14


def test_a_column_that_stays_in_another_unit_is_not_forgotten_when_its_jump_has_left_the_window(
    champion: Champion,
) -> None:
    rows = after(8, lambda rows: rows.assign(income=rows["income"] * 2.5))
    found = looks(champion, rows, [10, 17, 24, 31])
    assert [diagnosis.verdict for _, diagnosis in found] == ["broken_feed"] * 4
    assert all(profile.day < "2025-02-18" for one, _ in found for profile in one.sound)
    assert len(found[-1][0].sound) == 3
    without_memory = look(view(champion, rows, FIRST + timedelta(days=31)), found[-2][0].series)
    assert not any(check.is_broken for check in without_memory.evidence.quality)


def test_a_change_of_concept_is_found_with_its_day_and_its_cost(champion: Champion) -> None:
    rows = after(8, lambda rows: rows.assign(label=rows["label"].where(rows["age"] < 45, 1 - rows["label"])))
    *_, (one, diagnosis) = looks(champion, rows, [16, 30])
    assert diagnosis.verdict == "concept_change"
    [loss] = [alarm for alarm in one.evidence.alarms if alarm.series == "log_loss"]
    assert "2025-02-16" <= loss.since <= "2025-02-20"
    assert loss.worse > 0.1
    seen = view(champion, rows, FIRST + timedelta(days=30))
    costs = {cost.metric: cost for cost in with_concept(one.evidence, seen).concept}
    assert costs["log_loss"].lower > 0


def test_inputs_that_move_without_harm_are_told_from_those_that_do(champion: Champion) -> None:
    def paying(rows: pd.DataFrame) -> pd.DataFrame:
        drawn = people(500, 120)
        return drawn[drawn["plan"] != "free"].head(len(rows)).assign(id=rows["id"].array, at=rows["at"].array)

    (one, diagnosis), *_ = looks(champion, after(8, paying), [30])
    assert diagnosis.verdict == "benign_shift"
    assert one.evidence.drift[0].column == "plan"
    assert one.evidence.drift[0].has_moved


def test_labels_of_one_class_that_come_first_are_not_judged(champion: Champion) -> None:
    late = after(8, lambda rows: rows.assign(label=rows["label"].where((rows["label"] == 1) & (rows["age"] > 45))))
    (one, diagnosis), *_ = looks(champion, late, [14])
    assert not diagnosis.warrants_retrain
    [loss] = [series for series in one.series if series.name == "log_loss"]
    assert loss.days[-1] < "2025-02-19"


def test_slices_and_numbers_of_the_business_are_series_too(champion: Champion) -> None:
    settings = {"slices": {"plan": (), "age": (40.0,)}, "business": (Business("earned", "income", "age"),)}
    one = look(view(champion, after(99, lambda rows: rows), FIRST + timedelta(days=20), **settings))
    names = {series.name for series in one.series}
    assert {"earned", "log_loss.plan=pro", "log_loss.age below 40", "log_loss", "auc", "drift.age"} <= names
    assert one.evidence.realised.of("auc", "plan=pro").num_rows > 100
    shares = sum(series.share for series in one.series)
    assert shares == pytest.approx(1)


def test_an_estimate_is_held_against_what_came_true_on_its_own_rows(champion: Champion) -> None:
    rows = after(99, lambda rows: rows)
    as_of = FIRST + timedelta(days=14)
    first = look(view(champion, rows, as_of))
    watched = Watched(as_of, FIRST, VersionId("v1"), 0, first.evidence, diagnose(first.evidence, Rules()), first.series)
    part = part_of(scored(rows), COLUMNS, FIRST, as_of, "v1")
    settled = settle(watched, part)
    assert {(each.estimator, each.metric) for each in settled} == {
        (estimator, metric) for estimator in ("cbpe", "weighted") for metric in ("auc", "log_loss")
    }
    assert all(abs(each.matured.ratio) < 4 for each in settled)
    later = look(view(champion, rows, as_of + timedelta(days=14)), first.series, settled)
    before, now = (one.evidence.trust[0].trust for one in (first, later))
    assert (before.num_periods, now.num_periods) == (0, 1)
    assert now.reach < before.reach


def test_what_was_measured_on_faulty_days_is_forgotten_when_they_are_mended(champion: Champion) -> None:
    """Else the days of a fault would be harm as soon as they have left the newest window, and start a retrain."""
    rows = people(TRAIN + REFERENCE, 50)
    is_hit = ((rows["at"] - pd.Timestamp(FIRST)).dt.days).isin(range(8, 16)).to_numpy()
    verdicts, one = [], None
    for day in (10, 14, 20, 26, 32, 38, 44):
        seen = view(champion, rows, FIRST + timedelta(days=day))
        right = seen.seen.scored
        wrong = right.assign(**{SCORE: np.where(is_hit[: len(right)], 1 - right[SCORE], right[SCORE])})
        logged = wrong.iloc[::10].drop(columns="label").reset_index(drop=True)
        faulty = frozenset(one.faulty if one else ())
        seen = replace(seen, seen=replace(seen.seen, scored=wrong, logged=logged), faulty=faulty)
        one = look(seen, one.series if one else (), sound=one.sound if one else ())
        verdicts.append(diagnose(one.evidence, Rules()).verdict)
    assert verdicts[:4] == ["serving_fault"] * 4
    assert not {"harmful_shift", "concept_change"} & set(verdicts)
    assert one.faulty == tuple(str((FIRST + timedelta(days=day)).date()) for day in range(8, 16))


def test_code_that_changed_between_two_looks_at_the_same_rows_is_seen(champion: Champion) -> None:
    seen = view(champion, after(99, lambda rows: rows), FIRST + timedelta(days=14))
    assert look(seen).evidence.replay.mismatch_share == 0
    broken = replace(champion, predict=lambda frame: 1 - score(frame))
    assert look(replace(seen, champion=broken)).evidence.replay.mismatch_share == pytest.approx(1, abs=0.01)


def test_rows_that_another_version_scored_are_not_without_a_prediction(champion: Champion) -> None:
    seen = view(champion, after(99, lambda rows: rows), FIRST + timedelta(days=14))
    own = seen.seen.scored.iloc[len(seen.seen.scored) // 3 :].reset_index(drop=True)
    alone = replace(seen, seen=replace(seen.seen, scored=own))
    assert diagnose(look(alone).evidence, Rules()).verdict == "broken_feed"
    others = replace(alone, seen=replace(alone.seen, by_others=pd.Index(seen.seen.rows["id"])))
    assert diagnose(look(others).evidence, Rules()).verdict == "healthy"


def test_labels_of_one_class_alone_are_seen_on_the_days_on_which_they_are_due(champion: Champion) -> None:
    seen = view(champion, after(99, lambda rows: rows), FIRST + timedelta(days=33))
    is_due = seen.seen.rows["at"] < pd.Timestamp(FIRST + timedelta(days=13))
    late = seen.seen.rows.assign(label=np.where(is_due, 0.0, np.nan))
    due = replace(seen.seen, rows=late, scored=scored(late), due=FIRST + timedelta(days=13))
    found = diagnose(look(replace(seen, seen=due)).evidence, Rules())
    assert found.verdict == "broken_feed"
    assert "label rate" in found.reason


def test_flipped_labels_are_reported_and_are_a_fault_only_where_the_project_says_so(champion: Champion) -> None:
    random = np.random.default_rng(7)
    rows = after(
        0,
        lambda rows: rows.assign(
            label=np.where(random.uniform(size=len(rows)) < 0.3, 1 - rows["label"], rows["label"])
        ),
    )
    seen = view(champion, rows, FIRST + timedelta(days=20))
    [noise] = [check for check in look(seen).evidence.quality if check.name == "estimated share of flipped labels"]
    assert 0.2 < noise.found < 0.4
    assert not noise.is_broken
    strict = replace(seen, settings=replace(seen.settings, limits=Limits(label_noise=0.1)))
    assert diagnose(look(strict).evidence, Rules()).verdict == "broken_feed"


def test_an_hour_of_a_day_without_a_row_has_no_profile_and_is_no_crash(champion: Champion) -> None:
    in_new_york = replace(COLUMNS, timezone="America/New_York")
    as_of = FIRST + timedelta(days=30, hours=4, minutes=30)  # half an hour after midnight, in summer time
    rows = after(99, lambda rows: rows)
    quiet = rows[rows["at"] < pd.Timestamp(as_of - timedelta(hours=1))]
    one = look(replace(view(champion, quiet, as_of), columns=in_new_york))
    assert not any(check.is_broken for check in one.evidence.quality)


def test_a_record_comes_back_equal_from_its_text(champion: Champion) -> None:
    rows = after(8, lambda rows: rows.assign(income=rows["income"] * 2.5))
    one = look(view(champion, rows, FIRST + timedelta(days=12)))
    diagnosis = diagnose(one.evidence, Rules())
    watched = Watched(FIRST, START, VersionId("v1"), 3, one.evidence, diagnosis, one.series, sound=one.sound)
    assert Watched.from_json(watched.to_json()) == watched
