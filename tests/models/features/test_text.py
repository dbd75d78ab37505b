"""Texts to tokens: what a network is called with, and what travels inside a version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.features.encoding import Features, from_json
from models.features.text import TextEncoder
from tests import modalities

CLS, SEP, PAD, UNK = 2, 3, 0, 1


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return modalities.text_backbone(tmp_path_factory.mktemp("backbone"))


def token(word: str) -> int:
    return modalities.VOCABULARY.index(word)


def fitted(backbone: str, *texts: str, max_tokens: int = 12) -> TextEncoder:
    return TextEncoder.fit(texts or ("body",), backbone, max_tokens, backbone)


def test_a_text_is_cut_into_tokens_and_filled_up(backbone: str) -> None:
    ids, mask = fitted(backbone).transform(pd.DataFrame({"body": ["The parcel came late"]})).tensors
    words = [token(word) for word in ("the", "parcel", "came", "late")]
    assert ids.tolist() == [[CLS, *words, SEP, *[PAD] * 6]]
    assert mask.tolist() == [[True] * 6 + [False] * 6]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_columns_are_joined_in_order_by_the_separator_and_a_missing_one_is_empty(backbone: str) -> None:
    rows = pd.DataFrame({"body": ["box", None, float("nan")], "title": ["fine", "fine", None]})
    ids, mask = fitted(backbone, "title", "body").transform(rows).tensors
    assert ids[:, :5].tolist() == [
        [CLS, token("fine"), SEP, token("box"), SEP],
        [CLS, token("fine"), SEP, SEP, PAD],
        [CLS, SEP, SEP, PAD, PAD],
    ]
    assert mask.sum(dim=1).tolist() == [5, 4, 3]


def test_a_long_text_loses_its_end_and_keeps_the_token_that_closes_it(backbone: str) -> None:
    ids, mask = fitted(backbone, max_tokens=6).transform(pd.DataFrame({"body": ["box " * 100]})).tensors
    assert ids.tolist() == [[CLS, *[token("box")] * 4, SEP]]
    assert mask.all()


def test_a_word_that_was_never_seen_is_an_error_of_nobody(backbone: str) -> None:
    ids, _ = fitted(backbone).transform(pd.DataFrame({"body": ["дом"]})).tensors
    assert UNK in ids[0]


def test_rows_do_not_depend_on_one_another_and_none_are_taken(backbone: str) -> None:
    encoder, rows = fitted(backbone, "title", "body"), modalities.reviews(50)
    together = encoder.transform(rows)
    for place in (0, 17, 49):
        alone = encoder.transform(rows.iloc[place : place + 1])
        assert all(torch.equal(a[0], b[place]) for a, b in zip(alone.tensors, together.tensors, strict=True))
    assert [tensor.shape for tensor in encoder.transform(rows.iloc[:0]).tensors] == [(0, 12), (0, 12)]


def test_a_row_without_any_token_attends_to_something(backbone: str, tmp_path: Path) -> None:
    shutil.copytree(backbone, tmp_path / "bare")
    content = json.loads((tmp_path / "bare" / "tokenizer.json").read_text())
    content["post_processor"] = None
    (tmp_path / "bare" / "tokenizer.json").write_text(json.dumps(content))
    _, mask = fitted(str(tmp_path / "bare")).transform(pd.DataFrame({"body": [""]})).tensors
    assert mask.sum() == 1


def test_an_encoder_comes_back_equal_without_the_folder_that_it_was_made_from(backbone: str, tmp_path: Path) -> None:
    shutil.copytree(backbone, tmp_path / "gone")
    encoder, rows = fitted(str(tmp_path / "gone"), "title", "body"), modalities.reviews(20)
    shutil.rmtree(tmp_path / "gone")
    back = from_json(encoder.to_json())
    assert back == encoder
    assert json.loads(encoder.to_json())["kind"] == "texts"
    assert torch.equal(back.transform(rows).tensors[0], encoder.transform(rows).tensors[0])
    assert back.to_json() == encoder.to_json()
    assert (encoder.inputs.is_restored, back.inputs.is_restored) == (False, True)  # type: ignore[attr-defined]


def test_where_a_backbone_lay_is_not_part_of_what_it_is(backbone: str, tmp_path: Path) -> None:
    shutil.copytree(backbone, tmp_path / "copy")
    assert fitted(str(tmp_path / "copy")).backbone == fitted(backbone).backbone


def test_using_an_encoder_does_not_change_what_is_saved(backbone: str) -> None:
    encoder = fitted(backbone)
    before = encoder.to_json()
    encoder.transform(modalities.reviews(5))
    assert encoder.to_json() == before


def test_a_column_that_is_gone_is_named(backbone: str) -> None:
    with pytest.raises(ValueError, match="rows have no column 'title', which this version was trained with"):
        fitted(backbone, "title", "body").transform(modalities.reviews(3).drop(columns="title"))


def test_more_rows_than_are_tokenized_at_once_keep_their_places(backbone: str) -> None:
    rows = pd.DataFrame({"body": ["box"] * 5_000})
    rows.loc[4_500, "body"] = "late"
    ids = fitted(backbone).transform(rows).tensors[0][:, 1].numpy()
    assert np.flatnonzero(ids == token("late")).tolist() == [4_500]


def test_a_tokenizer_that_cannot_be_had_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        RuntimeError, match="'some/model' is no folder here, and the Hugging Face hub cannot be reached"
    ):
        fitted("some/model")
    with pytest.raises(ValueError, match="is neither a folder nor on the hub; set training"):
        fitted("./no/such/folder")
    with pytest.raises(ValueError, match="holds no model that can be read"):
        fitted(str(tmp_path))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (Features(), "features are 0 of a table, texts and images"),
        (Features(numbers=("age",), texts=("body",)), "features are 2 of a table, texts and images"),
        (Features(texts=("body",)), "texts need a tokenizer; set data.tokenizer"),
    ],
)
def test_features_that_have_no_encoder_are_refused(features: Features, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features.fit(modalities.reviews(3))


def test_features_know_whether_a_network_can_go_on_with_them(backbone: str) -> None:
    features = Features(texts=("title", "body"), backbone=backbone, max_tokens=12)
    encoder = from_json(features.fit(modalities.reviews(3)).to_json())
    assert features.are_those_of(encoder)
    assert not Features(texts=("body", "title"), backbone=backbone, max_tokens=12).are_those_of(encoder)
    assert not Features(texts=("title", "body"), backbone=backbone, max_tokens=13).are_those_of(encoder)
    assert not Features(texts=("title", "body"), tokenizer="other", max_tokens=12).are_those_of(encoder)
    assert not Features(numbers=("age",)).are_those_of(encoder)
    table = Features(numbers=("age",)).fit(pd.DataFrame({"age": [1.0, 2.0]}))
    assert Features(numbers=("age",)).are_those_of(table)
    assert not features.are_those_of(table)


def test_an_encoder_without_a_kind_is_of_a_table_and_an_unknown_kind_is_refused() -> None:
    table = Features(numbers=("age",)).fit(pd.DataFrame({"age": [1.0, 2.0]}))
    content = json.loads(table.to_json())
    assert content.pop("kind") == "table"
    assert from_json(json.dumps(content)) == table == from_json(table.to_json())
    with pytest.raises(ValueError, match="of kind 'sounds', which this code does not know"):
        from_json(json.dumps({"kind": "sounds"}))
