"""Texts: a backbone of `transformers`, the mean of its tokens, and a linear head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.networks.backbones import build_backbone, require_weights, settle_weights
from models.networks.inputs import TextInputs

LENGTH_STEP = 16  # a batch is cut to a multiple of it: few lengths, so that a compiled network is compiled few times


class TextClassifier(nn.Module):
    """Logits of a binary label or of classes, or a value, for each text.

    Args:
        inputs: what the encoder knows about the texts.
        backbone: a folder with config.json and model.safetensors, or a name on the Hugging Face hub, of a model that
            `transformers.AutoModel` loads and that encodes by itself.
        is_pretrained: whether training begins with the weights of `backbone`, or with random ones of its shape.
        is_frozen: whether only the head is trained.
        dropout: before the head.
    """

    def __init__(
        self,
        inputs: TextInputs,
        backbone: str,
        is_pretrained: bool = True,
        is_frozen: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not isinstance(inputs, TextInputs):
            raise ValueError(
                f"{type(self).__name__} takes texts, not {type(inputs).__name__}; name columns in data.texts"
            )
        self.is_frozen = False
        self.backbone, missing = build_backbone(
            backbone, inputs.backbone if inputs.is_restored else None, is_pretrained
        )
        config: Any = self.backbone.config
        if inputs.vocabulary > (known := config.vocab_size):
            raise ValueError(
                f"the tokenizer has {inputs.vocabulary} tokens and backbone={backbone!r} knows {known}; "
                "set data.tokenizer to the one that belongs to it"
            )
        ids = torch.full((1, inputs.max_tokens), int(inputs.padding == 0))  # any token but the one that fills
        mask = torch.ones_like(ids, dtype=torch.bool)
        try:
            size = self._pooled(ids, mask).shape[1]
        except (IndexError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"backbone={backbone!r} takes no rows of {inputs.max_tokens} tokens; lower data.max_tokens ({error})"
            ) from error
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, inputs.num_outputs))
        require_weights(backbone, missing, settle_weights(self, lambda: self(ids, mask)))
        self.is_frozen = is_frozen
        if is_frozen:
            self.backbone.requires_grad_(False).eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Tokens, int64 (rows, tokens), and which of them are text, bool, to outputs (rows,) or (rows, outputs)."""
        # Rows are padded to the longest that may come; the longest of this batch is enough.
        longest = int(attention_mask.sum(dim=1).max()) if len(attention_mask) else 1
        length = min(-(-longest // LENGTH_STEP) * LENGTH_STEP, attention_mask.shape[1])
        outputs: Tensor = self.head(self._pooled(input_ids[:, :length], attention_mask[:, :length]))
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs

    def train(self, mode: bool = True) -> TextClassifier:
        """As torch does it, but a frozen backbone has no dropout."""
        super().train(mode)
        if self.is_frozen:
            self.backbone.eval()
        return self

    def _pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            tokens = self.backbone(input_ids=input_ids, attention_mask=attention_mask.long()).last_hidden_state
        weights = attention_mask[..., None].to(tokens.dtype)
        return (tokens * weights).sum(dim=1) / weights.sum(dim=1)
