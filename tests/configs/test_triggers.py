"""Triggers in YAML: the ways to write one, and how a wrong one is answered before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.triggers import TriggerRef
from models.monitoring.triggers.catalogue import NAMES
from models.monitoring.triggers.compound import AllOf, AnyOf, KOfN
from models.monitoring.triggers.evidence import Alarm, Harm, Threshold
from models.monitoring.triggers.pace import Cooldown, Every

OWN = """\
class Mine:
    def __init__(self, limit: int = 3) -> None:
        self.limit = limit

    def reason(self, situation):
        return None


class NoTrigger:
    pass
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_trigger.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def read(text: str) -> TriggerRef:
    return TriggerRef.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{trigger: harm}", Harm()),
        ('{trigger: threshold, when: "ctr < 0.0191"}', Threshold("ctr < 0.0191")),
        ("{trigger: every, init_args: {days: 28}}", Every(28)),
        ("{any_of: [{trigger: harm}, {trigger: every, days: 28}]}", AnyOf((Harm(), Every(28)))),
        (
            "{all_of: [{trigger: cooldown, days: 7, of: {trigger: harm}}, {any_of: [{trigger: alarm}]}]}",
            AllOf((Cooldown(Harm(), 7), AnyOf((Alarm(),)))),
        ),
        (
            "{trigger: k_of_n, k: 3, n: 5, of: {trigger: alarm, series: log_loss}}",
            KOfN(Alarm("log_loss"), k=3, n=5),
        ),
        ("{trigger: any_of, of: [{trigger: harm}]}", AnyOf((Harm(),))),
    ],
)
def test_a_trigger_can_be_written_in_these_ways(text: str, made: Any) -> None:
    assert read(text).build() == made


@pytest.mark.parametrize("text", ["{any_of: [{trigger: harm}, {trigger: every, days: 28}]}", "{trigger: harm}"])
def test_what_was_read_can_be_written_and_read_again(text: str) -> None:
    ref = read(text)
    assert TriggerRef.model_validate(ref.model_dump()) == ref
    assert TriggerRef.model_validate_json(ref.model_dump_json()) == ref


def test_a_users_own_trigger_enters_by_its_class() -> None:
    ref = read("{class_path: own_trigger.Mine, init_args: {limit: 5}}")
    assert ref.build().limit == 5
    nested = read("{any_of: [{class_path: own_trigger.Mine}, {trigger: harm}]}")
    assert [each.trigger or each.class_path for each in nested.all] == ["any_of", "own_trigger.Mine", "harm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "name one of trigger, class_path, any_of, all_of"),
        ("{trigger: harm, class_path: own_trigger.Mine}", "name one of trigger, class_path, any_of, all_of"),
        ("{trigger: hram}", f"no trigger is called 'hram'; choose one of {', '.join(NAMES)}"),
        ("{trigger: every, day: 7}", r"every takes \(days\), and was given day"),
        ("{trigger: every, name: 7}", r"every takes \(days\), and was given name"),
        ("{trigger: threshold, when: ctr}", "when='ctr' is no condition"),
        ("{trigger: harm, of: {trigger: alarm}}", "harm is not made of triggers"),
        ("{trigger: k_of_n, k: 3, n: 5}", "k_of_n is made of one trigger, and was given 0"),
        ("{any_of: []}", "any_of is made of at least one trigger"),
        ("{any_of: [{trigger: harm}], days: 3}", "any_of|all_of|Extra inputs"),
        ("{any_of: [{trigger: every, days: 0}]}", "days=0 means nothing"),
        ("{class_path: own_trigger.Mine, init_args: {limits: 5}}", "has 'limits'; it takes limit"),
        ("{class_path: own_trigger.Mine, limit: 5}", "Extra inputs are not permitted"),
        ("{class_path: own_trigger.Mine, of: {trigger: harm}}", "is your own class; `of` belongs to triggers of ours"),
        ("{class_path: own_trigger.NoTrigger}", r"own_trigger.NoTrigger has no method `reason\(self, situation\)`"),
        ("{class_path: own_triggers.Mine}", "there is no module 'own_triggers'"),
        ("harm", "valid dictionary or instance of TriggerRef"),
    ],
)
def test_a_wrong_trigger_is_answered_when_the_configuration_is_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)
