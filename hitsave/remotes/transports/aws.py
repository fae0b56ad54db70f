"""Where the region, the endpoint and the credentials of a bucket that speaks S3 come from: the usual AWS places.

What the remote's URL says holds, then `AWS_*` variables, then the profile in `~/.aws/config` and `~/.aws/credentials`,
then what containers and instances are given. Roles and single sign-on need boto3, which is used if it is installed.
Secrets stay in the values here: no message holds one.
"""

from __future__ import annotations

import configparser
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hitsave.errors import ConfigError, RemoteRefused, RemoteUnsuitable

if TYPE_CHECKING:
    from obstore.store import S3Credential

Provider = Callable[[], "S3Credential"]
#: Tells whether something answers at an address, soon.
Answers = Callable[[str], bool]

_METADATA = "http://169.254.169.254"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: Variables that say where a container or a pod gets credentials; the library asks there itself.
_CONTAINER = (
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_NEEDS_BOTO3 = ("role_arn", "sso_session", "sso_start_url", "sso_account_id", "login_session")
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a remote's URL says; empty where it says nothing."""

    url: str
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """How a bucket is reached. `endpoint` is empty for AWS itself.

    `provider` gives credentials. It is None where none are wanted (`anonymous`), or the library finds them itself.
    """

    region: str
    endpoint: str
    anonymous: bool
    provider: Provider | None
    ca_bundle: Path | None


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its settings in both files together, and the endpoint that it names for S3."""

    name: str
    values: Mapping[str, str]
    endpoint: str = ""


def find_access(asked: Asked, environ: Mapping[str, str], answers: Answers) -> Access:
    """How to reach a bucket. Raises RemoteUnsuitable (no region), RemoteRefused (no credentials), ConfigError."""
    profile = load_profile(asked.profile, environ)
    endpoint = asked.endpoint or _endpoint(environ, profile)
    region = (
        asked.region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.values.get("region")
        or ("us-east-1" if endpoint else "")
    )
    if not region:
        raise RemoteUnsuitable(
            f"{asked.url}: the region of the bucket is not known; name it in AWS_REGION, or in the URL (?region=NAME)"
        )
    bundle = environ.get("AWS_CA_BUNDLE") or profile.values.get("ca_bundle")
    return Access(
        region=region,
        endpoint=endpoint.rstrip("/"),
        anonymous=asked.anonymous,
        provider=None if asked.anonymous else _find_provider(asked, environ, profile, answers),
        ca_bundle=Path(bundle).expanduser() if bundle else None,
    )


def _endpoint(environ: Mapping[str, str], profile: Profile) -> str:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    return next((environ[name] for name in _ENDPOINTS if environ.get(name)), profile.endpoint)


# -- credentials


def _find_provider(asked: Asked, environ: Mapping[str, str], profile: Profile, answers: Answers) -> Provider | None:
    # A profile that is named beside the bucket is meant; what the environment says about another one is not.
    if not asked.profile and environ.get("AWS_ACCESS_KEY_ID"):
        keys = {name: environ.get(name.upper(), "") for name in _KEYS}
        return _fixed(keys, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not", asked.url)
    values = profile.values
    if any(values.get(name) for name in _NEEDS_BOTO3):
        return _from_boto3(asked, profile)
    if values.get("aws_access_key_id"):
        return _fixed(values, f"profile {profile.name!r} has no aws_secret_access_key", asked.url)
    if command := values.get("credential_process"):
        return _from_process(command, asked, profile)
    if any(environ.get(name) for name in _CONTAINER):
        return None
    wanted = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"
    if wanted and answers(environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA):
        return None
    raise RemoteRefused(
        f"{asked.url}: no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in "
        "~/.aws/credentials ('aws configure'); add ?anonymous=1 to the URL of a public bucket"
    )


_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def _fixed(values: Mapping[str, str], otherwise: str, url: str) -> Provider:
    """Keys that never change. Raises RemoteRefused with `otherwise` where there is only half of them."""
    key, secret, token = (values.get(name) for name in _KEYS)
    if not key or not secret:
        raise RemoteRefused(f"{url}: {otherwise}")
    found: S3Credential = {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token or None,
        "expires_at": None,
    }
    return lambda: found


def _from_process(command: str, asked: Asked, profile: Profile) -> Provider:
    """Keys that a program prints; it is run again before they expire. Raises RemoteRefused."""

    def run() -> S3Credential:
        import shlex
        import subprocess

        try:
            done = subprocess.run(shlex.split(command), capture_output=True, check=True, timeout=60)
            printed: dict[str, Any] = json.loads(done.stdout)
            expires = printed.get("Expiration")
            return {
                "access_key_id": printed["AccessKeyId"],
                "secret_access_key": printed["SecretAccessKey"],
                "token": printed.get("SessionToken"),
                "expires_at": datetime.fromisoformat(expires) if expires else None,
            }
        except subprocess.CalledProcessError as error:
            reason = f"ended with code {error.returncode}"
        except subprocess.TimeoutExpired:
            reason = "did not end within a minute"
        except OSError as error:
            reason = f"cannot be run ({error.strerror})"
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = "did not print credentials in version 1 of their format"
        raise RemoteRefused(f"{asked.url}: the credential_process of profile {profile.name!r} {reason}")

    return _starting_with(run(), run)


def _starting_with(first: S3Credential, again: Provider) -> Provider:
    """Gives what was asked for already, so that a mistake shows where it can be explained; then asks again."""
    waiting = [first]
    return lambda: waiting.pop() if waiting else again()


def _from_boto3(asked: Asked, profile: Profile) -> Provider:
    """Keys of a role, or of single sign-on. Raises RemoteRefused."""
    try:
        import boto3
        import botocore.exceptions
    except ImportError:
        raise RemoteRefused(
            f"{asked.url}: profile {profile.name!r} uses a role or single sign-on, which needs boto3; install it with "
            "'pip install boto3', or put temporary keys into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN"
        ) from None

    def ask() -> S3Credential:
        from datetime import UTC, timedelta

        try:
            credentials = boto3.Session(profile_name=profile.name).get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            reason = str(error).partition("\n")[0]
            raise RemoteRefused(f"{asked.url}: profile {profile.name!r} gives no credentials ({reason})") from None
        if frozen is None:
            raise RemoteRefused(f"{asked.url}: profile {profile.name!r} gives no credentials")
        # boto3 renews them long before they expire, and this library a minute before it believes they do.
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=10),
        }

    return _starting_with(ask(), ask)


# -- files


def load_profile(name: str, environ: Mapping[str, str]) -> Profile:
    """A profile, or the one that the environment names. Raises ConfigError where there is no such profile."""
    wanted = name or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or _DEFAULT
    config_path = _path(environ, "AWS_CONFIG_FILE", "config")
    secrets_path = _path(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
    config, secrets = _read(config_path), _read(secrets_path)
    profiles = {_profile_name(section): section for section in config if _profile_name(section)}
    if wanted not in profiles and wanted not in secrets and wanted != _DEFAULT:
        known = ", ".join(sorted({*profiles, *secrets})) or "none"
        raise ConfigError(f"there is no AWS profile {wanted!r} in {config_path} or {secrets_path} (there are: {known})")
    values = {**config.get(profiles.get(wanted, ""), {}), **secrets.get(wanted, {})}
    services = config.get(f"services {values['services']}", {}) if values.get("services") else {}
    endpoint = _nested(services.get("s3", "")).get("endpoint_url") or values.get("endpoint_url", "")
    return Profile(wanted, values, endpoint)


def _profile_name(section: str) -> str:
    """The profile of a section of the config file; empty for those of another kind."""
    if section == _DEFAULT:
        return section
    found = re.fullmatch(r"profile\s+(.+)", section)
    return found[1].strip().strip("'\"") if found else ""


def _path(environ: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(environ.get(variable) or os.path.join("~", ".aws", name)).expanduser()


def _read(path: Path) -> dict[str, dict[str, str]]:
    """The sections of a file; none where it is missing. Raises ConfigError, which shows nothing of it."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, default_section="", allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (configparser.Error, UnicodeDecodeError):
        raise ConfigError(f"{path}: is not a file of AWS settings") from None
    return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _nested(text: str) -> dict[str, str]:
    """The settings that are indented beneath another one."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}
