"""`hitsave keygen`."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.cli.output import emit, emit_json, json_option, one_line
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.remotes.transports.web import WebTransport
    from hitsave.server.offline import OwnKeys


#: In seconds: a hundred years.
_LONGEST_LIFE = 100 * 366 * 86400


@click.command("keygen")
@click.option("--role", type=click.Choice(["read", "write", "admin"]), help="What the new key may do.")
@click.option("--label", metavar="TEXT", help="Whose it is, or what for.")
@click.option("--expires", metavar="AGE", help="After how long it ends, as in 90d; never without.")
@click.option("--list", "listing", is_flag=True, help="List the keys instead, without their secrets.")
@click.option("--revoke", metavar="ID", help="Take a key out of use instead, at once and for good.")
@click.option("--url", metavar="URL", help="The server; the default remote without, or else the only one you know.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="At the server's machine: its folder. No key is needed then, as where the admin key was lost.",
)
@click.option("--database", metavar="URL", default="", help="With --data: its database, where that is not in DIR.")
@json_option
@pass_session
def command(
    session: Session,
    role: str | None,
    label: str | None,
    expires: str | None,
    listing: bool,
    revoke: str | None,
    url: str | None,
    data: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Make a key of a server for somebody, and print it: it is shown this once.

    A key with the role read may pull, one with write may push, too, and one with admin may do everything: drop what is
    there, and make keys. You need one of these yourself, or access to the server's own files.

    \b
    Examples:
      hitsave keygen --role write --label "ann's laptop" --expires 90d
      hitsave keygen --list
      hitsave keygen --revoke Yq81kWzc
      hitsave keygen --role admin --label "instead of the lost one" --data /srv/hitsave
    """
    if sum((role is not None, listing, revoke is not None)) != 1:
        raise click.UsageError("give one of --role, --list and --revoke")
    if role is None and (label is not None or expires is not None):
        raise click.UsageError("--label and --expires are for a new key, with --role")
    if role is not None and not label:
        raise click.UsageError("a new key needs a --label, by which you know it later")
    if database and data is None:
        raise click.UsageError("--database is for use with --data")
    if data is not None and url is not None:
        raise click.UsageError("give --data or --url, not both")
    lifetime = _seconds(expires)
    server = _server(session, url) if data is None else _own_keys(data, database)
    if listing:
        _list(server, as_json)
    elif revoke is not None:
        gone = server.revoke_key(revoke)
        if as_json:
            emit_json(gone)
        session.say(one_line(f"the key {gone.get('id')} ({gone.get('label')}) opens nothing any more"))
        if data is not None and not any(map(_is_admin, server.keys())):
            session.say(
                "no key with the role admin is left; make one here, with: "
                f"hitsave keygen --role admin --label NAME --data {shlex.quote(str(data))}"
            )
    elif role is not None and label is not None:
        made = server.make_key(role, label, lifetime)
        emit_json(made) if as_json else emit(str(made.get("key")))
        session.say(
            f"{label}: role {role}, {show_expiry(made.get('expires'))}, id {made.get('id')}; it is not shown again"
        )


def _seconds(expires: str | None) -> int | None:
    from hitsave.limits import parse_age

    if expires is None:
        return None
    try:
        seconds = parse_age(expires)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    if not 0 < seconds <= _LONGEST_LIFE:
        reason = "a key holds for at least a second, and for a hundred years at most; without --expires, it never ends"
        raise click.BadParameter(reason, param_hint="--expires")
    return seconds


def _server(session: Session, url: str | None) -> WebTransport:
    from hitsave.remotes.opening import open_server

    return open_server(url or _default_server(session))


def _default_server(session: Session) -> str:
    """The default remote, where it is a server; else the one that this user is logged in to. Raises ConfigError."""
    from hitsave.errors import ConfigError
    from hitsave.remotes.transports.credentials import logged_in

    remotes = session.config.remotes
    if remotes and remotes[0].url.startswith(("http://", "https://")):
        return remotes[0].url
    known = logged_in(session.config.config_dir)
    if len(known) == 1:
        return known[0]
    if known:
        raise ConfigError(f"you are logged in to {', '.join(known)}; name one of them with --url")
    raise ConfigError("which server? Log in to one with 'hitsave login URL', or name it with --url")


def _own_keys(data: Path, database: str) -> OwnKeys:
    from hitsave.errors import ConfigError

    try:
        from hitsave.server.offline import OwnKeys
        from hitsave.server.settings import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hitsave"):
            raise
        raise ConfigError(f"for --data, run: pip install 'hitsave[server]' ({error.name} is missing)") from None
    return OwnKeys(Settings(data, database=database or os.environ.get("HITSAVE_SERVER_DATABASE", "")))


def _list(server: WebTransport | OwnKeys, as_json: bool) -> None:
    keys = server.keys()
    if as_json:
        emit_json([*keys])
        return
    for key in keys:
        used = f"used {_minute(key['last_used'])}" if key.get("last_used") else "never used"
        emit(one_line(f"{key.get('id')}  {key.get('role'):<5}  {_state(key)}, {used}  {key.get('label')}"))


def _is_admin(key: Mapping[str, Any]) -> bool:
    holds = not key.get("revoked") and (key.get("expires") is None or key["expires"] > time.time())
    return key.get("role") == "admin" and holds


def _state(key: Mapping[str, Any]) -> str:
    return f"revoked {_minute(key['revoked'])}" if key.get("revoked") else show_expiry(key.get("expires"), _minute)


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _minute(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def show_expiry(expires: int | None, show: Callable[[int], str] = _day) -> str:
    """Until when a key holds."""
    if expires is None:
        return "never expires"
    return f"{'expired' if expires <= time.time() else 'expires'} {show(expires)}"
