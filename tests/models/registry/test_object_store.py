"""What can go wrong between a storage and a bucket: lost answers, refusals, and servers that are none."""

from __future__ import annotations

import dataclasses
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.registry.log import DecisionLog, LogBroken
from models.registry.storage import Storage
from models.registry.stores import Credentials, StoreOptions
from tests.places import KEY_ID, REGION, SECRET, Bucket
from tests.s3_server import Fault

TOKEN = "token-of-a-session-77aa"
AS_OF = datetime(2013, 5, 1, tzinfo=UTC)
PATH = "log/00000000.json"


def error(code: str, message: str = "", quoted: str = "") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message><StringToSign>{quoted}</StringToSign></Error>"


CONFLICT = error("ConditionalRequestConflict", "Another request was in the way.")


def writes(bucket: Bucket) -> int:
    return sum(method == "PUT" and path.endswith(PATH) for method, path in bucket.server.requests)


@pytest.fixture
def storage(bucket: Bucket) -> Storage:
    """One that has written before, so that what follows is a first write no more."""
    storage = bucket.storage()
    storage.create("first", b"")
    bucket.server.requests.clear()
    return storage


@pytest.mark.parametrize("status", [None, "500 Internal Server Error"])
def test_a_write_whose_answer_is_lost_is_known_for_ones_own(
    storage: Storage, bucket: Bucket, status: str | None
) -> None:
    bucket.server.faults.append(Fault("PUT", PATH, status, is_done=True))
    assert storage.create(PATH, b"mine")
    assert writes(bucket) == 2
    assert storage.read(PATH) == b"mine"


@pytest.mark.parametrize("status", [None, "503 Service Unavailable"])
def test_a_write_that_was_not_carried_out_is_made_again(storage: Storage, bucket: Bucket, status: str | None) -> None:
    bucket.server.faults.append(Fault("PUT", PATH, status, times=3))
    assert storage.create(PATH, b"mine")
    assert writes(bucket) == 4
    assert storage.read(PATH) == b"mine"


def test_after_a_lost_answer_what_another_wrote_is_not_taken_for_ones_own(storage: Storage, bucket: Bucket) -> None:
    bucket.put(PATH, b"another's")
    bucket.server.faults.append(Fault("PUT", PATH, None, is_done=True))
    assert not storage.create(PATH, b"mine")
    assert storage.read(PATH) == b"another's"


def test_a_write_that_met_another_which_came_to_nothing_is_made_again(storage: Storage, bucket: Bucket) -> None:
    bucket.server.faults.append(Fault("PUT", PATH, "409 Conflict", body=CONFLICT, times=2))
    assert storage.create(PATH, b"mine")
    assert writes(bucket) == 3


def test_a_write_that_met_another_which_was_made_has_lost(storage: Storage, bucket: Bucket) -> None:
    bucket.put(PATH, b"mine")  # the same bytes, and still by another
    bucket.server.faults.append(Fault("PUT", PATH, "409 Conflict", body=CONFLICT))
    assert not storage.create(PATH, b"mine")


def test_an_entry_of_the_log_whose_answer_was_lost_is_there_once(bucket: Bucket) -> None:
    log = DecisionLog(bucket.storage(), "flights")
    bucket.server.faults.append(Fault("PUT", PATH, None, is_done=True))
    arguments = {"version": None, "against": None, "as_of": AS_OF, "now": AS_OF}
    entry = log.append("declined", "Nothing to do.", attempt="one", **arguments)  # type: ignore[arg-type]
    assert log.read().entries == (entry,)


def test_a_reader_asks_again(storage: Storage, bucket: Bucket) -> None:
    bucket.put(PATH, b"there")
    for method in ("GET", "HEAD"):
        bucket.server.faults += [Fault(method, PATH, "503 Slow Down", times=2), Fault(method, PATH, None)]
    assert storage.read(PATH) == b"there"
    assert storage.exists(PATH)


def test_a_store_that_overwrites_is_refused_before_anything_is_written(bucket: Bucket) -> None:
    bucket.server.is_conditional = False
    with pytest.raises(RuntimeError, match=r"overwrites an object .*If-None-Match: \*.*docs/storage\.md"):
        bucket.storage().create(PATH, b"mine")
    assert bucket.objects() == {}


def test_a_store_is_tried_once_in_a_process_also_if_an_answer_is_lost(bucket: Bucket) -> None:
    bucket.server.requests.clear()
    bucket.server.faults += [Fault("PUT", "conditional-create", None, is_done=True) for _ in range(2)]
    storage = bucket.storage()
    assert storage.create("a", b"") and storage.create("b", b"")
    tried = [path for method, path in bucket.server.requests if method == "PUT" and path.endswith("conditional-create")]
    assert len(tried) == 4


def test_what_consoles_show_as_a_folder_is_no_object_in_it(bucket: Bucket) -> None:
    bucket.put("log/", b"")
    bucket.put("log/a", b"")
    assert bucket.storage().list("log") == ["log/a"]


def test_a_page_has_the_type_that_a_browser_needs(storage: Storage, bucket: Bucket) -> None:
    import httpx

    storage.replace("reports/own/index.html", b"<p>", "text/html; charset=utf-8")
    answer = httpx.get(f"{bucket.server.url}/{bucket.bucket}/{bucket.prefix}/reports/own/index.html")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_everything_is_found_by_the_environment_alone(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    assert Storage(bucket.opening.root).create(PATH, b"mine")
    assert bucket.objects() == {PATH: b"mine"}


def fetched(bucket: Bucket) -> list[str]:
    """Names of the objects that were read since this was last asked."""
    names = [path.rpartition("/")[2] for method, path in bucket.server.requests if method == "GET"]
    bucket.server.requests.clear()
    return sorted(name for name in names if name.endswith(".json"))


def written(bucket: Bucket, number: int, project: str = "flights") -> DecisionLog:
    log = DecisionLog(bucket.storage(), project)
    for each in range(len(log.read().entries), number):
        log.append("declined", f"No {each}.", attempt=f"{each}", version=None, against=None, as_of=AS_OF, now=AS_OF)
    bucket.server.requests.clear()
    return log


def test_a_machine_fetches_each_entry_of_a_log_once(bucket: Bucket, tmp_path: Path) -> None:
    written(bucket, 3)
    elsewhere = dataclasses.replace(bucket, work=tmp_path / "another machine")
    log = DecisionLog(elsewhere.storage(), "flights")
    first = log.read()
    assert fetched(bucket) == ["00000000.json", "00000001.json", "00000002.json"]
    assert DecisionLog(elsewhere.storage(), "flights").read() == log.read() == first
    assert fetched(bucket) == []
    written(bucket, 5)
    assert [entry.reason for entry in log.read().entries] == [f"No {each}." for each in range(5)]
    assert fetched(bucket) == ["00000003.json", "00000004.json"]


def test_an_entry_that_is_changed_in_the_bucket_is_found_though_it_was_read_before(bucket: Bucket) -> None:
    log = written(bucket, 2)
    log.read()
    path = "registry/flights/log/00000000.json"
    bucket.put(path, bucket.objects()[path].replace(b"No 0.", b"No 9."))
    with pytest.raises(LogBroken, match=r"00000000\.json was changed after it was written"):
        log.read()


def test_a_copy_that_is_changed_or_cut_on_this_machine_is_fetched_anew(bucket: Bucket) -> None:
    log = written(bucket, 3)
    whole = log.read()
    copies = sorted(path for path in bucket.work.rglob("*") if path.is_file())
    assert len(copies) == 3
    copies[0].write_bytes(copies[0].read_bytes().replace(b"No 0.", b"No 9."))
    copies[1].write_bytes(b"cut")
    fetched(bucket)
    assert log.read() == whole
    assert fetched(bucket) == ["00000000.json", "00000001.json"]
    assert log.read() == whole
    assert fetched(bucket) == []


def test_copies_of_one_bucket_are_not_taken_for_those_of_another(bucket: Bucket) -> None:
    same = b"the same bytes, and so the same tag"
    other = dataclasses.replace(bucket, prefix="models of others")
    for each in (bucket, other):
        each.put("wanted/one.json", same)
    assert bucket.storage().read_folder("wanted") == other.storage().read_folder("wanted") == {"wanted/one.json": same}
    assert fetched(bucket) == ["one.json", "one.json"]


def test_a_folder_is_read_where_no_copy_can_be_kept(bucket: Bucket) -> None:
    bucket.work.parent.mkdir(parents=True, exist_ok=True)
    bucket.work.write_text("a file where a folder should be")
    log = written(bucket, 2)
    assert [entry.reason for entry in log.read().entries] == ["No 0.", "No 1."]
    assert bucket.work.is_file()


def test_of_a_folder_those_with_a_suffix_are_read_alone(bucket: Bucket) -> None:
    for name in ("b.json", "a.json", "a.csv"):
        bucket.put(f"wanted/{name}", name.encode())
    bucket.server.requests.clear()
    assert list(bucket.storage().read_folder("wanted", suffix=".json")) == ["wanted/a.json", "wanted/b.json"]
    assert fetched(bucket) == ["a.json", "b.json"]
    assert bucket.storage().read_folder("nothing") == {}


def opened(bucket: Bucket, credentials: Credentials | None = None, **options: object) -> Storage:
    """A storage that gives up at once."""
    usual = dataclasses.replace(bucket.opening.options, **options)  # type: ignore[type-var, arg-type]
    return Storage(bucket.opening.root, bucket.work, usual, credentials or bucket.opening.credentials, patience=0.0)


def told(storage: Storage) -> set[tuple[type[Exception], str]]:
    """The errors of all that a storage can be asked to do, as a traceback shows them."""
    asked = [
        lambda: storage.create(PATH, b""),
        lambda: storage.replace(PATH, b"", "text/html"),
        lambda: storage.read(PATH),
        lambda: storage.read_folder("log"),
        lambda: storage.list("log"),
        lambda: storage.file(PATH, "abc"),
    ]
    found = set()
    for call in asked:
        with pytest.raises((ValueError, RuntimeError)) as caught:
            call()
        whole = "".join(traceback.format_exception(caught.value))
        assert "Debug source" not in whole, "nothing of obstore's own error"
        for secret in (SECRET, KEY_ID, TOKEN):
            assert secret not in whole + repr(caught.value)
        found.add((caught.type, str(caught.value)))
    assert {kind for kind, _ in found} <= {ValueError, RuntimeError}
    return found


def test_a_bucket_that_does_not_exist_is_named(bucket: Bucket) -> None:
    storage = Storage("s3://nowhere/models", bucket.work, bucket.opening.options, bucket.opening.credentials, 0.0)
    for kind, message in told(storage):
        assert kind is ValueError
        assert "storage='s3://nowhere/models'" in message
        assert "there is no such bucket; create it, or correct storage" in message


REFUSALS = [
    ("403 Forbidden", error("AccessDenied", "User x may not s3:PutObject"), ValueError, "permission is denied"),
    (
        "403 Forbidden",
        error("SignatureDoesNotMatch", f"Not with {KEY_ID}.", f"x-amz-security-token:{TOKEN} {KEY_ID} {SECRET}"),
        ValueError,
        "the credentials are refused; set AWS_ACCESS_KEY_ID",
    ),
    ("400 Bad Request", error("ExpiredToken", f"{TOKEN} has expired"), ValueError, "the credentials are refused"),
    ("401 Unauthorized", f"<html>{SECRET}</html>", ValueError, "the credentials are refused"),
    ("403 Forbidden", "", ValueError, "permission is denied"),
    ("301 Moved Permanently", "", ValueError, "another region; set storage_options.region"),
    ("400 Bad Request", error("AuthorizationHeaderMalformed", "expecting 'eu-1'"), ValueError, "another region"),
    ("503 Slow Down", "", RuntimeError, "does not answer as it should (503"),
    ("405 Method Not Allowed", f"<html>{SECRET}</html>", RuntimeError, "(405 Method Not Allowed); is the endpoint"),
    (None, "", RuntimeError, "does not answer as it should"),
]


@pytest.mark.parametrize(("status", "body", "kind", "expected"), REFUSALS)
def test_a_refusal_is_one_sentence_without_a_credential(
    bucket: Bucket, status: str | None, body: str, kind: type[Exception], expected: str
) -> None:
    whole = {"access_key_id": KEY_ID, "secret_access_key": SECRET, "session_token": TOKEN}
    storage = opened(bucket, Credentials(whole))
    bucket.server.faults += [Fault(method, "", status, body=body, times=99) for method in ("GET", "HEAD", "PUT")]
    for found, message in told(storage):
        assert (found, expected in message) == (kind, True), message


def test_the_environments_secrets_are_not_shown_either(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
    quoted = error("InvalidAccessKeyId", "AKIAOFTHEENVIRONMENT is unknown, and secret-of-the-environment with it")
    bucket.server.faults += [Fault("GET", "", "403 Forbidden", body=quoted)]
    storage = Storage(bucket.opening.root, bucket.work, bucket.opening.options, patience=0.0)
    with pytest.raises(ValueError, match=r"credentials are refused.*InvalidAccessKeyId: \*\*\* is unknown, and \*\*\*"):
        storage.read(PATH)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [("http://127.0.0.1:1", "no connection"), ("http://nowhere.invalid", "no connection"), ("https", "no connection")],
)
def test_an_endpoint_where_nobody_is_says_so(bucket: Bucket, endpoint: str, expected: str) -> None:
    endpoint = bucket.server.url.replace("http", "https") if endpoint == "https" else endpoint
    for kind, message in told(opened(bucket, endpoint=endpoint)):
        assert kind is RuntimeError
        assert expected in message and "is the endpoint right?" in message


def test_an_unencrypted_endpoint_must_be_allowed(bucket: Bucket) -> None:
    for kind, message in told(opened(bucket, allow_http=False)):
        assert kind is ValueError
        assert "set storage_options.allow_http if that is meant" in message


def test_no_credentials_are_said_to_be_none(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Where a machine of Amazon's would be asked for its role; here nobody listens.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1/latest/api/token")
    for kind, message in told(Storage(bucket.opening.root, bucket.work, bucket.opening.options, patience=0.0)):
        assert kind is RuntimeError
        assert "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


def test_half_a_credential_is_said_to_be_half(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"only one half of a credential|cannot be opened: .*SecretAccessKey"):
        opened(bucket, Credentials({"access_key_id": KEY_ID})).read(PATH)


@pytest.mark.parametrize(
    ("url", "options", "credentials", "expected"),
    [
        ("gs://bucket/models", StoreOptions(region=REGION), None, "storage options region are of s3://"),
        ("s3://bucket/models", None, {"key": SECRET}, "texts named access_key_id, secret_access_key, session_token"),
        ("s3://bucket/models", None, {"access_key_id": 7}, "found 'access_key_id'"),
        ("gs://bucket/models", None, {"service_account_key": SECRET}, "cannot be opened"),
        ("az://account", None, {"account_key": SECRET}, "cannot be opened"),
    ],
)
def test_what_a_store_cannot_be_opened_with_is_refused(
    url: str, options: StoreOptions | None, credentials: dict[str, str] | None, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        Storage(url, options=options, credentials=Credentials(credentials) if credentials else None)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_nothing_that_holds_a_credential_shows_it(bucket: Bucket) -> None:
    storage = bucket.storage()
    shown = f"{storage!r} {storage} {bucket.opening!r} {vars(storage)!r} {bucket.opening.credentials}"
    assert SECRET not in shown and KEY_ID not in shown
