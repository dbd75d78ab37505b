"""The `deploy` block: schedules that follow from the project, and mistakes that are told with their place."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from configs.deploy import BASELINES, Deploy
from configs.schema import load
from tests.flows.commands import REPOSITORY

FLIGHTS = REPOSITORY / "configs" / "flights.yaml"


def problem(**values: object) -> str:
    with pytest.raises(ValidationError) as error:
        Deploy.model_validate(values)
    (only,) = error.value.errors()
    return f"{'.'.join(map(str, only['loc']))}: {only['msg']}"


@pytest.mark.parametrize(
    ("step_days", "score", "watch"),
    [
        (14, "0 5 * * *", "30 5 * * *"),
        (1, "0 5 * * *", "30 5 * * *"),
        (0.5, "0 */12 * * *", "30 */12 * * *"),
        (0.2, "0 */4 * * *", "30 */4 * * *"),
        (0.01, "0 * * * *", "30 * * * *"),
    ],
)
def test_the_watch_comes_half_an_hour_after_scoring_at_least_once_a_day(
    step_days: float, score: str, watch: str
) -> None:
    crons = Deploy().crons(step_days, baseline_days=28)
    assert (crons["score"], crons["watch"]) == (score, watch)


@pytest.mark.parametrize(
    ("baseline_days", "cron"),
    [
        (0.5, "0 7 * * *"),
        (7, "0 7 * * 1"),
        (20, "0 7 1,15 * *"),
        (28, "0 7 1 * *"),
        (90, "0 7 1 */3 *"),
        (900, "0 7 1 1 *"),
    ],
)
def test_the_baseline_comes_about_as_often_as_the_schedule_asks(baseline_days: float, cron: str) -> None:
    assert Deploy().crons(14, baseline_days)["retrain"] == cron


def test_every_calendar_of_a_baseline_is_one_that_may_be_written() -> None:
    for _, cron in BASELINES:
        assert Deploy(baseline=cron).crons(1, 1)["retrain"] == cron


def test_null_is_no_schedule_and_a_cron_stays_as_it_was_written() -> None:
    deploy = Deploy(score=None, watch="*/10 8-18 * jan-jun,dec mon-fri", baseline=None)
    assert deploy.crons(14, 28) == {"watch": "*/10 8-18 * jan-jun,dec mon-fri"}


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("daily", "watch: Value error, 'daily' is no cron schedule; write its five fields"),
        ("0 24 * * *", "'24' in the cron schedule '0 24 * * *' is no hour; write *, a number between 0 and 23"),
        ("0 0 0 * *", "'0' in the cron schedule '0 0 0 * *' is no day of the month"),
        ("0 0 * 13 *", "is no month"),
        ("*/0 * * * *", "is no minute"),
        ("0 0 * * funday", "'funday' in the cron schedule '0 0 * * funday' is no day of the week"),
        ("1-60 * * * *", "is no minute"),
    ],
)
def test_a_schedule_that_no_clock_knows_is_told_with_its_field(cron: str, expected: str) -> None:
    assert expected in problem(watch=cron)


def test_the_other_mistakes_are_told_with_what_was_expected() -> None:
    assert "'Mars' is not a time zone" in problem(timezone="Mars")
    assert "'moody', which is no verdict; choose from healthy, " in problem(alert_on=("moody",))
    assert problem(notify=("slack",)).startswith("notify.0: String should match pattern")
    assert problem(heartbeat_seconds=5) == "heartbeat_seconds: Input should be greater than or equal to 30"
    same = {"pool": "one", "type": "process"}
    assert "name the same pool, 'one', with another type or limit" in problem(cpu=same, gpu=same | {"type": "docker"})


def test_a_pool_has_the_name_of_its_block_unless_it_is_given_one() -> None:
    deploy = Deploy.model_validate({"gpu": {"type": "kubernetes"}})
    assert (deploy.cpu.pool, deploy.gpu.pool, deploy.gpu.type) == ("cpu-pool", "gpu-pool", "kubernetes")
    assert Deploy.model_validate({"gpu": {"pool": "a100"}}).gpu.pool == "a100"


def test_where_a_project_runs_is_no_part_of_what_a_model_was_made_with() -> None:
    moved = load(FLIGHTS, ("deploy.cool_down_hours=1",))
    assert moved != load(FLIGHTS)
    assert moved.model_dump(exclude={"deploy"}) == load(FLIGHTS).model_dump(exclude={"deploy"})
