"""The encoder: what it learns, and that no row makes it fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features.encoder import CLIP, MIN_CATEGORY_ROWS, Encoder
from models.networks.inputs import Encoded

NUMBERS, CATEGORIES = ("distance", "seats"), ("carrier", "origin")
number = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, np.nan, 1e308, -1e308]))
category = st.one_of(st.none(), st.sampled_from(["UA", "B6", ""]), st.text(max_size=3))


@st.composite
def frames(draw: st.DrawFn, min_rows: int = 0) -> pd.DataFrame:
    """Frames as the contract returns them, but for infinities, with whatever there can be in them."""
    num_rows = draw(st.integers(min_rows, 30))
    columns: dict[str, pd.Series] = {}
    for name in NUMBERS:
        columns[name] = pd.Series(draw(st.lists(number, min_size=num_rows, max_size=num_rows)), dtype="float64")
    for name in CATEGORIES:
        columns[name] = pd.Series(draw(st.lists(category, min_size=num_rows, max_size=num_rows)), dtype="object")
    return pd.DataFrame(columns)


def plain(num_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "distance": generator.normal(1_000, 300, num_rows),
            "seats": generator.integers(50, 300, num_rows).astype(float),
            "carrier": generator.choice(["UA", "B6", "AA"], num_rows),
            "origin": generator.choice(["JFK", "LGA"], num_rows),
        }
    )


def assert_sound(encoder: Encoder, encoded: Encoded, num_rows: int) -> None:
    """Finite, within the clip, and within the vocabularies that a network is built for."""
    assert encoded.tensors[0].shape == (num_rows, encoder.inputs.num_numbers)
    assert encoded.tensors[0].dtype == torch.float32
    assert torch.isfinite(encoded.tensors[0]).all()
    assert (encoded.tensors[0].abs() <= CLIP).all()
    assert encoded.tensors[1].shape == (num_rows, len(encoder.inputs.cardinalities))
    assert encoded.tensors[1].dtype == torch.int64
    assert (encoded.tensors[1] >= 0).all()
    assert (encoded.tensors[1] < torch.tensor(encoder.inputs.cardinalities)).all()


def equal(one: Encoded, other: Encoded) -> bool:
    return torch.equal(one.tensors[0], other.tensors[0]) and torch.equal(one.tensors[1], other.tensors[1])


@given(train=frames(), current=frames())
@settings(deadline=None, max_examples=150)
def test_no_row_makes_it_fail_and_json_gives_back_an_equal_encoder(train: pd.DataFrame, current: pd.DataFrame) -> None:
    encoder = Encoder.fit(train, NUMBERS, CATEGORIES)
    encoded = encoder.transform(current)
    assert_sound(encoder, encoded, len(current))
    assert_sound(encoder, encoder.transform(train), len(train))
    again = Encoder.from_json(encoder.to_json())
    assert again == encoder
    assert again.inputs == encoder.inputs
    assert equal(again.transform(current), encoded)


@given(train=frames(min_rows=1))
@settings(deadline=None, max_examples=60)
def test_bins_are_increasing_edges_within_the_clip(train: pd.DataFrame) -> None:
    for edges in Encoder.fit(train, NUMBERS, CATEGORIES).inputs.bins:
        assert len(edges) > 2
        assert list(edges) == sorted(set(edges))
        assert -CLIP <= edges[0] < edges[-1] <= CLIP


@given(seed=st.integers(0, 1_000))
@settings(deadline=None, max_examples=20)
def test_a_row_is_encoded_the_same_whatever_stands_beside_it(seed: int) -> None:
    encoder, frame = Encoder.fit(plain(), NUMBERS, CATEGORIES), plain(50, seed)
    order = np.random.default_rng(seed).permutation(50)
    together, shuffled = encoder.transform(frame), encoder.transform(frame.iloc[order])
    assert torch.equal(together.tensors[0][order], shuffled.tensors[0])
    assert torch.equal(together.tensors[1][order], shuffled.tensors[1])


@given(exponent=st.integers(-12, 12))
@settings(deadline=None, max_examples=25)
def test_the_unit_of_a_column_does_not_matter(exponent: int) -> None:
    train, factor = plain(), 10.0**exponent
    straight = Encoder.fit(train, NUMBERS, CATEGORIES).transform(train)
    scaled = train.assign(distance=train["distance"] * factor)
    encoded = Encoder.fit(scaled, NUMBERS, CATEGORIES).transform(scaled)
    assert torch.allclose(encoded.tensors[0], straight.tensors[0], atol=1e-5)


def test_training_rows_come_out_with_mean_zero_and_spread_one() -> None:
    numbers = Encoder.fit(plain(), NUMBERS, CATEGORIES).transform(plain()).tensors[0]
    assert torch.allclose(numbers.mean(dim=0), torch.zeros(2), atol=1e-2)
    assert torch.allclose(numbers.std(dim=0), torch.ones(2), atol=2e-2)


def test_later_rows_do_not_change_what_was_learned() -> None:
    encoder = Encoder.fit(plain(), NUMBERS, CATEGORIES)
    before = encoder.to_json()
    encoder.transform(plain().assign(distance=1e9, carrier="ZZ"))
    assert encoder.to_json() == before


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3e7, 1e-12])
def test_a_constant_column_has_scale_one_and_does_not_explode(value: float) -> None:
    train = plain().assign(distance=value)
    encoder = Encoder.fit(train, NUMBERS, CATEGORIES)
    assert encoder.numbers["distance"].scale == 1
    assert (encoder.transform(train).tensors[0][:, 0].abs() < 1e-6).all()
    moved = encoder.transform(train.assign(distance=value + 0.5)).tensors[0][:, 0]
    assert torch.allclose(moved, torch.full((400,), 0.5))


def test_unseen_and_rare_values_share_an_index_and_missing_ones_have_their_own() -> None:
    train = plain().assign(carrier=["rare"] * (MIN_CATEGORY_ROWS - 1) + ["UA"] * (400 - MIN_CATEGORY_ROWS + 1))
    encoder = Encoder.fit(train, (), ("carrier",))
    frame = pd.DataFrame({"carrier": ["UA", "never", "rare", None, ""]})
    assert encoder.transform(frame).tensors[1][:, 0].tolist() == [2, 0, 0, 1, 0]
    assert encoder.inputs.cardinalities == (3,)


def test_missing_numbers_become_zero_with_a_flag_if_training_had_missing_ones() -> None:
    train = plain()
    train.loc[::5, "distance"] = np.nan
    encoder = Encoder.fit(train, NUMBERS, CATEGORIES)
    encoded = encoder.transform(
        pd.DataFrame({"distance": [np.nan, 0.0], "seats": np.nan, "carrier": "UA", "origin": "JFK"})
    )
    assert encoder.inputs.cardinalities[-1] == 2
    assert encoded.tensors[1][:, 2].tolist() == [1, 0]
    assert encoded.tensors[0][0].tolist() == [0, 0]


def test_a_column_that_was_always_missing_is_a_constant() -> None:
    train = plain().assign(distance=np.nan, carrier=None)
    encoder = Encoder.fit(train, NUMBERS, CATEGORIES)
    assert_sound(encoder, encoder.transform(plain()), 400)
    assert encoder.transform(train).tensors[0][:, 0].unique().tolist() == [0]


def test_a_value_that_stands_for_infinity_does_not_spoil_its_column() -> None:
    train = plain()
    train.loc[3, "distance"] = np.finfo("float64").max
    encoder = Encoder.fit(train, NUMBERS, CATEGORIES)
    assert encoder.numbers["distance"].scale == pytest.approx(300, rel=0.1)
    encoder.to_json()


def test_a_dropped_column_is_refused_by_name() -> None:
    encoder = Encoder.fit(plain(), NUMBERS, CATEGORIES)
    with pytest.raises(ValueError, match="rows have no column 'seats', 'origin', which this version was trained with"):
        encoder.transform(plain().drop(columns=["seats", "origin"]))


def test_further_columns_and_their_order_do_not_matter() -> None:
    encoder = Encoder.fit(plain(), NUMBERS, CATEGORIES)
    frame = plain().assign(label=1.0)
    assert equal(encoder.transform(frame[frame.columns[::-1]]), encoder.transform(plain()))
