"""Empty remotes in the buckets of test servers; each has a prefix of its own."""

from __future__ import annotations

import atexit
import functools
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from hitsave.remotes.transports.bucketfaults import Place
from hitsave.remotes.transports.buckets import BucketTransport
from hitsave.remotes.transports.bucketurls import open_bucket
from tests.remotes.servers import stores
from tests.remotes.servers.stores import BUCKET
from tests.remotes.servers.tiny import Bucket, tiny_bucket


def in_memory() -> BucketTransport:
    """A bucket in memory, of the library that serves real ones."""
    from obstore.store import MemoryStore

    return BucketTransport(MemoryStore(), Place("memory:", "memory", "memory"), "a/prefix/")


def fresh_url(scheme: str, endpoint: str, bucket: str = BUCKET, **options: str) -> str:
    """The URL of an empty remote."""
    query = "".join(f"&{name}={quote(value)}" for name, value in options.items())
    return f"{scheme}://{bucket}/tests/{secrets.token_hex(8)}?endpoint={endpoint}{query}"


def at(scheme: str, endpoint: str, environ: Mapping[str, str]) -> BucketTransport:
    """An empty remote at a server."""
    return open_bucket(fresh_url(scheme, endpoint), environ)


def at_moto() -> BucketTransport:
    return at("s3", stores.moto(), stores.keys())


def at_seaweed() -> BucketTransport:
    return at("s3", stores.seaweed(), stores.keys())


def at_azurite() -> BucketTransport:
    return at("az", stores.azurite(), stores.azure_keys())


@functools.cache
def google_like() -> Bucket:
    """A server in this process that speaks Google's interface; there is no emulator of it that can be used."""
    running = tiny_bucket()
    bucket = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return bucket


def at_google_like() -> BucketTransport:
    return at("gs", google_like().endpoint, {"GOOGLE_BEARER_TOKEN": "token"})
