"""Batches: each row once an epoch, in another order each time, and able to go on from where they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.batches import Batch, Batches, Labelled, Loader, Picked, Shared
from models.data.transfer import Ahead
from models.networks.inputs import Encoded

CPU = torch.device("cpu")


def numbered(num_rows: int, is_weighted: bool = False) -> Labelled:
    """Rows that carry their own number in every tensor."""
    rows = torch.arange(num_rows)
    inputs = Encoded((rows[:, None].float().repeat(1, 2), rows[:, None].repeat(1, 3)))
    return Labelled(inputs, rows.float(), rows + 1.0 if is_weighted else None)


def rows_of(batches: list[Batch]) -> list[int]:
    return [int(target) for batch in batches for target in batch.targets]


def epoch(batches: Loader) -> list[int]:
    return rows_of(list(batches))


LOADERS: dict[str, Callable[[int, int, int | None], Loader]] = {
    "in memory": lambda num_rows, batch_size, seed: Batches(numbered(num_rows), batch_size, seed),
    "copied ahead": lambda num_rows, batch_size, seed: Ahead(Batches(numbered(num_rows), batch_size, seed), CPU),
    "shared": lambda num_rows, batch_size, seed: Shared(Batches(numbered(num_rows), batch_size, seed), 0, 2),
}


@given(
    num_rows=st.integers(1, 200),
    batch_size=st.integers(1, 70),
    seed=st.one_of(st.none(), st.integers(0, 9)),
    is_weighted=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_each_row_comes_once_an_epoch_whole_and_the_last_batch_is_the_rest(
    num_rows: int, batch_size: int, seed: int | None, is_weighted: bool
) -> None:
    batches = numbered(num_rows, is_weighted).batches(batch_size, seed, CPU)
    for _ in range(2):
        found = list(batches)
        sizes = [len(batch) for batch in found]
        assert len(sizes) == len(batches)
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sizes[-1] == (num_rows - 1) % batch_size + 1
        assert sorted(rows_of(found)) == list(range(num_rows))
        for batch in found:
            numbers, categories = batch.inputs
            assert torch.equal(numbers, batch.targets[:, None].expand_as(numbers))
            assert torch.equal(categories, batch.targets.long()[:, None].expand_as(categories))
            assert (batch.weights is not None) == is_weighted
            assert batch.weights is None or torch.equal(batch.weights, batch.targets + 1)


def test_the_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    one, same, other = (Batches(numbered(500), 32, seed) for seed in (1, 1, 2))
    torch.manual_seed(0)
    first, second = epoch(one), epoch(one)
    torch.manual_seed(99)
    assert (epoch(same), epoch(same)) == (first, second)
    assert first != second
    assert epoch(other) not in (first, second)


def test_without_a_seed_the_order_is_kept() -> None:
    batches = Batches(numbered(100), 32)
    assert epoch(batches) == epoch(batches) == list(range(100))


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    list(Batches(numbered(100), 32, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("seed", [None, 0])
def test_no_rows_give_no_batches_with_rows(seed: int | None) -> None:
    assert epoch(Batches(numbered(0), 32, seed)) == []
    assert len(Batches(numbered(0), 32, seed)) == 0


@pytest.mark.parametrize("kind", LOADERS)
@given(
    num_rows=st.integers(1, 60),
    batch_size=st.integers(1, 25),
    seed=st.one_of(st.none(), st.integers(0, 9)),
    stop=st.integers(0, 200),
)
@settings(deadline=None, max_examples=60)
def test_whatever_the_place_at_which_it_stopped_the_rest_is_the_same(
    kind: str, num_rows: int, batch_size: int, seed: int | None, stop: int
) -> None:
    def three_epochs(loader: Loader) -> list[tuple[Batch, dict[str, int]]]:
        return [(batch, loader.state_dict()) for _ in range(3) for batch in loader]

    whole = three_epochs(LOADERS[kind](num_rows, batch_size, seed))
    stop %= len(whole)
    again = LOADERS[kind](num_rows, batch_size, seed)
    again.load_state_dict(whole[stop][1])
    rest = [batch for _ in range(3) for batch in again][: len(whole) - stop - 1]
    assert rows_of(rest) == rows_of([batch for batch, _ in whole[stop + 1 :]])


def test_a_state_of_a_start_begins_at_the_start() -> None:
    batches = Batches(numbered(50), 8, seed=1)
    begun = Batches(numbered(50), 8, seed=1)
    begun.load_state_dict(batches.state_dict())
    assert epoch(begun) == epoch(batches)


@given(num_rows=st.integers(1, 100), batch_size=st.integers(1, 40), world=st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_processes_share_the_rows_and_take_the_same_number_of_steps(num_rows: int, batch_size: int, world: int) -> None:
    parts = [list(Shared(Batches(numbered(num_rows), batch_size, 3), rank, world)) for rank in range(world)]
    whole = list(Batches(numbered(num_rows), batch_size, 3))
    for step, batch in enumerate(whole):
        shares = [part[step] for part in parts]
        assert all(len(share) for share in shares)
        assert {*rows_of(shares)} == {*rows_of([batch])}
        if len(batch) >= world:
            assert sorted(rows_of(shares)) == sorted(rows_of([batch]))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert {len(part) for part in parts} == {len(whole)}


def test_rows_are_known_again_by_what_they_hold() -> None:
    rows = numbered(50)
    assert rows.fingerprint() == numbered(50).fingerprint()
    changed = [
        numbered(51),
        numbered(50, is_weighted=True),
        Labelled(rows.encoded, rows.targets.flip(0)),
        Labelled(rows.encoded.map(lambda tensor: tensor.flip(0)), rows.targets),
    ]
    assert len({each.fingerprint() for each in (rows, *changed)}) == 5


@pytest.mark.parametrize("has_weights", [False, True])
def test_picked_batches_are_the_same_ones(has_weights: bool) -> None:
    rows = numbered(100)
    rows = Labelled(rows.encoded, rows.targets, torch.rand(100) + 1 if has_weights else None)
    taken, picked = Batches(rows, 32, seed=1), Batches(rows, 32, seed=1)
    picked.are_picked = True
    for one, other in zip(taken, picked, strict=True):
        assert isinstance(other, Picked)
        assert len(one) == len(other)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.inputs, other.inputs, strict=True))
        assert torch.equal(one.targets, other.targets)
        assert (other.weights is not None) == has_weights
        assert one.weights is None or torch.equal(one.weights, other.weights)
        assert torch.equal(other.map(torch.clone).targets, one.targets)
    assert taken.state_dict() == picked.state_dict() == {"epoch": 1, "position": 0}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_that_are_copied_ahead_arrive_whole_on_the_gpu() -> None:
    ahead = Ahead(Batches(numbered(1_000), 64, 1), torch.device("cuda:0"))
    for _ in range(3):
        found = list(ahead)
        assert all(tensor.is_cuda for batch in found for tensor in (*batch.inputs, batch.targets))
        assert sorted(rows_of(found)) == list(range(1_000))
        assert all(torch.equal(batch.inputs[0][:, 0], batch.targets) for batch in found)
