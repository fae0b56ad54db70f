"""`hitsave remote`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit, emit_json, json_option
from hitsave.cli.session import Session, pass_session


@click.group("remote")
def command() -> None:
    """Name the stores that are shared with others. The first one is the default.

    \b
    Examples:
      hitsave remote add origin s3://my-bucket/datasets
      hitsave remote list
    """


@command.command("add")
@click.argument("name")
@click.argument("url", shell_complete=completes(Kind.FILE))
@click.option("--endpoint", metavar="URL", help="Where a bucket is that is not at AWS, Google or Azure.")
@click.option("--region", metavar="REGION", help="The region of a bucket at AWS.")
@click.option("--profile", metavar="PROFILE", help="The profile of ~/.aws with which to sign in.")
@click.option("--account", metavar="ACCOUNT", help="The storage account of a container at Azure.")
@click.option("--global", "personal", is_flag=True, help="In your own settings, for all workspaces.")
@json_option
@pass_session
def add(session: Session, /, name: str, url: str, personal: bool, as_json: bool, **options: str | None) -> None:
    """Name a remote: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, ssh://HOST/PATH or
    the https:// URL of a server.

    It is tried first, and refused where it would lose data. Credentials come from where your other tools find them,
    and the key of a server from 'hitsave login'; settings hold none.

    \b
    Examples:
      hitsave remote add origin s3://my-bucket/datasets --region eu-central-1
      hitsave remote add backup ssh://host/srv/hitsave
      hitsave remote add local /mnt/share/hitsave --global
    """
    from hitsave.config import change, check_key, plain_url, writable_source
    from hitsave.errors import ConfigError
    from hitsave.remotes.opening import check_remote, check_url, open_transport
    from hitsave.remotes.transports.bucketurls import with_options
    from hitsave.remotes.transports.credentials import is_open_to_others

    config = session.config
    check_key(f"remotes.{name}")
    if any(remote.name == name for remote in config.remotes):
        raise ConfigError(f"there is a remote {name!r} already; 'hitsave remote remove {name}' first")
    url = plain_url(url)
    check_url(url)
    if "://" not in url:
        url = os.path.abspath(os.path.expanduser(url))
        session.workspace.refuse_inside_dataset(Path(url))
    url = with_options(url, options)
    if is_open_to_others(url):
        session.say(f"{url}: is not encrypted; who sees the traffic has your key. Use https://")
    # Whoever has mistyped the endpoint should not have to wait.
    writable = check_remote(open_transport(url, patient=False))
    source = writable_source(config.workspace, config.config_dir, personal)
    change(source, f"remotes.{name}", url)
    if as_json:
        emit_json({"name": name, "url": url, "file": str(source.path), "writable": writable})
        return
    session.say(f"{name} is {url} (in {Path(source.label)})")
    if not writable:
        session.say("you have no right to write there, so you can pull from it and not push")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the remotes, the default first.

    \b
    Examples:
      hitsave remote list
      hitsave remote list --json
    """
    remotes = session.config.remotes
    if as_json:
        emit_json([remote._asdict() for remote in remotes])
    for remote in () if as_json else remotes:
        emit(f"{remote.name}\t{remote.url}")


@command.command("remove")
@click.argument("name", shell_complete=completes(Kind.REMOTE))
@json_option
@pass_session
def remove(session: Session, name: str, as_json: bool) -> None:
    """Forget the name of a remote; what is in it stays.

    \b
    Examples:
      hitsave remote remove backup
      hitsave --quiet remote remove origin
    """
    from hitsave.config import change, sources
    from hitsave.errors import ConfigError, suggest

    config = session.config
    changed = [
        source
        for source in sources(config.workspace, config.config_dir)
        if source.path.exists() and change(source, f"remotes.{name}", None)
    ]
    if not changed:
        hint = suggest(name, (remote.name for remote in config.remotes))
        raise ConfigError(f"there is no remote {name!r} in any settings file{hint}")
    if as_json:
        emit_json({"name": name, "files": [str(source.path) for source in changed]})
