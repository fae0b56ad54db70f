"""`hitsave import`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit, emit_json, json_option, show_path
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.importing.history import History
    from hitsave.importing.model import Imported, Outcome, Source
    from hitsave.repository import Repository

    _SourceOf = Callable[[History, Repository], Source]

_path = click.argument("path", required=False, default=".", type=GivenPath())
_dry_run = click.option("-n", "--dry-run", is_flag=True, help="Only list the versions: what is here, what is missing.")

_link = click.option(
    "--link",
    is_flag=True,
    help="Hard links to the other tool's large files instead of copies, where they are read-only.",
)
_datasets = click.option(
    "--dataset",
    "datasets",
    metavar="FOLDER",
    multiple=True,
    type=GivenPath(),
    help="Make one dataset of a folder and all that it holds; may be given several times.",
)


@click.group("import")
def command() -> None:
    """Take over datasets that another tool keeps in a git repository, with their history.

    Every version in any commit of any branch or tag becomes a ref, with the time, author and commit that brought it in.
    Contents come from the other tool's own store on this disk and are compared with its checksums. On a file system
    that can share blocks between files (btrfs, xfs), large ones take no second place; elsewhere --link saves it. What
    is not on this disk is listed: fetch it with the other tool and run the import again, which takes only what is new.
    The other tool need not be installed, and nothing of its own is changed.

    PATH is the repository or a folder or dataset in it; only what lies beneath is imported.

    \b
    Examples:
      hitsave import dvc --dry-run
      hitsave import git-lfs --dataset data/images
    """


@command.command("dvc", short_help="outputs of .dvc files and dvc.lock")
@_path
@_dry_run
@_link
@json_option
@pass_session
def dvc(session: Session, path: Path, dry_run: bool, link: bool, as_json: bool) -> int:
    """Import what .dvc files and dvc.lock name, from DVC's cache, from remotes that are folders, or the working files.

    Beside each dataset of the commit that is checked out, a pointer file is written; its .dvc file stays.

    \b
    Examples:
      hitsave import dvc --dry-run
      hitsave import dvc --link data
    """

    def source_of(history: History, repository: Repository) -> Source:
        from hitsave.importing.dvc import DvcSource

        return DvcSource(history)

    path = path.with_suffix("") if path.suffix == ".dvc" and path.is_file() else path
    done = _run(session, path, dry_run, link, as_json, source_of)
    if done.pointers:
        session.say(
            "to go over: 'hitsave status' compares the working files; 'git rm' the .dvc files, "
            "commit the pointer files, 'hitsave push'"
        )
    return _outcome(session, done, "'dvc fetch --all-commits' brings what is missing")


@command.command("git-lfs", short_help="files and folders that git-lfs keeps")
@_path
@_datasets
@_dry_run
@_link
@json_option
@pass_session
def git_lfs(session: Session, path: Path, datasets: tuple[Path, ...], dry_run: bool, link: bool, as_json: bool) -> int:
    """Import the files that git-lfs keeps, from .git/lfs or the working files.

    A folder that .gitattributes gives to git-lfs as a whole (data/**) is one dataset, with all that it holds; any other
    file is a dataset of its own. --dataset makes more folders datasets.

    \b
    Examples:
      hitsave import git-lfs --dry-run
      hitsave import git-lfs --dataset data/images
    """

    def source_of(history: History, repository: Repository) -> Source:
        from hitsave.importing.lfs import LfsFormat
        from hitsave.importing.tracked import TrackedSource

        folders = _inside(history, datasets)
        return TrackedSource(history, LfsFormat(history), folders, repository.config.symlinks == "store")

    done = _run(session, path, dry_run, link, as_json, source_of)
    if done.pointers:
        session.say(
            "to go over: take the paths out of .gitattributes and of git ('git rm -r --cached PATH'), "
            "'hitsave add PATH', commit, 'hitsave push'"
        )
    return _outcome(session, done, "'git lfs fetch --all' brings what is missing")


@command.command("git-annex", short_help="files that git-annex keeps")
@_path
@_datasets
@_dry_run
@_link
@json_option
@pass_session
def git_annex(
    session: Session, path: Path, datasets: tuple[Path, ...], dry_run: bool, link: bool, as_json: bool
) -> int:
    """Import the files that git-annex keeps, from .git/annex or the working files.

    Each file is a dataset of its own. --dataset makes a folder one, with all that it holds.

    \b
    Examples:
      hitsave import git-annex data
      hitsave import git-annex --link data
    """

    def source_of(history: History, repository: Repository) -> Source:
        from hitsave.importing.annex import AnnexFormat
        from hitsave.importing.tracked import TrackedSource

        folders = _inside(history, datasets)
        return TrackedSource(history, AnnexFormat(history), folders, repository.config.symlinks == "store")

    done = _run(session, path, dry_run, link, as_json, source_of)
    if done.pointers:
        session.say(
            "to go over: 'git rm -r PATH' (contents stay in the annex), 'hitsave checkout PATH', 'hitsave add PATH', "
            "commit, 'hitsave push'"
        )
    return _outcome(session, done, "'git annex get --all' brings what is missing")


def _outcome(session: Session, done: Imported, remedy: str) -> int:
    """The exit code: it is a failure where versions were found, and none was whole."""
    states = {outcome.state for outcome in done.outcomes}
    if "incomplete" in states:
        session.say(f"incomplete versions were not imported; {remedy}")
    return 1 if states == {"incomplete"} else 0


def _inside(history: History, paths: Iterable[Path]) -> list[bytes]:
    """Paths as the repository has them."""
    root = history.root.resolve()
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if root not in place.parents:
            raise click.BadParameter(f"{path} is no folder within {show_path(root)}", param_hint="--dataset")
    return [os.fsencode(place.relative_to(root).as_posix()) for place in places]


def _run(session: Session, path: Path, dry_run: bool, link: bool, as_json: bool, source_of: _SourceOf) -> Imported:
    from hitsave.cli.progress import Terminal
    from hitsave.importing.history import History
    from hitsave.importing.run import Import
    from hitsave.repository import Repository

    progress = Terminal(session.quiet)
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name  # A dataset may be a link itself.
    folder = next(place for place in (path, *path.parents) if place.is_dir())
    history = History(folder)
    try:
        with Repository.open(folder, progress=progress) as repository:
            source, project = source_of(history, repository), repository.project
            done = Import(source, history.root, repository.cache, project, progress, link=link).run(path, dry_run)
    finally:
        progress.close()
    if as_json:
        emit_json(_as_json(done, dry_run))
    else:
        _show(session, done, history.root)
    if link and not dry_run:
        session.say(f"{count(done.linked, 'large file')} linked, {done.copied:,} copied")
    return done


def _show(session: Session, done: Imported, root: Path) -> None:
    for outcome in done.outcomes:
        emit(_line(outcome, root))
    for skipped in done.skipped:
        session.say(f"left out: {show_path(skipped.path)}: {skipped.reason}")
    for pointer in done.pointers:
        session.say(f"written: {show_path(root / os.fsdecode(pointer))}.hitsave")
    session.say(_summary(done))


def _line(outcome: Outcome, root: Path) -> str:
    version = outcome.version
    digest = "-" if outcome.digest is None else outcome.digest.short
    day = time.strftime("%Y-%m-%d", time.gmtime(version.origin.time))
    path = show_path(root / os.fsdecode(version.path))
    return f"{outcome.state:<10}  {digest:<12}  {version.origin.commit[:10]}  {day}  {path}{_remark(outcome)}"


def _remark(outcome: Outcome) -> str:
    if outcome.reason:
        return f": {outcome.reason}"
    lacking = [(len(outcome.missing), "missing"), (len(outcome.damaged), "damaged")]
    return "".join(f": {count(number, 'file')} {what}" for number, what in lacking if number)


def _summary(done: Imported) -> str:
    states = [outcome.state for outcome in done.outcomes]
    told = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    datasets = count(len({outcome.version.path for outcome in done.outcomes}), "dataset")
    stored = f"; {show_size(done.new_size)} new to the cache" if done.new_size else ""
    return f"{count(len(states), 'version')} of {datasets}" + (f": {told}{stored}" if told else "")


def _as_json(done: Imported, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "versions": [_version_as_json(outcome) for outcome in done.outcomes],
        "pointers": [os.fsdecode(path) + ".hitsave" for path in done.pointers],
        "new_size": done.new_size,
        "linked": done.linked,
        "copied": done.copied,
        "left_out": [{"path": os.fsdecode(one.path), "reason": one.reason} for one in done.skipped],
    }


def _version_as_json(outcome: Outcome) -> dict[str, Any]:
    version = outcome.version
    return {
        "path": os.fsdecode(version.path),
        "state": outcome.state.value,
        "name": version.name,
        "digest": None if outcome.digest is None else str(outcome.digest),
        "kind": None if outcome.kind is None else outcome.kind.name.lower(),
        "size": outcome.size,
        "files": outcome.files,
        "commit": version.origin.commit,
        "time": version.origin.time,
        "author": version.origin.author,
        "current": version.current,
        "missing": [os.fsdecode(path) for path in outcome.missing],
        "damaged": [os.fsdecode(path) for path in outcome.damaged],
        "reason": outcome.reason or None,
    }
