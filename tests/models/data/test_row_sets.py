"""Sets of rows that decisions rest on: the same rows have one name, and what was changed is not believed."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.row_sets import RowSets
from models.registry.storage import Storage
from tests.places import Place

IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=20),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), unique=True, max_size=20),
)


@pytest.fixture
def sets(place: Place) -> RowSets:
    return RowSets(place.storage(), "holdouts/flights")


def rows(*ids: int) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "plan": ["pro"] * len(ids)})


@given(ids=IDS)
@settings(deadline=None, max_examples=30)
def test_rows_come_back_as_they_were_kept(tmp_path_factory: pytest.TempPathFactory, ids: list[int] | list[str]) -> None:
    sets = RowSets(Storage(tmp_path_factory.mktemp("rows")), "holdouts/flights")
    kept = pd.DataFrame({"id": ids})
    assert sets.read(sets.keep(kept))["id"].tolist() == ids


def test_the_same_rows_have_one_name_and_other_rows_another(sets: RowSets, place: Place) -> None:
    name = sets.keep(rows(1, 2))
    assert sets.keep(rows(1, 2).set_axis([7, 9])) == name, "the index is no part of the rows"
    assert len({name, sets.keep(rows(2, 1)), sets.keep(rows(1)), sets.keep(rows(1, 2).assign(plan="free"))}) == 4
    assert len(place.objects()) == 4


def test_two_folders_of_one_storage_do_not_see_each_other(sets: RowSets, place: Place) -> None:
    with pytest.raises(ValueError, match="is gone"):
        RowSets(place.storage(), "hard_rows/flights").read(sets.keep(rows(1)))


def test_rows_that_are_gone_are_named_with_what_rests_on_them(sets: RowSets, place: Place) -> None:
    name = sets.keep(rows(1))
    place.remove(f"holdouts/flights/{name}.parquet")
    with pytest.raises(ValueError, match=rf"{name}\.parquet is gone: restore it, decisions rest on it"):
        sets.read(name)


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_a_changed_byte_anywhere_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("rows")
    sets = RowSets(Storage(folder), "holdouts/flights")
    name = sets.keep(rows(1, 2, 3))
    path = folder / f"holdouts/flights/{name}.parquet"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ValueError, match="was changed after it was kept"):
        sets.read(name)
