"""Triggers: each fires when it should and not otherwise, and all of them keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from configs.schema import load
from configs.triggers import TriggerRef
from models.monitoring.diagnosis import Verdict
from models.monitoring.triggers.catalogue import NAMES, trigger
from models.monitoring.triggers.check import check_trigger, situations
from models.monitoring.triggers.situation import Look, Situation, Trigger

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
HARM = trigger("harm")
LOW = trigger("threshold", when="ctr < 0.02")
EXAMPLES = {
    "alarm": trigger("alarm"),
    "all_of": trigger("all_of", HARM, LOW),
    "amount": trigger("amount", rows=1),
    "any_of": trigger("any_of", HARM, LOW),
    "cooldown": trigger("cooldown", HARM, days=1),
    "cost": trigger("cost", value=1, price_an_hour=2.0),
    "every": trigger("every", days=7),
    "harm": HARM,
    "k_of_n": trigger("k_of_n", HARM, k=1, n=3),
    "threshold": trigger("threshold", when="log_loss > 0.5"),
}


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def look(days_ago: float = 0, verdict: Verdict = "healthy", **values: Any) -> Look:
    return Look(ago(days_ago), verdict, **values)


def situation(*looks: Look, **values: Any) -> Situation:
    return Situation(NOW, looks, **{"trained_until": ago(100)} | values)


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_harm_fires_on_verdicts_that_a_retrain_can_mend(verdict: Verdict) -> None:
    reason = HARM.reason(situation(look(verdict=verdict)))
    assert reason == (verdict if verdict in ("harmful_shift", "concept_change") else None)


def test_harm_that_is_over_is_no_reason() -> None:
    assert HARM.reason(situation(look(1, "harmful_shift"), look())) is None


def test_alarm_fires_while_that_of_its_series_stands() -> None:
    seen = situation(look(1, alarms=("ctr",)), look(alarms=("auc", "log_loss")))
    assert trigger("alarm").reason(seen) == "alarm of auc, log_loss"
    assert trigger("alarm", series="auc").reason(seen) == "alarm of auc"
    assert trigger("alarm", series="ctr").reason(seen) is None
    assert trigger("alarm").reason(situation(look(1, alarms=("ctr",)), look())) is None


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ("ctr < 0.0191", True),
        ("ctr<0.0191", True),
        ("ctr < 0.019", False),
        ("ctr <= 0.019", True),
        ("ctr > 0.019", False),
        ("ctr >= 1.9e-2", True),
        ("ctr > -1", True),
        ("auc < 0.9", False),
        ("drift.temp > 0.2", True),
        ("log_loss.origin=JFK > 0.2", True),
    ],
)
def test_threshold_fires_beyond_its_limit(when: str, fires: bool) -> None:
    values = {"ctr": 0.019, "drift.temp": 0.3, "log_loss.origin=JFK": 0.4}
    assert (trigger("threshold", when=when).reason(situation(look(values=values))) is not None) == fires


def test_threshold_says_what_it_saw() -> None:
    assert LOW.reason(situation(look(values={"ctr": 0.0187}))) == "ctr is 0.0187, < 0.02"


def test_threshold_does_not_take_an_old_value_for_the_present_one() -> None:
    assert LOW.reason(situation(look(1, values={"ctr": 0.01}), look())) is None


@pytest.mark.parametrize("name", ["threshold", "alarm"])
def test_a_series_that_there_is_not_is_answered_with_the_list(name: str) -> None:
    named = trigger(name, **{"when": "crt < 1"} if name == "threshold" else {"series": "crt"})
    with pytest.raises(ValueError, match=r"names the series 'crt'; there are auc, ctr"):
        named.reason(situation(look(), series=("auc", "ctr")))
    assert named.reason(situation(look())) is None


@pytest.mark.parametrize("when", ["ctr", "ctr == 1", "ctr < low", "< 1", "ctr < nan", "ctr < inf", "ctr < 1 2", "", 3])
def test_a_condition_that_is_none_is_refused(when: Any) -> None:
    with pytest.raises(ValueError, match="is no condition; write the name of a series, one of <, <=, >, >= and a"):
        trigger("threshold", when=when)


def test_amount_fires_from_so_many_new_labelled_rows_on() -> None:
    enough = trigger("amount", rows=1_000)
    assert enough.reason(situation(look(new_labelled_rows=999))) is None
    assert (
        enough.reason(situation(look(new_labelled_rows=1_000))) == "1,000 new labelled rows, of 1,000 that are enough"
    )
    assert enough.reason(situation()) is None


def test_every_fires_so_many_days_after_the_last_attempt() -> None:
    weekly = trigger("every", days=7)
    assert weekly.reason(situation(attempts=(ago(30), ago(6.9)))) is None
    assert weekly.reason(situation(attempts=(ago(30), ago(7)))) == "scheduled"
    assert weekly.reason(situation()) == "scheduled"
    assert weekly.reason(Situation(NOW, attempts=(ago(30),))) is None


def test_cooldown_listens_only_when_the_last_attempt_is_long_ago() -> None:
    calm = trigger("cooldown", HARM, days=14)
    harmed = look(verdict="harmful_shift")
    assert calm.reason(situation(harmed, attempts=(ago(13),))) is None
    assert calm.reason(situation(harmed, attempts=(ago(14),))) == "harmful_shift"
    assert calm.reason(situation(harmed)) == "harmful_shift"
    assert calm.reason(situation(look(), attempts=(ago(50),))) is None


def test_any_of_gives_the_first_reason_and_all_of_every_one() -> None:
    harmed, low, both = (
        situation(look(verdict="harmful_shift")),
        situation(look(values={"ctr": 0.01})),
        situation(look(verdict="harmful_shift", values={"ctr": 0.01})),
    )
    either, every = trigger("any_of", HARM, LOW), trigger("all_of", HARM, LOW)
    assert [either.reason(each) for each in (harmed, low, both, situation(look()))] == [
        "harmful_shift",
        "ctr is 0.01, < 0.02",
        "harmful_shift",
        None,
    ]
    assert [every.reason(each) for each in (harmed, low, both)] == [None, None, "harmful_shift and ctr is 0.01, < 0.02"]


@given(st.lists(st.booleans(), max_size=9), st.integers(1, 6), st.integers(1, 6))
def test_k_of_n_counts_the_last_n_looks_and_wants_the_present_one(fired: list[bool], k: int, n: int) -> None:
    if k > n:
        return
    looks = [look(len(fired) - place, "harmful_shift" if each else "healthy") for place, each in enumerate(fired)]
    reason = trigger("k_of_n", HARM, k=k, n=n).reason(situation(*looks))
    assert (reason is not None) == (bool(fired) and fired[-1] and sum(fired[-n:]) >= k)
    if reason:
        assert reason == f"harmful_shift ({sum(fired[-n:])} of the last {n} looks)"


def test_an_earlier_situation_knows_nothing_of_what_came_later() -> None:
    looks = (look(9), look(5), look(1))
    now = situation(*looks, attempts=(ago(7), ago(3)))
    earlier = now.earlier(1)
    assert earlier is not None
    assert (earlier.as_of, earlier.looks, earlier.attempts) == (ago(5), looks[:2], (ago(7),))
    assert now.earlier(0) is now
    assert now.earlier(3) is None
    assert now.history("auc") == ()
    seen = situation(look(2, values={"auc": 0.8}), look(1), look(values={"auc": 0.7}))
    assert seen.history("auc") == ((ago(2), 0.8), (NOW, 0.7))


def test_cost_fires_when_regret_has_cost_as_much_as_a_training() -> None:
    looks = (look(10, regret=0.5), look(4, regret=0.01), look(2), look(0, regret=0.02))
    lost = 1_000 * (0.01 * (8 - 4) + 0.02 * 2)  # since the attempt 8 days ago; the look 2 days ago knew nothing
    seen = situation(*looks, rows_a_day=1_000, attempts=(ago(8),), training_hours=lost / 2)
    forecast, fixed = {"price_an_hour": 2.0}, {"training_cost": lost}
    for price in (forecast, fixed):
        due = trigger("cost", value=1.0, **price)
        assert due.reason(seen) == f"regret worth {lost:.4g}, a retrain costs {lost:.4g}"
        assert trigger("cost", value=0.99, **price).reason(seen) is None
        assert due.reason(replace(seen, attempts=(ago(3),))) is None
        assert due.reason(replace(seen, attempts=(), trained_until=ago(8))) is not None
    assert trigger("cost", value=1.0, **forecast).reason(replace(seen, training_hours=None)) is None
    assert trigger("cost", value=1.0, **fixed).reason(replace(seen, training_hours=None)) is not None


def test_good_looks_count_against_bad_ones_in_the_cost() -> None:
    looks = (look(2, regret=0.05), look(0, regret=-0.05))
    seen = situation(*looks, rows_a_day=1_000, attempts=(ago(4),))
    assert trigger("cost", value=1.0, training_cost=1.0).reason(seen) is None


@pytest.mark.parametrize(
    ("name", "inner", "arguments", "message"),
    [
        ("hram", 0, {}, f"no trigger is called 'hram'; choose one of {', '.join(NAMES)}"),
        ("every", 0, {"day": 7}, r"every takes \(days\), and was given day"),
        ("every", 0, {}, r"every takes \(days\), and was given nothing"),
        ("every", 0, {"days": 0}, "days=0 means nothing; give a number above 0"),
        ("every", 0, {"days": "7"}, "days='7' means nothing"),
        ("cooldown", 1, {"days": -1}, "days=-1 means nothing"),
        ("amount", 0, {"rows": 1.5}, "rows=1.5 means nothing; give a whole number above 0"),
        ("cost", 0, {"value": True}, "value=True means nothing"),
        ("cost", 0, {"value": 1, "training_cost": float("inf")}, "training_cost=inf means nothing"),
        ("cost", 0, {"value": 1}, "cost has no price; give either training_cost or price_an_hour"),
        ("cost", 0, {"value": 1, "training_cost": 1, "price_an_hour": 2}, "cost has training_cost, price_an_hour"),
        ("harm", 0, {"name": 1}, "harm takes no arguments, and was given name"),
        ("harm", 1, {}, "harm is not made of triggers; leave out `of`"),
        ("k_of_n", 1, {"k": 4, "n": 3}, "k=4 of n=3 looks can never be"),
        ("k_of_n", 2, {"k": 1, "n": 3}, "k_of_n is made of one trigger, and was given 2"),
        ("k_of_n", 1, {"k": 1}, r"k_of_n takes \(k, n\), and was given k"),
        ("any_of", 0, {}, "any_of is made of at least one trigger, and was given none"),
    ],
)
def test_what_makes_no_trigger_is_refused(name: str, inner: int, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trigger(name, *[HARM] * inner, **arguments)


def configured() -> Iterator[Any]:
    """The triggers that any configuration names, wherever in it they stand."""
    for path in CONFIGS:
        for place, ref in enumerate(triggers_in(load(path))):
            yield pytest.param(ref.build(), id=f"{path.name}, trigger {place}")


def triggers_in(value: Any) -> Iterator[TriggerRef]:
    if isinstance(value, TriggerRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from triggers_in(getattr(value, name))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from triggers_in(each)


def test_there_is_an_example_of_every_trigger() -> None:
    assert set(EXAMPLES) == set(NAMES)


@pytest.mark.parametrize("example", [pytest.param(each, id=name) for name, each in EXAMPLES.items()] + [*configured()])
def test_a_trigger_keeps_the_contract(example: Trigger) -> None:
    check_trigger(example, "it")


@pytest.mark.parametrize("name", NAMES)
def test_every_trigger_of_ours_fires_somewhere_in_the_contract(name: str) -> None:
    examples = EXAMPLES | {"all_of": trigger("all_of", HARM, EXAMPLES["threshold"])}
    reasons = [examples[name].reason(each) for each in situations()]
    assert any(reasons) and None in reasons


@dataclass
class Answers:
    """A user's trigger that answers in turn."""

    answers: list[Any]

    def reason(self, situation: Situation) -> Any:
        del situation
        self.answers.append(self.answers.pop(0))
        return self.answers[-1]


class Fails:
    """A user's trigger that takes a look for granted."""

    def reason(self, situation: Situation) -> str | None:
        return situation.looks[-1].verdict


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Answers([""]), "mine answered '' before there is a champion; answer None or a sentence"),
        (Answers([True]), "mine answered True before there is a champion; answer None or a sentence"),
        (Answers(["now", None]), "mine answered 'now' and then None before there is a champion; the same must give"),
        (Answers(["now"]), "mine answered 'now' before there is a champion; there is nothing to retrain yet"),
        (Fails(), "mine raised IndexError.* before there is a champion; answer None where it cannot say"),
    ],
)
def test_the_contract_refuses_a_trigger_that_breaks_it(broken: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_trigger(broken, "mine")


def test_a_threshold_may_name_a_slice_with_blanks_in_its_name() -> None:
    name = "log_loss.age from 30 to 60"
    situation = Situation(NOW, looks=(Look(NOW, "healthy", values={name: 0.7}),), trained_until=NOW)
    assert trigger("threshold", when=f"{name} > 0.5").reason(situation) is not None
    assert trigger("threshold", when=f"{name} > 0.8").reason(situation) is None
