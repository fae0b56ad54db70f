"""`hitsave diff`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import TONES, Tone, emit, emit_json, emit_line, json_option, paint, show_path
from hitsave.cli.paths import refuse_empty
from hitsave.cli.session import Session, pass_session
from hitsave.cli.shortfalls import describe_failures, raise_only_one

if TYPE_CHECKING:
    from pathlib import Path

    from hitsave.looking.comparing import Compare, Comparison
    from hitsave.looking.sides import Side
    from hitsave.objects.model import TreeEntry
    from hitsave.snapshots.renames import Difference

#: What JSON tells of each comparison; of one that failed, null stands for what is not known.
_KEYS = ("old", "new", "old_digest", "new_digest", "not_fetched", "changes", "error")
_LINES = {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.MOVED}


@click.command("diff")
@click.argument("words", nargs=-1, metavar="[A] [B]", shell_complete=completes(Kind.OBJECT))
@click.option("--stat", is_flag=True, help="Also how many bytes each takes more or less, and totals.")
@click.option("--content", is_flag=True, help="Also the lines that differ, of text files.")
@json_option
@pass_session
def command(session: Session, words: tuple[str, ...], stat: bool, content: bool, as_json: bool) -> int:
    """Show which files were added, removed, changed or renamed between A and B.

    Each is a digest or its beginning, a ref, a pointer file, a working path, DIGEST:PATH, DATASET:PATH or REV:PATH; or
    a revision of git, which stands for all datasets as they were. A alone is compared with the working files; without
    A, the working files of all datasets are compared with their pointer files. No files are fetched but those whose
    lines --content shows. A dataset that cannot be compared holds up no other; then the exit code is 1.

    \b
    Examples:
      hitsave diff
      hitsave diff --stat HEAD~3:data/images
      hitsave diff v1.2 HEAD
      hitsave diff --content 32684bfa28c 90a1f5c77de
      hitsave diff data/images ../other/images
    """
    from hitsave.looking.comparing import Compare

    refuse_empty(words)
    if len(words) > 2:
        raise click.UsageError("two at most can be compared")
    if content and as_json:
        raise click.UsageError("--content is for people, --json for programs; give one of them")
    compare = Compare(session.repository)
    found = compare.run(words)
    session.end_progress()
    if not found:
        raise_only_one(compare.failed)
    failed = describe_failures(compare.failed)
    if as_json:
        failures = [{**dict.fromkeys(_KEYS), "new": str(path), "error": str(e)} for path, e in compare.failed.items()]
        emit_json([*map(_as_json, found), *failures])
        return session.fail(failed)
    for item in found:
        _show(session, compare, item, stat, content)
    return session.fail(failed)


def _show(session: Session, compare: Compare, found: Comparison, stat: bool, content: bool) -> None:
    for change in found.changes:
        new = _shown(found.above, found.old if change.new is None else found.new, change.path)
        line = f"{change.kind.value:<8} {show_path(new)}"
        if change.old_path:
            alike = "" if change.alike == 100 else f" ({change.alike}% alike)"
            old = _shown(found.above, found.old, change.old_path)
            line = f"{change.kind.value:<8} {show_path(old)} -> {show_path(new)}{alike}"
        line = paint(line, TONES.get(change.kind.value))
        emit(f"{line}  {_difference(_grown(change))}" if stat else line)
        if content:
            _show_lines(compare, found, change)
    if stat and found.changes:
        kinds = [change.kind.value for change in found.changes]
        totals = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(sorted(kinds)))
        emit(f"{totals}; {_difference(sum(map(_grown, found.changes)))}")
    if found.absent:
        session.say(f"{show_path(found.new.label)}: {count(found.absent, 'file')} not pulled, and not compared")


def _shown(above: Path | None, side: Side, path: bytes) -> bytes:
    """A path of one side as the user finds it: from here in working files, inside of what is compared otherwise."""
    if above is None:
        return path
    from hitsave.objects.digest import ObjectKind

    return os.path.join(os.fsencode(above), path) if side.kind is ObjectKind.TREE else os.fsencode(above)


def _grown(change: Difference) -> int:
    return (change.new.size if change.new else 0) - (change.old.size if change.old else 0)


def _difference(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{show_size(abs(size))}"


def _show_lines(compare: Compare, found: Comparison, change: Difference) -> None:
    from hitsave.objects.model import EntryKind
    from hitsave.snapshots.textdiff import LARGEST_SHOWN, is_text, unified

    entries = [entry for entry in (change.old, change.new) if entry is not None]
    if (change.old and change.new and change.old.digest == change.new.digest) or any(
        entry.kind in (EntryKind.TREE, EntryKind.SYMLINK) for entry in entries
    ):
        return
    if any(entry.size > LARGEST_SHOWN for entry in entries):
        emit("    too large to be shown")
        return
    old_path = change.old_path or change.path
    old = compare.content(found.old, old_path, change.old) if change.old else b""
    new = compare.content(found.new, change.path, change.new) if change.new else b""
    if not (is_text(old) and is_text(new)):
        emit("    is no text")
        return
    old_name = show_path(b"a/" + old_path) if change.old else os.devnull
    new_name = show_path(b"b/" + change.path) if change.new else os.devnull
    for number, line in enumerate(unified(old, new, old_name, new_name)):
        emit_line(paint(line, Tone.HEAD if number < 2 else _LINES.get(line[:1])))


def _as_json(found: Comparison) -> dict[str, Any]:
    return {
        "old": found.old.label,
        "new": found.new.label,
        "old_digest": str(found.old.digest),
        "new_digest": str(found.new.digest),
        "not_fetched": found.absent,
        "changes": [_change_as_json(change) for change in found.changes],
        "error": None,
    }


def _change_as_json(change: Difference) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "path": os.fsdecode(change.path),
        "old_path": os.fsdecode(change.old_path) if change.old_path else None,
        "alike": change.alike if change.old_path else None,
        "old": _entry_as_json(change.old),
        "new": _entry_as_json(change.new),
    }


def _entry_as_json(entry: TreeEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"kind": entry.kind.name.lower(), "digest": str(entry.digest), "size": entry.size}
