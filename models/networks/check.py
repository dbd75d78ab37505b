"""What every network must do to be trained, saved and served, tried on made-up rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import lightning as L
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models.data.batches import Batch
from models.networks.inputs import Encoded, ImageInputs, Inputs, TableInputs, TextInputs
from models.training.objectives import objective

NUM_ROWS = 32
TOLERANCE = 1e-4  # of the largest output: sums are added in another order when other rows are in the batch
Build = Callable[[Inputs], nn.Module]


def check_network(build: Build, inputs: Inputs, name: str, outputs: Sequence[int] = (1, 3)) -> None:
    """Refuse a network that breaks the contract.

    It is built for the inputs and any number of outputs. It returns finite floats of shape (rows,) or (rows, members)
    for one output, and (rows, outputs) or (rows, members, outputs) for several. Each weight that wants a gradient gets
    one. In eval mode a row's outputs depend on nothing but the row. Weights that are saved and loaded into a network
    built anew give the same outputs, so that nothing is kept elsewhere. A LightningModule also has a `training_step`
    that returns a loss, and a `configure_optimizers` that Lightning takes.

    Args:
        build: makes the network.
        inputs: what it is made for; `num_outputs` is set here.
        name: as messages should call it, such as its class_path.
        outputs: with which it is tried: 1 for binary labels and regression, several for classes.

    Raises:
        ValueError: saying what it did, and what was expected.
    """
    for number in outputs:
        with torch.random.fork_rng():
            _check(build, inputs.for_outputs(number), f"{name} with {number} output{'s' * (number > 1)}")


def example(inputs: Inputs, num_rows: int = NUM_ROWS) -> Encoded:
    """Random rows for these inputs. Raises `ValueError` for inputs of a kind that is not ours."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(inputs, TableInputs):
        numbers = torch.randn(num_rows, inputs.num_numbers, generator=generator).clamp(-4, 4)
        columns = [torch.randint(0, size, (num_rows,), generator=generator) for size in inputs.cardinalities]
        return Encoded((numbers, torch.stack(columns, dim=1) if columns else torch.zeros(num_rows, 0).long()))
    if isinstance(inputs, TextInputs):
        shape = (num_rows, inputs.max_tokens)
        lengths = torch.randint(1, inputs.max_tokens + 1, (num_rows, 1), generator=generator)
        is_text = torch.arange(inputs.max_tokens) < lengths
        tokens = torch.randint(0, inputs.vocabulary, shape, generator=generator)
        return Encoded((torch.where(is_text, tokens, inputs.padding), is_text))
    if isinstance(inputs, ImageInputs):
        images = torch.randint(0, 256, (num_rows, 3, inputs.size, inputs.size), generator=generator)
        return Encoded((images.to(torch.uint8),))
    raise ValueError(
        f"there are no made-up rows for {type(inputs).__name__}; give TableInputs, TextInputs or ImageInputs"
    )


def _check(build: Build, inputs: Inputs, name: str) -> None:
    rows = example(inputs)
    network = _built(build, inputs, name, seed=0)
    before = [tensor.clone() for tensor in rows.tensors]
    outputs = _outputs(network, rows, inputs, name)
    if not all(torch.equal(tensor, was) for tensor, was in zip(rows.tensors, before, strict=True)):
        raise ValueError(f"{name} changes the tensors that it is called with; work on copies")
    _check_rows(network, rows, outputs, inputs, name)
    _check_weights(build, network, rows, outputs, inputs, name)
    _check_training(network, rows, inputs, name)


def _built(build: Build, inputs: Inputs, name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    with _said(f"{name} cannot be built for {type(inputs).__name__}"):
        network = build(inputs)
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} is a {type(network).__name__}, expected a torch.nn.Module")
    if not any(weight.requires_grad for weight in network.parameters()):
        raise ValueError(f"{name} has no weight that wants a gradient; there is nothing to train")
    return network


def _outputs(network: nn.Module, rows: Encoded, inputs: Inputs, name: str) -> Tensor:
    """In eval mode, checked."""
    called = ", ".join(f"{str(each.dtype).removeprefix('torch.')} {tuple(each.shape)}" for each in rows.tensors)
    with torch.no_grad(), _said(f"{name} cannot be called with {called}"):
        found = network.eval()(*rows.tensors)
    several = (inputs.num_outputs,) if inputs.num_outputs > 1 else ()
    shapes = [(len(rows), *several), (len(rows), "members", *several)]
    expected = " or ".join(f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})" for shape in shapes)
    if not isinstance(found, Tensor) or not found.is_floating_point():
        what = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{name} returned {what}, expected a tensor of floats of shape {expected}")
    rank = found.ndim - len(several)
    if rank not in (1, 2) or len(found) != len(rows) or tuple(found.shape[rank:]) != several:
        raise ValueError(f"{name} returned the shape {tuple(found.shape)} for {len(rows)} rows, expected {expected}")
    if not torch.isfinite(found).all():
        raise ValueError(f"{name} returned {int((~torch.isfinite(found)).sum())} outputs that are not finite")
    return found


def _check_rows(network: nn.Module, rows: Encoded, outputs: Tensor, inputs: Inputs, name: str) -> None:
    backwards = torch.arange(len(rows) - 1, -1, -1)
    looks = {
        "a second time": torch.arange(len(rows)),
        "in the opposite order": backwards,
        "alone": torch.tensor([5]),
        "with one other row": torch.tensor([5, 0]),
    }
    for how, places in looks.items():
        again = _outputs(network, rows.take(places), inputs, name)
        off = float((again - outputs[places]).abs().max())
        if off > TOLERANCE * max(1.0, float(outputs.abs().max())):
            raise ValueError(
                f"{name} gives a row another output {how}: it differs by {off:.3g}; in eval mode a row's outputs must "
                "depend on nothing but the row"
            )


def _check_weights(build: Build, network: nn.Module, rows: Encoded, outputs: Tensor, inputs: Inputs, name: str) -> None:
    weights = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
    other = _built(build, inputs, name, seed=1)
    with _said(f"{name} does not take back its own weights"):
        other.load_state_dict(safetensors.torch.load(safetensors.torch.save(weights)))
    if not torch.equal(_outputs(other, rows, inputs, name), outputs):
        raise ValueError(
            f"{name} gives other outputs after its weights were saved and loaded; register everything that they depend "
            "on as a parameter or a buffer"
        )


def _check_training(network: nn.Module, rows: Encoded, inputs: Inputs, name: str) -> None:
    several = inputs.num_outputs > 1
    targets = torch.arange(len(rows)) % max(inputs.num_outputs, 2)
    batch = Batch(rows.tensors, targets if several else targets.float())
    network.train()
    if isinstance(network, L.LightningModule):
        with warnings.catch_warnings(), _said(f"{name} cannot do training_step(batch, 0)"):
            warnings.simplefilter("ignore")  # that it has no Trainer, to which it could log
            found = network.training_step(batch, 0)
        loss = found.get("loss") if isinstance(found, dict) else found
        _check_optimizers(network, name)
    else:
        with _said(f"{name} cannot be called in training mode"):
            loss = objective("multiclass" if several else "binary").loss(network(*batch.inputs), batch.targets)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad or not bool(torch.isfinite(loss)):
        raise ValueError(f"{name}: training_step returned {loss!r}, expected a finite scalar tensor with a gradient")
    loss.backward()
    for key, weight in network.named_parameters():
        if weight.requires_grad and (weight.grad is None or not torch.isfinite(weight.grad).all()):
            what = "no gradient" if weight.grad is None else "a gradient that is not finite"
            raise ValueError(
                f"{name}: {what} reaches {key}; use it in forward, or take it out with requires_grad_(False)"
            )


def _check_optimizers(network: L.LightningModule, name: str) -> None:
    with _said(f"{name} cannot do configure_optimizers()"):
        found = network.configure_optimizers()
    if isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, list) for part in found):
        found = found[0]  # optimizers and schedulers
    each = found if isinstance(found, list | tuple) else [found]
    optimizers = [part.get("optimizer") if isinstance(part, dict) else part for part in each]
    if not optimizers or not all(isinstance(part, Optimizer) for part in optimizers):
        raise ValueError(
            f"{name}: configure_optimizers returned {found!r}, expected an optimizer, a list of them, or a dict with "
            "the key optimizer"
        )
    if network.automatic_optimization and len(optimizers) > 1:
        raise ValueError(
            f"{name}: configure_optimizers returned {len(optimizers)} optimizers, expected one; Lightning takes "
            "several only with automatic_optimization = False"
        )


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Whatever a user's class may raise, with what it was asked to do."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what}: {error!r}") from error
