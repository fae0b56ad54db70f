"""`hitsave serve`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.cli.session import Session, pass_session


@click.command("serve")
@click.option("--host", default="127.0.0.1", envvar="HITSAVE_SERVER_HOST", show_default=True, help="Where to listen.")
@click.option("--port", default=8321, envvar="HITSAVE_SERVER_PORT", show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--data",
    metavar="DIR",
    envvar="HITSAVE_SERVER_DATA",
    type=click.Path(path_type=Path),
    help="The folder for what belongs to the server; one of your own without it.",
)
@click.option(
    "--store",
    metavar="URL",
    envvar="HITSAVE_SERVER_STORE",
    default="",
    help="The folder, bucket or ssh:// URL that is shared; DIR/store without it.",
)
@click.option(
    "--database",
    metavar="URL",
    envvar="HITSAVE_SERVER_DATABASE",
    default="",
    help="Where keys and the audit log are, as in postgresql://USER@HOST/NAME; a file in DIR without it.",
)
@click.option(
    "--url",
    metavar="URL",
    envvar="HITSAVE_SERVER_URL",
    default="",
    help="How others reach this server, where a proxy stands before it.",
)
@click.option(
    "--proxies",
    metavar="ADDRESSES",
    envvar="HITSAVE_SERVER_PROXIES",
    default="",
    help="The addresses of proxies whose X-Forwarded-For is believed.",
)
@click.option(
    "--limit",
    "limits",
    metavar="NAME=VALUE",
    envvar="HITSAVE_SERVER_LIMITS",
    multiple=True,
    help="Change a limit, as in pack=1GiB; any number of times.",
)
@pass_session
def command(
    session: Session,
    host: str,
    port: int,
    data: Path | None,
    store: str,
    database: str,
    url: str,
    proxies: str,
    limits: tuple[str, ...],
) -> None:
    """Serve a store over HTTP, with keys, public links and pages to look at.

    At its first start it makes an admin key, and says where that is. Each option can be given as HITSAVE_SERVER_HOST,
    HITSAVE_SERVER_PORT, and so on, too, and limits as HITSAVE_SERVER_LIMITS, with spaces between them.

    \b
    Examples:
      hitsave serve
      hitsave serve --data /srv/hitsave --store s3://bucket/prefix --database postgresql://hitsave@db/hitsave
    """
    from hitsave.errors import ConfigError

    try:
        from hitsave.server.running import serve
        from hitsave.server.settings import Settings, parse_server_limits
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hitsave"):
            raise
        raise ConfigError(f"for the server, run: pip install 'hitsave[server]' ({error.name} is missing)") from None
    try:
        bounds = parse_server_limits(limits)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from None
    serve(Settings(data or _own_folder(), host, port, store, database, url, proxies, bounds), session.say)


def _own_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("hitsave") / "server"
