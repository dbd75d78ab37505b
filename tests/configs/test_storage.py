"""A YAML says how a bucket is reached, and never who asks: a credential in it is refused and not shown."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.schema import Project, load
from tests.configs.test_schema import MINIMAL

PLANTED = "wJalrXUtnFEMI-planted"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "flights.yaml").write_text(yaml.safe_dump(MINIMAL))
    return tmp_path / "flights.yaml"


def test_a_bucket_has_options_and_a_work_folder_on_this_machine(path: Path) -> None:
    project = load(
        path,
        (
            "storage=s3://bucket/models",
            "storage_options.endpoint=http://minio:9000",
            "storage_options.allow_http=true",
            "storage_options.region=eu-central-1",
            "storage_options.credentials_block=secret/bucket-of-flights",
        ),
    )
    assert project.storage_options.endpoint == "http://minio:9000"
    assert project.work == Path(".perennial")
    assert load(path, ("storage=s3://bucket", "work_folder=/var/work")).work == Path("/var/work")
    assert load(path, ("storage=elsewhere",)).work == Path("elsewhere")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (f"storage=s3://AKIA:{PLANTED}@bucket", "more in it than a bucket and a prefix.*set AWS_ACCESS_KEY_ID"),
        (f"storage=s3://bucket/p?X-Amz-Signature={PLANTED}", "more in it than a bucket and a prefix"),
        (f"storage_options.secret_access_key={PLANTED}", "secret_access_key is a credential.*credentials_block"),
        (f"storage_options.AWS_SESSION_TOKEN={PLANTED}", "AWS_SESSION_TOKEN is a credential, and not for a YAML"),
        (f"storage_options.account_key={PLANTED}", "account_key is a credential"),
        (f"storage_options.endpoint=https://me:{PLANTED}@host", "endpoint holds a credential"),
        (f"storage_options.credentials_block={PLANTED}", "not the name of a Secret block.*write it as secret/NAME"),
        (f"storage_options.credentials_block=[{PLANTED}]", "not the name of a Secret block"),
        (f"storage_options.credentials_block={{key: {PLANTED}}}", "not the name of a Secret block"),
        (f"storage_options.allow_http={PLANTED}", "storage_options.allow_http: Input should be a valid boolean"),
        (f"storage_options={PLANTED}", "storage_options: Input should be a valid dictionary"),
    ],
)
def test_a_credential_is_refused_with_the_place_for_it_and_not_shown(path: Path, override: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as refused:
        load(path, (override,))
    assert PLANTED not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("wrong", [{"storage": f"s3://me:{PLANTED}@b"}, {"storage_options": {"secret": PLANTED}}])
def test_a_project_made_in_python_shows_no_credential_either(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as refused:
        Project.model_validate(MINIMAL | wrong)
    assert PLANTED not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("storage_options.endpoint=minio:9000", "endpoint='minio:9000' is no URL; write it as https://"),
        ("storage_options.endpoint=http://minio:9000", "is not encrypted; write https://, or set allow_http: true"),
        ("storage_options.regoin=eu-1", "unknown key; storage_options has endpoint, region, allow_http"),
    ],
)
def test_a_mistake_in_the_options_is_named(path: Path, override: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load(path, (override,))
