"""Paths through trees in which links are followed."""

from __future__ import annotations

import pytest

from hitsave.objects.digest import Digest, blob_digest, tree_digest
from hitsave.objects.encoding import decode_tree, encode_tree, tree_from
from hitsave.objects.following import Followed, follow
from hitsave.objects.model import EntryKind, TreeEntry


class Store:
    """Trees and targets by their digests; counts what is asked for."""

    def __init__(self) -> None:
        self.contents: dict[Digest, bytes] = {}
        self.asked = 0

    def tree(self, **entries: TreeEntry) -> TreeEntry:
        named = [entry._replace(name=name.encode()) for name, entry in entries.items()]
        content = encode_tree(tree_from(named))
        digest = tree_digest(content)
        self.contents[digest] = content
        return TreeEntry(b"", EntryKind.TREE, digest, sum(entry.size for entry in named), len(named))

    def link(self, target: bytes) -> TreeEntry:
        digest = blob_digest(target)
        self.contents[digest] = target
        return TreeEntry(b"", EntryKind.SYMLINK, digest, len(target))

    def child(self, tree: Digest, name: bytes) -> TreeEntry | None:
        self.asked += 1
        return decode_tree(self.contents[tree]).get(name)

    def follow(self, root: TreeEntry, path: bytes, last: bool = True) -> Followed | None:
        return follow(root.digest, path, self.child, lambda _, link: self.contents[link.digest], last)


FILE = TreeEntry(b"", EntryKind.FILE, blob_digest(b"x"), 1)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"", b""),
        (b"d/f", b"d/f"),
        (b"d//./f", b"d/f"),
        (b"to_d/f", b"d/f"),
        (b"to_d", b"d"),
        (b"d/up/d/f", b"d/f"),
        (b"d/inner/f", b"d/e/f"),
        (b"twice", b"d/f"),
        (b"d/../d/f", None),
        (b"d/f/g", None),
        (b"lost", None),
        (b"round", None),
        (b"empty", None),
        (b"out", None),
        (b"d/out", None),
        (b"absolute", None),
    ],
)
def test_what_a_path_leads_to(path: bytes, found: bytes | None) -> None:
    store = Store()
    inside = store.tree(
        f=FILE, e=store.tree(f=FILE), up=store.link(b".."), inner=store.link(b"e"), out=store.link(b"../../d")
    )
    outside = {"out": store.link(b"../../d"), "absolute": store.link(b"/d"), "empty": store.link(b"")}
    to = {"to_d": store.link(b"d"), "twice": store.link(b"to_d/up/to_d/f"), "round": store.link(b"round")}
    root = store.tree(d=inside, lost=store.link(b"nothing"), **outside, **to)
    followed = store.follow(root, path)
    assert (followed.path if followed else None) == found


def test_a_link_at_the_end_may_be_what_it_is() -> None:
    store = Store()
    root = store.tree(d=store.tree(f=FILE, again=store.link(b"f")), to_d=store.link(b"d"))
    for path, found in ((b"to_d", b"to_d"), (b"to_d/", b"d"), (b"to_d/again", b"d/again"), (b"to_d/f", b"d/f")):
        followed = store.follow(root, path, last=False)
        assert followed is not None
        assert followed.path == found


def test_a_way_has_an_end() -> None:
    store = Store()
    links = {f"l{number}": store.link(b"d/../" * 10_000 + b"l%d" % (number + 1)) for number in range(30)}
    root = store.tree(d=store.tree(f=FILE), l30=FILE, **links)
    assert store.follow(root, b"l0") is None
    assert store.asked < 20_000
