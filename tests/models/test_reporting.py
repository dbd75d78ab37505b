"""The report: pages that stand alone, say what is missing, and believe no text that comes from outside."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from models.registry.log import Entry, Kind
from models.registry.versions import VersionId
from models.reporting.charts import estimation, levels, performance
from models.reporting.decision import Decision
from models.reporting.evidence import findings
from models.reporting.forest import primary
from models.reporting.pages import decision_file, decision_page, year_page
from models.reporting.panels import guardrails, slices
from models.reporting.records import decision_json, decision_markdown
from models.reporting.wording import duration
from models.reporting.wording import period as dates
from models.reporting.year import Loss, Period, Year

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


CHAMPION = {"log loss (nats)": 0.5512, "AUC": 0.7421, "calibration error": 0.0213, "negative flips (share of rows)": 0}
BETTER_HIGH = ("AUC",)


def trial(
    metric: str, kind: str, gain: float, error: float, margin: float, verdict: str, scope: str = "all rows", **more: Any
) -> dict[str, Any]:
    champion = CHAMPION.get(metric, 0.0831)
    return {
        "metric": metric,
        "scope": scope,
        "kind": kind,
        "champion": champion,
        "challenger": champion + (gain if metric in BETTER_HIGH else -gain),
        "gain": gain,
        "standard_error": error,
        "lower": gain - 1.7 * error,
        "upper": gain + 1.7 * error,
        "margin": margin,
        "p_value": 0.0004,
        "level": 0.05,
        "verdict": verdict,
        "num_rows": 12040,
        "num_groups": 29,
        "is_equivalent": False,
        "note": "",
        **more,
    }


def untested(metric: str, scope: str, margin: float, note: str, num_rows: int | None = None) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("champion", "challenger", "gain", "standard_error", "lower", "upper", "p_value", "level", "num_groups")
    )
    test = trial(metric, "non-inferiority", 0, 0, margin, "open", scope, note=note)
    return test | empty | {"num_rows": num_rows}


def limited(metric: str, champion: float, challenger: float, largest: float, note: str = "") -> dict[str, Any]:
    verdict = "holds" if challenger <= largest else "fails"
    numbers = {"champion": champion, "challenger": challenger, "verdict": verdict}
    return untested(metric, "all rows", largest, note) | {"kind": "limit", **numbers}


def main_tests(gain: float, verdict: str) -> list[dict[str, Any]]:
    return [
        trial("log loss (nats)", "superiority", gain, 0.0031, 0.002, verdict),
        trial("AUC", "non-inferiority", 0.0102, 0.0042, 0.005, "holds"),
        trial("calibration error", "non-inferiority", -0.0013, 0.0031, 0.01, "holds", is_equivalent=True),
    ]


def sliced(num_broken: int = 2) -> list[dict[str, Any]]:
    """25 slices of 3 columns, of which some are broken and one has too few rows."""
    draw = random.Random(2)
    names = [f"origin={name}" for name in ("EWR", "JFK", "LGA")]
    names += [
        f"carrier={name}" for name in ("AA", "B6", "DL", "EV", "FL", "MQ", "UA", "US", "VX", "WN", "other values")
    ]
    names += [f"dep_hour from {hour} to {hour + 2}" for hour in range(5, 23, 2)] + ["dep_hour from 23"]
    found = [untested("log loss (nats)", "carrier=HA", 0.01, "only 12 rows of 300 needed, where before it had 340", 12)]
    for place, name in enumerate(names):
        is_broken = place in range(1, 1 + num_broken)
        gain, error = (-0.034 if is_broken else draw.gauss(0.012, 0.006)), draw.uniform(0.003, 0.009)
        verdict = "fails" if is_broken else "holds" if gain - 1.7 * error > -0.01 else "open"
        size = {"num_rows": draw.randrange(320, 5200), "num_groups": 29}
        found.append(trial("log loss (nats)", "non-inferiority", gain, error, 0.01, verdict, name, **size))
    return found


def guarded() -> list[dict[str, Any]]:
    """Guardrails of every kind: the first champion, bad days, flips, fairness, known-hard rows and cost."""
    no_worse = "non-inferiority"
    first = "all rows, against the first champion 20130101-0a1b2c3d4e"
    noise = "all rows with noise of 0.1 standard deviations"
    return [
        trial("negative flips (share of rows)", no_worse, -0.0113, 0.0021, 0.03, "holds"),
        trial("log loss (nats)", no_worse, 0.0372, 0.0051, 0.0, "holds", first),
        trial("demographic parity gap", no_worse, -0.0051, 0.0062, 0.02, "holds", "groups of SEX"),
        trial("equal opportunity gap", no_worse, -0.0131, 0.0142, 0.02, "open", "groups of SEX"),
        trial("worst calibration error", no_worse, 0.0021, 0.0062, 0.02, "holds", "groups of SEX"),
        untested("demographic parity gap", "groups of RAC1P", 0.02, "300 rows needed in each group: RAC1P=5 has 41"),
        trial("log loss (nats)", no_worse, 0.0013, 0.0041, 0.02, "holds", "all rows with 10% of the values missing"),
        trial("log loss (nats)", no_worse, -0.0101, 0.0072, 0.02, "open", noise),
        limited("known-hard rows called wrong (share)", 1.0, 0.8125, 1.0, "320 rows"),
        limited("median time of a request of 1,000 rows (ms)", 28.4, 31.2034, 50.0),
        limited("size of the weights (MB)", 0.0312, 0.8124, 0.5),
    ]


def ledger(num_tests: int, num_promotions: int, **changes: Any) -> dict[str, Any]:
    return {
        "rule": "fixed",
        "alpha": 0.05,
        "ceiling": None,
        "num_tests": num_tests,
        "num_promotions": num_promotions,
        "spent": 0.05 * num_tests,
        "next_level": 0.05,
        **changes,
    }


COST = {
    "seconds": 192.0,
    "device_seconds": 384.0,
    "device": "NVIDIA L4",
    "num_passes": 1_500_000,
    "energy_kwh": 0.0123,
    "money": 0.267,
    "currency": "EUR",
}


def judged(
    answer: str, further: Sequence[dict[str, Any]] = (), primary: str | None = None, **changes: Any
) -> dict[str, Any]:
    usual = {"promoted": (0.0231, "holds"), "rejected": (-0.0012, "fails")}
    gain, verdict = usual.get(primary or answer, (0.0041, "open"))
    judgement = {
        "answer": answer,
        "reason": "as above",
        "judged_on": {
            "num_rows": 12040,
            "num_positives": 2911,
            "num_groups": 29,
            "group_unit": "days",
            "rows_per_group": 415.5,
        },
        "level": 0.05,
        "tests": [*main_tests(gain, verdict), *further],
        "shrunk_gain": 0.0213 if answer == "promoted" else None,
        "champion_error": 0.0112,
        "would_change": [f"With the same spread a gain of less than {gain:.4f} would not have been enough."],
    }
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
        "training": {
            "recipe": "finetune",
            "arm": "finetune on recent(days=56)",
            "choice": "finetune on recent(days=56) cost 0.4123 a validation row, 1.3 % less than scratch",
            "num_rows": 65210,
            "seconds": 73.2,
            "device": "NVIDIA L4",
            "cost": COST | {"seconds": 73.2, "num_passes": 260_840},
            "cost_with_trials": COST,
            "notes": ["out of memory at batch 8192: went on with 4096"],
            "trials": [
                {"arm": "scratch", "loss": None, "num_rows": 9, "cost": COST, "problem": "the loss is not finite"},
                {"arm": "plain", "loss": 0.51, "num_rows": 20_000, "is_hopeless": True, "cost": COST},
                {"arm": "finetune on recent(days=56)", "loss": 0.4123, "num_rows": 60_000, "cost": COST},
            ],
        },
        "challengers": ["20130201-3b9a7c000c", "20130201-77aa00bb11"],
        "judgement": judgement,
        "budget": {"before": ledger(3, 1), "after": ledger(4, 1 + (answer == "promoted"))},
        "outlook": {
            "num_rows": 12040,
            "num_groups": 29,
            "level": 0.05,
            "standard_error": 0.0034,
            "ratio": 0.3,
            "smallest_gain": 0.0087,
        },
        "holdout": "520f86c4de748209",
        "num_rows_used_up": 130,
        "hard_rows": "7b601e795fe33dba",
        **changes,
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


def four_tests() -> Entry:
    return entry_of("promoted", evidence=judged("promoted", guarded()[:1]))


def first_promotion() -> Entry:
    floor = {"champion": 0.55, "challenger": 0.8318, "gain": 0.2818, "lower": 0.2650, "upper": 0.2987}
    first = {"champion": 0.5, "challenger": 0.8318, "gain": 0.3318, "lower": 0.3150, "upper": 0.3487}
    evidence = judged("promoted", budget=None, outlook=None, trigger="first champion", challengers=["a"])
    evidence["judgement"] |= {
        "tests": [
            trial("AUC", "superiority", 0, 0, 0.0, "holds") | first,
            trial("AUC", "floor", 0, 0, 0.0, "holds") | floor,
            trial("log loss (nats)", "non-inferiority", 0.1737, 0.0106, 0.01, "holds"),
        ],
        "shrunk_gain": 0.3318,
    }
    evidence["baseline"] = "the prediction that it goes on as in the last days"
    return entry_of("promoted", 1, START, against=None, evidence=evidence)


def override_of(
    answer: str, sequence: int = 31, as_of: datetime = START, by: str = "Jane Doe", **changes: Any
) -> Entry:
    said = "the new carrier's flights must be scored from Monday on"
    usual: dict[str, Any] = {
        "reason": f"{by} {answer} 20130201-3b9a7c000c against the gate: {said}",
        "version": VersionId("20130201-3b9a7c000c"),
        "evidence": {"by": by, "answer": answer, "said": said},
    }
    return entry_of("overridden", sequence, as_of, **{**usual, **changes})


def used_up() -> Entry:
    spent = ledger(20, 3, ceiling=1.0, spent=1.0)
    reason = "The error budget is used up: 20 tests spent 1.00 expected false promotions; raise gate.budget.ceiling."
    evidence = {"trigger": "scheduled", "diagnosis": None, "budget": {"before": spent}, "outlook": None}
    return entry_of("declined", version=None, reason=reason, evidence=evidence)


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
                estimated_second=0.74 + draw.gauss(0, 0.01) if number else None,
                estimated_lower=0.72 if number else None,
                estimated_upper=0.765 if number else None,
                realised_second=0.735 - drift if is_known else None,
                realised_loss=0.513 + drift if is_known else None,
                static_second=0.71 - drift if is_known else None,
                static_loss=0.52 + 0.004 * number + drift if is_known else None,
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


def overridden_year() -> Year:
    """A year in which a person put a version in charge, and refused another long after."""
    year, mine = year_of(), VersionId("20130415-5e1f00c0de")
    promoted = override_of("promoted", 40, START + 5.4 * STEP, version=mine)
    word = override_of("refused", 41, START + 5.5 * STEP)  # of a version that was not champion: nothing changes
    refused = override_of("refused", 61, datetime(2026, 11, 20, 19, 17, tzinfo=UTC), by="Al|ex <b>")
    before, during, after = year.periods[:6], year.periods[6:8], year.periods[8:]
    periods = (*before, *(replace(each, champion=str(mine)) for each in during), *after)
    return replace(year, periods=periods, entries=(*year.entries, promoted, word, refused))


@pytest.fixture(scope="module")
def year() -> Year:
    return year_of()


@pytest.fixture(scope="module")
def page(year: Year) -> str:
    return year_page(year)


HALF = [
    {"budget": {"before": {"rule": "fixed"}}, "judgement": {"tests": [{"metric": "own", "gain": 0.1}, {}]}},
    {"budget": {"before": None, "after": {}}, "outlook": {"level": 0.05}, "judgement": {"would_change": None}},
    {"budget": None, "judgement": None, "windows": None, "training": None, "challengers": None, "outlook": {}},
    {"judgement": {"judged_on": None, "tests": [None, {"metric": None, "scope": None, "kind": None, "note": None}]}},
    {"judgement": {"tests": [{"kind": kind} for kind in ("superiority", "non-inferiority", "floor", "limit")]}},
]
TOO_SMALL = {"judgement": {"judged_on": {"num_rows": 12}, "tests": []}}
DECISIONS: dict[str, Entry] = {
    "promoted": four_tests(),
    "rejected": entry_of("rejected"),
    "inconclusive": entry_of("inconclusive"),
    "first promotion": first_promotion(),
    "sliced": entry_of("rejected", evidence=judged("rejected", sliced(), primary="promoted")),
    "guarded": entry_of("inconclusive", evidence=judged("inconclusive", guarded())),
    "declined": entry_of("declined", version=None, evidence={"trigger": "scheduled"}),
    "used up": used_up(),
    "rolled back": entry_of("rolled_back"),
    "registered": entry_of("registered"),
    "promoted by a person": override_of("promoted"),
    "refused by a person": override_of("refused", against=VersionId("20130201-3b9a7c000c")),
    "a person of whom nothing is known": override_of("promoted", evidence={}),
    "too small to judge": entry_of(
        "inconclusive", evidence={"judgement": {"judged_on": {"num_rows": 12}, "tests": []}}
    ),
    **{f"half an entry {place}": entry_of("rejected", evidence=evidence) for place, evidence in enumerate(HALF)},
}


@cache
def page_of(name: str) -> str:
    return decision_page(DECISIONS[name], "flights")


@pytest.mark.parametrize("name", DECISIONS)
def test_every_kind_of_decision_renders_and_stands_alone(name: str) -> None:
    entry = DECISIONS[name]
    page = page_of(name)
    reader = Reader(page)
    assert entry.reason in reader.text
    assert_stands_alone(page, allowed=set())
    assert_says_what_is_missing(reader)
    assert len(page) < 200_000
    ids = reader.ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", page)) | set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_the_year_page_stands_alone_and_links_to_every_decision(year: Year, page: str) -> None:
    assert_stands_alone(page, allowed={decision_file(entry) for entry in year.entries})
    assert {decision_file(entry) for entry in year.entries} <= set(Reader(page).addresses)
    assert len(page) < 400_000


def test_the_year_page_says_what_is_missing(page: str) -> None:
    reader = Reader(page)
    assert_says_what_is_missing(reader)
    assert reader.texts.count("no labels") == 2 * 3  # three columns, each as aria-label and as title
    assert "not estimated" in reader.texts


def test_the_year_says_what_all_trainings_took(year: Year) -> None:
    assert year.spent == ""
    trained = [replace(first_promotion(), kind="registered", evidence={"cost_with_trials": COST}) for _ in range(2)]
    paid = replace(year, entries=(*year.entries, *trained))
    promoted = year.count("promoted")
    assert promoted
    each = duration(768 / promoted)
    assert paid.spent == f"2 trainings took 12 min 48 s of device time and 0.534 EUR, {each} for each promotion."
    assert paid.spent in Reader(year_page(paid)).text


def test_the_year_page_is_accessible(page: str) -> None:
    reader = Reader(page)
    assert '<html lang="en">' in page
    assert reader.tags["h1"] == 1
    assert page.count("<th ") == page.count('scope="')
    assert page.count("<svg ") == page.count('role="img" aria-label="Log loss') + page.count('aria-label="AUC over')


def test_the_same_year_gives_the_same_bytes(page: str) -> None:
    assert year_page(year_of()) == page
    assert page_of("promoted") == decision_page(four_tests(), "flights")


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
    assert said in replace(year, loss=log_loss, static_loss=static).headline


def test_a_year_of_numbers_is_told_in_their_unit_and_without_what_only_chances_have(year: Year) -> None:
    bare = [replace(each, estimated_second=None, realised_second=None, static_second=None) for each in year.periods]
    numbers = replace(year, periods=tuple(bare), loss=21.5, static_loss=23.0, of=Loss("RMSE", "minutes"))
    assert "The champions\u2019 RMSE over" in numbers.headline.replace("'", "\u2019")
    assert "was 21.500 minutes, 6.5% below" in numbers.headline
    told = year_page(numbers)
    assert "RMSE (minutes), lower is better" in told
    assert 'data-label="RMSE, minutes"' in told and 'data-label="Never retrained, minutes"' in told
    assert "AUC" not in told.partition("All decisions")[0]
    assert ", nats" not in told and "(nats)" not in told
    assert "<dt>log loss</dt>" not in told and "<dt>AUC</dt>" not in told


def test_a_year_of_several_classes_is_told_by_accuracy(year: Year) -> None:
    told = year_page(replace(year, second="accuracy"))
    assert "The dashed line is the accuracy that CBPE estimated" in told
    assert 'data-label="Accuracy estimated"' in told and 'data-label="Accuracy realised"' in told
    assert "accuracy (1 is perfect)" in told and "AUC" not in told.partition("All decisions")[0]
    assert "<dt>AUC</dt>" not in told


def test_a_year_without_labels_or_decisions_renders(year: Year) -> None:
    unknown = {
        name: None
        for name in Period.__dataclass_fields__
        if name.startswith(("estimated", "realised", "static")) or name == "decision"
    }
    bare = tuple(replace(period, **unknown) for period in year.periods)
    empty = replace(year, periods=bare, entries=(), loss=math.nan, static_loss=math.nan, seconds=None)
    assert_says_what_is_missing(Reader(year_page(empty)))


def test_a_year_of_one_period_renders() -> None:
    assert "one period" in year_page(year_of(num_periods=1))


def test_the_question_of_a_decision_names_who_stood_against_whom() -> None:
    asked = Reader(page_of("promoted")).text
    assert "Should 20130201-3b9a7c000c replace 20130101-0a1b2c3d4e as the champion of flights?" in asked
    first = Reader(page_of("first promotion")).text
    assert "none yet; compared with the prediction that it goes on as in the last days" in first


def test_each_test_stands_in_the_forest_and_in_the_table() -> None:
    page = page_of("promoted")
    assert [title for title in ("Is it better?", "Is nothing else worse?", "worse off?") if title in page] == [
        "Is it better?",
        "Is nothing else worse?",
    ]
    assert page.count("<svg ") == 2 * 4  # the test of being better and three guardrails, each wide and narrow
    text = Reader(page).text
    for said in ("+0.0231 nats", "90% interval +0.0178 to +0.0284", "+0.0031 to +0.0173", "−0.0066 to +0.0040"):
        assert said in text
    assert "the two are equivalent within the margin" in text
    assert primary(None) is None
    assert primary(findings(DECISIONS["half an entry 0"])[0]) is None


@pytest.mark.parametrize("name", ["sliced", "guarded", "first promotion"])
def test_every_test_stands_in_the_table_with_its_rows_numbers_and_verdict(name: str) -> None:
    entry = DECISIONS[name]
    rows = rows_of(page_of(name))
    tests = entry.evidence["judgement"]["tests"]
    assert len(rows) == len(tests)
    for test, finding in zip(tests, findings(entry), strict=True):
        asked = re.compile(f"{re.escape(finding.metric)}.*{re.escape(finding.asks)}$")
        size = f"{finding.scope} {finding.size}".strip()
        [row] = [row for row in rows if asked.match(row["Metric"]) and row["Rows"] == size]
        assert row["Verdict"].split()[0] == test["verdict"]
        assert test["note"] in row["Verdict"]
        assert row["Challenger"] == ("–" if test["challenger"] is None else finding.plain(test["challenger"]))
        if test["gain"] is not None:
            assert row["Gain"] == f"{test['gain']:+.4f}".replace("-", "−")
            assert row["Interval"] == f"{test['lower']:+.4f} to {test['upper']:+.4f} (90%)".replace("-", "−")
    verdicts = [row["Verdict"].split()[0] for row in rows[1:]]
    assert verdicts == sorted(verdicts, key=["fails", "open", "holds"].index)  # after the test of being better


def test_slices_share_one_axis_and_a_wall_of_them_is_folded_away() -> None:
    page = page_of("sliced")
    charts = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 2 * (1 + 2 + 2)  # better, two guardrails, and the slices: what is seen and what is folded
    wide = charts[6]
    names = [name for name in re.findall(r">([^<>]*)</text>", wide) if re.match("origin|carrier|dep_hour", name)]
    assert len(names) == 12
    assert set(names[:2]) == {"origin=JFK", "origin=LGA"}  # what fails comes first, and then what is open
    assert names.index("carrier=HA") < re.findall(r">(fails|open|holds)</text>", wide).index("holds")
    assert "not tested: only 12 rows of 300 needed" in wide
    assert "13 more of 25 slices: 13 hold" in page
    assert "<details>" in page[: page.index("13 more of 25 slices")]


def test_a_folded_slice_is_drawn_on_the_axis_of_the_others() -> None:
    [panel] = slices(findings(DECISIONS["sliced"]))
    low, high = panel.limits or (0, 0)
    for line in panel.shown + panel.folded:
        assert line.low is None or low < line.low <= (line.high or low) < high
    shown = [line.verdict for line in panel.lines]
    assert shown == sorted(shown, key=["fails", "open", "holds"].index)
    assert len(panel.shown) == 12


def test_tests_of_one_metric_are_drawn_together() -> None:
    tests = findings(DECISIONS["guarded"])
    assert {(panel.metric, len(panel.lines)) for panel in guardrails(tests)} == {
        ("AUC", 1),
        ("calibration error", 1),
        ("negative flips (share of rows)", 1),
        ("log loss (nats)", 3),
    }
    assert {(panel.metric, len(panel.lines)) for panel in slices(tests)} == {
        ("demographic parity gap", 2),
        ("equal opportunity gap", 1),
        ("worst calibration error", 1),
    }


def test_what_is_counted_or_timed_has_its_own_words() -> None:
    text = Reader(page_of("guarded")).text
    assert "holds median time of a request of 1,000 rows: at most 50 ms, was 31.2 ms (champion 28.4 ms)" in text
    assert "fails size of the weights: at most 0.5 MB, was 0.8124 MB (champion 0.0312 MB)" in text
    assert "holds known-hard rows called wrong: at most 1, was 0.8125 (champion 1); 320 rows" in text
    assert "14 tests: 9 hold, 1 fails, 4 are open. What does not hold: size of the weights," in text


def test_a_floor_is_drawn_where_the_value_lies() -> None:
    entry = DECISIONS["first promotion"]
    page = page_of("first promotion")
    assert "must be shown to lie above 0.55" in page
    assert "0.8150 to 0.8487" in page
    assert "dashed: the floor, 0.55" in page
    line = guardrails(findings(entry))[0].lines[0]
    assert (line.low, line.high) == (pytest.approx(0.815), pytest.approx(0.8487))
    below = {"champion": 0.5, "challenger": 0.42, "gain": 0.08, "lower": 0.05, "upper": 0.11}
    loss = trial("log loss (nats)", "floor", 0, 0, 0.0, "holds") | below
    evidence = {"judgement": {"tests": [loss]}}
    [panel] = guardrails(findings(entry_of("promoted", evidence=evidence)))
    assert panel.lines[0].said == "0.3900 to 0.4500"
    assert panel.limits is not None
    assert panel.limits[0] > panel.limits[1]  # less is better, and better is right


def test_the_gain_is_told_as_it_was_measured_and_without_its_luck() -> None:
    text = Reader(page_of("promoted")).text
    assert "The gain in log loss that was measured is +0.0231 nats, from 0.5512 to 0.5281 nats." in text
    assert "from +0.0178 to +0.0284 nats: 10 of 100 such intervals miss it" in text
    assert "Corrected for that, +0.0213 nats is what to reckon with." in text
    assert "Corrected for that" not in page_of("rejected")
    evidence = judged("promoted")
    evidence["judgement"]["shrunk_gain"] = 0.0
    assert "so all of it may have been luck" in decision_page(entry_of("promoted", evidence=evidence), "flights")


def test_the_error_budget_stands_before_and_after_the_test() -> None:
    rows = table_of(page_of("promoted"), "ledger")
    assert rows == [
        "tests against a champion 3 4",
        "promotions among them 1 2",
        "expected number of false promotions, had none been better 0.15 0.20",
        "level of the next test 0.05 0.05",
    ]
    assert "This test had level 0.05" in page_of("promoted")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": "spending", "next_level": 0.0219}, "the chance of a false promotion, ever, is at most 0.05"),
        ({"rule": "lord"}, "LORD++"),
        ({"rule": "own"}, "The rule is called own."),
        ({"ceiling": 1.5}, "A person is asked at 1.5 expected false promotions."),
        ({"next_level": 0.0}, "none is left"),
        ({"ceiling": 0.2}, "0.05, beyond the ceiling: used up"),
    ],
)
def test_the_rule_of_the_budget_is_told_in_words(changes: dict[str, Any], said: str) -> None:
    budget = {"before": ledger(3, 1, **changes), "after": ledger(4, 1, **changes)}
    assert said in decision_page(entry_of("rejected", evidence=judged("rejected", budget=budget)), "flights")


def test_the_level_that_several_challengers_share_is_told() -> None:
    evidence = judged("promoted")
    evidence["judgement"]["level"] = 0.025
    page = decision_page(entry_of("promoted", evidence=evidence), "flights")
    assert "This test had level 0.05" in page
    assert "share of it was 0.025 (Holm)" in page
    assert "2, of which this one is the best: 20130201-3b9a7c000c and 20130201-77aa00bb11" in page


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("first promotion", "A first champion replaces nobody: its test spends nothing of the error budget."),
        ("too small to judge", "No test was made, so nothing was spent."),
        ("promoted by a person", "this spends nothing of the error budget, and gives nothing back"),
        ("rolled back", "this spends nothing of the error budget, and gives nothing back"),
        ("used up", "Nothing was trained or tested, so nothing was spent."),
        ("used up", "0.05, beyond the ceiling: used up"),
    ],
)
def test_what_spends_nothing_of_the_budget_says_so(name: str, said: str) -> None:
    assert said in Reader(page_of(name)).text


def test_what_was_known_before_and_what_would_change_the_answer_stand_on_the_page() -> None:
    text = Reader(page_of("promoted")).text
    assert "a true gain of +0.0087 nats or more would be shown in 8 of 10 cases (power 0.8)" in text
    assert "With the same spread a gain of less than 0.0231 would not have been enough." in text
    nothing = judged("inconclusive", outlook={"num_rows": 90, "level": 0.0003, "smallest_gain": None})
    text = Reader(decision_page(entry_of("inconclusive", evidence=nothing), "flights")).text
    assert "nothing could have been shown on them, however large the gain" in text


def test_the_training_is_told_with_its_trials_and_what_it_cost() -> None:
    text = " ".join(Reader(decision_page(DECISIONS["promoted"], "flights")).text.split())
    for part in (
        "trained by finetune on recent(days=56) chosen because finetune on recent(days=56) cost 0.4123",
        "rows a second, start-up included 3,563",
        "trials and training took 3 min 12 s device time 6 min 24 s energy 0.0123 kWh cost 0.267 EUR",
        "gained 0.",
        "out of memory at batch 8192: went on with 4096",
        "finetune on recent(days=56) 0.4123 60,000 1,500,000 3 min 12 s as planned plain 0.5100",
        "early, far behind the best scratch not known not known – 9 1,500,000 3 min 12 s the loss is not finite",
    ):
        assert part in text
    rejected = Reader(decision_page(DECISIONS["rejected"], "flights")).text
    assert "gained" not in rejected.split("How it was trained")[1].split("The entry in the log")[0]


def test_the_data_are_told_with_their_groups() -> None:
    text = Reader(page_of("promoted")).text
    assert "29 days of about 416 rows" in text
    assert "left out, as they had decided often enough 130 rows" in text
    assert "520f86c4de748209" in text


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("promoted by a person", "Should 20130201-3b9a7c000c replace 20130101-0a1b2c3d4e", "Promoted by Jane Doe,"),
        ("refused by a person", "May 20130201-3b9a7c000c stay the champion of flights?", "Refused by Jane Doe,"),
        ("a person of whom nothing is known", "Should 20130201-3b9a7c000c replace", "Decided by a person,"),
    ],
)
def test_an_override_names_who_answers_for_it(name: str, question: str, answer: str) -> None:
    entry = DECISIONS[name]
    page = page_of(name)
    header = Reader(page[page.index("<header>") : page.index("</header>") + 9]).text
    assert "★ A person’s word, against the gate" in header
    assert question in header
    assert f"{answer} against the gate." in header
    assert str(entry.evidence.get("said", entry.reason)) in header
    assert page.count('class="overridden"') == 1
    assert f"**★ {answer} against the gate.**" in decision_markdown(entry, "flights")
    assert "A person’s word" not in page_of("promoted")


def test_an_override_is_seen_everywhere_in_the_year() -> None:
    year = overridden_year()
    page = year_page(year)
    text = Reader(page).text
    assert "3 ★ against the gate" in text
    assert "3 decided against the gate" in year.answers
    assert text.count("★ Promoted by Jane Doe, against the gate #40") == 2  # beside the champion of two periods
    assert "★ Refused by Al|ex <b>, against the gate" in text
    drawn = performance(year)
    for svg in (drawn.wide, drawn.narrow):
        assert all(label in svg for label in ("against gate", "#40"))
        assert not {"#41", "#61"} & set(re.findall("#[0-9]+", svg))
    assert "Not drawn, as decided outside these dates" in text
    assert_stands_alone(page, allowed={decision_file(entry) for entry in year.entries})


def test_a_decision_made_years_later_does_not_stretch_the_chart(year: Year) -> None:
    late = override_of("refused", 61, datetime(2026, 11, 20, tzinfo=UTC))
    assert performance(replace(year, entries=(*year.entries, late))) == performance(year)


def test_the_year_says_what_its_tests_have_spent(year: Year, page: str) -> None:
    assert table_of(page, "ledger") == [
        "tests against a champion 4",
        "promotions among them 2",
        "expected number of false promotions, had none been better 0.20",
        "level of the next test 0.05",
    ]
    untested = replace(year, entries=(first_promotion(),))
    assert "The error budget" not in year_page(untested)


@pytest.mark.parametrize("name", DECISIONS)
def test_the_json_has_the_numbers_of_the_log(name: str) -> None:
    entry = DECISIONS[name]
    told = json.loads(decision_json(entry, "flights"))
    judgement, budget = (entry.evidence.get(block) or {} for block in ("judgement", "budget"))
    assert told["tests"] == [test for test in judgement.get("tests", []) if test is not None]
    assert told["budget"] == {moment: budget.get(moment) for moment in ("before", "after")}
    assert told["log"] == {"sequence": entry.sequence, "sha256": entry.digest, "previous": entry.previous}
    assert told["reason"] == entry.reason
    assert told["would_change"] == (judgement.get("would_change") or [])
    assert told["data"]["judged_on"] == judgement.get("judged_on")


def test_the_json_tells_question_answer_and_gain() -> None:
    told = json.loads(decision_json(DECISIONS["promoted"], "flights"))
    assert told["question"] == "Should 20130201-3b9a7c000c replace 20130101-0a1b2c3d4e as the champion of flights?"
    assert told["answer"] == "Promoted"
    assert told["compared"] == {"version": "20130201-3b9a7c000c", "against": "20130101-0a1b2c3d4e"}
    [first, *_] = DECISIONS["promoted"].evidence["judgement"]["tests"]
    assert {name: told["gain"][name] for name in ("measured", "lower", "upper", "shrunk")} == {
        "measured": first["gain"],
        "lower": first["lower"],
        "upper": first["upper"],
        "shrunk": 0.0213,
    }
    by_hand = json.loads(decision_json(DECISIONS["refused by a person"], "flights"))
    assert by_hand["override"]["by"] == "Jane Doe"
    assert by_hand["answer"] == "Refused by Jane Doe, against the gate"


@pytest.mark.parametrize("name", DECISIONS)
def test_the_markdown_says_the_answer_and_its_table_is_whole(name: str) -> None:
    entry = DECISIONS[name]
    told = decision_markdown(entry, "flights")
    assert_says_what_is_missing_in(told)
    assert Decision(entry, "flights").question in told
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert {len(cells_of(row)) for row in rows} <= {8}
    assert bool(rows) == bool(findings(entry))


def test_the_markdown_table_is_short_but_has_all_that_does_not_hold() -> None:
    told = decision_markdown(DECISIONS["sliced"], "flights")
    rows = [cells_of(line) for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 12  # the head, its rule, and twelve tests
    assert rows[2][0] == "log loss (nats)"
    tests = DECISIONS["sliced"].evidence["judgement"]["tests"]
    urgent = {test["scope"] for test in tests if test["verdict"] != "holds"}
    assert urgent <= {row[1].partition(",")[0].replace("\\", "") for row in rows}
    assert "…and 16 more that hold, on the page." in told
    broken = entry_of("rejected", evidence=judged("rejected", sliced(num_broken=20)))
    assert decision_markdown(broken, "flights").count(" | fails | ") == 1 + 20


def test_the_markdown_has_the_sections_of_the_page_in_short() -> None:
    told = decision_markdown(DECISIONS["promoted"], "flights")
    for said in (
        "**Promoted.** The gate said promoted",
        "4 tests: 4 hold.",
        "**The gain.** The gain in log loss that was measured is +0.0231 nats",
        "- With the same spread a gain of less than 0.0231 would not have been enough.",
        "4 tests so far, 0.20 false promotions to expect so far; the next test has level 0.05.",
        "would be shown in 8 of 10 cases",
    ):
        assert said in told


def test_a_hostile_name_stays_in_its_cell() -> None:
    name = "a|b <img src=x> [c](d) `e` \n**f**"
    test = trial(name, "superiority", 0.1, 0.01, 0.05, "holds", scope=name, note=name)
    entry = entry_of("promoted", reason=name, evidence={"judgement": {"tests": [test]}})
    told = decision_markdown(entry, name)
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {len(cells_of(row)) for row in rows} == {8}
    assert "<img" not in told
    assert "[c]" not in told.replace("\\[", "").replace("\\]", "")
    for page in (decision_page(entry, name), decision_page(override_of("promoted", by=HOSTILE), HOSTILE)):
        assert not {"img", "script"} & set(Reader(page).tags)


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
    assert_says_what_is_missing_in(reader.text)


def assert_says_what_is_missing_in(text: str) -> None:
    assert not re.search(r"\b(nan|NaN|None|inf|Undefined)\b", text)


def rows_of(page: str) -> list[dict[str, str]]:
    """The rows of the table of the tests: what each cell says, by its label."""
    [table] = re.findall(r'<table class="cards tests".*?</table>', page, flags=re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)[1:]
    cells = [re.findall(r'<t[hd] [^>]*?(?:data-label="([^"]*)")?>(.*?)</t[hd]>', row, flags=re.DOTALL) for row in rows]
    return [{label or "Metric": seen(cell) for label, cell in row} for row in cells]


def seen(fragment: str) -> str:
    """What a reader sees of a piece of a page, without what is said in place of a dash."""
    bare = re.sub(r'(aria-label|title)="[^"]*"', "", fragment)
    return Reader(f"<p>{bare}</p>").text


def table_of(page: str, name: str = "tests") -> list[str]:
    """The rows of the body of the table with this class, each as a reader sees it."""
    [table] = re.findall(rf'<table class="[^"]*\b{name}"[^>]*>(.*?)</table>', page, flags=re.DOTALL)
    return [Reader(row).text for row in re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)[1:]]


def cells_of(row: str) -> list[str]:
    """The cells of a row of a markdown table: an escaped column is none."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
