"""Settings, and where they come from. `load` alone looks at files and the environment; the rest is pure.

What is said first, holds: `HITSAVE_*` variables, then the workspace's `hitsave.toml` or `[tool.hitsave]` in its
`pyproject.toml` (shared with the team, no secrets), then the user's own `config.toml`.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from hitsave.errors import ConfigError, suggest
from hitsave.gitnames import repository_name
from hitsave.limits import Limits, parse_age, parse_count, parse_limits, parse_size

SYMLINKS = ("ignore", "store", "follow")
LINKS = ("reflink", "hardlink", "symlink", "copy")
DEFAULT_LINKS = ("reflink", "copy")
#: The name of the remote that HITSAVE_REMOTE stands for, where it holds a URL or a folder and not another's name.
ENVIRONMENT_REMOTE = "HITSAVE_REMOTE"

_MARKERS = ("hitsave.toml", "pyproject.toml", ".git")
_REMOTES = "remotes"
_EVALUATIONS = "evaluations"
_NO_LIMITS = Limits()


class RemoteConfig(NamedTuple):
    """A remote by its name."""

    name: str
    url: str


def plain_url(text: str) -> str:
    """A URL with its scheme in small letters, as case counts for nothing there; a folder as it is."""
    scheme, colon, rest = text.partition("://")
    return f"{scheme.lower()}://{rest}" if colon and scheme.isalnum() else text


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, resolved.

    `workspace` is the project folder, `project` the name that its datasets are owned under. The first of `remotes` is
    the default. `offline` forbids touching any of them. `evaluations` limits what is kept of all functions together.
    `public_url` is where public snapshots of the default remote can be read; empty where its own URL tells.
    """

    workspace: Path
    project: str
    cache_dir: Path
    config_dir: Path
    symlinks: str = "ignore"
    links: tuple[str, ...] = DEFAULT_LINKS
    remotes: tuple[RemoteConfig, ...] = ()
    offline: bool = False
    evaluations: Limits = _NO_LIMITS
    public_url: str = ""

    def remote(self, name: str | None = None) -> RemoteConfig:
        """A remote by name, or the default one. Raises ConfigError."""
        if not self.remotes:
            raise ConfigError("no remote is set; name one with 'hitsave remote add NAME URL', or set HITSAVE_REMOTE")
        if name is None:
            return self.remotes[0]
        for remote in self.remotes:
            if remote.name == name:
                return remote
        known = [remote.name for remote in self.remotes]
        raise ConfigError(
            f"there is no remote {name!r}" + (suggest(name, known) or f" (there are: {', '.join(known)})")
        )


class Source(NamedTuple):
    """A file of settings: where they lie in it, and whether it is the user's own."""

    path: Path
    table: tuple[str, ...]
    personal: bool

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.path} [{'.'.join(self.table)}]" if self.table else os.fspath(self.path)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one source says. A value that is None is not said there."""

    values: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    remotes: tuple[RemoteConfig, ...] = ()


def _parse_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def _parse_symlinks(value: Any) -> str:
    if value not in SYMLINKS:
        raise ValueError(f"must be one of {', '.join(SYMLINKS)}")
    return str(value)


def _parse_links(value: Any) -> tuple[str, ...]:
    kinds = [kind.strip() for kind in value.split(",")] if isinstance(value, str) else value
    if not isinstance(kinds, list) or not kinds or not all(kind in LINKS for kind in kinds):
        raise ValueError(f"must be a list of {', '.join(LINKS)}, tried in their order")
    return tuple(kinds)


def _parse_web_url(value: Any) -> str:
    if not isinstance(value, str) or not plain_url(value).startswith(("http://", "https://")):
        raise ValueError("must be a URL such as https://data.example.org")
    return plain_url(value).rstrip("/")


def _parse_remote(value: Any) -> str:
    return plain_url(_parse_text(value))


def _limit(check: Callable[[Any], int]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        check(value)
        return str(value)

    return parse


#: Every setting that is not a remote, with its check; what parses also serves for the words of a command line.
KEYS: dict[str, Callable[[Any], str | tuple[str, ...]]] = {
    "cache_dir": _parse_text,
    "project": _parse_text,
    "symlinks": _parse_symlinks,
    "links": _parse_links,
    "public_url": _parse_web_url,
    f"{_EVALUATIONS}.age": _limit(parse_age),
    f"{_EVALUATIONS}.count": _limit(parse_count),
    f"{_EVALUATIONS}.size": _limit(parse_size),
}
#: Settings of one machine, which have no place in files that a team shares.
PERSONAL_KEYS = frozenset(("cache_dir", *(key for key in KEYS if key.startswith(f"{_EVALUATIONS}."))))


def check_key(key: str) -> None:
    """Raises ConfigError, with a suggestion, where there is no such setting."""
    if key in KEYS or (key.startswith(f"{_REMOTES}.") and key.count(".") == 1 and not key.endswith(".")):
        return
    known = [*KEYS, f"{_REMOTES}.NAME"]
    hint = suggest(key, known, f"there are {', '.join(known)}")
    raise ConfigError(f"there is no setting {key!r}{hint}")


def parse_value(key: str, value: Any) -> str | tuple[str, ...]:
    """The value of a setting. Raises ConfigError."""
    check_key(key)
    try:
        return KEYS.get(key, _parse_remote)(value)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}, not {value!r}") from None


def parse(table: Mapping[str, Any], label: str, personal: bool) -> Settings:
    """What a table of settings says. Raises ConfigError, which names the source."""
    try:
        remotes, limits = table.get(_REMOTES, {}), table.get(_EVALUATIONS, {})
        if not isinstance(remotes, Mapping):
            raise ConfigError(f"{_REMOTES}: must be a table of NAME = URL")
        if not isinstance(limits, Mapping):
            raise ConfigError(f"{_EVALUATIONS}: must be a table of age, count and size")
        plain = {key: value for key, value in table.items() if key not in (_REMOTES, _EVALUATIONS)}
        plain |= {f"{_EVALUATIONS}.{key}": value for key, value in limits.items()}
        values = {key: parse_value(key, value) for key, value in plain.items()}
        if not personal and (misplaced := PERSONAL_KEYS & values.keys()):
            raise ConfigError(f"{min(misplaced)}: is of one machine; 'hitsave config set' puts it into your own file")
        named = tuple(RemoteConfig(name, str(parse_value(f"{_REMOTES}.{name}", url))) for name, url in remotes.items())
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None
    return Settings(values, named)


def resolve(
    workspace: Path,
    sources: Iterable[Settings],
    environ: Mapping[str, str],
    project: str,
    config_dir: Path,
    default_cache: Path,
) -> Config:
    """Put sources together, the first one that says something holding. `project` is used where none names one."""
    values: dict[str, Any] = {}
    remotes: dict[str, RemoteConfig] = {}
    if folder := environ.get("HITSAVE_LOCAL_CACHE_DIR"):
        values["cache_dir"] = folder
    for source in sources:
        for key, value in source.values.items():
            if key == "cache_dir":  # Said in a file, it must not mean another folder in each current one.
                value = os.fspath(config_dir / Path(str(value)).expanduser())
            values.setdefault(key, value)
        for remote in source.remotes:
            remotes.setdefault(remote.name, remote)
    if chosen := environ.get("HITSAVE_REMOTE"):
        named = None if "://" in chosen or "/" in chosen else remotes.get(chosen)
        first = named or RemoteConfig(ENVIRONMENT_REMOTE, plain_url(chosen))
        remotes = {first.name: first} | {name: remote for name, remote in remotes.items() if name != first.name}
    return Config(
        workspace=workspace,
        project=values.get("project", project),
        cache_dir=Path(values["cache_dir"]).expanduser() if "cache_dir" in values else default_cache,
        config_dir=config_dir,
        symlinks=values.get("symlinks", "ignore"),
        links=values.get("links", DEFAULT_LINKS),
        remotes=tuple(remotes.values()),
        public_url=values.get("public_url", ""),
        offline=environ.get("HITSAVE_NO_CLOUD", "") not in ("", "0", "false"),
        evaluations=parse_limits(
            {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{_EVALUATIONS}.")}
        ),
    )


# -- files


def find_workspace(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that has settings or is a git repository; `start` where none is."""
    start = Path(os.path.abspath(start))
    for folder in (start, *start.parents):
        if is_workspace(folder):
            return folder
    return start


def is_workspace(folder: Path) -> bool:
    """Whether a folder has settings or is a git repository."""
    return any((folder / marker).exists() for marker in _MARKERS)


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where the user's own settings lie."""
    if folder := environ.get("HITSAVE_CONFIG_DIR"):
        return Path(os.path.abspath(folder))
    return platformdirs.user_config_path("hitsave")


def sources(workspace: Path, config_dir: Path) -> list[Source]:
    """The files that may hold settings, the strongest first."""
    return [
        Source(workspace / "hitsave.toml", (), personal=False),
        Source(workspace / "pyproject.toml", ("tool", "hitsave"), personal=False),
        Source(config_dir / "config.toml", (), personal=True),
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML ({error})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


def load_settings(source: Source) -> Settings:
    """What a file says; nothing where it is missing. Raises ConfigError."""
    table: Any = _read(source.path)
    for name in source.table:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{source.label}: must be a table")
    return parse(table, source.label, source.personal)


def load(start: Path, environ: Mapping[str, str]) -> Config:
    """The settings that hold in a folder. Raises ConfigError."""
    workspace = find_workspace(start)
    config_dir = config_folder(environ)
    return resolve(
        workspace,
        [load_settings(source) for source in sources(workspace, config_dir)],
        environ,
        _project_name(workspace),
        config_dir,
        platformdirs.user_cache_path("hitsave"),
    )


def _project_name(workspace: Path) -> str:
    """The name in pyproject.toml, or that of the git repository that was cloned, or the folder's."""
    project = _read(workspace / "pyproject.toml").get("project", {})
    named = project.get("name") if isinstance(project, dict) else None
    if isinstance(named, str) and named:
        return named
    return repository_name(workspace)


# -- changing them


def writable_source(workspace: Path, config_dir: Path, personal: bool) -> Source:
    """Where a new setting goes: the user's own file, or the workspace's, pyproject.toml if it has settings already."""
    shared, project, own = sources(workspace, config_dir)
    if personal:
        return own
    table: Any = _read(project.path).get("tool", {})
    return project if not shared.path.exists() and isinstance(table, dict) and "hitsave" in table else shared


def change(source: Source, key: str, value: str | tuple[str, ...] | None) -> bool:
    """Set a value in a file, or take it out (None); comments and order stay. False where it was not there."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    check_key(key)
    try:
        text = source.path.read_bytes().decode("utf-8") if source.path.exists() else ""
        document: Any = tomlkit.parse(text)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source.path}: is not valid TOML ({error})") from None
    table = document
    *tables, name = (*source.table, *key.split(".", 1))
    for inner in tables:
        if inner not in table:
            if value is None:
                return False
            table[inner] = tomlkit.table()
        table = table[inner]
        if not isinstance(table, MutableMapping):
            raise ConfigError(f"{source.path}: {inner}: must be a table")
    if value is None:
        if name not in table:
            return False
        del table[name]
    else:
        table[name] = list(value) if isinstance(value, tuple) else value
    _write(source.path, tomlkit.dumps(document))
    return True


def _write(path: Path, text: str) -> None:
    try:
        path = Path(os.path.realpath(path))  # A link to the file stays one.
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".hitsave-{secrets.token_hex(6)}")
        temporary.write_bytes(text.encode())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
