"""What differs between two versions of a dataset, as pages tell it."""

from __future__ import annotations

from pathlib import Path

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.config import Config
from hitsave.objects.digest import ObjectKind
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.progress import Silent
from hitsave.repository import Repository
from hitsave.server.pages.datasets import differences
from hitsave.server.pages.holdings import LocalHoldings
from hitsave.snapshots.diff import ChangeKind
from tests.server.pages.exhibits import put


def add_tree(intake: Intake, files: dict[bytes, bytes], folders: dict[bytes, TreeEntry]) -> TreeEntry:
    """A directory with files and other directories, as an entry without a name."""
    entries = [TreeEntry(name, EntryKind.FILE, *put(intake, content)) for name, content in files.items()]
    entries += [folder._replace(name=name) for name, folder in folders.items()]
    tree = tree_from(entries)
    return TreeEntry(b"", EntryKind.TREE, intake.add(ObjectKind.TREE, encode_tree(tree)), tree.size, tree.files)


def test_all_are_counted_and_a_folder_that_was_filled_or_emptied_is_none(tmp_path: Path) -> None:
    with Cache.open(tmp_path / "cache") as cache:
        with cache.intake() as intake:
            empty, full = add_tree(intake, {}, {}), add_tree(intake, {b"file": b"x"}, {})
            many = {b"%d" % number: b"%d" % number for number in range(1200)}
            old = add_tree(intake, {}, {b"fills": empty, b"empties": full, b"goes": empty}).digest
            new = add_tree(intake, many, {b"fills": full, b"empties": empty}).digest
            kept = (old, new, empty.digest)
            intake.publish([Ref(snapshot_ref(digest), digest, ObjectKind.TREE, 1, "ann") for digest in kept])
        repository = Repository(Config(tmp_path, "p", tmp_path / "cache", tmp_path), cache, Silent())
        contents = LocalHoldings(repository).contents
        listed, counts = differences(contents, old, new)
        assert len(listed) == 1000
        assert counts == {ChangeKind.ADDED: 1201, ChangeKind.REMOVED: 2}
        listed, counts = differences(contents, old, empty.digest)
        assert [change.path for change in listed] == [b"empties/file", b"fills", b"goes"]
