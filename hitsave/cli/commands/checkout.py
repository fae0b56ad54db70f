"""`hitsave checkout`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit_json, json_option, part_options, show_path
from hitsave.cli.parts import command_to_bring, find_unmatched, tell_left_alone, unchanged_by
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.checkout import CheckedOut
    from hitsave.snapshots.pointer import Pointer

#: What is to be included, and excluded.
Patterns = tuple[tuple[str, ...], tuple[str, ...]]


@click.command("checkout")
@click.argument(
    "paths",
    nargs=-1,
    type=GivenPath(),
    metavar="[REV] [PATH[@DIGEST]]...",
    shell_complete=completes(Kind.DATASET),
)
@part_options
@click.option("-f", "--force", is_flag=True, help="Give up changes that were not added.")
@json_option
@pass_session
def command(
    session: Session,
    paths: tuple[Path, ...],
    globs: tuple[str, ...],
    excluded: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> int:
    """Make working files match their pointer files; with REV, both what they were at that commit of git.

    A PATH inside of a dataset is that part of it, and what was pulled as a part stays one. PATH@DIGEST is a version of
    a dataset, as 'hitsave log' and 'du' tell them. With REV or a version, what is missing is fetched. A first word that
    is the path of something here is no REV; REV:PATH cannot be mistaken. What was changed and not added is never
    overwritten without --force.

    \b
    Examples:
      hitsave checkout
      hitsave checkout --force data/images
      hitsave checkout v1.2 data/images
      hitsave checkout data/images@f6bc522
      hitsave checkout --include 'train/*.png' data/images
    """
    from hitsave.looking.returning import pointers_at, revision_among, versions_among

    repository = session.repository
    revision, places = revision_among(repository, paths)
    former = pointers_at(repository, revision, places) if revision else versions_among(repository, places)
    if revision is None and not former:
        return _check_out(session, places, (globs, excluded), force, as_json)
    _go_back(session, former, (globs, excluded), force, as_json)
    if not (former or as_json):
        session.say(f"there were no datasets at {revision}")
    return 0


def _check_out(session: Session, places: tuple[Path, ...], patterns: Patterns, force: bool, as_json: bool) -> int:
    """Make working files match their pointer files; the exit code."""
    from hitsave.errors import ObjectNotFound
    from hitsave.looking.parts import choose
    from hitsave.snapshots.samepart import same_part

    repository = session.repository
    chosen = choose(repository, places, *patterns)
    failed: dict[Path, str] = {}
    checked_out: list[CheckedOut] = []
    for path, include in ((path, each.include) for each in chosen.wanted for path in each.paths):
        same = None if include is not None else same_part(repository.cache, path)
        try:
            done = repository.checkout(path, force, include or same)
        except ObjectNotFound as error:
            typed = command_to_bring(repository.cache, [path], in_cache=False)
            failed[path] = f"{show_path(path)}: {error.digest} is not here; '{typed}' fetches it"
            continue
        session.end_progress()
        checked_out.append(done)
        if path in (unmatched := find_unmatched(repository, chosen, unchanged_by([done]))):
            text, is_named = unmatched[path]
            failed.update({path: text}) if is_named else session.say(text)
        elif not as_json:
            session.say(_describe(done) + (_rest(path) if same is not None else ""))
    session.end_progress()
    if as_json:
        told = {str(path): text for path, text in failed.items()}
        emit_json({"checked_out": [_as_json(done) for done in checked_out], "failed": told})
    elif not (checked_out or failed or chosen.left_alone):
        session.say_no_datasets()
    tell_left_alone(session, chosen)
    return session.fail(failed.values())


def _as_json(done: CheckedOut, received: int = 0) -> dict[str, Any]:
    where = {"path": str(done.path), "digest": str(done.digest)}
    return {**where, "written": done.written, "removed": done.removed, "received": received}


def _go_back(session: Session, former: dict[Path, Pointer], patterns: Patterns, force: bool, as_json: bool) -> None:
    """Check out former versions, and make the pointer files name them."""
    from hitsave.looking.returning import go_back
    from hitsave.objects.digest import ObjectKind
    from hitsave.snapshots.partial import include_globs

    include, told = include_globs(*patterns), []
    for path, pointer in former.items():
        done = go_back(session.repository, path, pointer, force, include)
        session.end_progress()
        told.append(_as_json(done.checked_out, done.fetched.received))
        received = f", {show_size(done.fetched.received)} received" if done.fetched.received else ""
        rest = _rest(path) if done.in_part else ""
        if include is not None and done.pointer_changed and pointer.kind is ObjectKind.TREE:
            rest = f"; its other files are as they were, and 'hitsave pull {show_path(path)}' makes them of it too"
        if not as_json:
            session.say(f"{_describe(done.checked_out)}{received}, at {pointer.digest.short}{rest}")
    if as_json:
        emit_json({"checked_out": told, "failed": {}})


def _rest(path: Path) -> str:
    return f"; it stays the part that was pulled, and 'hitsave pull {show_path(path)}' brings the rest"


def _describe(done: CheckedOut) -> str:
    if done.written or done.removed:
        return f"{show_path(done.path)}: {count(done.written, 'file')} written, {count(done.removed, 'file')} removed"
    return f"{show_path(done.path)}: as it should be"
