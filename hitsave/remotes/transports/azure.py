"""Where the account and the credentials of an Azure container come from.

The library knows most variables (`AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, `AZURE_CLIENT_ID` ...) itself.
This adds the connection string that Azure's own tools use, and does not wait for a metadata service that is not there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hitsave.errors import RemoteRefused, RemoteUnsuitable
from hitsave.remotes.transports.bucketfaults import CREDENTIALS

_METADATA = "http://169.254.169.254"
_ACCOUNT = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
#: Variables that the library knows by the same names, and by which credentials can be had.
_KNOWN = (
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
    *("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_FEDERATED_TOKEN_FILE"),
    *("AZURE_STORAGE_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT"),
)


@dataclass(frozen=True, slots=True)
class Access:
    """How a container is reached: the library's settings, and the endpoint where it is not Azure's own."""

    config: Mapping[str, str | bool]
    endpoint: str


def find_access(
    url: str, options: Mapping[str, str], environ: Mapping[str, str], answers: Callable[[str], bool]
) -> Access:
    """How to reach a container. Raises RemoteUnsuitable (no account), RemoteRefused (no credentials)."""
    said = parse_connection(environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    account = options.get("account") or next((environ[name] for name in _ACCOUNT if environ.get(name)), "")
    if account and said.get("AccountName") not in (None, account):
        said = {}  # It is of another account.
    account = account or said.get("AccountName", "")
    if not account:
        raise RemoteUnsuitable(f"{url}: the storage account is not known; name it with --account")
    endpoint = options.get("endpoint") or environ.get("AZURE_STORAGE_ENDPOINT") or said.get("BlobEndpoint", "")
    config: dict[str, str | bool] = {"account_name": account}
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/")
    given = {name.lower(): environ[name] for name in _KNOWN if environ.get(name)}
    if key := said.get("AccountKey") or environ.get("AZURE_STORAGE_KEY"):
        config["account_key"] = key
    elif token := said.get("SharedAccessSignature"):
        config["sas_key"] = token
    elif given:
        config |= given
    elif options.get("anonymous", "0") in ("", "0", "false"):
        config |= _found_here(url, answers)
    return Access(config, endpoint.rstrip("/"))


def _found_here(url: str, answers: Callable[[str], bool]) -> dict[str, str | bool]:
    """What the machine offers where no variable is set."""
    if shutil.which("az"):
        return {"use_azure_cli": True}
    if answers(_METADATA):
        return {}
    raise RemoteRefused(
        f"{url}: no Azure credentials were found; set {CREDENTIALS['Azure']}; "
        "add ?anonymous=1 to the URL of a public container"
    )


def parse_connection(text: str) -> dict[str, str]:
    """A connection string in its parts: `AccountName=...;AccountKey=...`."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
