"""The loop with its storage in a bucket: the same decisions, nothing beside it, and no credential anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from prefect.blocks.system import Secret
from prefect.logging.handlers import APILogHandler

from configs.schema import Project
from flows.retrain import retrain
from flows.rollback import rollback
from flows.score import score
from flows.watch import watch
from models.registry.registry import Registry
from tasks.step import build_network
from tasks.store import storage_of
from tests.flows.commands import Shell
from tests.flows.conftest import Own, day
from tests.places import REGION, Bucket
from tests.s3_server import Fault

pytestmark = pytest.mark.slow
# Between the first and the last customers begin to leave for another reason.
FIRST, SOON, NEXT = "2025-02-15", "2025-03-01", "2025-03-29"
PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED0ENVIRON",
    "AWS_SECRET_ACCESS_KEY": "planted-in-the-environment-5c1",
    "AWS_SESSION_TOKEN": "planted-token-of-the-environment-5c1",
}
IN_BLOCK = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED000BLOCK",
    "secret_access_key": "planted-in-the-block-77e",
    "session_token": "planted-token-of-the-block-77e",
}
BLOCK = "bucket-of-churn"
BLACKED_OUT = [*PLANTED.values(), *IN_BLOCK.values()]


def in_bucket(own: Own, bucket: Bucket, *further: str) -> Project:
    return own.having(f"storage={bucket.opening.root}", "work_folder=at-work", *further)


def by_block(own: Own, bucket: Bucket) -> Project:
    options = {
        "endpoint": bucket.server.url,
        "region": REGION,
        "allow_http": "true",
        "credentials_block": f"secret/{BLOCK}",
    }
    return in_bucket(own, bucket, *(f"storage_options.{name}={value}" for name, value in options.items()))


def as_arguments(project: Project) -> list[str]:
    return ["churn.yaml", "--set", f"storage={project.storage}", "--set", f"work_folder={project.work_folder}"]


def showing(folder: Path, *texts: str) -> list[str]:
    """Files below a folder in which any of the texts stands."""
    needles = [text.encode() for text in texts]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(needle in path.read_bytes() for needle in needles)]


@pytest.mark.timeout(500)
def test_the_loop_runs_on_a_bucket_and_no_credential_is_left_anywhere(
    fresh: Own,
    bucket: Bucket,
    shell: Shell,
    prefect_here: Shell,
    here: Callable[..., CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    before = {path.name for path in fresh.folder.iterdir()}

    # The first champion, by credentials of the environment, in a process of its own with W&B offline.
    extra = bucket.server.environment | PLANTED
    first = shell.run(fresh.folder, "retrain", *as_arguments(in_bucket(fresh, bucket)), "--as-of", FIRST, extra=extra)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("promoted")
    assert list((fresh.folder / "at-work/wandb").glob("offline-run-*"))

    # The second one, by those of a block, and everything around it.
    Secret(value=IN_BLOCK).save(BLOCK)
    project = by_block(fresh, bucket)
    registry = Registry.open(storage_of(project), "churn")
    champion = registry.log.read().champion
    batch = score(project, as_of=day(SOON))
    assert batch is not None
    assert len(registry.predictions.read(batch)) == batch.num_rows > 1000
    watched = watch(project, as_of=day(SOON))
    assert watched == registry.watches.find(day(SOON))
    entry = retrain(project, as_of=day(NEXT))
    assert (entry.kind, entry.against) == ("promoted", champion)
    assert registry.log.read().champion == entry.version
    assert registry.versions.load(entry.version, build_network).id == entry.version
    assert retrain(project, as_of=day(NEXT)) == entry, "the same attempt has its answer"
    assert rollback(project, reason="the shop complained").version == champion
    assert registry.log.read().champion == champion

    # Pages lie in the bucket, as copies in the work folder, and Prefect has their URL.
    pages = [path for path in bucket.objects() if path.startswith("reports/churn/") and path.endswith(".html")]
    assert len(pages) == 4  # three decisions and a watch
    for page in pages[1:]:  # the first was written by another process, with the same content
        assert (fresh.folder / "at-work" / page).read_bytes() == bucket.objects()[page]
    [link] = shell.ask("artifacts/latest/filter", artifacts={"key": {"any_": ["churn-decision-page"]}}, limit=1)
    assert f"({bucket.opening.root}/{pages[-2]})" in link["data"]

    # A refusal that quotes what it was asked with, and more that this process knows.
    for name, value in (bucket.server.environment | PLANTED).items():
        monkeypatch.setenv(name, value)
    quoted = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{' '.join(BLACKED_OUT)}</Message></Error>"
    bucket.server.faults.append(Fault("GET", "", "403 Forbidden", body=quoted, times=99))
    state = score(project, as_of=day(NEXT), return_state=True)
    with pytest.raises(ValueError, match="the credentials are refused") as refused:
        state.result()
    bucket.server.faults.clear()
    status = here("status", *as_arguments(project))
    assert status.returncode == 0 and str(champion) in status.stdout

    # Nothing lies beside the work folder, and nowhere is a credential.
    assert {path.name for path in fresh.folder.iterdir()} - before <= {"at-work", "__pycache__"}
    assert not (fresh.folder / "at-work/trainings/churn").exists() or not any(
        (fresh.folder / "at-work/trainings/churn").iterdir()
    )
    APILogHandler().flush()
    said = "".join((first.stdout, first.stderr, status.stdout, status.stderr, str(refused.value)))
    assert not [value for value in BLACKED_OUT if value in said]
    assert not showing(fresh.folder, *BLACKED_OUT)
    [log] = tmp_path_factory.getbasetemp().glob("prefect-server?/server.log")
    assert showing(log.parent, "the credentials are refused"), "what a run said lies there"
    assert not showing(log.parent, *BLACKED_OUT)
    assert not showing(shell.home, *BLACKED_OUT)
    objects = bucket.server.objects(bucket.bucket)
    assert not [path for path, content in objects.items() if any(value.encode() in content for value in BLACKED_OUT)]


def test_a_block_that_is_missing_or_holds_something_else_is_named(
    fresh: Own, bucket: Bucket, prefect_here: Shell
) -> None:
    options = ("storage_options.endpoint=https://localhost", "storage_options.credentials_block=secret/not-there")
    with pytest.raises(ValueError, match="credentials_block='secret/not-there' is no block on this Prefect server"):
        storage_of(in_bucket(fresh, bucket, *options))
    Secret(value="one-word").save("one-word", overwrite=True)
    with pytest.raises(ValueError, match="does not hold a JSON object") as refused:
        storage_of(in_bucket(fresh, bucket, options[0], "storage_options.credentials_block=secret/one-word"))
    assert "one-word" not in str(refused.value).replace("secret/one-word", "")


def test_a_snapshot_in_a_bucket_is_read_by_another_machine(fresh: Own, bucket: Bucket) -> None:
    from tests.models.data.test_snapshots import COLUMNS, WINDOWS

    frame = pd.DataFrame(
        {
            "id": ["a"],
            "event_time": [pd.Timestamp(WINDOWS.train_start)],
            "number": [1.0],
            "place": ["x"],
            "label": [1.0],
        }
    )
    kept = Registry.open(bucket.storage(), "churn").snapshots.freeze(frame, WINDOWS, COLUMNS, None)
    elsewhere = Bucket(bucket.server, bucket.bucket, fresh.folder / "elsewhere")
    assert len(Registry.open(elsewhere.storage(), "churn").snapshots.read(kept)) == 1
    assert (fresh.folder / f"elsewhere/copies/snapshots/churn/{kept.id}.parquet").is_file()
