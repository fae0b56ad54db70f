"""Keys of hosts and of users: where they are kept, and in one line why one was refused."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from typing import Any

import asyncssh
from asyncssh import SSHClientConnectionOptions
from asyncssh.config import SSHConfig

_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
_DEFAULT_KEYS = tuple(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))


def known_hosts(options: SSHClientConnectionOptions) -> Any:
    """The files of known hosts that are there. Without any no host is known: keys are checked always."""
    named: Iterable[str] = options.known_hosts or _KNOWN_HOSTS  # type: ignore[assignment]
    found = [path for path in map(os.path.expanduser, map(os.fspath, named)) if os.access(path, os.R_OK)]
    return found or b""


def host_key_reason(options: SSHClientConnectionOptions, reason: str) -> str:
    """What is wrong with the key of a host, and what to do."""
    host = options.host_key_alias or options.host
    port = None if options.port == asyncssh.DEFAULT_PORT else options.port
    changed = False
    with contextlib.suppress(OSError, ValueError):
        changed = any(asyncssh.match_known_hosts(known_hosts(options), host, "", port)[:2])
    if changed:
        return (
            f"the key of this host is not the one that is known ({reason}); somebody may be listening in. If it was "
            f"changed on purpose, run 'ssh-keygen -R {host if port is None else f'[{host}]:{port}'}' and 'ssh' once"
        )
    command = f"ssh {host}" if port is None else f"ssh -p {port} {host}"
    return f"the key of this host is not known yet; run '{command}' once to check and accept it"


async def permission_reason(options: SSHClientConnectionOptions) -> str:
    """Which keys were tried, and what could be done."""
    paths = named_keys(options.config) or [os.path.expanduser(path) for path in _DEFAULT_KEYS]
    locked = [path for path in paths if _is_locked(path)]
    tried = [_short(path) for path in paths if path not in locked and os.path.exists(path)]
    agent = await _agent_keys(options)
    if agent:
        tried.append(f"{agent} {'key' if agent == 1 else 'keys'} of the agent")
    reason = f"permission denied for user {options.username}"
    reason += f" (tried {', '.join(tried)})" if tried else " (there is no key that could be tried)"
    if locked:
        return f"{reason}; {_short(locked[0])} has a passphrase: run 'ssh-add {_short(locked[0])}' first"
    return f"{reason}; see to it that 'ssh {options.host}' works without a password"


def _short(path: str) -> str:
    return re.sub(f"^{re.escape(os.path.expanduser('~'))}/", "~/", path)


async def _agent_keys(options: SSHClientConnectionOptions) -> int:
    if not options.agent_path:
        return 0
    try:
        async with asyncssh.connect_agent(options.agent_path) as agent:
            return len(await agent.get_keys(options.agent_identities))
    except (OSError, ValueError, asyncssh.Error):
        return 0


def named_keys(settings: SSHConfig) -> list[str]:
    """The files of keys that the settings name."""
    named: Any = settings.get("IdentityFile") or ()
    return [os.path.expanduser(path) for path in named]


def _is_locked(path: str) -> bool:
    try:
        asyncssh.read_private_key(path)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        return "assphrase" in str(error)
    except (OSError, ValueError):
        return False
    return False
