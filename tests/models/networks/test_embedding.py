"""An embedding whose gradient is a product of matrices gives the vectors and the gradient of torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks.embedding import MOST_PAIRS, Embedding, _Lookup

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def gradient_of(weight: Tensor, found: Tensor, upstream: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(found, weight, upstream)
    return gradient


@given(st.data(), st.integers(1, 9), st.integers(1, 5), st.integers(0, 40))
def test_vectors_and_gradients_are_those_of_torch(data: st.DataObject, categories: int, size: int, rows: int) -> None:
    places = torch.tensor(data.draw(st.lists(st.integers(0, categories - 1), min_size=rows, max_size=rows))).long()
    weight = torch.randn(categories, size, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(rows, size, dtype=torch.float64)
    mine, theirs = _Lookup.apply(weight, places), nn.functional.embedding(places, weight)
    assert torch.equal(mine, theirs)
    torch.testing.assert_close(gradient_of(weight, mine, upstream), gradient_of(weight, theirs, upstream))


def test_on_a_cpu_it_is_the_one_of_torch() -> None:
    torch.manual_seed(0)
    mine = Embedding(7, 3)
    torch.manual_seed(0)
    theirs = nn.Embedding(7, 3)
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(mine.weight, theirs.weight)
    found = mine(torch.tensor([2, 6, 2]))
    assert found.grad_fn is not None
    assert found.grad_fn.name() == "EmbeddingBackward0"


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("num_categories", [2, 107, 9_000])
def test_on_a_gpu_the_gradient_is_the_same_each_time_and_that_of_torch(num_categories: int) -> None:
    device, rows = torch.device("cuda:0"), 4_000
    mine = Embedding(num_categories, 16).to(device)
    assert (num_categories * rows <= MOST_PAIRS) == (num_categories < 5_000)
    places = torch.randint(num_categories, (rows, 3), device=device)[:, 1]
    upstream = torch.randn(rows, 16, device=device)
    with torch.autocast("cuda", torch.bfloat16):
        gradients = [gradient_of(mine.weight, mine(places), upstream) for _ in range(3)]
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
    found = nn.functional.embedding(places, mine.weight)
    torch.testing.assert_close(gradients[0], gradient_of(mine.weight, found, upstream), rtol=1e-4, atol=1e-4)
