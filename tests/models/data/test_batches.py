"""Batches: each row once an epoch, in another order each time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.batches import Batches, Labelled
from models.networks.inputs import Encoded


def numbered(num_rows: int) -> Labelled:
    """Rows that carry their own number in every tensor."""
    rows = torch.arange(num_rows)
    return Labelled(Encoded(rows[:, None].float().repeat(1, 2), rows[:, None].repeat(1, 3)), rows.float())


def epoch(batches: Batches) -> list[int]:
    return [int(label) for _, _, labels in batches for label in labels]


@given(num_rows=st.integers(1, 200), batch_size=st.integers(1, 70), seed=st.one_of(st.none(), st.integers(0, 9)))
@settings(deadline=None, max_examples=60)
def test_each_row_comes_once_an_epoch_whole_and_the_last_batch_is_the_rest(
    num_rows: int, batch_size: int, seed: int | None
) -> None:
    batches = Batches(numbered(num_rows), batch_size, seed)
    for _ in range(2):
        found = list(batches)
        sizes = [len(labels) for _, _, labels in found]
        assert len(sizes) == len(batches)
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sizes[-1] == (num_rows - 1) % batch_size + 1
        assert sorted(int(label) for _, _, labels in found for label in labels) == list(range(num_rows))
        for numbers, categories, labels in found:
            assert torch.equal(numbers, labels[:, None].expand_as(numbers))
            assert torch.equal(categories, labels.long()[:, None].expand_as(categories))


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
