"""Encoders of every kind: what all of them do, which one a project's columns need, and reading any of them back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from models.features.encoder import Encoder
from models.features.image import ImageEncoder
from models.features.text import TextEncoder
from models.networks.inputs import Encoded, Inputs

MAX_TOKENS = 256


class FeatureEncoder(Protocol):
    """From rows to the tensors that a network is called with; saved as JSON beside the weights."""

    @property
    def kind(self) -> str:
        """By which `from_json` knows what to read."""
        ...

    @property
    def rows_at_once(self) -> int:
        """Rows that are encoded and scored at a time, so that memory does not grow with a batch."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        ...

    @property
    def numbers(self) -> Iterable[str]:
        """The number columns by which the features are watched."""
        ...

    @property
    def categories(self) -> Iterable[str]:
        """The category columns by which the features are watched."""
        ...

    @property
    def inputs(self) -> Inputs:
        """What a network needs to know to be built."""
        ...

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Encode rows. Raises `ValueError` when a column is missing."""
        ...

    def grown(self, frame: pd.DataFrame) -> FeatureEncoder:
        """With what is new in `frame`, such as categories, after what was known."""
        ...

    def to_json(self) -> str:
        """As text, from which `from_json` makes an equal encoder."""
        ...


@dataclass(frozen=True)
class Features:
    """The features of a project, and all that an encoder needs to know beside rows.

    Attributes:
        numbers, categories: columns of a table.
        texts: columns of free text.
        images: a column of images.
        tokenizer: of texts, a folder or a name on the Hugging Face hub; by default that of `backbone`.
        max_tokens: of a text.
        image_size: pixels; by default those of `backbone`.
        backbone: of the network, if it has one.
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    tokenizer: str | None = None
    max_tokens: int = MAX_TOKENS
    image_size: int | None = None
    backbone: str | None = None

    def fit(self, frame: pd.DataFrame) -> FeatureEncoder:
        """An encoder for training rows: a frame as `contract.read` returns it.

        Raises:
            ValueError: when the columns are of several kinds, or a tokenizer is not named or not found.
        """
        kinds = [self.numbers + self.categories, self.texts, self.images]
        if sum(map(bool, kinds)) != 1:
            raise ValueError(
                f"features are {sum(map(bool, kinds))} of a table, texts and images; name columns of one kind alone"
            )
        if self.texts:
            if (tokenizer := self.tokenizer or self.backbone) is None:
                raise ValueError("texts need a tokenizer; set data.tokenizer to a folder or a name on the hub")
            return TextEncoder.fit(self.texts, tokenizer, self.max_tokens, self.backbone)
        if self.images:
            return ImageEncoder.fit(self.images, self.image_size, self.backbone)
        return Encoder.fit(frame, self.numbers, self.categories)

    def are_those_of(self, encoder: FeatureEncoder) -> bool:
        """Whether a network that was trained with `encoder` can go on with these features.

        A change of the backbone is one of the network, which has it in its arguments.
        """
        if isinstance(encoder, TextEncoder):
            source = self.tokenizer or self.backbone
            return (encoder.texts, encoder.source, encoder.max_tokens) == (self.texts, source, self.max_tokens)
        if isinstance(encoder, ImageEncoder):
            return encoder.images == self.images and self.image_size in (None, encoder.size)
        return (tuple(encoder.numbers), tuple(encoder.categories)) == (self.numbers, self.categories)


def from_json(text: str) -> FeatureEncoder:
    """Read what the `to_json` of any encoder wrote; one that does not state its kind is of a table.

    Raises:
        ValueError: for a kind that this code does not know.
    """
    kind = json.loads(text).get("kind", "table")
    if kind == "table":
        return Encoder.from_json(text)
    if kind == TextEncoder.kind:
        return TextEncoder.from_json(text)
    if kind == ImageEncoder.kind:
        return ImageEncoder.from_json(text)
    raise ValueError(f"encoder.json is of kind {kind!r}, which this code does not know; use the code that wrote it")
