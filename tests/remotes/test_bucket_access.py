"""URLs of buckets, and where region, endpoint and credentials come from. Nothing here asks a server."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hitsave.errors import ConfigError, HitsaveError, RemoteRefused, RemoteUnsuitable
from hitsave.remotes.transports import azure
from hitsave.remotes.transports.aws import Access, Asked, find_access
from hitsave.remotes.transports.bucketurls import parse_bucket_url, with_options

URL = "s3://bucket/prefix"
CONFIG = """
[default]
region = eu-west-1

[profile lab]
region = eu-central-1
endpoint_url = https://general.example.org
services = lab-services

[profile plain]
endpoint_url = https://general.example.org

[profile printed]
region = us-west-2
credential_process = {python} {program}

[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = lab

[services lab-services]
s3 =
  endpoint_url = https://s3.example.org
  max_concurrent_requests = 20
"""
CREDENTIALS = """
[default]
aws_access_key_id = default-key
aws_secret_access_key = default-secret

[lab]
aws_access_key_id = lab-key
aws_secret_access_key = lab-secret%with=signs
aws_session_token = lab-token

[half]
aws_access_key_id = half-key
"""
SECRETS = ("default-secret", "lab-secret", "lab-token", "printed-secret")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The variables that name the files of a user of AWS."""
    program = tmp_path / "printer.py"
    printed = {"Version": 1, "AccessKeyId": "printed-key", "SecretAccessKey": "printed-secret"}
    program.write_text(f"print({json.dumps(json.dumps({**printed, 'Expiration': '2030-01-01T00:00:00Z'}))})")
    (tmp_path / "config").write_text(CONFIG.format(python=sys.executable, program=program))
    (tmp_path / "credentials").write_text(CREDENTIALS)
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


def find(environ: Mapping[str, str], metadata: bool = False, **asked: str) -> Access:
    return find_access(Asked(URL, **asked), environ, lambda url: metadata)


def signed_in(access: Access) -> tuple[str, str, str | None]:
    assert access.provider is not None
    found = access.provider()
    return found["access_key_id"], found["secret_access_key"], found["token"]


def refused(kind: type[HitsaveError], environ: Mapping[str, str], **asked: str) -> str:
    with pytest.raises(kind) as caught:
        find(environ, **asked)
    line = str(caught.value)
    assert "\n" not in line
    assert not any(secret in line for secret in SECRETS)
    return line


# -- AWS


def test_what_is_said_first_holds(files: dict[str, str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "own-key", "AWS_SECRET_ACCESS_KEY": "own-secret"}
    assert signed_in(find(files)) == ("default-key", "default-secret", None)
    assert signed_in(find(files | {"AWS_PROFILE": "lab"})) == ("lab-key", "lab-secret%with=signs", "lab-token")
    assert signed_in(find(files | keys | {"AWS_PROFILE": "lab"})) == ("own-key", "own-secret", None)
    assert signed_in(find(files | keys | {"AWS_SESSION_TOKEN": "t"})) == ("own-key", "own-secret", "t")
    # A profile in the URL is meant, and the token of other keys does not get mixed with it.
    mixed = files | keys | {"AWS_SESSION_TOKEN": "t"}
    assert signed_in(find(mixed, profile="default")) == ("default-key", "default-secret", None)


def test_the_region_is_found(files: dict[str, str]) -> None:
    assert find(files).region == "eu-west-1"
    assert find(files, profile="lab").region == "eu-central-1"
    assert find(files | {"AWS_DEFAULT_REGION": "b"}).region == "b"
    assert find(files | {"AWS_DEFAULT_REGION": "b", "AWS_REGION": "a"}).region == "a"
    assert find(files | {"AWS_REGION": "a"}, region="c").region == "c"
    assert find(files | {"AWS_PROFILE": "plain", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}).region == (
        "us-east-1"
    )
    keys = {"AWS_CONFIG_FILE": "/nowhere", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    assert "AWS_REGION" in refused(RemoteUnsuitable, keys)
    assert find(keys, endpoint="http://127.0.0.1:9000").region == "us-east-1"


def test_the_endpoint_is_found(files: dict[str, str]) -> None:
    assert find(files).endpoint == ""
    assert find(files, profile="lab").endpoint == "https://s3.example.org"
    general = files | {"AWS_ENDPOINT_URL": "http://general/"}
    assert find(general, profile="lab").endpoint == "http://general"
    assert find(general | {"AWS_ENDPOINT_URL_S3": "http://s3"}).endpoint == "http://s3"
    assert find(general, endpoint="http://asked").endpoint == "http://asked"
    assert find(general | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}).endpoint == ""


def test_a_program_gives_credentials(files: dict[str, str]) -> None:
    access = find(files, profile="printed")
    for _ in range(2):
        assert signed_in(access) == ("printed-key", "printed-secret", None)
    assert access.provider is not None
    assert access.provider()["expires_at"] == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/no/such/program", "cannot be run"),
        ("false", "ended with code 1"),
        ("echo printed-secret", "did not print"),
        ("echo [1]", "did not print"),
        ("'", "did not print"),
    ],
)
def test_a_program_that_gives_none_is_named(files: dict[str, str], tmp_path: Path, command: str, reason: str) -> None:
    (tmp_path / "config").write_text(f"[profile broken]\nregion = r\ncredential_process = {command}\n")
    assert reason in refused(RemoteRefused, files, profile="broken")


def test_profiles_that_do_not_help_are_explained(files: dict[str, str], tmp_path: Path) -> None:
    line = refused(ConfigError, files, profile="labs")
    assert "'labs'" in line
    assert "lab" in line.partition("there are:")[2]
    assert "no aws_secret_access_key" in refused(RemoteRefused, files, profile="half", region="r")
    assert "AWS_SECRET_ACCESS_KEY is not" in refused(RemoteRefused, files | {"AWS_ACCESS_KEY_ID": "k"})
    (tmp_path / "credentials").write_text("lab-secret")
    assert "is not a file of AWS settings" in refused(ConfigError, files)


def test_roles_need_boto3_and_say_so(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "pip install boto3" in refused(RemoteRefused, files, profile="role", region="r")


def test_roles_are_left_to_boto3(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore", reason="boto3 is not installed")
    asked: list[str] = []

    class Credentials:
        def get_frozen_credentials(self) -> object:
            return types.SimpleNamespace(access_key="role-key", secret_key="role-secret", token="role-token")

    class Session:
        def __init__(self, profile_name: str) -> None:
            asked.append(profile_name)

        def get_credentials(self) -> Credentials:
            return Credentials()

    import boto3

    monkeypatch.setattr(boto3, "Session", Session)
    assert signed_in(find(files, profile="role", region="r")) == ("role-key", "role-secret", "role-token")
    assert asked == ["role"]


def test_only_a_machine_that_has_a_metadata_service_is_asked_for_it() -> None:
    nothing = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_REGION": "r"}
    line = refused(RemoteRefused, nothing)
    assert "AWS_ACCESS_KEY_ID" in line
    assert "anonymous" in line
    assert find(nothing, metadata=True).provider is None
    refused(RemoteRefused, nothing | {"AWS_EC2_METADATA_DISABLED": "true"})
    for variable in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        assert find(nothing | {variable: "x"}).provider is None
    anonymous = find_access(Asked(URL, anonymous=True), nothing, lambda url: pytest.fail("was asked"))
    assert anonymous.provider is None


# -- Azure


def azure_access(environ: Mapping[str, str], **options: str) -> azure.Access:
    return azure.find_access("az://c", options, environ, lambda url: False)


def test_azure_accounts_and_keys_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure.shutil, "which", lambda name: None)
    connection = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5PQ==;BlobEndpoint=http://h/acc/;"
    found = azure_access({"AZURE_STORAGE_CONNECTION_STRING": connection})
    assert found == azure.Access(
        {"account_name": "acc", "endpoint": "http://h/acc", "account_key": "a2V5PQ=="}, "http://h/acc"
    )
    given = azure_access({"AZURE_STORAGE_SAS_TOKEN": "sv=1", "AZURE_STORAGE_ACCOUNT_NAME": "acc"})
    assert given.config == {"account_name": "acc", "azure_storage_sas_token": "sv=1"}
    other = {"AZURE_STORAGE_CONNECTION_STRING": connection, "AZURE_STORAGE_ACCOUNT_KEY": "k"}
    assert azure_access(other, account="other").config["azure_storage_account_key"] == "k"
    with pytest.raises(RemoteUnsuitable, match="--account"):
        azure_access({})
    with pytest.raises(RemoteRefused, match="az login"):
        azure_access({}, account="acc")
    monkeypatch.setattr(azure.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert azure_access({}, account="acc").config["use_azure_cli"] is True


# -- URLs


@pytest.mark.parametrize(
    ("url", "scheme", "bucket", "prefix", "options"),
    [
        ("s3://b", "s3", "b", "", {}),
        ("s3://b/", "s3", "b", "", {}),
        ("s3://b/p/q/", "s3", "b", "p/q/", {}),
        ("s3://b.c/a%20b?region=r&anonymous=1", "s3", "b.c", "a b/", {"region": "r", "anonymous": "1"}),
        ("gs://b/p?endpoint=http://h:1", "gs", "b", "p/", {"endpoint": "http://h:1"}),
        ("az://c/p?account=a", "az", "c", "p/", {"account": "a"}),
        ("abfs://c@a.dfs.core.windows.net/p", "az", "c", "p/", {"account": "a"}),
    ],
)
def test_urls_are_taken_apart(url: str, scheme: str, bucket: str, prefix: str, options: dict[str, str]) -> None:
    found = parse_bucket_url(url)
    assert (found.scheme, found.bucket, found.prefix, dict(found.options)) == (scheme, bucket, prefix, options)
    assert "?" not in found.label


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://key:hidden@bucket", "names no bucket"),
        ("s3://b/a//c", "no empty parts"),
        ("s3://b/a/../c", "no empty parts"),
        ("s3://b?account=hidden", "no option"),
        ("az://c?sig=hidden", "no option"),
        ("s3://b?endpoint=127.0.0.1:9000", "an endpoint is a URL"),
        ("s3://b?endpoint=http://key:hidden@host", "holds no credentials"),
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str, reason: str) -> None:
    with pytest.raises(RemoteUnsuitable, match=reason) as caught:
        parse_bucket_url(url)
    assert reason in str(caught.value)


def test_options_of_the_command_become_part_of_the_url() -> None:
    url = with_options("s3://b/p?region=a", {"endpoint": "http://127.0.0.1:1", "region": "b", "profile": None})
    assert url == "s3://b/p?region=b&endpoint=http://127.0.0.1:1"
    assert with_options("/data", {"endpoint": None}) == "/data"
    with pytest.raises(RemoteUnsuitable, match="--region is for buckets"):
        with_options("/data", {"region": "r"})
    with pytest.raises(RemoteUnsuitable, match="no option"):
        with_options("gs://b", {"region": "r"})
