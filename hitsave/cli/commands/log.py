"""`hitsave log`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import Tone, emit, emit_json, json_option, one_line, paint, paths_argument, show_path
from hitsave.cli.session import Session, pass_session
from hitsave.cli.shortfalls import describe_failures

if TYPE_CHECKING:
    from hitsave.looking.versions import Changed, Version


@click.command("log")
@paths_argument
@click.option("-n", "most", type=click.IntRange(min=1), metavar="N", help="The newest N versions of each alone.")
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], most: int | None, as_json: bool) -> int:
    """List the versions of datasets: when, by whom, in which git commits, and how much changed.

    The newest comes first; a star marks the one that the pointer file names. Versions are known from the refs of the
    cache and of the remote, and from the git history of the pointer file. No files are fetched. Where a pointer file
    cannot be read, no version has the star, and the exit code is 1.

    \b
    Examples:
      hitsave log
      hitsave log -n 3 data/images
    """
    from hitsave.looking.owners import own_datasets
    from hitsave.looking.versions import Log

    repository = session.repository
    if paths:
        found = {repository.absolute(Path(name)): None for name in own_datasets(repository, paths)}
    else:
        found = dict.fromkeys(repository.find_datasets([]))
    log = Log(repository)
    versions = {path: log.of(path, most) for path in found}
    session.end_progress()
    reasons = describe_failures(log.failed)
    if as_json:
        errors = {path: str(error) for path, error in log.failed.items()}
        emit_json(
            [
                {"path": str(path), "versions": [_as_json(version) for version in some], "error": errors.get(path)}
                for path, some in versions.items()
            ]
        )
        return session.fail(reasons)
    if not versions:
        session.say_no_datasets()
    for path, some in versions.items():
        if len(versions) > 1:
            emit(paint(show_path(path), Tone.HEAD))
        for version in some:
            _show(version)
    return session.fail(reasons)


def _show(version: Version) -> None:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(version.time)) if version.time else "not added"
    what = "" if version.files is None else f"  {count(version.files, 'file')}, {show_size(version.size or 0)}"
    by = f"  {one_line(version.by)}" if version.by else ""
    star = paint("*", Tone.GOOD) if version.current else " "
    emit(f"{star} {paint(version.digest.short, Tone.CHANGED)}  {when}{by}{what}")
    emit(f"      {_changes(version.changed)}")
    for commit in version.commits:
        emit(f"      git {paint(commit.name[:12], Tone.CHANGED)} {one_line(commit.subject)}")


def _changes(changed: Changed | None) -> str:
    if changed is None:
        return "what changed is not known: its directories are not here"
    parts = [
        f"{number:,} {what} ({show_size(size)})"
        for what, number, size in (
            ("added", changed.added, changed.added_size),
            ("removed", changed.removed, changed.removed_size),
            ("changed", changed.changed, changed.changed_size),
        )
        if number
    ]
    return ", ".join(parts) or "the same files"


def _as_json(version: Version) -> dict[str, Any]:
    changed = version.changed
    return {
        "digest": str(version.digest),
        "kind": version.kind.name.lower(),
        "time": version.time,
        "by": version.by,
        "current": version.current,
        "owned": version.owned,
        "size": version.size,
        "files": version.files,
        "added_at_commit": version.ref_commit,
        "commits": [
            {"commit": commit.name, "author": commit.author, "time": commit.time, "subject": commit.subject}
            for commit in version.commits
        ],
        "changed": changed
        and {
            "added": {"files": changed.added, "size": changed.added_size},
            "removed": {"files": changed.removed, "size": changed.removed_size},
            "changed": {"files": changed.changed, "size": changed.changed_size},
        },
    }
