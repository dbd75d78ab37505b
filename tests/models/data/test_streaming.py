"""Streamed rows: each once an epoch, in bounded memory, from any batch on, and no thread is left behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.data.batches import Batch
from models.data.learning import fit_in_pieces
from models.data.streaming import Changed, Streamed, StreamedBatches
from models.data.table import MIB, Table
from models.features.encoder import Encoder, NumberCode
from models.features.target import Target
from models.model import Model
from models.networks.mlp import MLP
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, Hooks, seeded

CPU = torch.device("cpu")
START = datetime(2024, 1, 1, tzinfo=UTC)
NUMBERS, CATEGORIES = ("number", "place"), ("carrier", "origin")
# The place of a row goes through the encoder as it is, so that batches say which rows they hold.
PLACES = Encoder({"place": NumberCode(0.0, 1e6, (-1.0, 0.0, 1.0), False)}, {})
LITTLE = MIB


def frame_of(num_rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "event_time": pd.Timestamp(START) + pd.to_timedelta(np.arange(num_rows), unit="min"),
            "number": random.normal(5, 3, num_rows),
            "place": np.arange(num_rows, dtype=float),
            "carrier": random.choice(["UA", "B6", "AA", None], num_rows),
            "origin": random.choice(["JFK", "LGA"], num_rows).astype(object),
            "label": random.integers(0, 2, num_rows).astype(float),
        }
    )
    frame.loc[random.random(num_rows) < 0.1, "label"] = np.nan
    frame.loc[random.random(num_rows) < 0.1, "number"] = np.nan
    return frame


def written(frame: pd.DataFrame, path: Path, group_rows: int = 100) -> Path:
    frame.to_parquet(path, index=False, row_group_size=group_rows)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(frame_of(5_000), tmp_path / "rows.parquet", group_rows=700)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert [thread for thread in threading.enumerate() if thread.name == "streaming"] == []


def places(batches: list[Batch]) -> list[int]:
    return [round(float(place) * 1e6) for batch in batches for place in batch.inputs[0][:, 0]]


def in_blocks_of(rows: Streamed, num_rows: int) -> Streamed:
    """The same rows with blocks that small: real memory bounds hold more rows than a test wants to write."""
    rows.block_rows = lambda batch_size: max(1, num_rows // batch_size) * batch_size  # type: ignore[method-assign]
    return rows


def same(one: list[Batch], other: list[Batch]) -> bool:
    def tensors(batch: Batch) -> list[torch.Tensor]:
        return [*batch.inputs, batch.targets, *([batch.weights] if batch.weights is not None else [])]

    return len(one) == len(other) and all(
        len(tensors(a)) == len(tensors(b)) and all(map(torch.equal, tensors(a), tensors(b)))
        for a, b in zip(one, other, strict=True)
    )


@given(
    num_rows=st.integers(1, 400),
    group_rows=st.integers(1, 150),
    block_rows=st.integers(1, 200),
    batch_size=st.integers(1, 90),
    seed=st.one_of(st.none(), st.integers(0, 5)),
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_labelled_row_comes_once_an_epoch_and_the_last_batch_is_the_rest(
    tmp_path: Path, num_rows: int, group_rows: int, block_rows: int, batch_size: int, seed: int | None
) -> None:
    frame = frame_of(num_rows, seed=num_rows)
    table = Table(written(frame, tmp_path / "rows.parquet", group_rows), "label")
    rows = in_blocks_of(Streamed(table, PLACES, Target(), LITTLE), block_rows)
    labelled = frame[frame["label"].notna()]
    assert len(rows) == len(labelled)
    loader = rows.batches(batch_size, seed, CPU)
    for _ in range(2):
        found = list(loader)
        assert len(found) == len(loader)
        assert all(len(batch.targets) == batch_size for batch in found[:-1])
        assert sorted(places(found)) == labelled["place"].tolist()
        if seed is None:
            assert places(found) == labelled["place"].tolist()
        labels = torch.cat([batch.targets for batch in found]) if found else torch.zeros(0)
        assert labels.tolist() == frame["label"][places(found)].tolist()


def test_rows_are_encoded_as_they_are_in_memory(path: Path) -> None:
    frame = pd.read_parquet(path)
    encoder = Encoder.fit(frame, NUMBERS, CATEGORIES)
    labelled = frame[frame["label"].notna()]
    model = Model(encoder, torch.nn.Linear(1, 1))
    expected = list(model.label(labelled, labelled["label"]).batches(128, None, CPU))
    rows = in_blocks_of(Streamed(Table(path, "label"), encoder, Target(), LITTLE), 512)
    assert same(list(rows.batches(128, None, CPU)), expected)


def test_the_order_depends_on_the_seed_and_the_epoch_alone(path: Path) -> None:
    rows = in_blocks_of(Streamed(Table(path, "label"), PLACES, Target(), LITTLE), 1_024)
    one, again, other = (rows.batches(64, seed, CPU) for seed in (1, 1, 2))
    first, second = places(list(one)), places(list(one))
    np.random.seed(3)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert (places(list(again)), places(list(again))) == (first, second)
    assert first != second
    assert places(list(other)) not in (first, second)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"


def test_rows_of_all_times_meet_in_a_block(tmp_path: Path) -> None:
    path = written(frame_of(8_000).assign(label=1.0), tmp_path / "rows.parquet", group_rows=100)
    rows = in_blocks_of(Streamed(Table(path, "label"), PLACES, Target(), LITTLE), 2_000)
    batch = next(iter(rows.batches(500, 0, CPU)))
    quarters = np.bincount(np.array(places([batch])) // 2_000, minlength=4)
    assert (quarters > 50).all(), quarters


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("batch_size", [1, 64, 999])
def test_it_goes_on_from_any_batch_with_the_very_same_batches(path: Path, seed: int | None, batch_size: int) -> None:
    table = Table(path, "label", "event_time", START + timedelta(minutes=333), weigh=recent)
    frame = pd.read_parquet(path)
    rows = in_blocks_of(Streamed(table, Encoder.fit(frame, NUMBERS, CATEGORIES), Target(), LITTLE), 1_024)
    whole = rows.batches(batch_size, seed, CPU)
    list(whole)
    epoch = list(whole)
    following = list(whole)
    for position in {1, 2, len(whole) // 2, len(whole) - 1, len(whole)}:
        loader = rows.batches(batch_size, seed, CPU)
        list(loader)
        batches = iter(loader)
        taken = [next(batches) for _ in range(position)]
        state = loader.state_dict()
        batches.close()
        is_over = position == len(whole)
        assert state == {"epoch": 1 + is_over, "position": 0 if is_over else position}
        assert same(taken, epoch[:position])
        resumed = rows.batches(batch_size, seed, CPU)
        resumed.load_state_dict(state)
        if position < len(whole):
            assert same(list(resumed), epoch[position:])
        assert same(list(resumed), following)


def recent(times: pd.Series, labels: pd.Series) -> np.ndarray:
    """Older rows less, and every third not at all."""
    minutes = ((times - pd.Timestamp(START)) // pd.Timedelta(minutes=1)).to_numpy()
    return np.where(minutes % 3 == 0, 0.0, 0.5 + minutes / 10_000)


def test_weights_follow_their_rows_and_rows_without_weight_are_left_out(path: Path) -> None:
    rows = in_blocks_of(Streamed(Table(path, "label", "event_time", weigh=recent), PLACES, Target(), LITTLE), 640)
    found = list(rows.batches(64, 0, CPU))
    minutes = np.array(places(found))
    assert (minutes % 3 != 0).all()
    assert len(minutes) == len(rows)
    weights = torch.cat([batch.weights for batch in found if batch.weights is not None])
    assert np.allclose(weights.numpy(), 0.5 + minutes / 10_000, atol=1e-6)


def test_a_window_holds_its_rows_and_reads_its_row_groups_alone(path: Path) -> None:
    start, end = START + timedelta(minutes=1_500), START + timedelta(minutes=2_100)
    table = Table(path, "label", "event_time", start, end)
    frame = pd.read_parquet(path)[1_500:2_100]
    rows = Streamed(table, PLACES, Target(), LITTLE)
    assert places(list(rows.batches(50, None, CPU))) == frame["place"][frame["label"].notna()].tolist()
    assert table.groups() == [2], "rows 1,400 to 2,099"


def test_an_empty_window_has_no_batches(path: Path) -> None:
    table = Table(path, "label", "event_time", START - timedelta(days=3), START)
    rows = Streamed(table, PLACES, Target(), LITTLE)
    assert len(rows) == len(rows.batches(10, 0, CPU)) == len(list(rows.batches(10, 0, CPU))) == 0


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_share_the_rows_of_an_epoch(path: Path, world_size: int, seed: int | None) -> None:
    rows = in_blocks_of(Streamed(Table(path, "label"), PLACES, Target(), LITTLE), 300)
    parts = [rows.part(rank, world_size) for rank in range(world_size)]
    epochs = [[places(list(loader)) for _ in range(2)] for loader in (part.batches(32, seed, CPU) for part in parts)]
    for epoch in range(2):
        seen = [place for found in epochs for place in found[epoch]]
        assert len(seen) == len(set(seen)) == len(rows) // world_size * world_size
    assert len({len(part) for part in parts}) == 1
    with pytest.raises(ValueError, match="rank=2 is none of the processes 0 to 1"):
        rows.part(2, 2)


def test_a_loop_that_is_left_early_leaves_no_thread(path: Path) -> None:
    loader = in_blocks_of(Streamed(Table(path, "label"), PLACES, Target(), LITTLE), 64).batches(8, 0, CPU)
    for _ in loader:
        assert any(thread.name == "streaming" for thread in threading.enumerate())
        break
    with pytest.raises(ZeroDivisionError):
        for _ in loader:
            1 / 0  # noqa: B018


class _Breaks(Encoder):
    def transform(self, frame: pd.DataFrame) -> object:  # type: ignore[override]
        if len(frame) and frame["place"].iloc[0] >= 2_000:
            raise ArithmeticError("broken on purpose")
        return super().transform(frame)


def test_an_error_of_the_thread_is_raised_where_batches_are_taken(path: Path) -> None:
    rows = in_blocks_of(Streamed(Table(path, "label"), _Breaks(PLACES.numbers, {}), Target(), LITTLE), 256)
    taken = []
    with pytest.raises(ArithmeticError, match="broken on purpose"):
        for batch in rows.batches(64, None, CPU):
            taken.append(batch)
    assert taken


def test_a_file_that_was_changed_is_an_error_and_does_not_hang(path: Path) -> None:
    rows = Streamed(Table(path, "label"), PLACES, Target(), LITTLE)
    written(frame_of(5_000).assign(label=np.nan), path, group_rows=700)
    with pytest.raises(Changed, match="was changed after its rows were counted"):
        list(rows.batches(64, 0, CPU))


def test_classes_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    frame = frame_of(1_000).assign(label=np.array(["a", "b", "c", None], dtype=object)[np.arange(1_000) % 4])
    table = Table(written(frame, tmp_path / "rows.parquet"), "label")
    rows = Streamed(table, PLACES, Target("multiclass", ("b", "a")), LITTLE)
    found = list(rows.batches(100, None, CPU))
    assert len(rows) == 500
    assert torch.cat([batch.targets for batch in found]).tolist() == [1, 0] * 250


def test_regression_is_scaled(tmp_path: Path) -> None:
    frame = frame_of(300).assign(label=lambda rows: rows["place"])
    table = Table(written(frame, tmp_path / "rows.parquet"), "label")
    (batch,) = Streamed(table, PLACES, Target("regression", mean=100.0, scale=2.0), LITTLE).batches(300, None, CPU)
    assert torch.equal(batch.targets, (torch.arange(300) - 100) / 2)


@pytest.mark.parametrize("group_rows", [70, 10_000])
def test_an_encoder_fitted_in_pieces_is_the_one_fitted_on_the_frame(tmp_path: Path, group_rows: int) -> None:
    frame = frame_of(3_000)
    frame.loc[5, "number"] = np.inf
    path = written(frame, tmp_path / "rows.parquet", group_rows)
    encoder, target = fit_in_pieces(Table(path, "label"), NUMBERS, CATEGORIES, "binary")
    assert encoder == Encoder.fit(frame[frame["label"].notna()], NUMBERS, CATEGORIES)
    assert target == Target()


def test_a_sample_keeps_rare_categories_and_missing_values_and_nearly_the_same_scales(tmp_path: Path) -> None:
    frame = frame_of(60_000).assign(label=1.0)
    frame["number"] = np.random.default_rng(1).exponential(3, len(frame))
    frame.loc[59_999, "number"] = np.nan
    frame.loc[30_000:30_009, "carrier"] = "rare"
    path = written(frame, tmp_path / "rows.parquet", 7_000)
    (encoder, _), (again, _), (other, _) = (
        fit_in_pieces(Table(path, "label"), NUMBERS, CATEGORIES, "binary", seed, sample_rows=20_000)
        for seed in (0, 0, 1)
    )
    assert encoder == again != other
    whole = Encoder.fit(frame, NUMBERS, CATEGORIES)
    assert encoder.categories == whole.categories
    assert "rare" in encoder.categories["carrier"]
    for name in NUMBERS:
        found, expected = encoder.numbers[name], whole.numbers[name]
        assert found.is_sometimes_missing == expected.is_sometimes_missing
        assert abs(found.mean - expected.mean) < 5 * expected.scale / np.sqrt(20_000)
        assert np.allclose(found.bins[1:-1], expected.bins[1:-1], atol=0.08)


def test_targets_come_from_all_rows(tmp_path: Path) -> None:
    frame = frame_of(3_000)
    path = written(frame.assign(label=frame["place"] ** 2), tmp_path / "rows.parquet", 70)
    _, target = fit_in_pieces(Table(path, "label"), NUMBERS, (), "regression", sample_rows=10)
    expected = Target.fit("regression", frame["place"] ** 2)
    assert (target.mean, target.scale) == pytest.approx((expected.mean, expected.scale), rel=1e-12)
    letters = frame["place"].map(lambda place: "abc"[int(place) % 3])
    _, target = fit_in_pieces(
        Table(written(frame.assign(label=letters), path, 70), "label"), NUMBERS, (), "multiclass", sample_rows=10
    )
    assert target == Target("multiclass", ("a", "b", "c"))


def test_files_of_other_writers_can_be_read(tmp_path: Path) -> None:
    """Integers, pandas' categories, a column of nothing but nulls, local times, one row group, plain pages."""
    frame = frame_of(2_000)
    frame["carrier"] = frame["carrier"].astype("category")
    frame["origin"] = None
    frame["event_time"] = frame["event_time"].dt.tz_convert("America/New_York")
    frame = frame.astype({"place": "int32"})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "rows.parquet", use_dictionary=False)
    table = Table(tmp_path / "rows.parquet", "label", "event_time", end=START + timedelta(minutes=1_000))
    encoder, target = fit_in_pieces(table, NUMBERS, CATEGORIES, "binary")
    labelled = frame[:1_000][frame["label"][:1_000].notna()]
    assert encoder == Encoder.fit(labelled.astype({"carrier": object, "place": float}), NUMBERS, CATEGORIES)
    (batch,) = Streamed(table, encoder, target, LITTLE).batches(4_000, None, CPU)
    assert all(map(torch.equal, batch.inputs, encoder.transform(labelled).tensors))


def test_wrong_files_columns_and_bounds_are_named(path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'distance'; it has event_time"):
        Streamed(Table(path, "label"), Encoder({}, {"distance": ()}), Target())
    with pytest.raises(ValueError, match=r"there is no file .*gone\.parquet"):
        Streamed(Table(path.parent / "gone.parquet", "label"), PLACES, Target())
    with pytest.raises(ValueError, match="name it as time"):
        Table(path, "label", start=START)
    with pytest.raises(ValueError, match=r"'place' of .* is double, expected timestamps"):
        Streamed(Table(path, "label", "place"), PLACES, Target())
    with pytest.raises(ValueError, match="memory is too little to read 2 columns; allow at least"):
        Streamed(Table(path, "label"), PLACES, Target(), memory=1_000)
    with pytest.raises(ValueError, match="less than a batch of 1000000; allow at least") as error:
        Streamed(Table(path, "label"), PLACES, Target(), LITTLE).batches(1_000_000, 0, CPU)
    enough = int(str(error.value).split("allow at least ")[1].split()[0])
    Streamed(Table(path, "label"), PLACES, Target(), enough).batches(1_000_000, 0, CPU)


def test_a_fingerprint_tells_rows_and_their_order_apart(path: Path, tmp_path: Path) -> None:
    def rows(table: Table, memory: int = LITTLE, encoder: Encoder = PLACES) -> Streamed:
        return Streamed(table, encoder, Target(), memory)

    table = Table(path, "label", "event_time")
    other = written(frame_of(5_000, seed=1), tmp_path / "other.parquet", group_rows=700)
    copied = tmp_path / "copied.parquet"
    copied.write_bytes(path.read_bytes())
    assert rows(table).fingerprint() == rows(Table(copied, "label", "event_time")).fingerprint()
    different = [
        rows(Table(other, "label", "event_time")),
        rows(Table(path, "label", "event_time", START + timedelta(days=1))),
        rows(Table(path, "label", "event_time", weigh=recent)),
        rows(table, memory=2 * MIB),
        rows(table, encoder=Encoder({"number": PLACES.numbers["place"]}, {})),
        rows(table).part(0, 2),
    ]
    assert len({each.fingerprint() for each in [rows(table), *different]}) == 7


def test_blocks_fill_what_memory_allows(path: Path) -> None:
    rows = Streamed(Table(path, "label"), PLACES, Target(), 10 * MIB)
    bytes_of_blocks = 3 * rows.block_rows(64) * (4 + 4 + 8)
    assert 6 * MIB < bytes_of_blocks <= 7 * MIB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_batches_are_the_same(path: Path) -> None:
    frame = pd.read_parquet(path)
    rows = Streamed(Table(path, "label"), Encoder.fit(frame, NUMBERS, CATEGORIES), Target(), LITTLE)
    in_blocks_of(rows, 512)
    here: StreamedBatches = rows.batches(64, 0, CPU)
    there = rows.batches(64, 0, torch.device("cuda:0"))
    for _ in range(3):
        found = list(there)
        assert all(batch.targets.is_cuda for batch in found)
        back = [Batch(tuple(each.cpu() for each in batch.inputs), batch.targets.cpu()) for batch in found]
        assert same(back, list(here))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("block_rows", [64, 128, 512])
def test_on_a_gpu_blocks_arrive_while_steps_are_recorded(path: Path, block_rows: int) -> None:
    frame = pd.read_parquet(path)
    encoder = Encoder.fit(frame, NUMBERS, CATEGORIES)
    rows = in_blocks_of(Streamed(Table(path, "label"), encoder, Target(), LITTLE), block_rows)
    for seed in range(5):  # a block may or may not arrive during the one step that must not wait
        plan = FitSettings(epochs=3, batch_size=64, seed=seed)
        fitted = fit(MLP(encoder.inputs, width=8), objective("binary"), rows, None, plan)
        assert fitted.notes == ()
        assert fitted.num_passes == 3 * len(rows)


class _Killed(BaseException):
    """Stands for a signal in the middle of an epoch."""


def test_a_training_that_was_killed_within_an_epoch_ends_with_the_same_weights(path: Path, tmp_path: Path) -> None:
    encoder, target = fit_in_pieces(Table(path, "label"), NUMBERS, CATEGORIES, "binary")
    rows = in_blocks_of(Streamed(Table(path, "label"), encoder, target, LITTLE), 512)
    plan = FitSettings(epochs=2, batch_size=64, accelerator="cpu")

    def trained(folder: Path, last_share: float) -> dict[str, torch.Tensor]:
        def rate(share: float) -> float:
            if share > last_share:
                raise _Killed
            return 1.0

        with seeded(0):
            network = MLP(encoder.inputs, width=8)
        fit(network, objective("binary"), rows, None, plan, Hooks(rate=rate), checkpoint=folder, save_every=5)
        return network.state_dict()

    expected = trained(tmp_path / "whole", 1.0)
    with pytest.raises(_Killed):
        trained(tmp_path / "killed", 0.7)
    found = trained(tmp_path / "killed", 1.0)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
