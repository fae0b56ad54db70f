"""Keys of servers that this user is logged in to. They lie in a file of their own, which nobody else can read.

A key belongs to one origin (scheme, host and port) and is given for no other. HITSAVE_KEY comes before the file; it may
say for which origin it is, as in `hsk_...@https://hitsave.example.org`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hitsave.errors import ConfigError

FILE = "credentials.json"
#: The variable that holds a key.
VARIABLE = "HITSAVE_KEY"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def origin_of(url: str) -> str:
    """Scheme, host and port of an http or https URL, in one spelling. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"{url}: is no http or https URL") from None
    if not parts.hostname:
        raise ConfigError(f"{url}: names no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def is_open_to_others(url: str) -> bool:
    """Whether a key that is sent there can be read on its way: plain http, and not to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and host not in ("localhost", "::1") and not host.startswith("127.")


def key_for(url: str, environ: Mapping[str, str], config_dir: Path) -> str | None:
    """The key for a server; None where there is none. Raises ConfigError."""
    origin = origin_of(url)
    key, _, meant = environ.get(VARIABLE, "").strip().partition("@")
    if key and (not meant or origin_of(meant) == origin):
        return key
    return _load(config_dir / FILE).get(origin)


def logged_in(config_dir: Path) -> list[str]:
    """The origins of servers whose keys are kept. Raises ConfigError."""
    return sorted(_load(config_dir / FILE))


def remember(config_dir: Path, url: str, key: str) -> Path:
    """Keep a key; the file that it is in. Raises ConfigError."""
    path = config_dir / FILE
    _save(path, {**_load(path), origin_of(url): key})
    return path


def forget(config_dir: Path, url: str) -> bool:
    """Keep a key no longer; False where there was none. Raises ConfigError."""
    path = config_dir / FILE
    keys = _load(path)
    if keys.pop(origin_of(url), None) is None:
        return False
    _save(path, keys)
    return True


def _load(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as file:
            if sys.platform != "win32" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise ConfigError(f"{path}: others can read the keys in it; run: chmod 600 {path}")
            keys = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise ConfigError(f"{path}: is no valid JSON; log in again after you have removed it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise ConfigError(f"{path}: does not hold keys; log in again after you have removed it")
    return keys


def _save(path: Path, keys: Mapping[str, str]) -> None:
    temporary = path.with_name(f".{FILE}-{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(keys, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
