"""`hitsave login`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hitsave.cli.output import emit_json, json_option
from hitsave.cli.session import Session, pass_session


@click.command("login")
@click.argument("url")
@click.option("--key", metavar="KEY", help="The key; others on this machine may see it. It is asked for without.")
@click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    help="A file that holds the key; - reads it from stdin.",
)
@json_option
@pass_session
def command(session: Session, url: str, key: str | None, key_file: Path | None, as_json: bool) -> None:
    """Keep the key of a server, as 'hitsave serve' and 'hitsave keygen' make them.

    It is checked at once, kept in a file of your own settings that nobody else can read, and sent to that server alone.
    HITSAVE_KEY in the environment comes before it.

    \b
    Examples:
      hitsave login https://hitsave.example.org
      hitsave login http://127.0.0.1:8321 --key-file ~/.local/share/hitsave/server/admin.key
    """
    from hitsave.remotes.opening import open_server
    from hitsave.remotes.transports.credentials import is_open_to_others, remember

    if key is not None and key_file is not None:
        raise click.UsageError("give --key or --key-file, not both")
    secret = _read(key, key_file)
    if is_open_to_others(url):
        click.echo(f"hitsave: {url}: is not encrypted; who sees the traffic has the key. Use https://", err=True)
    known = open_server(url, secret).whoami()
    path = remember(session.config.config_dir, url, secret)
    if as_json:
        emit_json({"url": url, **known})
    session.say(f"logged in to {url} as {known.get('label')!r} ({_describe(known)}); the key is in {path}")


def _read(key: str | None, key_file: Path | None) -> str:
    if key_file is None and key is None and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at; give --key-file - to read the key from stdin")
    if key_file is not None:
        text = sys.stdin.readline() if str(key_file) == "-" else key_file.read_text(encoding="utf-8", errors="replace")
    else:
        text = key if key is not None else click.prompt("key", hide_input=True, err=True)
    secret = text.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise click.ClickException("this is no key; one begins with hsk_")
    return secret


def _describe(known: dict[str, Any]) -> str:
    from hitsave.cli.commands.keygen import show_expiry

    return f"role {known.get('role')}, {show_expiry(known.get('expires'))}"
