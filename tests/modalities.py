"""Tiny random backbones with a tokenizer, as folders on disk, and rows of texts and images with a simple rule."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, ConvNextConfig, ConvNextModel, ViTConfig, ViTModel

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
GOOD = ("fine", "great", "lovely", "works")
BAD = ("broken", "late", "awful", "refund")
PLAIN = ("the", "parcel", "came", "and", "it", "was", "today", "shop", "box", "colour")
VOCABULARY = (*SPECIAL, *GOOD, *BAD, *PLAIN, *"abcdefghijklmnopqrstuvwxyz", *(f"##{each}" for each in "etaoinsrh"))
COLOURS = {"red": (200, 60, 60), "green": (60, 180, 60), "blue": (60, 60, 200)}


def text_backbone(folder: Path, max_length: int = 64) -> str:
    """A BERT of 16 units with random weights, and its WordPiece tokenizer; returns the folder."""
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=max_length,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece({token: place for place, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length} | names)
    )
    return str(folder)


def image_backbone(folder: Path, kind: str = "vit") -> str:
    """A ViT or a ConvNeXt of 16 units and 16 pixels with random weights; returns the folder."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if kind == "vit":
            sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
            ViTModel(ViTConfig(image_size=16, patch_size=8, **sizes)).save_pretrained(folder)
        else:
            shape = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 2}
            ConvNextModel(ConvNextConfig(image_size=16, **shape)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]})
    )
    return str(folder)


def reviews(num_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Texts that are complaints (label 1) when they have more bad words than good ones."""
    random = np.random.default_rng(seed)
    is_bad = random.uniform(size=num_rows) < 0.5
    bodies = []
    for bad in is_bad:
        words = [*random.choice(PLAIN, random.integers(2, 12)), random.choice(BAD if bad else GOOD)]
        bodies.append(" ".join(random.permutation(words)))
    titles = random.choice(["my order", "hello", None], num_rows)
    return pd.DataFrame({"title": titles, "body": bodies, "label": is_bad.astype(float)})


def photo(colour: str, seed: int, size: int = 20) -> bytes:
    """A noisy PNG of one colour."""
    noise = np.random.default_rng(seed).normal(0, 40, (size, size, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def photos(num_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Images as bytes, and their colour as the label."""
    colours = np.random.default_rng(seed).choice(list(COLOURS), num_rows)
    images = [photo(colour, seed * 1_000_003 + row) for row, colour in enumerate(colours)]
    return pd.DataFrame({"photo": images, "label": colours})
