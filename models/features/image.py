"""Images to pixels: files or bytes, decoded by Pillow, as squares of one size."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps

from models.data.contract import length_of
from models.networks.backbones import config_of
from models.networks.inputs import Encoded, ImageInputs

SIZE = 224  # pixels, where a backbone does not say
HALF = (0.5, 0.5, 0.5)
MAX_THREADS = 8


@dataclass(frozen=True)
class ImageEncoder:
    """Decodes an image, turns it as its camera says, and scales it to a square.

    A missing image is one of the mean colour, which a network can learn from. A file that is gone or cannot be decoded
    is an error that names the row: a score of it would be the score of nothing.

    Attributes:
        images: the column, whose values are paths from the working directory, or bytes.
        size: pixels, height and width.
        mean, std: of each colour, from 0 to 1: what the network subtracts, and divides by.
        backbone: the configuration of the backbone, as JSON, if the network has one.
        is_restored: whether it was read from a version.
    """

    images: tuple[str, ...]
    size: int = SIZE
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF
    backbone: str | None = None
    is_restored: bool = field(default=False, compare=False)

    kind: ClassVar[str] = "images"
    rows_at_once: ClassVar[int] = 128

    @classmethod
    def fit(cls, images: Sequence[str], size: int | None = None, backbone: str | None = None) -> Self:
        """Size, mean and spread as the backbone expects them; nothing is learned from rows.

        Args:
            images: the column.
            size: pixels; by default those of the backbone, or 224.
            backbone: a folder, or a name on the Hugging Face hub, if the network has one.

        Raises:
            ValueError: when there is no such backbone.
            RuntimeError: when the hub cannot be reached.
        """
        config = config_of(backbone) if backbone else None
        expected = json.loads(config).get("image_size") if config else None
        colours = _colours(backbone) if backbone else {}
        return cls(
            images=tuple(images),
            size=size or (expected if isinstance(expected, int) else SIZE),
            mean=_three(colours.get("image_mean", HALF)),
            std=_three(colours.get("image_std", HALF)),
            backbone=config,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return self.images

    @property
    def numbers(self) -> tuple[str, ...]:
        """What is watched of them: how many bytes they have, or whether there is one at all."""
        return tuple(map(length_of, self.images))

    @property
    def categories(self) -> tuple[str, ...]:
        """None: each image is another."""
        return ()

    @property
    def inputs(self) -> ImageInputs:
        """What a network needs to know to be built for these images."""
        return ImageInputs(self.size, self.mean, self.std, self.backbone, self.is_restored)

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Pixels, uint8 (rows, 3, size, size).

        Raises:
            ValueError: when the column is missing, or an image cannot be read.
        """
        (name,) = self.images
        if name not in frame.columns:
            raise ValueError(f"rows have no column {name!r}, which this version was trained with")
        pixels = np.empty((len(frame), 3, self.size, self.size), dtype=np.uint8)
        pixels[:] = np.round(np.array(self.mean) * 255).astype(np.uint8)[:, None, None]
        places = np.flatnonzero(frame[name].notna())
        values, rows = frame[name].tolist(), frame.index.tolist()

        def put(place: int) -> None:
            try:
                pixels[place] = _decoded(values[place], self.size)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                what = values[place] if isinstance(values[place], str) else f"{len(values[place])} bytes"
                raise ValueError(
                    f"column {name!r} in row {rows[place]}: {what} is no image that can be read; mend it, or make it "
                    f"null, which stands for a missing image ({error})"
                ) from error

        with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
            for _ in pool.map(put, places.tolist()):
                pass
        return Encoded((torch.from_numpy(pixels),))

    def grown(self, frame: pd.DataFrame) -> ImageEncoder:
        """The same: there is no vocabulary that could grow."""
        return self

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal encoder."""
        content = {name: getattr(self, name) for name in ("images", "size", "mean", "std", "backbone")}
        return json.dumps({"kind": self.kind, **content}, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        return cls(
            images=tuple(content["images"]),
            size=content["size"],
            mean=_three(content["mean"]),
            std=_three(content["std"]),
            backbone=content["backbone"],
            is_restored=True,
        )


def _decoded(value: str | bytes, size: int) -> np.ndarray:
    with Image.open(io.BytesIO(value) if isinstance(value, bytes) else Path(value)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(upright.resize((size, size), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def _colours(backbone: str) -> dict[str, Any]:
    """What preprocessor_config.json of a backbone says, if there is one."""
    from transformers.utils import cached_file

    path = cached_file(
        backbone,
        "preprocessor_config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    content = json.loads(Path(path).read_text()) if path else {}
    return content if isinstance(content, dict) else {}


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
