"""The page of the watch: everything that the looks have found, for somebody who has no statistics."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from models.monitoring.diagnosis import ACTIONS, Diagnosis
from models.monitoring.drift import ColumnDrift
from models.monitoring.estimation.estimate import Estimate
from models.monitoring.estimation.reverse_concept import ConceptCost
from models.monitoring.estimation.track_record import Trust
from models.monitoring.evidence import Evidence, JointDrift, SeriesAlarm, Trusted, Unsaid
from models.monitoring.measures import measures_of
from models.monitoring.performance import Change, Realised
from models.monitoring.quality import NOT_OF_A_NUMBER, QualityCheck
from models.monitoring.replay import Replay
from models.monitoring.series import Series
from models.monitoring.watches import Watched
from models.registry.log import Entry, Kind
from models.registry.versions import VersionId
from models.reporting.curves import curve, spread
from models.reporting.pages import decision_file, watch_file, watch_page
from models.reporting.sketches import fitting
from models.reporting.strip import VERDICTS, sign_of, strip
from models.reporting.tracks import Point, thinned
from models.reporting.watch import FOLD, History
from models.reporting.watch_words import alarm_words, reading

START = datetime(2013, 2, 1, tzinfo=UTC)
WEEK, DAY = timedelta(days=7), timedelta(days=1)
CHAMPIONS = tuple(map(VersionId, ("20130201-0a1b2c3d4e", "20130601-3b9a7c000c", "20131005-77aa00bb11")))
PROMOTED = (0, 17, 35)  # weeks at which each champion came
BROKEN, BENIGN, HARM, CONCEPT, SILENT = 24, range(5, 10), (15, 16), (34,), 30
HOSTILE = "<script>alert('x')</script> & \"quoted\" $100 {{ 7 * 7 }}"
SLICES = ("origin=EWR", "origin=JFK", "origin=LGA", "dep_hour below 9", "dep_hour from 9 to 17", "dep_hour from 17")
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """What a reader sees and what a browser would look up; every tag must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: dict[str, list[str]] = {}
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def champion_at(week: int) -> int:
    return sum(week >= begin for begin in PROMOTED) - 1


def loss_at(day: float) -> float:
    """The true log loss: it creeps up before each promotion and falls with it."""
    week = int(day // 7)
    begin = PROMOTED[champion_at(week)]
    worse = {0: 0.05 * (day > 95), 1: 0.06 * (day > 225), 2: 0.0}[champion_at(week)]
    return 0.52 + worse + (0.0003, 0.0003, 0.0001)[champion_at(week)] * (day - 7 * begin)


def daily(seed: str, first: int, last: int, level: float = 0.0, noise: float = 0.02, scale: float = 1.0) -> Series:
    draw = random.Random(seed)
    values = [level + scale * loss_at(day) + draw.gauss(0, noise) for day in range(first, last)]
    days = tuple(f"{START + day * DAY:%Y-%m-%d}" for day in range(first, last))
    before = tuple(level + scale * 0.52 + draw.gauss(0, noise) for _ in range(28))
    return Series(seed, seed, "up", 0.1, 0.02, before, days, tuple(values))


def series_at(week: int, slices: Sequence[str]) -> tuple[Series, ...]:
    first, last = 7 * PROMOTED[champion_at(week)], 7 * (week + 1) - 1
    whole = [
        replace(daily("log_loss", first, last), label="log loss (nats)"),
        replace(daily("auc", first, last, 1.0, 0.015, -0.5), label="AUC", direction="down"),
        replace(daily("late_cost", first, last, 3.0, 0.3, 4.0), label="late_cost", direction="both"),
        replace(daily("drift.dep_hour", first, last, -0.2, 0.02, 0.5), label="distance of dep_hour"),
        replace(daily("drift.distance", first, last, -0.2, 0.02, 0.5), label="distance of distance"),
    ]
    parts = [
        replace(daily(f"log_loss.{name}", first, last, 0.01 * place, 0.05), label=f"log loss (nats), {name}")
        for place, name in enumerate(slices)
    ]
    return (*whole, *parts)


def change_of(metric: str, week: int, scope: str = "all rows") -> Change:
    worse = loss_at(7 * week) - 0.52
    sign, value, label = {
        "log_loss": (1, 0.52, "log loss (nats)"),
        "auc": (-0.5, 0.74, "AUC"),
        "calibration_error": (0.3, 0.02, "calibration error"),
    }[metric]
    size = abs(sign) * worse
    return Change(metric, label, scope, 5_812, 14, value + sign * worse, value, size, size - 0.015, size + 0.015)


def alarm_of(series: Series, week: int) -> SeriesAlarm:
    is_raised = series.name in ("log_loss", "log_loss.origin=JFK") and week in (*HARM, *CONCEPT)
    return SeriesAlarm(
        series=series.name,
        label=series.label,
        years=4_210.0 if is_raised else 0.3,
        years_needed=80.0,
        is_raised=is_raised,
        since=f"{START + 7 * (week - 2) * DAY:%Y-%m-%d}" if is_raised else None,
        before=0.52 if is_raised else None,
        after=0.571 if is_raised else None,
        worse=0.051 if is_raised else 0.0,
        worth=0.02,
        is_performance=not series.name.startswith("drift"),
    )


def estimates_at(week: int) -> tuple[Estimate, ...]:
    wrong = 0.05 if week >= SILENT - 4 else 0.0
    loss = loss_at(7 * week + 3) + wrong
    auc = 0.74 - 0.4 * (loss - 0.52)
    return (
        Estimate("cbpe", "log_loss", loss, loss - 0.02, loss + 0.02, 0.01, 0.52),
        Estimate("cbpe", "auc", auc, auc - 0.02, auc + 0.02, 0.01, 0.74),
        Estimate("dle", "log_loss", loss + 0.01, loss, loss + 0.03, 0.01, 0.52, False, "too few rows of a class"),
    )


def trust_at(week: int) -> tuple[Trusted, ...]:
    is_wrong = week >= SILENT
    reason = "silenced: over 31 periods the estimate was off by 0.04 on average" if is_wrong else ""
    return (
        Trusted("cbpe", "log_loss", Trust(week, 0.041 if is_wrong else 0.021, 0.91, 3.1, is_wrong, reason)),
        Trusted("cbpe", "auc", Trust(week, 0.018, 0.95, 2.6, False, "")),
    )


def checks_at(week: int) -> tuple[QualityCheck, ...]:
    names = ("dep_hour", "distance", "origin", "carrier", "temp", "wind_speed", "precip", "visib", "pressure")
    sound = [QualityCheck("missing share", name, 0.0123, 0.2041, False) for name in names]
    if week != BROKEN:
        return (QualityCheck("rows a day", None, 415.5, 1_240.0, False), *sound)
    days = tuple(f"{START + (7 * week + day) * DAY:%Y-%m-%d}" for day in range(5))
    broken = QualityCheck("missing share", "temp", 0.8312, 0.2041, True, days=days, note="on 5 of 7 days")
    return (broken, *sound)


def verdict_at(week: int) -> Diagnosis:
    if week == BROKEN:
        return Diagnosis("broken_feed", "The feed is not what the champion was trained on: temp.", "1 of 10.")
    if week in HARM:
        return Diagnosis("harmful_shift", "The champion got worse and its inputs moved: dep_hour (0.21).", "Sure.")
    if week in CONCEPT:
        return Diagnosis("concept_change", "The champion got worse on inputs that did not move.", "Sure.")
    if week in BENIGN:
        return Diagnosis("benign_shift", "Inputs moved without harm: dep_hour (0.21).", "A fall is found.")
    if week in (0, 1):
        return Diagnosis("labels_needed", "Only 20% of the labels that are due have arrived.", "They are seldom alike.")
    return Diagnosis(
        "healthy",
        "Nothing moved; log loss 0.523 against 0.520 at promotion, on 14 days with labels.",
        "A fall that matters would be found; the rise of log loss is between −0.012 and +0.018 nats (95% interval).",
    )


def look_at(week: int, slices: Sequence[str] = SLICES) -> Watched:
    as_of = START + (week + 1) * WEEK
    series = series_at(week, slices)
    scopes = ("all rows", *slices)
    changes = [change_of("log_loss", week, scope) for scope in scopes]
    evidence = Evidence(
        quality=checks_at(week),
        replay=Replay(2_000, 0.0, 0.0),
        drift=(
            ColumnDrift("dep_hour", 0.21, True, 0.0042),
            ColumnDrift("temp", 0.14, True, -0.0021),
            ColumnDrift("distance", 0.03, False, 0.0003),
        ),
        joint=JointDrift(0.58, 0.55, 0.61, 0.001, "days", 0.34, "", {"dep_hour": 0.7, "temp": 0.3}),
        estimates=estimates_at(week),
        trust=trust_at(week) if week > 4 else (),
        realised=Realised(5_812, 14, 0.2, (*changes, change_of("auc", week), change_of("calibration_error", week)))
        if week > 1
        else None,
        alarms=tuple(alarm_of(each, week) for each in series),
        labelled_share=0.98,
    )
    wanted = "harmful_shift" if week in HARM else "scheduled" if week % 13 == 0 and week else None
    champion = CHAMPIONS[champion_at(week)]
    return Watched(as_of, as_of - 2 * WEEK, champion, 5_812, evidence, verdict_at(week), series, wanted=wanted)


def entry_of(kind: Kind, sequence: int, as_of: datetime, version: str | None, against: str | None) -> Entry:
    return Entry(
        sequence=sequence,
        previous="0" * 64,
        kind=kind,
        reason=f"The gate said {kind}.",
        attempt=f"retrain {as_of.isoformat()}",
        version=VersionId(version) if version else None,
        against=VersionId(against) if against else None,
        as_of=as_of.isoformat(),
        recorded_at=datetime(2026, 1, 5, tzinfo=UTC).isoformat(),
    )


ENTRIES = (
    entry_of("registered", 0, START, CHAMPIONS[0], None),
    entry_of("promoted", 1, START, CHAMPIONS[0], None),
    entry_of("rejected", 2, START + 14 * WEEK, "20130510-ffffffffff", CHAMPIONS[0]),
    entry_of("promoted", 3, START + 17 * WEEK, CHAMPIONS[1], CHAMPIONS[0]),
    entry_of("declined", 4, START + 25 * WEEK, None, CHAMPIONS[1]),
    entry_of("inconclusive", 5, START + 27 * WEEK, "20130809-ffffffffff", CHAMPIONS[1]),
    entry_of("promoted", 6, START + 35 * WEEK, CHAMPIONS[2], CHAMPIONS[1]),
)


@cache
def year() -> tuple[Watched, ...]:
    return tuple(map(look_at, range(52)))


@cache
def page() -> str:
    return watch_page("flights", "arr_late", year(), ENTRIES)


def unlabelled(look: Watched) -> Watched:
    evidence = replace(look.evidence, realised=None, trust=(), alarms=(), labelled_share=None)
    inputs = tuple(series for series in look.series if series.name.startswith("drift."))
    return replace(look, evidence=evidence, series=inputs)


def nameless(look: Watched) -> Watched:
    """Names from outside everywhere, and numbers that are none."""
    series = replace(look.series[0], name=f"log_loss.{HOSTILE}", label=HOSTILE)
    evidence = replace(
        look.evidence,
        quality=(QualityCheck(HOSTILE, HOSTILE, math.nan, 0.2, True, days=(), note=HOSTILE),),
        drift=(ColumnDrift(HOSTILE, math.nan, True, math.nan), ColumnDrift("x" * 200, 1.0, True, -0.1)),
        alarms=(replace(look.evidence.alarms[0], series=series.name, label=HOSTILE, years=math.inf, worse=math.nan),),
        estimates=(Estimate("cbpe", "log_loss", math.nan, math.nan, math.nan, math.nan, math.nan, False, HOSTILE),),
        joint=JointDrift(math.nan, math.nan, math.nan, math.nan, "rows", math.nan, HOSTILE, {}),
    )
    diagnosis = Diagnosis("benign_shift", HOSTILE, HOSTILE)
    return replace(look, evidence=evidence, diagnosis=diagnosis, series=(*look.series, series), wanted=HOSTILE)


@cache
def many_looks(num_looks: int = 400, num_champions: int = 5) -> list[Watched]:
    """A look a day; every champion starts its series anew."""
    return [daily_look(day, day * num_champions // num_looks, num_looks // num_champions) for day in range(num_looks)]


@cache
def plain_look() -> Watched:
    return look_at(12, ())


def daily_look(day: int, champion: int, length: int) -> Watched:
    look, as_of = plain_look(), START + (day + 1) * DAY
    known = {f"{START + each * DAY:%Y-%m-%d}": 0.5 + 0.01 * (each % 7) for each in range(champion * length, day)}
    series = Series("log_loss", "log loss (nats)", "up", 0.1, 0.02, (0.5,), tuple(known), tuple(known.values()))
    verdict = Diagnosis("broken_feed", "The feed stood still.", "") if day == 200 else look.diagnosis
    version = VersionId(f"champion-{champion}")
    return replace(look, as_of=as_of, start=as_of - WEEK, champion=version, diagnosis=verdict, series=(series,))


@cache
def pages() -> dict[str, str]:
    """The page at every turn of the year, and of looks that have little to show or too much."""
    crowd = [f"airport={number:02} with a rather long name" for number in range(40)]
    looks: dict[str, Sequence[Watched]] = {
        "harm": year()[HARM[0] - 2 : HARM[-1] + 1],
        "broken": year()[BROKEN - 1 : BROKEN + 1],
        "no labels": [unlabelled(look) for look in year()[:10]],
        "one look": [look_at(0)],
        "hostile": [*year()[:3], nameless(look_at(3))],
        "40 slices": [look_at(week, crowd) for week in (15, 16)],
        "400 looks": many_looks(),
    }
    return {"year": page()} | {name: watch_page("flights", "arr_late", found, ENTRIES) for name, found in looks.items()}


CASES = ("year", "harm", "broken", "no labels", "one look", "hostile", "40 slices", "400 looks")


@cache
def read(case: str) -> Reader:
    return Reader(pages()[case])


def section(case: str, heading: str) -> str:
    """The text of one section of a page."""
    [found] = [part for part in pages()[case].split("<section>") if f"<h2>{heading}</h2>" in part]
    return Reader(found[: found.index("</section>")]).text


def history() -> History:
    return History("flights", "arr_late", year(), ENTRIES)


def head(case: str) -> str:
    found = pages()[case]
    return Reader(found[found.index("<header>") : found.index("</header>") + 9]).text


@pytest.mark.parametrize("case", CASES)
def test_every_page_stands_alone_and_runs_nothing(case: str) -> None:
    found, reader = pages()[case], read(case)
    assert set(re.findall(r"https?://[^\"'\s<)]*", found)) <= {"http://www.w3.org/2000/svg"}
    assert not {"script", "link", "iframe", "img", "object"} & set(reader.tags)
    assert not any(name.startswith("on") for name in reader.attributes)
    links = [address for address in reader.attributes.get("href", []) if not address.startswith("#")]
    assert set(links) <= {decision_file(entry) for entry in ENTRIES}
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)\)", found))


@pytest.mark.parametrize("case", CASES)
def test_every_page_says_what_is_missing_in_words(case: str) -> None:
    assert not re.search(r"\b(nan|NaN|None|inf|Undefined)\b", read(case).text)
    ids = read(case).attributes.get("id", [])
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("case", CASES)
def test_every_chart_has_words_for_whoever_does_not_see_it(case: str) -> None:
    pictures = re.findall(r"<svg .*?</svg>", pages()[case], flags=re.DOTALL)
    assert len(pictures) >= 4
    for picture in pictures:
        label = ElementTree.fromstring(picture).attrib["aria-label"]
        assert len(label) > 20


def test_the_headline_says_verdict_reason_confidence_and_action_in_words() -> None:
    newest = year()[-1].diagnosis
    said = head("year")
    for part in (
        "● healthy",
        "Nothing moved and the model does as well",
        newest.reason,
        newest.confidence,
        newest.action,
    ):
        assert part in said
    assert "As of 31 Jan 2014, and so at every look since 11 Oct 2013 (17 looks)" in said
    assert f"{CHAMPIONS[2]} , since 4 Oct 2013; 5,812 rows scored" in said


@pytest.mark.parametrize(
    ("case", "sign", "verdict", "said"),
    [
        ("harm", "▼", "harmful_shift", "a reason to retrain"),
        ("broken", "■", "broken_feed", "nothing is trained on them until they are mended"),
        ("one look", "△", "labels_needed", "outcomes are needed, not a retrain"),
        ("no labels", "○", "benign_shift", "the model does no worse for it"),
    ],
)
def test_each_verdict_has_a_sign_beside_its_colour(case: str, sign: str, verdict: str, said: str) -> None:
    assert f'class="badge {verdict}"' in pages()[case]
    assert head(case).count(sign) == 1
    assert said in head(case)
    assert ACTIONS[next(name for name in ACTIONS if name == verdict)] in head(case)


def test_no_two_verdicts_have_the_same_sign() -> None:
    assert {mark.kind for mark in VERDICTS} == set(ACTIONS)
    assert len({sign_of(verdict) for verdict in ACTIONS}) == len(ACTIONS)


def test_the_strip_has_a_lane_for_each_verdict_and_the_numbers_of_promotions() -> None:
    drawn = strip(history())
    for picture in (drawn.wide, drawn.narrow):
        texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
        assert {"broken feed", "harmful shift", "concept change", "healthy", "promoted", "rejected"} <= set(texts)
        assert {"#1", "#3", "#6"} <= set(texts)
        assert "#2" not in texts
    assert "52 looks: 1 broken feed, 2 harmful shift" in drawn.wide


def test_looks_that_would_touch_become_a_bar_and_a_fault_stays_seen() -> None:
    drawn = strip(History("flights", "arr_late", tuple(many_looks()), ()))
    assert len(drawn.wide) < 20_000
    assert drawn.wide.count("<use") < 40
    assert "broken feed" in drawn.wide


def test_performance_is_told_with_unit_interval_reference_and_what_matters() -> None:
    said = section("harm", "Performance over time")
    assert "Measured: 0.604 nats on 5,812 rows of 14 days, 0.520 when the champion was new." in said
    assert "0.084 nats worse, more than chance explains (95% interval of the difference +0.069 to +0.099)" in said
    assert "What matters begins at 0.020 nats." in said
    assert "An alarm stands: log loss (nats) went from 0.520 to 0.571" in said
    assert "log loss (nats), lower is better" in said
    assert all(name in said for name in ("AUC", "Calibration error"))


def test_a_difference_that_chance_can_make_is_called_so() -> None:
    track = History("flights", "arr_late", year()[:8], ()).metrics[0]
    assert track.change is not None
    assert "no more than chance can do" in reading(replace(track, change=replace(track.change, lower=-0.01)))[0]
    assert "too few days" in reading(replace(track, change=replace(track.change, lower=None)))[0]
    assert "That is the same" in reading(replace(track, change=replace(track.change, worse=0.0, lower=-0.01)))[0]
    assert "No outcomes are known" in reading(replace(track, change=None))[0]


def test_a_curve_restarts_with_each_champion_and_keeps_its_alarms() -> None:
    [loss, *_] = history().metrics
    assert [round(stretch.reference or 0, 3) for stretch in loss.stretches] == [0.52] * 3
    assert [len(stretch.days) for stretch in loss.stretches] == [7 * 17 - 1, 7 * 18 - 1, 7 * 17 - 1]
    assert [spell.raised for spell in loss.spells] == [look_at(HARM[0]).as_of, look_at(CONCEPT[0]).as_of]
    assert all(spell.begins < spell.raised <= spell.ends for spell in loss.spells)


def test_the_interval_lies_on_the_worse_side_whatever_the_direction() -> None:
    for track, side in zip(history().metrics, (1, -1, 1), strict=True):
        point = track.stretches[0].windows[-1]
        assert point.lower is not None and point.upper is not None and track.stretches[0].reference is not None
        assert point.lower < point.value < point.upper
        assert side * (point.value - track.stretches[0].reference) > 0
        assert math.isclose((point.lower + point.upper) / 2, point.value, abs_tol=1e-9)


def test_a_silenced_estimate_is_drawn_but_no_longer_listened_to() -> None:
    [loss, ranking, *_] = history().metrics
    heard = [point.is_heard for stretch in loss.stretches for point in stretch.estimates]
    assert heard == [week < SILENT for week in range(52)]
    assert all(point.is_heard for stretch in ranking.stretches for point in stretch.estimates)
    said = section("year", "How far estimates can be trusted")
    assert "Silenced. log loss (nats), by CBPE : on this project the estimate has been within ±0.041" in said
    assert "log loss (nats), by DLE" in said
    assert "Not listened to: too few rows of a class." in said
    assert "is not known yet" in section("one look", "How far estimates can be trusted")


def test_labels_of_curves_do_not_touch() -> None:
    draw = random.Random(3)
    for _ in range(50):
        heights = sorted(draw.uniform(0, 200) for _ in range(4))
        moved = spread(heights, gap=18, top=200)
        assert all(after - before >= 18 - 1e-9 for before, after in itertools.pairwise(moved))
        assert max(moved) <= 200


def test_long_curves_are_thinned_to_means_of_neighbours() -> None:
    points = [Point(START + day * DAY, float(day)) for day in range(1000)]
    few = thinned(points, 100)
    assert len(few) == 100
    assert math.isclose(sum(point.value for point in few) / 100, 499.5)
    assert thinned([], 100) == []


def test_an_alarmed_slice_comes_first_and_is_marked_without_colour() -> None:
    [slices, *_] = [group for group in History("flights", "arr_late", year()[:17], ()).groups if group.is_alike]
    assert slices.tracks[0].title == "origin=JFK"
    assert "▲ origin=JFK" in pages()["harm"]
    assert "2 alarms stand." in section("harm", "Alarms")
    assert "No alarm stands." in section("year", "Alarms")


def test_forty_slices_are_folded_after_twelve() -> None:
    said = section("40 slices", "Log loss (nats), lower is better, slice by slice")
    assert "28 more of 40" in said
    assert len(pages()["40 slices"]) < 700_000


def test_further_series_have_sections_of_their_own() -> None:
    assert "late_cost" in section("year", "Numbers of the business")
    assert "distance of dep_hour" in section("year", "Inputs, column by column")


def test_drift_is_ranked_by_harm_and_starts_nothing() -> None:
    said = section("year", "Which inputs moved, and what that costs")
    assert "Drift alone never starts a retrain" in said
    assert said.index("dep_hour") < said.index("temp") < said.index("+0.0003")
    assert "+0.0042" in said and "−0.0021" in said
    assert "an AUC of 0.580 (0.550 to 0.610), where 0.5 is not at all" in said
    assert "worth 34% of their number" in said
    assert 'class="bar eases" style="width: 50.0%"' in pages()["year"]


def test_the_part_of_a_changed_world_is_told_apart() -> None:
    cost = ConceptCost("log_loss", 0.031, 0.012, 0.05, 0.007, 0.01)
    look = replace(year()[HARM[0]], evidence=replace(year()[HARM[0]].evidence, concept=(cost,)))
    [*_, said] = History("flights", "arr_late", (look,), ()).together
    assert "the log loss would have changed by +0.031 nats (95% interval +0.012 to +0.050)" in said
    assert "a world that answers differently" in said


def test_what_cannot_be_known_is_told_with_its_reason_and_not_as_a_number() -> None:
    newest = year()[HARM[0]]
    unsaid = Unsaid("share of flipped labels", NOT_OF_A_NUMBER)
    look = replace(newest, evidence=replace(newest.evidence, unsaid=(unsaid,)))
    page = watch_page("delays", "delay", (look,), (), measures_of("regression", "minutes"))
    said = " ".join(" ".join(Reader(page).texts).split())
    assert "What cannot be known Share of flipped labels : noise in the labels of a number, a wilder world" in said
    assert "What cannot be known" not in section("year", "Is the feed whole?")


def test_numbers_of_a_quantity_are_told_in_its_unit() -> None:
    newest, trust = year()[HARM[0]], year()[-1].evidence.trust[0].trust
    each = replace(year()[-1].evidence.estimates[0], metric="mae", estimator="dle", value=22.304)
    cost = ConceptCost("mae", 3.1, 1.2, 5.0, 0.7, 0.01)
    evidence = replace(newest.evidence, estimates=(each,), concept=(cost,), trust=(Trusted("dle", "mae", trust),))
    history = History(
        "delays", "delay", (replace(newest, evidence=evidence),), (), measures_of("regression", "minutes")
    )
    assert [expected.name for expected in history.expected] == ["mean absolute error (minutes), by DLE"]
    assert history.named(evidence.trust[0]) == "mean absolute error (minutes), by DLE"
    assert "would have changed by +3.100 minutes (95% interval" in history.together[-1]


def test_broken_checks_stand_first_and_the_others_are_folded() -> None:
    said = section("broken", "Is the feed whole?")
    assert "10 checks; 1 beyond its limit" in said
    assert said.index("missing share of temp") < said.index("9 more of 10 checks")
    assert "19 Jul 2013, 20 Jul 2013 and 3 more" in said
    assert "on 5 of 7 days" in said
    assert "10 checks, as a table" in section("year", "Is the feed whole?")


@pytest.mark.parametrize(
    ("replay", "said"),
    [
        (None, "Not checked: no inputs were logged"),
        (
            Replay(2_000, 0.0, 0.0),
            "2,000 logged scores were computed again from the inputs logged with them: all came out",
        ),
        (Replay(2_000, 0.25, 0.31), "500 (25%) came out otherwise, by up to 0.31."),
    ],
)
def test_the_replay_is_told_in_rows(replay: Replay | None, said: str) -> None:
    look = replace(year()[0], evidence=replace(year()[0].evidence, replay=replay))
    assert said in History("flights", "arr_late", (look,), ()).replayed


def test_each_look_links_to_the_decision_taken_on_it() -> None:
    rows = History("flights", "arr_late", year(), ENTRIES).rows
    assert rows[0].watched is year()[-1]
    decided = {row.watched.as_of: [entry.sequence for entry in row.decisions] for row in rows if row.decisions}
    assert decided == {START + week * WEEK: [number] for week, number in ((14, 2), (17, 3), (25, 4), (27, 5), (35, 6))}
    said = section("year", "All looks")
    assert f"{52 - FOLD['looks']} looks before them" in said
    assert f'href="{decision_file(ENTRIES[3])}"' in pages()["year"]
    assert "harmful shift" in said and "scheduled" in said


def test_many_looks_are_folded() -> None:
    assert "370 looks before them" in section("400 looks", "All looks")
    assert len(pages()["400 looks"]) < 1_000_000


def test_names_from_outside_stay_text() -> None:
    found = pages()["hostile"]
    assert "<script" not in found
    assert "{{ 7 * 7 }}" in read("hostile").text
    assert "x" * 200 in found


def test_nothing_known_is_said_and_not_drawn() -> None:
    look = replace(look_at(0, ()), series=(), evidence=Evidence())
    bare = Reader(watch_page("flights", "arr_late", [look], ())).text
    for said in ("nobody can say anything yet", "Nothing could be compared.", "Nothing was checked.", "Not checked:"):
        assert said in bare
    assert "No outcomes are known for the newest look." in section("no labels", "Performance over time")
    with pytest.raises(ValueError, match="run the watch first"):
        watch_page("flights", "arr_late", [], ())


@pytest.mark.parametrize(
    ("years", "said"),
    [
        (math.inf, "10,000 years or more"),
        (4_210.4, "4,210 years"),
        (1.0, "1 year;"),
        (0.3, "110 days"),
        (0.0, "1 day"),
        (math.nan, "nothing"),
    ],
)
def test_evidence_is_told_in_time_that_chance_needs(years: float, said: str) -> None:
    alarm = replace(alarm_of(series_at(0, ())[0], 0), years=years)
    assert said in alarm_words(alarm)


def test_the_same_looks_give_the_same_page() -> None:
    assert watch_page("flights", "arr_late", [look_at(0)], ENTRIES) == pages()["one look"]
    assert watch_file() == "watch.html"


def test_a_curve_keeps_to_what_is_not_extreme() -> None:
    [loss, *_] = history().metrics
    wild = replace(loss.stretches[0], windows=(*loss.stretches[0].windows[:-1], Point(START, 0.53, -40.0, 40.0)))
    drawn = curve(replace(loss, stretches=(wild, *loss.stretches[1:])), history())
    assert "40" not in [element.text for element in ElementTree.fromstring(drawn.wide).iter()]
    assert len(fitting("a" * 50, 100, 10)) <= 18
