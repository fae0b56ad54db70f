"""`hitsave snapshot`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit, emit_json, json_option, show_path
from hitsave.cli.paths import refuse_empty
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.capture import Captured


@click.command("snapshot")
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="PATH | --restore DIGEST OUT_PATH",
    shell_complete=completes(Kind.SNAPSHOT),
)
@click.option("--restore", is_flag=True, help="Write the file or directory that DIGEST names at OUT_PATH.")
@click.option("--public", is_flag=True, help="Let everybody read it who has the link, which is printed on stderr.")
@click.option("--unpublish", is_flag=True, help="Take back what was made public: PATH or DIGEST is private again.")
@click.option("-y", "--yes", is_flag=True, help="With --public: do not ask about copyright and licence.")
@click.option("-f", "--force", is_flag=True, help="With --restore: replace what stands at OUT_PATH; it is kept first.")
@json_option
@pass_session
def command(
    session: Session,
    words: tuple[str, ...],
    restore: bool,
    public: bool,
    unpublish: bool,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Keep a file or directory, upload it where a remote is set, and print its digest. What is git's own stays out.

    With --restore, the other way round; DIGEST may be abbreviated, and is looked up in the cache, then in the remote;
    or it is the link to a public snapshot, for which no account and no remote is needed. Every byte is checked.

    \b
    Examples:
      hitsave snapshot results/
      hitsave snapshot --restore 32684bfa28c results/
      hitsave snapshot --public figure.png
      hitsave snapshot --unpublish figure.png
      hitsave snapshot --restore https://data.example.org/public/DIGEST figure.png
    """
    refuse_empty(words)
    if restore + public + unpublish > 1:
        raise click.UsageError("one of --restore, --public and --unpublish, please")
    if restore:
        if len(words) != 2:
            raise click.UsageError("--restore takes a digest and the path to write")
        _restore(session, words[0], Path(words[1]), force, as_json)
    elif len(words) != 1:
        raise click.UsageError("one path, please; 'hitsave add' takes several")
    elif public:
        _publish(session, Path(words[0]), yes, as_json)
    elif unpublish:
        _take_back(session, words[0], as_json)
    else:
        _snap(session, Path(words[0]), as_json)


def _snap(session: Session, path: Path, as_json: bool) -> None:
    repository = session.repository
    captured = repository.keep(path)
    sent = None
    if repository.config.remotes and not repository.config.offline:
        sent = repository.upload(captured.digest, captured.kind).sent
    session.end_progress()
    if as_json:
        emit_json({**_as_json(captured), "sent": sent})
        return
    if sent is not None:
        session.say(f"{count(captured.files, 'file')}, {show_size(captured.size)}: {show_size(sent)} sent")
    emit(str(captured.digest))


def _as_json(captured: Captured) -> dict[str, Any]:
    return {
        "digest": str(captured.digest),
        "kind": captured.kind.name.lower(),
        "files": captured.files,
        "size": captured.size,
    }


def _publish(session: Session, path: Path, yes: bool, as_json: bool) -> None:
    repository = session.repository
    remote = repository.config.remote()  # Before anybody is asked: without one, nothing can be public.
    if not yes and os.path.lexists(path):
        _ask_about_rights(path, remote.name)
    captured = repository.keep(path)
    done = repository.publishing.publish(captured.digest, captured.kind)
    if as_json:
        session.end_progress()
        emit_json({**_as_json(captured), "sent": done.sent, "link": done.link})
        return
    session.say(f"{count(captured.files, 'file')}, {show_size(captured.size)}: {show_size(done.sent)} sent")
    session.end_progress()
    emit(str(captured.digest))
    if done.link is None:
        session.say(
            f"it lies in {remote.url} under public/{captured.digest}; any web server can give that folder, and "
            "'hitsave config set public_url URL' says where"
        )
        return
    session.say(done.link)
    if warning := _doubts(session, done.link):
        session.say(f"warning: {warning}")


def _doubts(session: Session, url: str) -> str:
    """Why nobody can read what a link leads to, in a line; empty where everybody can."""
    from hitsave.errors import RemoteError
    from hitsave.remotes.public.layout import parse_public_url

    unread = "the link does not answer without a key; let everybody read 'public/' there"
    link = parse_public_url(url)
    if link is None:
        return unread
    try:
        return "" if session.repository.publishing.is_readable(link) else unread
    except RemoteError as error:
        return f"{link.base}: {str(error).partition(': ')[2]}; the link works as soon as that answers"


def _ask_about_rights(path: Path, remote: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("--public needs --yes where nobody can be asked about copyright and licence")
    agreed = click.confirm(
        f"Everybody who has the link will be able to read {show_path(path)}, from {remote}. "
        "Is it yours to share, or does its licence allow it?",
        err=True,
    )
    if not agreed:
        raise click.ClickException("not made public")


def _take_back(session: Session, word: str, as_json: bool) -> None:
    from hitsave.errors import RefError

    repository = session.repository
    path = Path(word)
    digest = repository.identify(path).digest if path.exists() else repository.resolve(word).digest
    if not repository.publishing.take_back(digest):
        raise RefError(f"{word}: is not public")
    if as_json:
        emit_json({"digest": str(digest), "public": False})
        return
    session.say(f"{digest.short} is private again; who has read it meanwhile has it")


def _restore(session: Session, word: str, place: Path, force: bool, as_json: bool) -> None:
    done = session.repository.restore(word, place, force)
    if as_json:
        session.end_progress()
        emit_json({"path": str(place), "files": done.files, "size": done.size})
        return
    session.say(f"{show_path(place)}: {count(done.files, 'file')} written, {show_size(done.size)}")
