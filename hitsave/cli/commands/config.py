"""`hitsave config`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit, emit_json, json_option
from hitsave.cli.session import Session, pass_session


@click.group("config")
def command() -> None:
    """Read and change settings.

    Environment variables come first, then the workspace's hitsave.toml or [tool.hitsave] in pyproject.toml, then your
    own config.toml. Keys: cache_dir, project, symlinks (ignore, store, follow), links (reflink, hardlink, symlink,
    copy), remotes.NAME, and what 'hitsave gc' keeps of the results of functions: evaluations.age (30d),
    evaluations.count (100000), evaluations.size (50GB).

    \b
    Examples:
      hitsave config list
      hitsave config set links hardlink,copy
    """


def _values(session: Session) -> dict[str, str | list[str]]:
    from hitsave.limits import show_age

    config = session.config
    values: dict[str, str | list[str]] = {
        "cache_dir": str(config.cache_dir),
        "project": config.project,
        "symlinks": config.symlinks,
        "links": list(config.links),
    }
    kept = config.evaluations
    limits = {"age": None if kept.age is None else show_age(kept.age), "count": kept.count, "size": kept.size}
    values |= {f"evaluations.{name}": str(limit) for name, limit in limits.items() if limit is not None}
    return values | {f"remotes.{remote.name}": remote.url for remote in config.remotes}


def _show(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


@command.command("get")
@click.argument("key", shell_complete=completes(Kind.SETTING))
@pass_session
def get(session: Session, key: str) -> None:
    """Print the value that holds here.

    \b
    Examples:
      hitsave config get cache_dir
      hitsave config get remotes.origin
    """
    from hitsave.config import check_key
    from hitsave.errors import ConfigError

    check_key(key)
    values = _values(session)
    if key not in values:
        raise ConfigError(f"{key} is not set")
    emit(_show(values[key]))


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """Print every setting that holds here.

    \b
    Examples:
      hitsave config list
      hitsave config list --json
    """
    values = _values(session)
    if as_json:
        emit_json(values)
    for key, value in () if as_json else values.items():
        emit(f"{key} = {_show(value)}")


@command.command("set")
@click.argument("key", shell_complete=completes(Kind.SETTING))
@click.argument("value", shell_complete=completes(Kind.VALUE))
@click.option("--global", "personal", is_flag=True, help="In your own settings, for all workspaces.")
@pass_session
def set_(session: Session, key: str, value: str, personal: bool) -> None:
    """Set a value, in the workspace's settings unless it is of this machine only.

    \b
    Examples:
      hitsave config set symlinks store
      hitsave config set --global links hardlink,copy
      hitsave config set evaluations.size 50GB
    """
    from hitsave.config import PERSONAL_KEYS, change, parse_value, writable_source

    config = session.config
    if key == "cache_dir":
        value = os.path.abspath(os.path.expanduser(value)) if value else value
    parsed = parse_value(key, value)
    if key.startswith("remotes."):
        from hitsave.remotes.opening import check_url

        check_url(value)
        if "://" not in value:
            session.workspace.refuse_inside_dataset(config.workspace / Path(value).expanduser())
    source = writable_source(config.workspace, config.config_dir, personal or key in PERSONAL_KEYS)
    change(source, key, parsed)
    session.say(f"{key} is set in {source.label}")


@command.command("unset")
@click.argument("key", shell_complete=completes(Kind.SETTING))
@click.option("--global", "personal", is_flag=True, help="In your own settings.")
@pass_session
def unset(session: Session, key: str, personal: bool) -> None:
    """Take a value out of the settings.

    \b
    Examples:
      hitsave config unset symlinks
      hitsave config unset --global links
    """
    from hitsave.config import PERSONAL_KEYS, change, sources
    from hitsave.errors import ConfigError

    config = session.config
    own = personal or key in PERSONAL_KEYS
    changed = [
        source
        for source in sources(config.workspace, config.config_dir)
        if source.personal is own and source.path.exists() and change(source, key, None)
    ]
    if not changed:
        raise ConfigError(f"{key} is not set {'in your own settings' if own else 'in the workspace'}")
