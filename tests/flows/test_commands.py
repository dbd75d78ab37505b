"""The command line: what it lists, explains and accepts, made from the flows' own signatures."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import get_args

import pytest

from configs.schema import Project
from flows.command import _parser
from flows.retrain import retrain
from flows.rollback import rollback
from flows.status import status
from flows.terminal import VERDICT_COLOURS, show
from models.data.given_labels import Taken
from models.monitoring.diagnosis import Diagnosis, Verdict
from models.monitoring.evidence import Evidence
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.registry.versions import VersionId
from tests.flows.commands import REPOSITORY, Shell
from tests.flows.conftest import Own

FLOWS = (
    "approve",
    "deploy",
    "label",
    "override",
    "replay",
    "retrain",
    "rollback",
    "score",
    "serve",
    "status",
    "watch",
)
Here = Callable[..., CompletedProcess[str]]
MARKED = "see [/runbook/12] [red] :bug:"  # looks like the markup of rich, and is not


@pytest.mark.slow
def test_flows_are_listed_in_one_line_of_at_most_80_columns_each(tmp_path: Path) -> None:
    listed = Shell(api="", home=tmp_path).run(tmp_path, "")
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    shown = [line for line in lines if line.startswith("python -m flows.")]
    assert [line.split()[2].removeprefix("flows.") for line in shown] == [*FLOWS, "worker"]
    assert all(line.rstrip().endswith(".") for line in shown)
    assert len([line for line in lines if line.strip()]) == len(FLOWS) + 2


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_explains_itself(flow: str, here: Here) -> None:
    helped = here(flow, "--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"usage: python -m flows.{flow} ")
    assert "configs/flights.yaml" in helped.stdout
    assert "--set KEY=VALUE" in helped.stdout


def test_the_arguments_of_a_command_are_those_of_its_flow() -> None:
    given = ["configs/flights.yaml", "--as-of", "2013-05-01", "--trigger", "by hand", "--set", "gate.alpha=0.01"]
    assert vars(_parser(retrain).parse_args(given)) == {
        "project": "configs/flights.yaml",
        "set": ["gate.alpha=0.01"],
        "as_of": datetime(2013, 5, 1, tzinfo=UTC),
        "trigger": "by hand",
    }
    assert vars(_parser(rollback).parse_args(["a.yaml"])) == {
        "project": "a.yaml",
        "set": [],
        "reason": None,
        "of": None,
    }
    assert vars(_parser(status).parse_args(["a.yaml", "--last", "3"]))["last"] == 3


def test_a_new_parameter_of_a_flow_is_a_new_option_of_its_command() -> None:
    def forecast(project: Project, until: datetime | None = None, num_weeks: int = 2, note: str = "none") -> None:
        """Say what will be.

        This is not shown.
        """

    parser = _parser(forecast)
    found = parser.parse_args(["a.yaml", "--until", "2025-01-01T06:30", "--num-weeks", "4"])
    assert found.until == datetime(2025, 1, 1, 6, 30, tzinfo=UTC)
    assert found.num_weeks == 4
    assert parser.prog == "python -m flows.forecast"
    assert parser.description == "Say what will be."
    assert "default: none" in parser.format_help()


def test_a_time_with_a_zone_keeps_it() -> None:
    moment = _parser(retrain).parse_args(["a.yaml", "--as-of", "2025-01-01T00:00+02:00"]).as_of
    assert moment == datetime(2024, 12, 31, 22, tzinfo=UTC)


@pytest.mark.slow
def test_set_changes_a_value_of_the_yaml(own: Own, here: Here) -> None:
    shown = here("status", "churn.yaml", "--set", "storage=elsewhere")
    assert shown.returncode == 0
    assert "churn has no champion yet" in shown.stdout


@pytest.mark.slow
def test_status_says_who_is_champion_and_what_was_decided_without_a_server(own: Own, here: Here) -> None:
    shown = here("status", "churn.yaml", "--last", "2")
    champion = own.registry.log.read().champion
    assert shown.returncode == 0
    assert f"champion {champion}" in shown.stdout
    assert "3 tests so far promoted 2, and would on average" in shown.stdout
    assert re.findall(r"│ \d+ +│ [\d-]+ │ (\w+)", shown.stdout) == ["promoted", "promoted"]
    assert "rejected" not in shown.stdout


def test_a_reason_is_printed_as_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    show(Entry(3, "", "rolled_back", MARKED, "by hand", VersionId("v1"), None, "2025-05-01", "2025-05-01"))
    assert capsys.readouterr().out == f"rolled_back v1  {MARKED}\n"


def test_a_watch_is_shown_with_its_reason_what_to_do_and_why_a_retrain_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moment, diagnosis = (
        datetime(2025, 5, 1, tzinfo=UTC),
        Diagnosis("concept_change", f"The champion got worse: {MARKED}."),
    )
    found = Watched(moment, moment, VersionId("v1"), 9, Evidence(), diagnosis, wanted="alarm of auc")
    show(found)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == f"concept_change  The champion got worse: {MARKED}."
    assert lines[1].startswith(f"what to do      {diagnosis.action[:40]}")
    assert lines[-1] == "retrain         wanted: alarm of auc"
    show(replace(found, wanted=None))
    assert "wanted" not in capsys.readouterr().out


def test_every_verdict_has_a_colour() -> None:
    assert set(VERDICT_COLOURS) == set(get_args(Verdict))


def test_what_became_of_a_file_of_labels_is_shown_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    taken = Taken(5, 1, 2, 1, 0, 1, unmatched=MARKED)
    show(taken)
    assert capsys.readouterr().out == f"{taken.sentence}\n"


@pytest.mark.slow
def test_status_prints_a_reason_as_it_was_given(own: Own, here: Here) -> None:
    log = own.registry.log
    state = log.read()
    log.append(
        "rolled_back",
        MARKED,
        attempt="by hand",
        version=state.previous_champion,
        against=state.champion,
        as_of=datetime(2025, 5, 10, tzinfo=UTC),
        now=datetime(2025, 5, 10, tzinfo=UTC),
    )
    shown = here("status", "churn.yaml", "--last", "1")
    assert shown.returncode == 0
    assert [word for word in MARKED.split() if word not in shown.stdout] == []


@pytest.mark.slow
def test_the_list_of_flows_needs_neither_torch_nor_prefect(tmp_path: Path) -> None:
    script = tmp_path / "loaded.py"
    script.write_text(
        "import sys\nimport flows.__main__\nflows.__main__.main()\nassert not {'torch', 'prefect'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, script], env={"PYTHONPATH": str(REPOSITORY)}, check=True, capture_output=True)


@pytest.mark.slow
def test_what_a_flow_imports_is_not_searched_for_garbage_again_and_again(tmp_path: Path) -> None:
    script = tmp_path / "searched.py"
    script.write_text("import flows.retrain, models.training.fit, gc\nprint(gc.get_stats()[2]['collections'])\n")
    environment = {"PYTHONPATH": str(REPOSITORY), "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, script], env=environment, check=True, capture_output=True, text=True)
    assert int(done.stdout) <= 1  # eight, at Python's own pace
