"""Looks at champions of several classes and of a number whose world is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.data.contract import Columns
from models.data.scores import put_scores
from models.features.target import Target
from models.monitoring import concept
from models.monitoring.concept import with_concept
from models.monitoring.diagnosis import Diagnosis, Rules, diagnose
from models.monitoring.look import Looked, look
from models.monitoring.measures import measures_of
from models.monitoring.quality import Expectations, QualityCheck
from models.monitoring.view import Champion, Seen, Settings, View, part_of
from models.monitoring.watches import Watched
from models.monitoring.without_labels import settle
from models.registry.versions import VersionId

START = datetime(2025, 1, 1, tzinfo=UTC)
TRAIN, REFERENCE, ROWS_A_DAY = 20, 20, 150
FIRST = START + timedelta(days=TRAIN + REFERENCE)
DELAY = timedelta(days=2)
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class World:
    """A kind of label, what happens, and what the champion says of it."""

    columns: Columns
    target: Target
    score: Callable[[pd.DataFrame], np.ndarray]
    truth: Callable[[pd.DataFrame, np.random.Generator], np.ndarray]
    rules: Rules

    def rows(self, first_day: int, num_days: int) -> pd.DataFrame:
        random, num_rows = np.random.default_rng(first_day), num_days * ROWS_A_DAY
        seconds = np.sort(random.uniform(first_day, first_day + num_days, num_rows)) * 86_400
        frame = pd.DataFrame(
            {
                "id": np.arange(num_rows) + first_day * 100_000,
                "at": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
                "age": random.normal(45, 12, num_rows),
                "plan": random.choice(np.array(["free", "basic", "pro"], dtype=object), num_rows, p=[0.5, 0.3, 0.2]),
            }
        )
        return frame.assign(label=self.truth(frame, random))

    def scored(self, frame: pd.DataFrame) -> pd.DataFrame:
        return put_scores(frame, self.score(frame), self.target)

    def champion(self) -> Champion:
        learned = Expectations.learn(self.rows(0, TRAIN), self.columns, START, START + timedelta(days=TRAIN))
        return Champion(
            "v1",
            self.score,
            self.columns.numbers,
            self.columns.categories,
            Expectations.from_json(learned.to_json()),
            self.scored(self.rows(TRAIN, REFERENCE)),
        )

    def changed(self, day: int, change: Change) -> pd.DataFrame:
        rows = self.rows(TRAIN + REFERENCE, 35)
        is_late = rows["at"] >= pd.Timestamp(FIRST + timedelta(days=day))
        return pd.concat([rows[~is_late], change(rows[is_late])], ignore_index=True)

    def view(self, rows: pd.DataFrame, day: int) -> View:
        as_of = FIRST + timedelta(days=day)
        known = rows[rows["at"] < pd.Timestamp(as_of)].reset_index(drop=True)
        is_due = known["at"] < pd.Timestamp(as_of - DELAY)
        nothing = None if self.columns.task == "multiclass" else np.nan
        known["label"] = known["label"].where(is_due, nothing)
        scored = self.scored(known)
        logged = scored.iloc[::10].drop(columns="label").reset_index(drop=True)
        seen = Seen(known, scored, logged, FIRST, FIRST, as_of, as_of - DELAY)
        settings = Settings(rules=self.rules, jobs=1, slices={"plan": ()})
        return View(self.champion(), self.columns, seen, settings)

    def look(self, rows: pd.DataFrame, day: int, earlier: Looked | None = None) -> tuple[Looked, Diagnosis]:
        one = look(self.view(rows, day), earlier.series if earlier else ())
        return one, diagnose(one.evidence, self.rules)


CLASSES = ("gold", "red", "silver")


def chances(frame: pd.DataFrame) -> np.ndarray:
    older, is_pro = (frame["age"].fillna(45) - 45) / 8, (frame["plan"] == "pro") * 2.0
    raised = np.exp(np.column_stack((is_pro + older, -older, np.zeros(len(frame)))).astype(float))
    return raised / raised.sum(axis=1, keepdims=True)


def drawn(frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    place = (chances(frame).cumsum(axis=1) < random.uniform(size=len(frame))[:, None]).sum(axis=1)
    return np.array(CLASSES, dtype=object)[place]


def minutes(frame: pd.DataFrame) -> np.ndarray:
    return (10 + (frame["age"].fillna(45) - 45) / 2 + (frame["plan"] == "pro") * 5).to_numpy(dtype=float)


def columns(task: str) -> Columns:
    return Columns("id", "at", "label", ("age",), ("plan",), label_delay=DELAY, task=task)


SEVERAL = World(
    columns("multiclass"),
    Target("multiclass", CLASSES),
    chances,
    drawn,
    Rules(measures=measures_of("multiclass")),
)
NUMBER = World(
    columns("regression"),
    Target("regression"),
    minutes,
    lambda frame, random: minutes(frame) + random.normal(0, 4, len(frame)),
    Rules(measures=measures_of("regression", "minutes"), harm=0.5, harm_second=0.5),
)
WORLDS = pytest.mark.parametrize("world", [SEVERAL, NUMBER], ids=["several classes", "a number"])


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


@WORLDS
def test_nothing_is_found_where_nothing_happens(world: World) -> None:
    one, diagnosis = world.look(world.changed(99, same), 20)
    assert diagnosis.verdict == "healthy"
    loss, second = world.rules.measures.watched
    assert diagnosis.reason.startswith(f"Nothing moved; {world.rules.measures.words(loss.name)} ")
    assert {loss.name, second.name, f"{loss.name}.plan=pro"} <= {series.name for series in one.series}
    assert sum(series.share for series in one.series) == pytest.approx(1)
    assert one.evidence.replay.mismatch_share == 0
    assert {each.metric for each in one.evidence.estimates} == {loss.name, second.name}
    assert {each.estimator for each in one.evidence.estimates} == {"weighted", "cbpe" if world is SEVERAL else "dle"}
    assert all(each.lower < each.reference < each.upper for each in one.evidence.estimates)
    assert "AUC" not in diagnosis.reason + diagnosis.confidence


def other_classes(rows: pd.DataFrame) -> pd.DataFrame:
    swapped = rows["label"].map({"gold": "red", "red": "gold", "silver": "silver"})
    return rows.assign(label=rows["label"].where(rows["age"] < 45, swapped))


def other_numbers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(label=rows["label"].where(rows["age"] < 45, rows["label"] + 6))


@pytest.mark.parametrize(("world", "change"), [(SEVERAL, other_classes), (NUMBER, other_numbers)], ids=["s", "n"])
def test_a_change_of_concept_is_found_with_its_day(world: World, change: Change) -> None:
    rows = world.changed(8, change)
    one, diagnosis = world.look(rows, 30, earlier=world.look(rows, 16)[0])
    assert diagnosis.verdict == "concept_change"
    name = world.rules.measures.loss.name
    [loss] = [alarm for alarm in one.evidence.alarms if alarm.series == name]
    assert loss.shows_harm
    assert loss.since is not None
    assert "2025-02-16" <= loss.since <= "2025-02-20"
    known = with_concept(one.evidence, world.view(rows, 30))
    assert {cost.metric for cost in known.concept} == {metric.name for metric in world.rules.measures.watched}
    [cost] = [cost for cost in known.concept if cost.metric == name]
    assert cost.lower > 0, "all of the harm is of the concept: inputs have not moved"
    [realised] = [change for change in known.realised.changes if (change.metric, change.scope) == (name, "all rows")]
    assert cost.value == pytest.approx(realised.worse, rel=0.4)
    assert "is the change of concept" in diagnose(known, world.rules).reason


@WORLDS
def test_why_the_cost_of_a_concept_is_not_known_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    change = other_classes if world is SEVERAL else other_numbers
    rows = world.changed(8, change)
    one, _ = world.look(rows, 30, earlier=world.look(rows, 16)[0])
    monkeypatch.setattr(concept, "NUM_PARTS", 21)
    found = with_concept(one.evidence, world.view(rows, 30))
    assert found.concept == ()
    assert found.unsaid[-1].sentence.startswith("cost of the change of concept: not known, since there are labels of ")
    calm, _ = world.look(world.changed(99, same), 20)
    assert with_concept(calm.evidence, world.view(rows, 20)) is calm.evidence, "nothing is asked without harm"


def test_more_classes_than_are_learned_have_no_cost_of_the_concept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SEVERAL.changed(8, other_classes)
    one, _ = SEVERAL.look(rows, 30, earlier=SEVERAL.look(rows, 16)[0])
    monkeypatch.setattr(concept, "MAX_CLASSES", 2)
    found = with_concept(one.evidence, SEVERAL.view(rows, 30))
    assert found.concept == () and "there are 3 classes, and it is learned of 2 at most" in found.unsaid[-1].why


def flipped(share: float) -> Change:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        random = np.random.default_rng(0)
        other = {"gold": ("red", "silver"), "red": ("gold", "silver"), "silver": ("gold", "red")}
        swapped = [
            other[label][pick] for label, pick in zip(rows["label"], random.integers(0, 2, len(rows)), strict=True)
        ]
        return rows.assign(label=rows["label"].where(random.random(len(rows)) >= share, swapped))

    return change


def test_flipped_classes_are_reported_and_new_ones_are_none_of_them() -> None:
    def noise(share: float, new: float = 0.0) -> QualityCheck:
        def change(rows: pd.DataFrame) -> pd.DataFrame:
            is_new = np.random.default_rng(1).random(len(rows)) < new
            found = flipped(share)(rows)
            return found.assign(label=found["label"].where(~is_new, "platinum"))

        one, _ = SEVERAL.look(SEVERAL.changed(0, change), 16)
        [check] = [check for check in one.evidence.quality if check.name == "estimated share of flipped labels"]
        assert not check.is_broken and not one.evidence.unsaid
        return check

    assert noise(0.0).found < 0.07
    assert noise(0.3).found == pytest.approx(0.3, abs=0.1)
    assert noise(0.0, new=0.3).found < 0.07


def test_of_a_number_flipped_labels_are_said_to_be_unknown_and_not_estimated() -> None:
    one, _ = NUMBER.look(NUMBER.changed(99, same), 16)
    assert not any("flipped" in check.name for check in one.evidence.quality)
    [unsaid] = one.evidence.unsaid
    assert unsaid.sentence.startswith("share of flipped labels: not known, since noise in the labels of a number, ")


@WORLDS
def test_what_labels_are_like_is_reported_at_every_look(world: World) -> None:
    one, _ = world.look(world.changed(99, same), 20)
    names = [check.name for check in one.evidence.quality if "label" in check.name and not check.is_broken]
    kinds = ("label rate of",) if world is SEVERAL else ("middle of the labels", "spread of the labels")
    assert all(sum(name.startswith(kind) for name in names) == 1 for kind in kinds)


def test_a_new_class_is_named_and_its_harm_warrants_a_retrain() -> None:
    def some_new(rows: pd.DataFrame) -> pd.DataFrame:
        is_new = np.arange(len(rows)) % 33 == 0
        return rows.assign(label=rows["label"].where(~is_new, "platinum"))

    one, diagnosis = SEVERAL.look(SEVERAL.changed(8, some_new), 30)
    assert diagnosis.warrants_retrain
    assert "the label has a new class 'platinum' in 3 % of the rows" in diagnosis.reason
    assert not any(check.is_broken for check in one.evidence.quality)


def test_classes_that_were_all_renamed_are_a_fault_of_the_feed() -> None:
    def renamed(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(label=rows["label"].str.upper())

    _, diagnosis = SEVERAL.look(SEVERAL.changed(8, renamed), 30)
    assert diagnosis.verdict == "broken_feed"
    assert "share of labels of a new class is 1" in diagnosis.reason


@pytest.mark.parametrize(
    ("world", "label", "words"),
    [
        (SEVERAL, lambda rows: "red", "share of one value among the labels"),
        (NUMBER, lambda rows: 7.0, "share of one value among the labels"),
        (NUMBER, lambda rows: rows["label"] * 60, "share of labels far out of range"),
    ],
    ids=["one class", "one number", "another unit"],
)
def test_labels_that_cannot_be_are_a_fault_of_the_feed(world: World, label: Change, words: str) -> None:
    _, diagnosis = world.look(world.changed(8, lambda rows: rows.assign(label=label(rows))), 30)
    assert diagnosis.verdict == "broken_feed"
    assert words in diagnosis.reason


@WORLDS
def test_scores_that_are_not_reproduced_are_a_fault_of_serving_whatever_their_unit(world: World) -> None:
    def forgetful(frame: pd.DataFrame) -> np.ndarray:
        return world.score(frame.assign(age=frame["age"].where(frame["age"] > 30)))

    until, rows = FIRST + timedelta(days=14), world.changed(99, same)
    known = world.scored(rows[rows["at"] < pd.Timestamp(until)].reset_index(drop=True))
    seen = Seen(known, known, known, FIRST, FIRST, until, FIRST)
    broken = replace(world.champion(), predict=forgetful)
    found = look(View(broken, world.columns, seen, Settings(rules=world.rules, jobs=1)))
    assert found.evidence.replay.mismatch_share == pytest.approx((known["age"] <= 30).mean())
    assert diagnose(found.evidence, world.rules).verdict == "serving_fault"


@WORLDS
def test_an_estimate_is_settled_and_a_record_comes_back_equal(world: World) -> None:
    rows, as_of = world.changed(99, same), FIRST + timedelta(days=14)
    first, diagnosis = world.look(rows, 14)
    watched = Watched(as_of, FIRST, VersionId("v1"), 0, first.evidence, diagnosis, first.series)
    assert Watched.from_json(watched.to_json()) == watched
    settled = settle(watched, part_of(world.scored(rows), world.columns, FIRST, as_of, "v1"))
    assert len(settled) == len(first.evidence.estimates) > 2
    assert all(abs(each.matured.ratio) < 4 for each in settled)
