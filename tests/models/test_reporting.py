"""The report: pages that stand alone, say what is missing, and believe no text that comes from outside."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from models.registry.log import Entry, Kind
from models.registry.versions import VersionId
from models.reporting.charts import estimation, levels, performance
from models.reporting.evidence import findings
from models.reporting.forest import forest
from models.reporting.pages import decision_file, decision_page, year_page
from models.reporting.wording import period as dates
from models.reporting.year import Period, Year

START = datetime(2013, 2, 1, tzinfo=UTC)
STEP = timedelta(days=14)
HOSTILE = "<script>alert('x')</script> & \"quoted\" $100 {{ 7 * 7 }}"
ANSWERS: tuple[Kind | None, ...] = (None, "rejected", "promoted", None, "inconclusive", "promoted", "declined", None)
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects what a reader sees and what a browser would fetch or look up, and checks that tags are closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src", "xlink:href", "action", "data", "srcset"):
                self.addresses.append(value or "")
            elif name in ("aria-label", "title"):
                self.texts.append(value or "")

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


def trial(metric: str, kind: str, gain: float, error: float, margin: float, verdict: str) -> dict[str, Any]:
    champion = {"log_loss": 0.5512, "auc": 0.7421, "calibration_error": 0.0213}.get(metric, 0.5)
    sign = 1 if metric == "auc" else -1
    return {
        "metric": metric,
        "kind": kind,
        "champion": champion,
        "challenger": champion + sign * gain,
        "gain": gain,
        "standard_error": error,
        "lower": gain - 1.7 * error,
        "upper": gain + 1.7 * error,
        "margin": margin,
        "p_value": 0.0004,
        "level": 0.05,
        "verdict": verdict,
    }


def judged(answer: str) -> dict[str, Any]:
    gain, verdict = {"promoted": (0.0231, "holds"), "rejected": (-0.0012, "fails")}.get(answer, (0.0041, "open"))
    tests = [
        trial("log_loss", "superiority", gain, 0.0031, 0.002, verdict),
        trial("auc", "non-inferiority", 0.0102, 0.0042, 0.005, "holds"),
        trial("calibration_error", "non-inferiority", -0.0013, 0.0031, 0.01, "holds"),
    ]
    return {
        "trigger": "harmful_shift",
        "diagnosis": {"verdict": "harmful_shift", "reason": "The champion got worse and its inputs moved."},
        "windows": {
            "train_start": "2013-01-01T00:00:00+00:00",
            "validation_start": "2013-03-25T00:00:00+00:00",
            "train_end": "2013-04-01T00:00:00+00:00",
            "holdout_start": "2013-04-02T00:00:00+00:00",
            "holdout_end": "2013-05-01T00:00:00+00:00",
            "embargo_days": 1.0,
        },
        "snapshot": {"id": "9f2c41d07be3", "num_rows": 81234},
        "training": {"recipe": "finetune", "num_rows": 65210, "seconds": 73.2},
        "judgement": {
            "answer": answer,
            "reason": "as above",
            "num_rows": 12040,
            "num_groups": 29,
            "num_positives": 2911,
            "tests": tests,
        },
    }


def entry_of(kind: Kind, sequence: int = 12, as_of: datetime = START, **changes: Any) -> Entry:
    usual: dict[str, Any] = {
        "reason": f"The gate said {kind}: gain in log loss +0.0231 nats (90% interval +0.0178 to +0.0284).",
        "version": VersionId(f"{as_of:%Y%m%d}-3b9a7c{sequence:04x}"),
        "against": VersionId("20130101-0a1b2c3d4e"),
        "evidence": judged(kind) if kind in ("promoted", "rejected", "inconclusive") else {},
    }
    return Entry(
        sequence=sequence,
        previous="0" * 64,
        kind=kind,
        attempt=f"retrain-{as_of:%Y%m%d}",
        as_of=as_of.isoformat(),
        recorded_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC).isoformat(),
        **{**usual, **changes},
    )


def first_promotion() -> Entry:
    evidence = judged("promoted")
    return entry_of("promoted", 1, START, against=None, evidence=evidence)


def year_of(num_periods: int = 22, seed: int = 0) -> Year:
    draw = random.Random(seed)
    entries, periods = [first_promotion()], list[Period]()
    champion = str(entries[0].version)
    for number in range(num_periods):
        start = START + number * STEP
        kind = ANSWERS[number % len(ANSWERS)]
        decision = entry_of(kind, 2 * number + 3, start + STEP) if kind else None
        drift = 0.05 * math.sin(number / 3) + draw.gauss(0, 0.012)
        is_known = number < num_periods - 1
        periods.append(
            Period(
                start=start,
                end=start + STEP,
                num_rows=14000 + draw.randrange(2000),
                champion=champion,
                estimated_auc=0.74 + draw.gauss(0, 0.01) if number else None,
                estimated_lower=0.72 if number else None,
                estimated_upper=0.765 if number else None,
                realised_auc=0.735 - drift if is_known else None,
                realised_log_loss=0.513 + drift if is_known else None,
                static_auc=0.71 - drift if is_known else None,
                static_log_loss=0.52 + 0.004 * number + drift if is_known else None,
                diagnosis=("healthy", "benign_shift", "harmful_shift", "labels_needed")[number % 4],
                diagnosis_reason="Inputs moved without harm: dep_delay (0.31), origin (0.22) and 3 more; "
                "log loss 0.522 against 0.519 at promotion (+0.003 nats, p = 0.231).",
                decision=decision,
            )
        )
        if decision:
            entries.append(decision)
            champion = str(decision.version) if decision.kind == "promoted" else champion
    return Year("flights", "two-weekly, on a shift", tuple(periods), tuple(entries), 0.513, 0.567, seconds=192.0)


@pytest.fixture(scope="module")
def year() -> Year:
    return year_of()


@pytest.fixture(scope="module")
def page(year: Year) -> str:
    return year_page(year)


DECISIONS: dict[str, Entry] = {
    "promoted": entry_of("promoted"),
    "rejected": entry_of("rejected"),
    "inconclusive": entry_of("inconclusive"),
    "first promotion": first_promotion(),
    "declined": entry_of("declined", version=None, evidence={"trigger": "scheduled"}),
    "rolled back": entry_of("rolled_back"),
    "registered": entry_of("registered"),
    "too small to judge": entry_of("inconclusive", evidence={"judgement": {"num_rows": 12, "tests": []}}),
    "half an entry": entry_of("rejected", evidence={"judgement": {"tests": [{"metric": "own", "gain": 0.1}, {}]}}),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_every_kind_of_decision_renders_and_stands_alone(name: str) -> None:
    entry = DECISIONS[name]
    page = decision_page(entry, "flights")
    reader = Reader(page)
    assert entry.reason in reader.text
    assert_stands_alone(page, allowed=set())
    assert_says_what_is_missing(reader)
    assert len(page) < 150_000


def test_the_year_page_stands_alone_and_links_to_every_decision(year: Year, page: str) -> None:
    assert_stands_alone(page, allowed={decision_file(entry) for entry in year.entries})
    assert {decision_file(entry) for entry in year.entries} <= set(Reader(page).addresses)
    assert len(page) < 400_000


def test_the_year_page_says_what_is_missing(page: str) -> None:
    reader = Reader(page)
    assert_says_what_is_missing(reader)
    assert reader.texts.count("no labels") == 2 * 3  # three columns, each as aria-label and as title
    assert "not estimated" in reader.texts


def test_the_year_page_is_accessible(page: str) -> None:
    reader = Reader(page)
    assert '<html lang="en">' in page
    assert reader.tags["h1"] == 1
    assert page.count("<th ") == page.count('scope="')
    assert page.count("<svg ") == page.count('role="img" aria-label="Log loss') + page.count('aria-label="AUC over')


def test_the_same_year_gives_the_same_bytes(page: str) -> None:
    assert year_page(year_of()) == page
    assert decision_page(DECISIONS["promoted"], "flights") == decision_page(entry_of("promoted"), "flights")


def test_ids_are_unique_and_found(page: str) -> None:
    ids = Reader(page).ids
    assert ids
    assert max(Counter(ids).values()) == 1
    assert set(re.findall(r"url\(#([^)]*)\)", page)) | set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_hostile_text_is_shown_and_not_run(year: Year) -> None:
    entry = entry_of("declined", 3, reason=HOSTILE, evidence={"diagnosis": {"verdict": HOSTILE, "reason": HOSTILE}})
    first = replace(year.periods[0], diagnosis=HOSTILE, diagnosis_reason=HOSTILE, champion=HOSTILE, decision=entry)
    hostile = replace(year, project=HOSTILE, label=HOSTILE, periods=(first, *year.periods[1:]), entries=(entry,))
    for reader in (Reader(year_page(hostile)), Reader(decision_page(entry, HOSTILE))):
        assert HOSTILE in reader.text
        assert reader.tags["script"] == 0


def test_a_hostile_metric_is_drawn_and_not_run() -> None:
    test = trial(HOSTILE, "superiority", 0.1, 0.01, 0.05, HOSTILE)
    page = decision_page(entry_of("promoted", evidence={"judgement": {"tests": [test]}}), "flights")
    assert Reader(page).tags["script"] == 0
    assert "$100" in page


@pytest.mark.parametrize(
    ("log_loss", "static", "said"),
    [
        (0.513, 0.567, "0.513 nats, 9.5% below that of the first model"),
        (0.567, 0.513, "0.567 nats, 10.5% above that of the first model"),
        (0.5, 0.5, "0.500 nats, the same as that of the first model"),
        (math.nan, math.nan, "No labels had arrived in 22 periods"),
    ],
)
def test_the_headline_is_honest(year: Year, log_loss: float, static: float, said: str) -> None:
    assert said in replace(year, log_loss=log_loss, static_log_loss=static).headline


def test_a_year_without_labels_or_decisions_renders(year: Year) -> None:
    unknown = {
        name: None
        for name in Period.__dataclass_fields__
        if name.startswith(("estimated", "realised", "static")) or name == "decision"
    }
    bare = tuple(replace(period, **unknown) for period in year.periods)
    empty = replace(year, periods=bare, entries=(), log_loss=math.nan, static_log_loss=math.nan, seconds=None)
    assert_says_what_is_missing(Reader(year_page(empty)))


def test_a_year_of_one_period_renders() -> None:
    assert "one period" in year_page(year_of(num_periods=1))


def test_the_question_of_a_decision_names_who_stood_against_whom() -> None:
    asked = Reader(decision_page(DECISIONS["promoted"], "flights")).text
    assert "Should 20130201-3b9a7c000c replace 20130101-0a1b2c3d4e as the champion of flights?" in asked
    first = Reader(decision_page(DECISIONS["first promotion"], "flights")).text
    assert "the constant prediction of how often the outcome occurs" in first


def test_the_forest_has_a_row_for_each_test_that_states_its_interval() -> None:
    drawn = forest(findings(DECISIONS["promoted"]))
    assert drawn
    for svg in (drawn.wide, drawn.narrow):
        assert all(word in svg for word in ("log loss", "AUC", "calibration error", "holds", "+0.0231 nats"))
    assert forest(findings(DECISIONS["half an entry"])) is None


def test_charts_are_well_formed_and_keep_their_text(year: Year) -> None:
    for drawn in (performance(year), estimation(year)):
        for svg in (drawn.wide, drawn.narrow):
            ElementTree.fromstring(svg)
            assert "<metadata" not in svg
            assert "<style" not in svg
    assert "#7" in performance(year).narrow
    assert "log loss (nats)" in performance(year).wide


def test_labels_of_one_row_do_not_touch() -> None:
    draw = random.Random(1)
    positions = sorted(draw.uniform(0, 200) for _ in range(40))
    rows = levels(positions, width=18)
    for row in set(rows):
        own = [position for position, level in zip(positions, rows, strict=True) if level == row]
        assert all(after - before >= 18 for before, after in itertools.pairwise(own))


def test_a_period_is_named_by_its_first_and_last_day() -> None:
    assert dates(START, START + STEP) == "1 Feb \u2013 14 Feb 2013"
    assert dates(START, START + timedelta(days=1)) == "1 Feb 2013"
    assert dates(datetime(2013, 12, 25), datetime(2014, 1, 8)) == "25 Dec 2013 \u2013 7 Jan 2014"


def assert_stands_alone(page: str, allowed: set[str]) -> None:
    """Nothing is fetched, nothing runs, and the only addresses are pages beside it and places within it."""
    assert set(re.findall(r"https?://[^\"'\s<)]*", page)) <= {"http://www.w3.org/2000/svg"}
    reader = Reader(page)
    assert not {"script", "link", "iframe", "img", "object"} & set(reader.tags)
    assert {address for address in reader.addresses if not address.startswith("#")} <= allowed
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)\)", page))


def assert_says_what_is_missing(reader: Reader) -> None:
    assert not re.search(r"\b(nan|NaN|None|inf|Undefined)\b", reader.text)
