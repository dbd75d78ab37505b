"""Labels that are asked for: the list, the file that comes back, and which rows its labels reach."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest

from configs.schema import Project
from models.data.contract import read
from models.data.predictions import SCORE
from models.features.encoder import Encoder
from models.model import Model
from models.networks.mlp import MLP
from models.registry.versions import VersionId
from models.training.settings import seeded
from tasks.ask import ask_for_labels, take_labels
from tasks.fetch import fetch, given_labels_of
from tasks.predict import predict
from tasks.step import columns_of
from tests.flows.commands import Shell, files
from tests.flows.conftest import Own, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Logger .* without a flow run id")]
Here = Callable[..., CompletedProcess[str]]
FIRST, AS_OF = day("2025-04-01"), day("2025-04-20")
DELAYED = ("data.label_delay_days=10", "watch.asking.rows=40")


@dataclass(frozen=True)
class Asking:
    """A project whose champion has scored rows of which the last ten days have no label yet."""

    own: Own
    project: Project
    champion: VersionId

    @property
    def storage(self) -> Path:
        """What the project has written."""
        return self.own.folder / ".perennial"

    def ask(self, as_of: datetime = AS_OF) -> pd.DataFrame:
        """The list of a moment, as a spreadsheet opens it."""
        path = ask_for_labels.fn(self.project, as_of, self.champion)
        assert path is not None
        return pd.read_csv(path)

    def give(self, rows: pd.DataFrame, name: str = "labels.csv") -> Path:
        """A file as a spreadsheet saves it."""
        path = self.own.folder / name
        path.write_bytes(rows.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig"))
        return path

    def given(self, as_of: datetime, selected_until: datetime | None = None) -> dict[int, float]:
        """Labels by id of the days before `AS_OF`, as they were known at a moment, that are not from the source."""
        span = AS_OF - timedelta(days=14), AS_OF, as_of
        source = read(self.project.data.source.build(), columns_of(self.project), *span)["churned"]
        rows = fetch(self.project, *span, selected_until=selected_until)
        pd.testing.assert_series_equal(rows["churned"][source.notna()], source.dropna())
        return rows[source.isna()].set_index("id")["churned"].dropna().to_dict()


def register(own: Own, name: str, numbers: tuple[str, ...], as_of: datetime, seed: int) -> VersionId:
    """A version that nobody has trained, with the rows of March as what it was like when it was new."""
    project, registry = own.project, own.registry
    rows = fetch(project, day("2025-03-01"), FIRST, as_of).dropna(subset="churned")
    encoder = Encoder.fit(rows, numbers, ("plan",))
    with seeded(seed):
        model = Model(encoder, MLP(encoder.inputs, width=8).eval())
    buffer = io.BytesIO()
    rows.assign(**{SCORE: model.predict(rows)}).to_parquet(buffer, index=False)
    version = registry.versions.save(
        model,
        network={"class_path": "models.networks.mlp.MLP", "init_args": {"width": 8}},
        lineage={"trained_until": FIRST.isoformat(), "recipe": "scratch"},
        extras={"reference.parquet": buffer.getvalue()},
        as_of=as_of,
    )
    registry.log.append("registered", "by hand", attempt=name, version=version, against=None, as_of=as_of, now=as_of)
    return version


@pytest.fixture
def asking(fresh: Own) -> Asking:
    fresh.rewrite(_with_a_region_that_is_new)
    champion = register(fresh, "retrain by scratch", ("age", "usage"), FIRST, seed=0)
    fresh.registry.log.append(
        "promoted", "first", attempt="retrain", version=champion, against=None, as_of=FIRST, now=FIRST
    )
    project = fresh.having(*DELAYED)
    predict.fn(project, AS_OF)
    return Asking(fresh, project, champion)


def _with_a_region_that_is_new(rows: pd.DataFrame) -> pd.DataFrame:
    is_new = (rows["event_time"] >= pd.Timestamp(FIRST)) & (rows["id"] % 4 == 0)
    return rows.assign(age=rows["age"].where(~is_new, rows["age"] + 80))


def test_a_list_asks_for_the_newest_rows_without_a_label(asking: Asking) -> None:
    register(asking.own, "another by finetune", ("age", "usage"), FIRST, seed=1)
    listed = asking.ask()
    assert listed["rank"].tolist() == list(range(1, 41)) and listed["id"].is_unique
    assert listed["churned"].isna().all()
    times = pd.to_datetime(listed["event_time"])
    assert times.between(pd.Timestamp(AS_OF - timedelta(days=10)), pd.Timestamp(AS_OF), inclusive="left").all()
    assert listed["why"].value_counts().to_dict() == {
        "uncertain": 10,
        "models disagree": 10,
        "like nothing seen before": 10,
        "by chance": 10,
    }
    assert listed[["uncertainty", "disagreement", "coverage", "score"]].stack().between(0, 1).all()
    is_new = listed["why"] == "like nothing seen before"
    assert (listed["id"][is_new] % 4 == 0).sum() >= 8, "all but a straggler are of the region, a quarter of the rows"
    scored = pd.concat(map(asking.own.registry.predictions.read, [asking.own.registry.predictions.last()]))
    assert listed["score"].to_numpy() == pytest.approx(scored.set_index("id")["score"].loc[listed["id"]].to_numpy())


def test_a_list_reaches_no_further_back_than_the_watch(asking: Asking) -> None:
    project = asking.own.having(*DELAYED, "watch.window_days=3")
    listed = Asking(asking.own, project, asking.champion).ask()
    assert pd.to_datetime(listed["event_time"]).min() >= pd.Timestamp(AS_OF - timedelta(days=3))


def test_asking_again_after_a_kill_at_any_point_gives_the_same_files(asking: Asking) -> None:
    asking.ask()
    wanted, before = asking.storage / "wanted", files(asking.storage)
    assert len(files(wanted)) == 2
    asking.ask()
    assert files(asking.storage) == before
    next(wanted.rglob("*.csv")).unlink()
    Asking(asking.own, asking.project, VersionId("the next champion")).ask()
    assert files(asking.storage) == before
    shutil.rmtree(wanted)
    asking.ask()
    assert files(asking.storage) == before


def test_labels_that_come_back_reach_judging_by_chance_alone_and_training_up_to_the_holdout(asking: Asking) -> None:
    listed, arrived = asking.ask(), AS_OF + timedelta(minutes=1)
    filled = listed.assign(churned=np.where(listed["rank"] <= 24, listed["rank"] % 2, np.nan))
    file = asking.give(filled[["churned", "why", "id"]])
    taken = take_labels.fn(asking.project, file, arrived)
    assert (taken.num_rows, taken.num_taken, taken.num_blank, taken.num_judging) == (40, 24, 16, 6)
    assert take_labels.fn(asking.project, file, arrived + timedelta(days=1)).num_known == 24

    by_hand, until = filled[:24].set_index("id"), AS_OF - timedelta(days=5)
    by_chance = by_hand["why"] == "by chance"
    is_early = pd.to_datetime(by_hand["event_time"]) < pd.Timestamp(until)
    assert asking.given(AS_OF) == {}
    assert asking.given(arrived) == by_hand["churned"][by_chance].to_dict()
    assert asking.given(arrived, until) == by_hand["churned"][by_chance | is_early].to_dict()
    assert 6 < (by_chance | is_early).sum() < 24
    assert asking.given(AS_OF + timedelta(days=30)) == {}, "what the source says later wins"
    assert not set(asking.ask(arrived)["id"]) & set(by_hand.index), "nobody is asked twice"


def test_without_a_scored_row_that_lacks_a_label_there_is_no_list(asking: Asking) -> None:
    assert ask_for_labels.fn(asking.own.having("data.label_delay_days=0"), AS_OF, asking.champion) is None
    assert ask_for_labels.fn(asking.project, AS_OF, VersionId("20250401-0123456789")) is None
    assert ask_for_labels.fn(asking.project, AS_OF + timedelta(days=60), asking.champion) is None
    assert not (asking.storage / "wanted").exists()


def test_a_version_of_other_columns_or_of_a_later_day_is_no_second_opinion(asking: Asking) -> None:
    register(asking.own, "later", ("age", "usage"), AS_OF + timedelta(days=1), seed=1)
    assert asking.ask()["disagreement"].isna().all()
    register(asking.own, "narrow", ("age",), FIRST, seed=1)
    assert asking.ask(AS_OF + timedelta(hours=1))["disagreement"].notna().all(), "fewer columns are enough"
    project = asking.own.having(*DELAYED, "data.numbers=[usage]", "data.other=[age]")
    rewritten = Asking(asking.own, project, register(asking.own, "usage", ("usage",), AS_OF, seed=2))
    for batch in (asking.storage / "predictions").rglob("*.parquet"):
        batch.unlink()
    asking.own.registry.log.append(
        "promoted", "so", attempt="so", version=rewritten.champion, against=asking.champion, as_of=AS_OF, now=AS_OF
    )
    predict.fn(project, AS_OF + timedelta(hours=2))
    assert rewritten.ask(AS_OF + timedelta(hours=2))["disagreement"].isna().all(), "age is no input any more"


def test_a_second_opinion_that_cannot_be_loaded_is_told_and_does_not_stop_the_list(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    lost = register(asking.own, "lost", ("age", "usage"), FIRST, seed=1)
    (asking.storage / f"registry/churn/versions/{lost}/weights.safetensors").unlink()
    assert len(asking.ask()) == 40
    assert f"{lost} is not compared with the champion: version {lost} has lost weights" in caplog.text


def test_too_few_rows_say_nothing_of_what_is_new(asking: Asking) -> None:
    project = asking.own.having("data.label_delay_days=0.25", "watch.asking.rows=40")
    listed = Asking(asking.own, project, asking.champion).ask()
    assert len(listed) < 50 and listed["coverage"].isna().all()
    assert set(listed["why"]) == {"uncertain", "by chance"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"id": ["x1", "x2"], "churned": [1, 0]}, ("no row has any of the 2 ids", "'x1'", "'0'")),
        ({"id": [5, 6], "churned": [1, 3]}, ("id='6'", "'3'", "expected 0, 1")),
        ({"id": [5], "left": [1]}, ("no column 'churned'", "it has id, left")),
    ],
)
def test_a_file_that_cannot_be_taken_is_one_message_and_leaves_no_trace(
    fresh: Own, prefect_here: Shell, here: Here, rows: dict[str, list[object]], words: tuple[str, ...]
) -> None:
    pd.DataFrame(rows).to_csv("labels.csv", index=False)
    run = here("label", "churn.yaml", "--file", "labels.csv", "--as-of", "2025-03-01")
    assert run.returncode == 2
    assert [word for word in words if word not in run.stderr] == []
    assert run.stderr.count("error: ") == 1 and "Traceback" not in run.stdout + run.stderr
    assert given_labels_of(fresh.project).known(AS_OF).empty


def test_the_command_takes_a_list_in_once_and_says_what_became_of_it(
    asking: Asking, prefect_here: Shell, here: Here
) -> None:
    listed = asking.ask()
    stranger = pd.DataFrame({"id": [999_999_999], "churned": [1]})
    filled = pd.concat([listed.assign(churned=1.0)[:8], stranger])
    command = ("label", "churn.yaml", "--file", str(asking.give(filled)), "--as-of", "2025-04-21")
    first, again = here(*command), here(*command)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert "8 new labels from 9 rows, 2 of them drawn by chance" in first.stdout
    assert "1 not kept, as no row has their id, such as '999999999'" in first.stdout
    assert "0 new labels from 9 rows" in again.stdout
    assert len(given_labels_of(asking.project).known(day("2025-04-21"))) == 8
    assert here("label", "churn.yaml", "--file", "nowhere.csv").returncode == 2
