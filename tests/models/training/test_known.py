"""Rows that stay in their file are the rows that a training in memory sees, with the same weights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.data.batches import Rows
from models.data.table import MIB, Table
from models.features.encoder import Encoder, NumberCode
from models.features.target import Target
from models.model import Model
from models.networks.mlp import MLP
from models.training.histories import history
from models.training.known import Filed, Held
from models.training.recipes import NAMES, Columns, Trained, cook, recipe
from models.training.settings import FitSettings

START = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL, SINCE = START + timedelta(days=700), START + timedelta(days=550)
NUM_ROWS = 6_000
COLUMNS = Columns("label", ("number", "place"), ("carrier",))
PLACES = Encoder({"place": NumberCode(0.0, 1e6, (-1.0, 0.0, 1.0), False)}, {})
SETTINGS = FitSettings(epochs=1, batch_size=256, accelerator="cpu")
HISTORIES = {
    "all": history("all"),
    "recent": history("recent", days=300),
    "fading": history("fading", half_life_days=90),
    "seasonal": history("seasonal", days=40),
    "rare": history("rare", days=200, share=0.2),
}
build = partial(MLP, width=8)


def frame_of(task: str = "binary") -> pd.DataFrame:
    random = np.random.default_rng(0)
    number = random.normal(5, 3, NUM_ROWS)
    labels = {
        "binary": (random.random(NUM_ROWS) < 0.1).astype(float),
        "multiclass": random.choice(["a", "b", "c"], NUM_ROWS, p=[0.6, 0.3, 0.1]),
        "regression": number**2,
    }
    return pd.DataFrame(
        {
            "time": pd.Timestamp(START) + pd.to_timedelta(np.arange(NUM_ROWS) * 3, unit="h"),
            "number": np.where(random.random(NUM_ROWS) < 0.05, np.nan, number),
            "place": np.arange(NUM_ROWS, dtype=float),
            "carrier": random.choice(["UA", "B6", None], NUM_ROWS),
            "label": labels[task],
        }
    )


@pytest.fixture
def both(tmp_path: Path) -> tuple[Held, Filed]:
    return of(frame_of(), tmp_path)


def of(frame: pd.DataFrame, folder: Path) -> tuple[Held, Filed]:
    frame.to_parquet(folder / "rows.parquet", index=False, row_group_size=700)
    return Held(frame, "time", "label"), Filed(Table(folder / "rows.parquet", "label", "time"), 4 * MIB)


def epoch(rows: Rows) -> pd.Series:
    """The weight of each row, by its place; rows that come twice are there twice."""
    batches = list(rows.batches(128, 0, torch.device("cpu")))
    places = [round(float(place) * 1e6) for batch in batches for place in batch.inputs[0][:, 0]]
    weights = [torch.ones(len(batch)) if batch.weights is None else batch.weights for batch in batches]
    return pd.Series(torch.cat(weights).numpy(), index=places).sort_index()


def has_weights(rows: Rows) -> bool:
    return next(iter(rows.batches(128, 0, torch.device("cpu")))).weights is not None


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("since", [None, SINCE])
def test_every_history_has_the_same_rows_with_the_same_weights(
    both: tuple[Held, Filed], name: str, since: datetime | None
) -> None:
    model = Model(PLACES, torch.nn.Linear(1, 1))
    expected, found = (known.material(HISTORIES[name], since, UNTIL) for known in both)
    assert (found.num_new, found.num_old) == (expected.num_new, expected.num_old)
    rows = [epoch(material.rows(model, "label")) for material in (expected, found)]
    pd.testing.assert_series_equal(rows[0].astype("float32"), rows[1], rtol=1e-6)
    assert 0 < len(rows[1]) < NUM_ROWS
    assert has_weights(found.rows(model, "label")) == has_weights(expected.rows(model, "label")) == (name == "fading")


@pytest.mark.parametrize("name", ["all", "fading"])
@pytest.mark.parametrize("number", [0, 1, 700, "all"])
def test_old_rows_are_drawn_once_and_count_the_same_beside_all_new_ones(
    both: tuple[Held, Filed], name: str, number: int | str
) -> None:
    model = Model(PLACES, torch.nn.Linear(1, 1))
    whole = both[1].material(HISTORIES[name], SINCE, UNTIL)
    chosen = whole.num_old if number == "all" else int(number)
    rows, again, other = (epoch(whole.drawn(chosen, seed).rows(model, "label")) for seed in (0, 0, 1))
    expected = epoch(both[0].material(HISTORIES[name], SINCE, UNTIL).drawn(chosen, 0).rows(model, "label"))
    assert len(rows) == len(expected) == chosen + whole.num_new
    assert rows.index.is_unique
    pd.testing.assert_series_equal(rows, again)
    first_new = both[0].frame["time"].searchsorted(pd.Timestamp(SINCE))
    assert (rows[rows.index < first_new] == 1).all()
    rows_of_new, expected_of_new = (each[each.index >= first_new].astype("float32") for each in (rows, expected))
    pd.testing.assert_series_equal(rows_of_new, expected_of_new, rtol=1e-6)
    assert number in (0, "all") or rows.index.tolist() != other.index.tolist()


def test_the_sample_has_the_chances_that_weights_say(both: tuple[Held, Filed]) -> None:
    model, ages = Model(PLACES, torch.nn.Linear(1, 1)), []
    for known in both:
        material = known.material(HISTORIES["fading"], SINCE, UNTIL)
        drawn = [epoch(material.drawn(500, seed).rows(model, "label")).index[:500] for seed in range(10)]
        ages.append(np.concatenate(drawn))
    expected, found = (np.histogram(each, bins=8, range=(0, 4_400))[0] / 5_000 for each in ages)
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 5_000)
    assert found[-1] > 5 * found[0]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_training_from_scratch_learns_the_same_encoder_and_target(tmp_path: Path, task: str) -> None:
    held, filed = of(frame_of(task), tmp_path)
    columns = Columns("label", ("number", "place"), ("carrier",), task)  # type: ignore[arg-type]
    found = [
        cook(
            recipe("scratch", epochs=3),
            build,
            None,
            known.material(HISTORIES["recent"], None, SINCE),
            known.after(SINCE),
            columns,
            SETTINGS,
        )
        for known in (held, filed)
    ]
    assert found[0].model.encoder == found[1].model.encoder
    assert found[0].model.target.classes == found[1].model.target.classes
    assert found[0].model.target.scale == pytest.approx(found[1].model.target.scale)
    assert found[0].num_rows == found[1].num_rows
    losses = [each.history[-1]["validation_loss"] for each in found]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


@pytest.fixture(scope="module")
def champion() -> Model:
    frame = frame_of()
    encoder = Encoder.fit(frame, COLUMNS.numbers, COLUMNS.categories)
    torch.manual_seed(0)
    return Model(encoder, build(encoder.inputs), Target())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "scratch"])
def test_every_recipe_that_continues_a_champion_trains_on_streamed_rows(
    both: tuple[Held, Filed], champion: Model, name: str
) -> None:
    def cooked(known: Held | Filed) -> Trained:
        how = recipe(name, **({} if name == "online" else {"epochs": 1}))
        material = known.material(HISTORIES["all"], SINCE, UNTIL)
        return cook(how, build, champion, material, known.after(UNTIL), COLUMNS, SETTINGS)

    held, filed = map(cooked, both)
    assert filed.num_rows == held.num_rows
    assert filed.fitted.num_passes == held.fitted.num_passes
    assert filed.history[-1]["train_loss"] == pytest.approx(held.history[-1]["train_loss"], abs=0.2)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_vocabulary_grows_by_what_is_in_the_file(tmp_path: Path, task: str) -> None:
    frame = frame_of(task)
    encoder = Encoder.fit(frame, COLUMNS.numbers, COLUMNS.categories)
    target = Target.fit(task, frame["label"])  # type: ignore[arg-type]
    torch.manual_seed(0)
    champion = Model(encoder, build(encoder.inputs.for_outputs(target.num_outputs)), target)
    frame.loc[5_000:5_020, "carrier"] = "AA"
    frame.loc[5_030:5_035, "carrier"] = "too few"
    if task == "multiclass":
        frame.loc[5_100:5_120, "label"] = "d"
    grown = [
        known.material(HISTORIES["all"], SINCE, UNTIL).grow(champion, "label", build) for known in of(frame, tmp_path)
    ]
    assert grown[0].encoder == grown[1].encoder != champion.encoder
    assert grown[0].target == grown[1].target
    assert "AA" in grown[1].encoder.categories["carrier"]


def test_rare_labels_of_a_quantity_and_texts_are_refused(tmp_path: Path) -> None:
    _, filed = of(frame_of("regression"), tmp_path)
    with pytest.raises(ValueError, match=r"rare cannot be streamed for a label that is a quantity.*another history"):
        filed.material(HISTORIES["rare"], None, UNTIL)


def test_the_variance_of_the_label_is_that_of_all_rows(tmp_path: Path) -> None:
    held, filed = of(frame_of("regression"), tmp_path)
    assert filed.label_variance() == pytest.approx(held.label_variance(), rel=1e-12)
