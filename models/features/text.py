"""Texts to tokens, by a tokenizer that travels inside the version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from models.data.contract import length_of
from models.networks.backbones import config_of, explained
from models.networks.inputs import Encoded, TextInputs

CHUNK_ROWS = 4_096  # tokenized at once: the tokenizer's own records of a row are much larger than its tokens


@dataclass(frozen=True)
class TextEncoder:
    """Joins the text columns of a row by the tokenizer's separator, and cuts off what is longer than `max_tokens`.

    A missing text is an empty one; put a short column before a long one, whose end is what is cut off.

    Attributes:
        texts: the columns, in order.
        source: the folder or the name on the hub that the tokenizer came from, for people; it is not read again.
        tokenizer: the tokenizer itself, as JSON.
        separator: between two columns.
        padding: id of the token that fills short rows.
        max_tokens: of a row, with the tokens that mark its beginning and end.
        backbone: the configuration of the backbone, as JSON, if the network has one.
        is_restored: whether it was read from a version.
    """

    texts: tuple[str, ...]
    source: str
    tokenizer: str
    separator: str
    padding: int
    max_tokens: int
    backbone: str | None = None
    is_restored: bool = field(default=False, compare=False)

    kind: ClassVar[str] = "texts"
    rows_at_once: ClassVar[int] = 256

    @classmethod
    def fit(cls, texts: Sequence[str], tokenizer: str, max_tokens: int, backbone: str | None = None) -> Self:
        """Take over a tokenizer; nothing is learned from rows.

        Args:
            texts: the columns.
            tokenizer: a folder with tokenizer.json, or a name on the Hugging Face hub.
            max_tokens: of a row.
            backbone: the same of the network's backbone, if it has one.

        Raises:
            ValueError: when there is no such tokenizer or backbone.
            RuntimeError: when the hub cannot be reached.
        """
        from transformers import AutoTokenizer

        with explained(tokenizer):
            loaded = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
        if not loaded.is_fast:
            raise ValueError(f"tokenizer={tokenizer!r} has no tokenizer.json; set data.tokenizer to one that has")
        return cls(
            texts=tuple(texts),
            source=tokenizer,
            tokenizer=loaded.backend_tokenizer.to_str(),
            separator=f" {loaded.sep_token} " if loaded.sep_token else "\n",
            padding=loaded.pad_token_id if loaded.pad_token_id is not None else 0,
            max_tokens=max_tokens,
            backbone=config_of(backbone) if backbone else None,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return self.texts

    @property
    def numbers(self) -> tuple[str, ...]:
        """What is watched of them: how long they are."""
        return tuple(map(length_of, self.texts))

    @property
    def categories(self) -> tuple[str, ...]:
        """None: each text is another."""
        return ()

    @property
    def inputs(self) -> TextInputs:
        """What a network needs to know to be built for these texts."""
        size = self._tokenizer.get_vocab_size(with_added_tokens=True)
        return TextInputs(size, self.max_tokens, self.padding, self.backbone, self.is_restored)

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Tokens, int64 (rows, max_tokens), and which of them are text, bool of the same shape.

        Raises:
            ValueError: when a column is missing.
        """
        if missing := [name for name in self.texts if name not in frame.columns]:
            raise ValueError(
                f"rows have no column {', '.join(map(repr, missing))}, which this version was trained with"
            )
        columns = [frame[name].astype("object").where(frame[name].notna(), "").tolist() for name in self.texts]
        rows = [self.separator.join(map(str, row)) for row in zip(*columns, strict=True)]
        ids = np.full((len(rows), self.max_tokens), self.padding, dtype=np.int64)
        lengths = np.ones(len(rows), dtype=np.int64)  # a row without a token attends to one that fills
        for start in range(0, len(rows), CHUNK_ROWS):
            for place, found in enumerate(self._tokenizer.encode_batch_fast(rows[start : start + CHUNK_ROWS]), start):
                ids[place, : len(found)] = found.ids
                lengths[place] = max(len(found), 1)
        mask = np.arange(self.max_tokens) < lengths[:, None]
        return Encoded((torch.from_numpy(ids), torch.from_numpy(mask)))

    def grown(self, frame: pd.DataFrame) -> TextEncoder:
        """The same: a tokenizer splits a word that it has not seen."""
        return self

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal encoder."""
        content = {name: value for name, value in vars(self).items() if name in self.__dataclass_fields__}
        content.pop("is_restored")
        return json.dumps({"kind": self.kind, **content}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        del content["kind"]
        return cls(**content | {"texts": tuple(content["texts"])}, is_restored=True)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer
