"""Errors of buckets: one line that names the bucket, the key, and what to do; never a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hitsave.errors import RemoteError, RemoteNotFound, RemoteRefused, RemoteUnavailable, RemoteUnsuitable
from hitsave.remotes.transports.buckets import BucketTransport
from hitsave.remotes.transports.bucketurls import open_bucket
from tests.cli.world import User
from tests.remotes import buckets
from tests.remotes.servers import stores
from tests.remotes.servers.shared import free_ports
from tests.remotes.servers.tiny import Answer, Bucket, tiny_bucket

BUCKET = stores.BUCKET
ACTIONS: dict[str, Callable[[BucketTransport], object]] = {
    "read": lambda transport: transport.get("probe/a"),
    "write": lambda transport: transport.put("probe/a", b"content"),
    "list": lambda transport: transport.list("probe/"),
    "delete": lambda transport: transport.delete(["probe/a"]),
}
SECRETS = re.compile("secret-of|key-of|nonsense|Eby8vdM|token-of")


def said(error: RemoteError, transport: BucketTransport, *words: str) -> str:
    """What an error says, once it is known to be of the kind that is wanted."""
    line = str(error)
    assert "\n" not in line
    assert "Debug" not in line
    assert len(line) < 400
    assert not SECRETS.search(line)
    assert line.startswith(transport.url + ": ")
    for word in words:
        assert word in line
    return line


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with tiny_bucket() as running:
        running.values[f"{'x' * 3}/probe/a"] = b"0123456789"
        yield running


# -- what stores answer


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(403, "AccessDenied"), RemoteRefused, "no right to"),
        (Answer(403, "InvalidAccessKeyId"), RemoteRefused, "does not know the access key"),
        (Answer(403, "SignatureDoesNotMatch"), RemoteRefused, "the secret key is wrong"),
        (Answer(403, "RequestTimeTooSkewed"), RemoteRefused, "clock is wrong"),
        (Answer(400, "ExpiredToken"), RemoteRefused, "credentials have expired"),
        (Answer(401), RemoteRefused, "no right to"),
        (Answer(404, "NoSuchBucket"), RemoteUnsuitable, f"there is no bucket '{BUCKET}'"),
        (Answer(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"), RemoteUnsuitable, "eu-west-1"),
        (Answer(301, "PermanentRedirect"), RemoteUnsuitable, "AWS_REGION, or in the URL"),
        (Answer(501, "NotImplemented"), RemoteUnsuitable, "cannot do that"),
        (Answer(503, "SlowDown"), RemoteUnavailable, "try again later"),
        (Answer(500, "InternalError"), RemoteUnavailable, "try again later"),
        (Answer(429), RemoteUnavailable, "try again later"),
        (Answer(409, "ConditionalRequestConflict"), RemoteUnavailable, "try again later"),
        (Answer(400, "SomethingNew"), RemoteError, "SomethingNew"),
    ],
    ids=lambda value: value.code or str(value.status) if isinstance(value, Answer) else None,
)
def test_what_a_store_answers_is_explained(
    bucket: Bucket, action: str, answer: Answer, kind: type[RemoteError], words: str
) -> None:
    transport = open_bucket(f"s3://{BUCKET}/xxx?endpoint={bucket.endpoint}", stores.keys())
    bucket.answer("", answer, 3)
    with pytest.raises(RemoteError) as caught:
        ACTIONS[action](transport)
    assert type(caught.value) is kind
    said(caught.value, transport, f"cannot {action} probe/", words)


# -- real servers

Case = tuple[Callable[[], str], Mapping[str, str], str, str, type[RemoteError], str]
NONSENSE = {"AWS_SECRET_ACCESS_KEY": "nonsense"}
REAL: dict[str, Case] = {
    "wrong secret": (stores.seaweed, stores.keys() | NONSENSE, BUCKET, "list", RemoteRefused, "secret key is wrong"),
    "unknown user": (stores.seaweed, stores.keys("stranger"), BUCKET, "list", RemoteRefused, "does not know"),
    "reader writes": (stores.seaweed, stores.keys("reader"), BUCKET, "write", RemoteRefused, "s3:PutObject"),
    "reader deletes": (stores.seaweed, stores.keys("reader"), BUCKET, "delete", RemoteRefused, "s3:DeleteObject"),
    "writer lists": (stores.seaweed, stores.keys("writer"), BUCKET, "list", RemoteRefused, "s3:ListBucket"),
    "nobody reads": (stores.seaweed, stores.keys("nobody"), BUCKET, "read", RemoteRefused, "s3:GetObject"),
    **{
        f"no bucket: {action}": (stores.moto, stores.keys(), "nowhere", action, RemoteUnsuitable, "create it first")
        for action in ACTIONS
    },
    "no bucket at seaweed": (stores.seaweed, stores.keys(), "nowhere", "write", RemoteUnsuitable, "create it first"),
}


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_what_real_servers_refuse_is_explained(case: Case) -> None:
    server, environ, name, action, kind, words = case
    transport = open_bucket(buckets.fresh_url("s3", server(), name), environ)
    with pytest.raises(kind) as caught:
        ACTIONS[action](transport)
    said(caught.value, transport, f"s3://{name}/", f"cannot {action} probe/", words)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("container", "key", "kind", "words"),
    [
        ("nowhere", stores.AZURE_KEY, RemoteUnsuitable, "there is no bucket 'nowhere'"),
        (BUCKET, "AAAA" + stores.AZURE_KEY[4:], RemoteRefused, "AZURE_STORAGE_ACCOUNT_KEY"),
    ],
)
def test_what_azure_refuses_is_explained(
    action: str, container: str, key: str, kind: type[RemoteError], words: str
) -> None:
    environ = {**stores.azure_keys(), "AZURE_STORAGE_ACCOUNT_KEY": key}
    transport = open_bucket(buckets.fresh_url("az", stores.azurite(), container), environ)
    with pytest.raises(kind) as caught:
        ACTIONS[action](transport)
    said(caught.value, transport, words)


def test_without_credentials_a_bucket_that_is_not_public_is_refused() -> None:
    transport = open_bucket(buckets.fresh_url("s3", stores.seaweed(), anonymous="1"), {})
    with pytest.raises(RemoteRefused) as caught:
        transport.get("probe/a")
    said(caught.value, transport, "no right to read")


def test_what_is_public_is_read_without_credentials() -> None:
    url = buckets.fresh_url("s3", stores.moto())
    owner, stranger = open_bucket(url, stores.keys()), open_bucket(f"{url}&anonymous=1", {})
    owner.put("probe/a", b"content")
    with pytest.raises(RemoteRefused):
        stranger.get("probe/a")
    path = f"{urlsplit(url).path.lstrip('/')}/probe/a"
    stores.s3_client(stores.moto()).put_object_acl(Bucket=BUCKET, Key=path, ACL="public-read")
    assert stranger.get("probe/a") == b"content"


# -- what does not answer


@pytest.mark.parametrize("action", ACTIONS)
def test_an_endpoint_that_cannot_be_reached_is_named(action: str) -> None:
    (port,) = free_ports(1)
    for host, words in ((f"127.0.0.1:{port}", "connection refused"), ("no.such.host.invalid", "cannot be resolved")):
        transport = open_bucket(f"s3://{BUCKET}?endpoint=http://{host}", stores.keys())
        with pytest.raises(RemoteUnavailable) as caught:
            ACTIONS[action](transport)
        said(caught.value, transport, f"http://{host}", words)


def test_https_where_there_is_only_http_is_explained(bucket: Bucket) -> None:
    transport = open_bucket(f"s3://{BUCKET}?endpoint={bucket.endpoint.replace('http', 'https')}", stores.keys())
    with pytest.raises(RemoteUnsuitable) as caught:
        transport.get("probe/a")
    said(caught.value, transport, "http://")


def test_a_missing_key_is_no_missing_bucket(bucket: Bucket) -> None:
    transport = open_bucket(f"s3://{BUCKET}?endpoint={bucket.endpoint}", stores.keys())
    with pytest.raises(RemoteNotFound):
        transport.get("probe/missing")


# -- the command


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    user = User(tmp_path, tmp_path / "cache", tmp_path / "config", stores.keys() | NONSENSE)
    (tmp_path / "config").mkdir()
    (tmp_path / "hitsave.toml").touch()
    for url, words in (
        (buckets.fresh_url("s3", stores.seaweed()), "secret key is wrong"),
        ("s3://key:nonsense@bucket/path", "holds no password"),
        ("s3://bucket/path?secret_access_key=nonsense", "credentials belong"),
        ("s3://bucket/path?endpoint=ftp://host", "an endpoint is a URL"),
    ):
        done = user.run("remote", "add", "origin", url)
        assert done.code == 1
        assert len(done.said.splitlines()) == 1
        assert words in done.said
        assert not SECRETS.search(done.said)
    assert (tmp_path / "hitsave.toml").read_text() == ""
