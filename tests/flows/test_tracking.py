"""W&B: what a run holds, read back from disk, and that the loop never depends on it."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import wandb

from flows.retrain import retrain
from flows.watch import watch
from tasks import track
from tests import own_project
from tests.conftest import Replayed
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*without a flow run id")]


def test_every_training_and_every_watch_is_a_run_of_its_own(replayed: Replayed, own: Own) -> None:
    trained = [entry.as_of for entry in own.registry.log.read().entries if entry.kind == "registered"]
    watched = [path.name for path in (replayed.storage / "watches/churn").iterdir()]
    runs = [path.name for path in (replayed.storage / "wandb").glob("offline-run-*")]
    assert len([name for name in runs if "-churn-training-" in name]) == len(trained)
    assert len([name for name in runs if "-churn-watch-" in name]) == len(watched)
    assert len(runs) == len(trained) + len(watched)


def test_a_training_run_holds_its_config_its_losses_and_the_verdict(replayed: Replayed, own: Own) -> None:
    run = _read(replayed.storage, "churn-training-20250329T000000")
    [decided] = [entry for entry in own.registry.log.read().entries if entry.kind != "registered"][2:3]
    assert (run["run_group"], run["job_type"], sorted(run["tags"])) == ("churn", "training", ["churn", "training"])
    assert run["project"] == "perennial"
    assert run["config"]["gate"]["alpha"] == 0.05
    assert run["config"]["as_of"] == decided.as_of
    losses = [item["train_loss"] for item in run["history"]]
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert run["summary"]["verdict"] == decided.kind == "promoted"
    assert run["summary"]["reason"] == decided.reason
    assert run["summary"]["version"] == decided.version
    told = {name: gain for name, gain in run["summary"].items() if name.startswith("gain/log loss (nats), ")}
    gains = [test["gain"] for test in decided.evidence["judgement"]["tests"] if test["metric"] == "log loss (nats)"]
    assert sorted(told.values()) == pytest.approx(sorted(gains))
    assert run["exit_code"] == 0


def test_a_watch_run_holds_what_was_measured_and_the_verdict(replayed: Replayed, own: Own) -> None:
    run = _read(replayed.storage, "churn-watch-20250315T000000")
    found = own.registry.watches.find(day("2025-03-15"))
    assert (run["run_group"], run["job_type"], sorted(run["tags"])) == ("churn", "watch", ["churn", "watch"])
    assert run["summary"]["verdict"] == found.diagnosis.verdict == "concept_change"
    [measured] = run["history"]
    assert measured["realised_log_loss"] == pytest.approx(found.evidence.realised.of("log_loss").value)
    assert found.evidence.estimates
    for estimate in found.evidence.estimates:
        assert measured[f"{estimate.estimator}_{estimate.metric}"] == pytest.approx(estimate.value)
    assert run["exit_code"] == 0


def test_a_retrain_ends_with_its_answer_when_the_server_of_wandb_does_not(own: Own, shell: Shell) -> None:
    expected = own.registry.log.read().entries[7]
    own.forget_after(6)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        extra = {
            "WANDB_MODE": "online",
            "WANDB_API_KEY": "0123456789" * 4,
            "WANDB_BASE_URL": f"http://127.0.0.1:{closed.getsockname()[1]}",
        }
        started = time.monotonic()
        run = shell.run(own.folder, "retrain", "churn.yaml", "--as-of", "2025-04-26", extra=extra)
        seconds = time.monotonic() - started
    assert run.returncode == 0, run.stderr
    assert "W&B is off for the rest of this process" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout.startswith(f"{expected.kind} {expected.version}")
    assert own.registry.log.read().champion == expected.version
    assert seconds < 90


def test_a_training_that_fails_leaves_no_run_open_and_says_that_it_failed(
    fresh: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for early in ("2025-01", "2025-02"):
        (fresh.folder / "rows" / f"{early}.parquet").unlink()
    with pytest.raises(ValueError, match="the source has no rows"):
        retrain(fresh.project, as_of=day("2025-02-15"))
    assert wandb.run is None
    assert track._sink.run is None
    assert _read(fresh.folder / ".perennial", "churn-training-20250215T000000")["exit_code"] == 1


def test_nothing_fails_when_wandb_raises_and_it_is_said_once(
    own: Own, prefect_here: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(track, "_sink", track._Sink())
    monkeypatch.setattr(wandb, "init", refuse)
    own.add_rows(own_project.later_customers())
    caplog.set_level(logging.WARNING, logger="tasks.track")
    assert retrain(own.project, as_of=day("2025-05-25")).kind in ("promoted", "rejected", "inconclusive")
    assert watch(own.project, as_of=day("2025-05-10")) is not None
    said = [record.message for record in caplog.records if record.name == "tasks.track"]
    assert said == ["W&B is off for the rest of this process: OSError: no space left on device"]


def test_a_run_that_breaks_half_way_is_given_up(
    own: Own, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finished: list[int] = []

    class Broken:
        def log(self, numbers: dict[str, float]) -> None:
            raise ConnectionError("the service process is gone")

        def finish(self, exit_code: int) -> None:
            finished.append(exit_code)

    monkeypatch.setattr(track, "_sink", track._Sink())
    monkeypatch.setattr(wandb, "init", lambda **_: Broken())
    with track.tracked(own.project, "training", day("2025-05-25")):
        for epoch in range(3):
            track.log({"train_loss": 1.0 / (epoch + 1)})
    assert caplog.text.count("the service process is gone") == 1
    assert finished == []


def _read(storage: Path, name: str) -> dict[str, Any]:
    """A finished run as W&B's own reader finds it on disk."""
    [file] = storage.glob(f"wandb/offline-run-*{name}*/*.wandb")
    reader = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(file)]
    lines = subprocess.run(reader, capture_output=True, text=True, check=True).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    found: dict[str, Any] = next(record["run"] for record in records if record["type"] == "run")
    found["config"] = found["config"]["update"]
    found["history"] = [record["history"]["item"] for record in records if record["type"] == "history"]
    found["summary"] = {}
    for record in records:
        if record["type"] == "summary":
            found["summary"] |= record["summary"]["update"]
    found["exit_code"] = next(record["exit"].get("exit_code", 0) for record in records if record["type"] == "exit")
    return found
