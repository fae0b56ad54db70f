"""`hitsave snapshot`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import count, emit, show_path, show_size
from hitsave.cli.session import Session, pass_session


@click.command("snapshot")
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="PATH | --restore DIGEST OUT_PATH",
    shell_complete=completes(Kind.SNAPSHOT),
)
@click.option("--restore", is_flag=True, help="Write the file or directory that DIGEST names at OUT_PATH.")
@click.option("--public", is_flag=True, help="Own it as a public snapshot, readable without a key.")
@click.option("-f", "--force", is_flag=True, help="With --restore: replace what stands at OUT_PATH; it is kept first.")
@pass_session
def command(session: Session, words: tuple[str, ...], restore: bool, public: bool, force: bool) -> None:
    """Keep a file or directory, upload it where a remote is set, and print its digest.

    With --restore, the other way round; DIGEST may be abbreviated, and is looked up in the cache, then in the remote.

    \b
    Examples:
      hitsave snapshot results/
      hitsave snapshot --public figure.png
      hitsave snapshot --restore 32684bfa28c results/
    """
    if restore:
        if len(words) != 2:
            raise click.UsageError("--restore takes a digest and the path to write")
        _restore(session, words[0], Path(words[1]), force)
    elif len(words) != 1:
        raise click.UsageError("one path, please; 'hitsave add' takes several")
    else:
        _snap(session, Path(words[0]), public)


def _snap(session: Session, path: Path, public: bool) -> None:
    repository = session.repository
    captured = repository.keep(path, public)
    if repository.config.remotes and not repository.config.offline:
        done = repository.upload(captured.digest, captured.kind)
        session.say(f"{count(captured.files, 'file')}, {show_size(captured.size)}: {show_size(done.sent)} sent")
    session.end_progress()
    emit(str(captured.digest))


def _restore(session: Session, word: str, place: Path, force: bool) -> None:
    done = session.repository.restore(word, place, force)
    session.say(f"{show_path(place)}: {count(done.files, 'file')} written, {show_size(done.size)}")
