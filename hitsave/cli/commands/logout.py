"""`hitsave logout`."""

from __future__ import annotations

import click

from hitsave.cli.session import Session, pass_session


@click.command("logout")
@click.argument("url")
@pass_session
def command(session: Session, url: str) -> None:
    """Keep the key of a server no longer.

    The key itself still holds; 'hitsave keygen --revoke ID' takes it out of use.

    \b
    Examples:
      hitsave logout https://hitsave.example.org
      hitsave logout http://127.0.0.1:8321
    """
    from hitsave.errors import ConfigError
    from hitsave.remotes.transports.credentials import forget

    if not forget(session.config.config_dir, url):
        raise ConfigError(f"{url}: you are not logged in there")
    session.say(f"logged out of {url}")
