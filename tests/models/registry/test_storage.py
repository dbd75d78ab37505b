"""Storage: one winner, no partial content, nothing overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.registry.storage import Storage

NUM_KEYS = 20
SIZE = 200_000


def create_all(argument: tuple[Path, int]) -> list[str]:
    """Race for every key with content that names the writer; returns the keys won."""
    root, racer = argument
    storage = Storage(root)
    content = bytes([racer]) * SIZE
    won = []
    for key in range(NUM_KEYS):
        if storage.create(f"race/{key:02}", content):
            won.append(f"race/{key:02}")
        # Whoever lost reads at once: what is there must be whole, and by one hand.
        found = storage.read(f"race/{key:02}")
        assert len(found) == SIZE
        assert len(set(found)) == 1
    return won


def test_each_path_has_one_winner_among_racing_processes_and_readers_see_it_whole(
    tmp_path: Path, race: Callable[..., list[Any]]
) -> None:
    won = [key for keys in race(create_all, [(tmp_path, racer) for racer in range(8)]) for key in keys]
    assert sorted(won) == [f"race/{key:02}" for key in range(NUM_KEYS)]
    assert Storage(tmp_path).list("race") == sorted(won)


def test_what_was_written_stays_as_it_is(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    assert storage.create("a/b", b"first")
    assert not storage.create("a/b", b"second")
    assert storage.read("a/b") == b"first"


@given(content=st.binary(max_size=2_000), name=st.text("abz09-_+ é", min_size=1, max_size=20).map("{}.json".format))
@example(content=b"", name="2013-05-01T00:00:00+00:00.parquet")
@settings(deadline=None, max_examples=40)
def test_any_content_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    storage = Storage(tmp_path_factory.mktemp("storage"))
    assert storage.create(f"folder/{name}", content)
    assert storage.read(f"folder/{name}") == content
    assert storage.exists(f"folder/{name}")
    assert storage.list("folder") == [f"folder/{name}"]
    assert storage.local_path(f"folder/{name}").read_bytes() == content


def test_a_missing_path_does_not_exist_and_cannot_be_read(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    assert not storage.exists("nothing")
    assert storage.list("nothing") == []
    with pytest.raises(FileNotFoundError):
        storage.read("nothing")


def test_a_folder_holds_its_own_paths_and_not_those_of_a_longer_name(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for path in ("log/b", "log/a", "log/deep/c", "logbook/d"):
        storage.create(path, b"")
    assert storage.list("log") == ["log/a", "log/b", "log/deep/c"]


def test_the_staging_file_of_a_killed_writer_is_not_listed_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.create("log/0.json", b"whole")
    for leftover in ("1.json#1", "1.json#2"):  # how obstore names what it has not finished
        (tmp_path / "log" / leftover).write_bytes(b"par")
    assert storage.list("log") == ["log/0.json"]
    assert not storage.exists("log/1.json")
    assert storage.create("log/1.json", b"whole")
    assert storage.read("log/1.json") == b"whole"


def test_obstore_writes_beside_the_path_under_the_name_that_is_hidden(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "0.json#1").write_bytes(b"par")
    storage.create("log/0.json", b"whole")
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"0.json", "0.json#1"}
    assert (tmp_path / "log" / "0.json#1").read_bytes() == b"par"


def test_a_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="storage='s3://bucket/models' is a URL; this version stores on a folder"):
        Storage("s3://bucket/models")
