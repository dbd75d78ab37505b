"""Storage: one winner, no partial content, nothing overwritten, in a folder as in a bucket."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.registry.storage import Storage
from tests.places import Folder, Opening, Place

NUM_KEYS = 20
SIZE = 200_000
LARGE = 24 * 2**20  # beyond the size at which obstore would upload in parts, were it allowed to


def create_all(argument: tuple[Opening, int]) -> list[str]:
    """Race for every key with content that names the writer; returns the keys won."""
    opening, racer = argument
    storage = opening.storage()
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
    place: Place, race: Callable[..., list[Any]]
) -> None:
    won = [key for keys in race(create_all, [(place.opening, racer) for racer in range(8)]) for key in keys]
    assert sorted(won) == [f"race/{key:02}" for key in range(NUM_KEYS)]
    assert place.storage().list("race") == sorted(won)


def create_one(argument: tuple[Opening, int]) -> tuple[bool, bytes]:
    opening, racer = argument
    storage = opening.storage()
    return storage.create("log/00000000.json", b"by %d" % racer), storage.read("log/00000000.json")


def test_of_twenty_processes_one_writes_an_entry_and_all_see_what_it_wrote(
    place: Place, race: Callable[..., list[Any]]
) -> None:
    results = race(create_one, [(place.opening, racer) for racer in range(20)])
    assert [has_won for has_won, _ in results].count(True) == 1
    [(content,)] = [{content for _, content in results}]
    assert (True, content) in results
    assert place.objects() == {"log/00000000.json": content}


def upload(opening: Opening, started: Any) -> None:
    storage = opening.storage()
    content = os.urandom(LARGE)
    started.set()
    for number in range(1000):
        storage.create(f"snapshots/{number}", content)


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.12])
def test_a_writer_that_is_killed_leaves_whole_objects_and_nothing_else(place: Place, seconds: float) -> None:
    processes = multiprocessing.get_context("forkserver")
    started = processes.Event()
    writer = processes.Process(target=upload, args=(place.opening, started))
    writer.start()
    assert started.wait(timeout=60)
    time.sleep(seconds)  # wherever that finds it
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(timeout=60)
    storage = place.storage()
    seen = storage.list("snapshots")
    assert seen == [f"snapshots/{number}" for number in range(len(seen))]
    assert {len(content) for content in place.objects().values()} <= {LARGE}
    assert len({storage.read(path) for path in seen}) <= 1
    # The next one is nobody's, unless a server had received the whole of it.
    assert storage.create(f"snapshots/{len(seen)}", b"free") or len(storage.read(f"snapshots/{len(seen)}")) == LARGE


def test_what_was_written_stays_as_it_is(place: Place) -> None:
    storage = place.storage()
    assert storage.create("a/b", b"first")
    assert not storage.create("a/b", b"second")
    assert not storage.create("a/b", b"first"), "this call has not written it"
    assert storage.read("a/b") == b"first"


def test_a_large_object_is_created_once_and_as_a_whole_too(place: Place) -> None:
    storage, content = place.storage(), os.urandom(LARGE)
    assert storage.create("snapshots/one", content)
    assert not storage.create("snapshots/one", content[::-1])
    assert storage.read("snapshots/one") == content


@given(content=st.binary(max_size=2_000), name=st.text("abz09-_+ é", min_size=1, max_size=20).map("{}.json".format))
@example(content=b"", name="2013-05-01T00:00:00+00:00.parquet")
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_comes_back(place: Place, content: bytes, name: str) -> None:
    storage = place.storage()
    path = f"{time.monotonic_ns()}/{name}"
    assert storage.create(path, content)
    assert storage.read(path) == content == place.objects()[path]
    assert storage.exists(path)
    assert storage.list(path.partition("/")[0]) == [path]


def test_a_missing_path_does_not_exist_and_cannot_be_read(place: Place) -> None:
    storage = place.storage()
    assert not storage.exists("nothing")
    assert storage.list("nothing") == []
    with pytest.raises(FileNotFoundError):
        storage.read("nothing")
    assert storage.read_folder("nothing") == {}


def test_a_folder_holds_its_own_paths_and_not_those_of_a_longer_name(place: Place) -> None:
    storage = place.storage()
    for path in ("log/b", "log/a", "log/deep/c", "logbook/d", "log2/e"):
        storage.create(path, path.encode())
    assert storage.list("log") == ["log/a", "log/b", "log/deep/c"]
    assert storage.read_folder("log") == {path: path.encode() for path in storage.list("log")}


def test_many_paths_are_all_listed_in_order(place: Place) -> None:
    paths = [f"log/{number:08}.json" for number in range(2_345)]  # S3 lists a thousand at a time
    for path in paths[::-1]:
        place.put(path, b"")
    assert place.storage().list("log") == paths


def test_two_prefixes_of_one_place_do_not_see_each_other(place: Place) -> None:
    place.storage().create("log/a", b"")
    longer = Storage(f"{place.opening.root}2", *_rest(place.opening))
    assert longer.list("log") == []
    assert not longer.exists("log/a")
    assert longer.create("log/a", b"its own")


def _rest(opening: Opening) -> tuple[Any, ...]:
    return opening.work, opening.options, opening.credentials, opening.patience


def test_a_page_is_replaced_and_read_back(place: Place) -> None:
    storage = place.storage()
    for page in (b"<p>one", b"<p>two"):
        storage.replace("reports/own/watch.html", page, "text/html; charset=utf-8")
        assert storage.read("reports/own/watch.html") == page


def test_a_file_of_this_machine_has_what_was_written_and_not_what_was_changed(place: Place) -> None:
    storage = place.storage()
    storage.create("snapshots/abc", b"abc")
    digest = "ba7816bf8f01cfea"
    file = storage.file("snapshots/abc", digest)
    assert file is not None
    assert file.read_bytes() == b"abc"
    place.put("snapshots/abc", b"abd")
    if storage.is_remote:
        assert storage.file("snapshots/abc", digest) == file, "a copy that is sound is good enough"
        file.write_bytes(b"ab")  # as if the disk had spoilt it
    assert storage.file("snapshots/abc", digest) is None
    place.put("snapshots/abc", b"abc")
    assert storage.file("snapshots/abc", digest) == file
    assert file.read_bytes() == b"abc"
    with pytest.raises(FileNotFoundError):
        storage.file("snapshots/none", digest)


def test_a_place_is_shown_as_a_person_would_name_it(place: Place) -> None:
    storage = place.storage()
    assert storage.place("log/a") == f"{place.opening.root}/log/a"
    assert repr(storage) == f"Storage('{place.opening.root}')"


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


def test_a_disk_that_refuses_says_where(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where a folder should be")
    with pytest.raises(RuntimeError, match=r"storage='.*', writing log/0\.json: "):
        Folder(tmp_path, tmp_path).storage().create("log/0.json", b"")


@pytest.mark.parametrize("url", ["http://example.com/models", "s3://", "file:///models", "memory:///"])
def test_a_url_that_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no bucket; write s3://bucket/prefix, gs://.*, az://"):
        Storage(url)
