"""Backbones of `transformers`: their configuration as JSON, and their weights by a folder or a name on the hub.

A version is built again from the configuration that it holds and from its own weights: it needs neither folder nor hub.
Weights are read from safetensors alone and no code of a repository is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def config_of(backbone: str) -> str:
    """The configuration of a backbone as JSON, with every default written out: those of a later release may differ.

    Raises as `build_backbone` does.
    """
    from transformers import AutoConfig

    with explained(backbone):
        content = AutoConfig.from_pretrained(backbone, trust_remote_code=False).to_dict()
    content.pop("_name_or_path", None)  # where it lay says nothing about what it is
    return json.dumps(content, sort_keys=True)


def build_backbone(backbone: str, config: str | None, is_pretrained: bool) -> tuple[nn.Module, frozenset[str]]:
    """A backbone in float32, and the names of its weights that were looked for and are not in the checkpoint.

    Args:
        backbone: a folder with config.json and model.safetensors, or a name on the hub.
        config: what `config_of` gave; weights then come later, from a version, and nothing is read from `backbone`.
        is_pretrained: whether the weights of `backbone` are loaded, or random ones of its shape made.

    Raises:
        ValueError: when there is no such backbone, or it cannot encode by itself.
        RuntimeError: when the hub cannot be reached.
    """
    from transformers import AutoConfig, AutoModel

    missing = frozenset[str]()
    if config is None and is_pretrained:
        with explained(backbone), _without_bars():
            network, found = AutoModel.from_pretrained(
                backbone, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
        missing = frozenset(found["missing_keys"])
    else:
        content = json.loads(config or config_of(backbone))
        made = AutoConfig.for_model(content.pop("model_type"), **content)
        network = AutoModel.from_config(made, dtype=torch.float32, trust_remote_code=False)
    if network.config.is_encoder_decoder:
        raise ValueError(
            f"backbone={backbone!r} is a {network.config.model_type}, which has a decoder; name an encoder such as BERT"
        )
    return network, missing


def settle_weights(network: nn.Module, outputs: Callable[[], Tensor]) -> set[str]:
    """Weights that no output depends on, such as those of a pooler, want no gradient: several devices wait for one.

    Returns the names of those that an output does depend on.
    """
    was_training = network.training
    network.eval()
    with torch.enable_grad():
        outputs().sum().backward()
    network.train(was_training)
    used = {name for name, weight in network.named_parameters() if weight.grad is not None}
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in used)
        weight.grad = None
    return used


def require_weights(backbone: str, missing: frozenset[str], used: set[str]) -> None:
    """Raise `ValueError` when weights that matter were not in the checkpoint, and are random."""
    made_up = sorted(f"backbone.{name}" for name in missing)
    if lost := [name for name in made_up if name in used]:
        raise ValueError(
            f"the checkpoint of backbone={backbone!r} lacks {len(lost)} weights that are needed, first {lost[0]}; name "
            "another, or set training.network.init_args.is_pretrained to false to begin with random ones"
        )


@contextmanager
def explained(backbone: str) -> Iterator[None]:
    """Errors of `transformers` about what a name or a folder holds, as ours."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        yield
    except (OSError, ValueError) as error:
        if any(isinstance(each, LocalEntryNotFoundError) for each in _causes(error)):
            raise RuntimeError(
                f"{backbone!r} is no folder here, and the Hugging Face hub cannot be reached or is switched off; "
                "try again, or name a folder"
            ) from error
        what = "holds no model that can be read" if Path(backbone).is_dir() else "is neither a folder nor on the hub"
        raise ValueError(
            f"{backbone!r} {what}; set training.network.init_args.backbone or data.tokenizer to a folder with "
            f"config.json, model.safetensors and tokenizer.json, or to a name on the Hugging Face hub ({error})"
        ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _without_bars() -> Iterator[None]:
    from transformers.utils import logging

    is_shown: Any = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if is_shown:
            logging.enable_progress_bar()
