"""Trials: the first result of an arm in an attempt stays, wherever the storage is."""

from __future__ import annotations

from models.registry.trials import Trial, Trials
from models.training.cost import Cost
from tests.places import Place

COST = Cost(seconds=1.0, device_seconds=1.0, device="cpu", num_passes=2)


def trial(arm: str, loss: float) -> Trial:
    return Trial(arm, {}, loss, best_epoch=1, num_rows=10, is_hopeless=False, cost=COST)


def test_the_trials_of_an_attempt_are_kept_once_and_come_back_by_name(place: Place) -> None:
    trials = Trials(place.storage(), "churn")
    for arm in ("scratch", "finetune"):
        assert trials.keep("one", trial(arm, 0.5)) == trial(arm, 0.5) == trials.keep("one", trial(arm, 0.4))
    trials.keep("two", trial("scratch", 0.1))
    assert [each.arm for each in trials.of("one")] == ["finetune", "scratch"]
    assert trials.find("two", "scratch") == trial("scratch", 0.1)
    assert trials.find("two", "finetune") is None
    assert trials.of("three") == []
