"""Images to pixels: files and bytes of every kind, the missing and the broken ones too."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from models.features.encoding import Features, from_json
from models.features.image import ImageEncoder
from tests import modalities


def encoded(image: Image.Image, kind: str, **arguments: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **arguments)
    return buffer.getvalue()


def plain(mode: str = "RGB", colour: Any = (200, 100, 50), size: tuple[int, int] = (30, 20)) -> Image.Image:
    return Image.new(mode, size, colour)


def pixels(*values: Any, size: int = 8, **arguments: Any) -> torch.Tensor:
    (found,) = ImageEncoder(("photo",), size, **arguments).transform(pd.DataFrame({"photo": list(values)})).tensors
    return found


def test_an_image_becomes_a_square_of_bytes() -> None:
    found = pixels(encoded(plain(), "PNG"), encoded(plain(), "JPEG", quality=95))
    assert (found.shape, found.dtype) == ((2, 3, 8, 8), torch.uint8)
    expected = torch.tensor([200, 100, 50]).view(3, 1, 1).expand(3, 8, 8)
    assert torch.equal(found[0].long(), expected)
    assert (found[1].long() - expected).abs().max() <= 3


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (plain("L", 90), "PNG"),
        (plain("RGBA", (200, 100, 50, 128)), "PNG"),
        (plain("RGB").convert("P"), "GIF"),
        (plain("CMYK", (0, 0, 0, 0)), "JPEG"),
        (plain("1", 1), "PNG"),
    ],
)
def test_every_way_to_store_colours_is_taken(image: Image.Image, kind: str) -> None:
    assert pixels(encoded(image, kind)).shape == (1, 3, 8, 8)


def test_an_image_is_turned_as_its_camera_says() -> None:
    image = plain(size=(40, 40), colour=(0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 40, 20))  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    found = pixels(encoded(image, "JPEG", quality=95, exif=exif))[0]
    assert found[:, 1].float().mean() < 20
    assert found[:, 6].float().mean() > 235


def test_a_file_is_the_same_as_its_bytes_and_rows_keep_their_places(tmp_path: Path) -> None:
    contents = [modalities.photo(colour, seed) for seed, colour in enumerate([*modalities.COLOURS] * 10)]
    paths = [tmp_path / f"{place}.png" for place in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert torch.equal(pixels(*map(str, paths)), pixels(*contents))
    assert torch.equal(pixels(*contents)[7:8], pixels(contents[7]))


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_missing_image_is_one_of_the_mean_colour(nothing: Any) -> None:
    found = pixels(encoded(plain(), "PNG"), nothing, mean=(0.4, 0.5, 0.6))
    assert found[1, :, 3, 3].tolist() == [102, 128, 153]
    assert pixels(nothing).shape == (1, 3, 8, 8)


def test_no_rows_are_no_images() -> None:
    assert pixels().shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no/such.png", "no/such.png is no image that can be read"),
        (b"text", "4 bytes is no image that can be read"),
        (b"", "0 bytes is no image that can be read"),
        (encoded(plain(size=(300, 300)), "PNG")[:200], "200 bytes is no image that can be read"),
        (encoded(plain(size=(300, 300)), "JPEG")[:400], "400 bytes is no image that can be read"),
    ],
)
def test_a_broken_image_is_an_error_that_names_the_row(value: str | bytes, said: str) -> None:
    rows = pd.DataFrame({"photo": [encoded(plain(), "PNG"), value]}, index=[10, 11])
    with pytest.raises(ValueError, match=f"column 'photo' in row 11: {said}; mend it, or make it null"):
        ImageEncoder(("photo",), 8).transform(rows)


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="could be decompression bomb"):
        pixels(encoded(plain(size=(30, 20)), "PNG"))


def test_size_and_colours_are_those_of_the_backbone_unless_the_size_is_named(tmp_path: Path) -> None:
    backbone = modalities.image_backbone(tmp_path)
    encoder = Features(images=("photo",), backbone=backbone).fit(modalities.photos(1))
    assert isinstance(encoder, ImageEncoder)
    assert (encoder.size, encoder.mean, encoder.std) == (16, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    assert ImageEncoder.fit(("photo",), 24, backbone).size == 24
    assert ImageEncoder.fit(("photo",)).size == 224
    (tmp_path / "preprocessor_config.json").unlink()
    assert ImageEncoder.fit(("photo",), None, backbone).mean == (0.5, 0.5, 0.5)


def test_an_encoder_comes_back_equal(tmp_path: Path) -> None:
    encoder = Features(images=("photo",), backbone=modalities.image_backbone(tmp_path)).fit(modalities.photos(1))
    back = from_json(encoder.to_json())
    assert back == encoder
    assert json.loads(encoder.to_json())["kind"] == "images"
    assert back.inputs.is_restored  # type: ignore[attr-defined]
    assert Features(images=("photo",)).are_those_of(back)
    assert not Features(images=("photo",), image_size=32).are_those_of(back)
    assert not Features(images=("picture",)).are_those_of(back)


def test_a_column_that_is_gone_is_named() -> None:
    with pytest.raises(ValueError, match="rows have no column 'photo', which this version was trained with"):
        ImageEncoder(("photo",)).transform(pd.DataFrame({"picture": [b""]}))


def test_values_from_an_array_are_read_like_those_from_a_list() -> None:
    rows = modalities.photos(3)
    assert np.array_equal(pixels(*rows["photo"].to_numpy()), pixels(*rows["photo"]))
