"""Where the public snapshots of a remote can be read, by its URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from hitsave.remotes.transports.bucketurls import BucketUrl, is_bucket, parse_bucket_url


def is_server(url: str) -> bool:
    """Whether a remote is a server, which gives public snapshots itself."""
    return urlsplit(url).scheme in ("http", "https")


def public_base(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """What links to public snapshots of a remote begin with; None where it cannot be told. Raises RemoteUnsuitable."""
    if is_server(url):
        return url
    if not is_bucket(url):
        return None
    bucket = parse_bucket_url(url)
    base = {"s3": _amazon, "gs": _google, "az": _azure}[bucket.scheme](bucket, environ)
    return None if base is None else f"{base}/{quote(bucket.prefix)}"


def _amazon(bucket: BucketUrl, environ: Mapping[str, str]) -> str | None:
    endpoint = bucket.endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket.bucket}"
    region = bucket.options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return (
        f"https://{bucket.bucket}.s3.{region}.amazonaws.com" if region else f"https://{bucket.bucket}.s3.amazonaws.com"
    )


def _google(bucket: BucketUrl, environ: Mapping[str, str]) -> str | None:
    return f"{(bucket.endpoint or 'https://storage.googleapis.com').rstrip('/')}/{bucket.bucket}"


def _azure(bucket: BucketUrl, environ: Mapping[str, str]) -> str | None:
    account = bucket.options.get("account") or environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if bucket.endpoint:
        return f"{bucket.endpoint.rstrip('/')}/{bucket.bucket}"
    return None if account is None else f"https://{account}.blob.core.windows.net/{bucket.bucket}"
