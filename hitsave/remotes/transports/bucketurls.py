"""URLs of buckets, and the stores that they name.

`s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` (also `abfs://`), with what else has to be known as
`?endpoint=...&region=...`. A URL never holds a secret: it stands in settings that a team shares.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from hitsave.config import plain_url
from hitsave.errors import RemoteRefused, RemoteUnsuitable
from hitsave.remotes.transports.bucketfaults import CREDENTIALS, Place
from hitsave.remotes.transports.buckets import BucketTransport

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

#: The options that a URL of each scheme may have.
OPTIONS = {
    "s3": ("endpoint", "region", "profile", "anonymous"),
    "gs": ("endpoint", "anonymous"),
    "az": ("endpoint", "account", "anonymous"),
}
_SCHEMES = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
BUCKET_SCHEMES = tuple(_SCHEMES)
_AZURE_HOST = ".core.windows.net"
#: A part of 64 MiB takes ten minutes at 0.1 MB/s. A store that begins no answer to a read in a minute is gone.
_LONGEST_REQUEST = "15m"
#: Variables that the library knows by the same names.
_GOOGLE_KNOWN = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
    *("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN"),
)
_GOOGLE_METADATA = "http://169.254.169.254"


class _Patience(NamedTuple):
    """How long is waited for a connection, and for an answer to a read to begin or go on; how often again."""

    connecting: str
    silence: str
    retries: int


#: Few tries: who calls us tries again, and knows what is worth it.
_PATIENT = _Patience("10s", "60s", 2)
#: Of who would rather do without than wait.
_HASTY = _Patience("2s", "5s", 0)


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """A URL in its parts. `prefix` is empty or ends with `/`."""

    scheme: str
    bucket: str
    prefix: str
    options: Mapping[str, str]

    @property
    def label(self) -> str:
        """The URL without its options, as messages show it."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix.rstrip('/')}" if self.prefix else "")

    @property
    def endpoint(self) -> str:
        """The endpoint that is named; empty where none is."""
        return self.options.get("endpoint", "")

    @property
    def anonymous(self) -> bool:
        """Whether requests are not to be signed."""
        return self.options.get("anonymous", "0") not in ("", "0", "false")


def is_bucket(url: str) -> bool:
    """Whether a URL names a bucket."""
    return urlsplit(url).scheme in _SCHEMES


def parse_bucket_url(url: str) -> BucketUrl:
    """Take a URL apart. Raises RemoteUnsuitable, whose message holds no value of an option."""
    parts = urlsplit(url)
    scheme = _SCHEMES[parts.scheme]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    bucket, account = _split_account(parts.netloc) if scheme == "az" else (parts.netloc, "")
    label = f"{scheme}://{bucket}{parts.path}"
    if not bucket or "@" in bucket or ":" in bucket:
        raise RemoteUnsuitable(f"{label}: names no bucket; write {scheme}://BUCKET/PREFIX")
    for name in options:
        if name not in OPTIONS[scheme]:
            raise RemoteUnsuitable(
                f"{label}: {name!r} is no option of such a URL (there are {', '.join(OPTIONS[scheme])}); "
                "credentials belong into the environment or a profile"
            )
    if account:
        options.setdefault("account", account)
    if "endpoint" in options:
        options["endpoint"] = plain_url(options["endpoint"])
    _check_endpoint(options.get("endpoint"), label)
    prefix = unquote(parts.path).strip("/")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise RemoteUnsuitable(f"{label}: a prefix has no empty parts, and no '.' or '..'")
    return BucketUrl(scheme, bucket, f"{prefix}/" if prefix else "", options)


def _split_account(host: str) -> tuple[str, str]:
    """The container and the account of `container@account.dfs.core.windows.net`."""
    container, _, server = host.partition("@")
    return (container, server.partition(".")[0]) if server.endswith(_AZURE_HOST) else (host, "")


def _check_endpoint(endpoint: str | None, label: str) -> None:
    if endpoint is None:
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RemoteUnsuitable(f"{label}: an endpoint is a URL, as in https://s3.example.org or http://127.0.0.1:9000")
    if "@" in parts.netloc or parts.query:
        raise RemoteUnsuitable(f"{label}: an endpoint holds no credentials; they belong into the environment")


def with_options(url: str, options: Mapping[str, str | None]) -> str:
    """The URL with these options in its query; those that are None are left as they are. Raises RemoteUnsuitable."""
    chosen = {name: value for name, value in options.items() if value is not None}
    if not chosen:
        return url
    if not is_bucket(url):
        raise RemoteUnsuitable(f"--{min(chosen)} is for buckets (s3://, gs://, az://)")
    base, _, query = url.partition("?")
    merged = {**dict(parse_qsl(query, keep_blank_values=True)), **chosen}
    query = "&".join(f"{name}={quote(value, safe=':/@.-_~')}" for name, value in merged.items())
    folded = f"{base}?{query}"
    parse_bucket_url(folded)
    return folded


# -- stores


def open_bucket(url: str, environ: Mapping[str, str] = os.environ, hasty: bool = False) -> BucketTransport:
    """The transport for a URL; a hasty one gives up within seconds where nobody answers.

    Raises RemoteUnsuitable, RemoteRefused (no credentials), ConfigError.
    """
    parsed = parse_bucket_url(url)
    opened = {"s3": _open_s3, "gs": _open_google, "az": _open_azure}[parsed.scheme]
    return opened(parsed, environ, _HASTY if hasty else _PATIENT)


def _client(endpoint: str, patience: _Patience) -> ClientConfig:
    from hitsave._version import __version__

    return {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": patience.connecting,
        "timeout": _LONGEST_REQUEST,
        "user_agent": f"hitsave/{__version__}",
    }


def _retries(patience: _Patience) -> RetryConfig:
    from datetime import timedelta

    return {
        "max_retries": patience.retries,
        "retry_timeout": timedelta(seconds=60),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
    }


def _open(
    store: Any, url: BucketUrl, kind: str, endpoint: str, client: ClientConfig, patience: _Patience, **options: Any
) -> BucketTransport:
    def make(client_options: ClientConfig) -> Any:
        return store(url.bucket, client_options=client_options, retry_config=_retries(patience), **options)

    place = Place(url.label, url.bucket, kind, endpoint)
    try:
        reading, writing = make({**client, "read_timeout": patience.silence}), make(client)
    except Exception as error:  # Of a class that depends on the kind; its text may show a part of a key.
        raise RemoteRefused(
            f"{url.label}: what was found to sign in with cannot be used ({type(error).__name__}); "
            f"check {CREDENTIALS[kind]}"
        ) from None
    return BucketTransport(reading, place, url.prefix, writing)


def _open_s3(url: BucketUrl, environ: Mapping[str, str], patience: _Patience) -> BucketTransport:
    from obstore.store import S3Store

    from hitsave.remotes.transports.aws import Asked, find_access

    asked = Asked(url.label, url.endpoint, url.options.get("region", ""), url.options.get("profile", ""), url.anonymous)
    access = find_access(asked, environ, answers)
    client = _client(access.endpoint, patience)
    if access.ca_bundle:
        try:
            client["root_certificate"] = access.ca_bundle.read_bytes()
        except OSError as error:
            raise RemoteUnsuitable(f"{url.label}: {access.ca_bundle}: cannot be read ({error.strerror})") from None
    config = {
        "region": access.region,
        "skip_signature": access.anonymous,
        # TLS guards what is sent. Without it, the store checks every body against the digest that was signed.
        "unsigned_payload": not access.endpoint.startswith("http://"),
        # A name with dots has no certificate of its own.
        "virtual_hosted_style_request": not access.endpoint and "." not in url.bucket,
    }
    if access.endpoint:
        config |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint}
    provider = access.provider
    return _open(S3Store, url, "S3", access.endpoint, client, patience, config=config, credential_provider=provider)


def _open_google(url: BucketUrl, environ: Mapping[str, str], patience: _Patience) -> BucketTransport:
    from obstore.store import GCSStore

    config: dict[str, Any] = {"skip_signature": url.anonymous}
    if url.endpoint:
        config["base_url"] = url.endpoint.rstrip("/")
    given = {name.lower(): environ[name] for name in _GOOGLE_KNOWN if environ.get(name)}
    config |= given
    if not (given or url.anonymous or os.path.exists(_google_login(environ)) or answers(_GOOGLE_METADATA)):
        raise _no_credentials(url, "Google")
    return _open(GCSStore, url, "Google", url.endpoint, _client(url.endpoint, patience), patience, config=config)


def _google_login(environ: Mapping[str, str]) -> str:
    """The file that `gcloud auth application-default login` writes."""
    base = os.path.join(environ.get("APPDATA", ""), "gcloud") if os.name == "nt" else "~/.config/gcloud"
    return os.path.expanduser(os.path.join(base, "application_default_credentials.json"))


def _open_azure(url: BucketUrl, environ: Mapping[str, str], patience: _Patience) -> BucketTransport:
    from obstore.store import AzureStore

    from hitsave.remotes.transports.azure import find_access

    access = find_access(url.label, url.options, environ, answers)
    config: dict[str, Any] = {**access.config, "skip_signature": url.anonymous}
    client = _client(access.endpoint, patience)
    return _open(AzureStore, url, "Azure", access.endpoint, client, patience, config=config)


def _no_credentials(url: BucketUrl, kind: str) -> RemoteRefused:
    return RemoteRefused(
        f"{url.label}: no {kind} credentials were found; set {CREDENTIALS[kind]}; "
        "add ?anonymous=1 to the URL of a public bucket"
    )


def answers(url: str) -> bool:
    """Whether something listens at an address, soon: the metadata service of a machine is near, or not there."""
    import socket

    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=0.5).close()
    except OSError:
        return False
    return True
