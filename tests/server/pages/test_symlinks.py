"""Symbolic links in datasets: pages say that they are links, and where they lead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, dataset_ref
from hitsave.server.access import Role
from tests.server.inprocess import running
from tests.server.pages.exhibits import Visitor, put
from tests.server.pages.places import Place

LINKS = {
    b"good": b"inner/table.csv",
    b"folder": b"inner",
    b"out": b"/etc/passwd",
    b"lost": b"<b>nowhere",
    b"loop": b"loop",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.in_folder(tmp_path_factory.mktemp("links"))


@pytest.fixture(scope="module")
def root(place: Place) -> Digest:
    with Cache.open(place.folder / "cache") as cache:
        with cache.intake() as intake:
            tree = tree_from([TreeEntry(b"table.csv", EntryKind.FILE, *put(intake, b"a,b\n1,2\n"))])
            inner = intake.add(ObjectKind.TREE, encode_tree(tree))
            entries = [TreeEntry(name, EntryKind.SYMLINK, *put(intake, target)) for name, target in LINKS.items()]
            entries.append(TreeEntry(b"inner", EntryKind.TREE, inner, tree.size, tree.files))
            found = intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))
            intake.publish([Ref(dataset_ref("proj", b"data", found), found, ObjectKind.TREE, 1, "ann")])
        place.take(cache)
    return found


@pytest.fixture(scope="module")
def visitor(place: Place, root: Digest) -> Iterator[Visitor]:
    with running(place.folder / "data", store=place.store) as server:
        yield Visitor.with_role(server, Role.ADMIN)


def test_a_directory_says_where_its_links_lead(visitor: Visitor, root: Digest) -> None:
    text = visitor.get(f"/objects/{root}").text
    assert text.count(">link<") == len(LINKS)
    assert "→ inner/table.csv<" in text
    assert "→ &lt;b&gt;nowhere<" in text


def test_a_link_has_a_page_that_leads_to_what_it_leads_to(visitor: Visitor, root: Digest) -> None:
    answer = visitor.get(f"/objects/{root}/good")
    assert "A symbolic link to" in answer.text
    assert answer.links(f"/objects/{root}/inner") == [f"/objects/{root}/inner/table.csv"]
    assert answer.links("/datasets/versions")[0] == "/datasets/versions?name=proj/data"
    assert "from_digest" not in answer.text
    assert "DirectorySnapshot.from_digest" in visitor.get(f"/objects/{root}/inner").text
    assert visitor.get(f"/objects/{root}/folder").links(f"/objects/{root}/inner") == [f"/objects/{root}/inner"]
    # A directory that a link leads to is gone through.
    assert "2 columns" in visitor.get(f"/objects/{root}/folder/table.csv").text


@pytest.mark.parametrize("name", ["out", "lost", "loop"])
def test_a_link_that_leads_nowhere_says_so(visitor: Visitor, root: Digest, name: str) -> None:
    answer = visitor.get(f"/objects/{root}/{name}")
    assert answer.status == 200
    assert "A symbolic link to" in answer.text
    assert "nothing in this directory" in answer.text
    assert "root:" not in answer.text
    assert "Make public" not in answer.text
    assert "Make public" in visitor.get(f"/objects/{root}/inner").text
