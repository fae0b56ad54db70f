"""Uploads that are small on their way, and open something large, or say something long: they are not let in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hitsave.objects.digest import ObjectKind, blob_digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, dataset_ref, snapshot_ref
from hitsave.packing.blocks import BlockEntry, EntryKindInPack, encode_block
from hitsave.packing.pack import PackBuilder
from hitsave.packing.refsegment import encode_refs
from hitsave.server.access import Role
from hitsave.server.settings import ServerLimits
from tests.remotes.content import format_record
from tests.server.inprocess import Running, running
from tests.server.test_admission import pack_named, refs_named


def test_a_block_is_not_much_larger_than_the_largest_in_it(server: Running) -> None:
    server.put("format", format_record(), server.key())
    content = bytes(40 << 20)

    def pack_of(*spans: tuple[int, int]) -> tuple[str, bytes]:
        builder = PackBuilder(bytes(16))
        codec, stored = encode_block(content)
        entries = [
            BlockEntry(blob_digest(content[at : at + length]), EntryKindInPack.BLOB, at, length) for at, length in spans
        ]
        return pack_named(
            builder.header() + bytes(builder.block(codec, stored, len(content), entries)) + builder.finish()
        )

    key = server.key(Role.WRITE)
    for spans in ([], [(0, 10)], [(0, 10), (10, 10 << 20)]):
        status, said = server.put(*pack_of(*spans), key)
        assert (status, "very many" in said) == (422, True), spans
    assert server.put(*pack_of((0, 10), (10, len(content) - 10)), key)[0] == 201


def test_a_ref_segment_has_no_more_than_so_many_refs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("segments")
    refs = {snapshot_ref(digest): None for digest in (blob_digest(b"%d" % number) for number in range(11))}
    few = dict(list(refs.items())[:10])
    with running(folder / "data", ServerLimits(records=10)) as server:
        server.put("format", format_record(), server.key())
        status, said = server.put(*refs_named(encode_refs(refs)), server.key(Role.WRITE))
        assert status == 422
        assert "more than 10 refs" in said
        assert server.put(*refs_named(encode_refs(few)), server.key(Role.WRITE))[0] == 201


def test_what_refs_say_is_short(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pages, headers of downloads and the audit log tell it; and it takes no room on its way, being compressed."""
    folder = tmp_path_factory.mktemp("words")
    digest = blob_digest(b"x")
    ref = Ref(snapshot_ref(digest), digest, ObjectKind.BLOB, 5, "ann@lab", "a" * 30_000)
    long = [replace(ref, path="a" * 10_000_000), replace(ref, by="a" * 70_000)]
    long += [replace(ref, name=dataset_ref("p", b"a" * 70_000, digest))]
    with running(folder / "data") as server:
        server.put("format", format_record(), server.key())
        for one in long:
            status, said = server.put(*refs_named(encode_refs({one.name: one})), server.key())
            assert (status, "a ref of more than" in said) == (422, True)
        assert server.put(*refs_named(encode_refs({ref.name: ref})), server.key())[0] == 201


def test_names_in_directories_are_short(tmp_path_factory: pytest.TempPathFactory) -> None:
    def pack_of(*names: bytes) -> tuple[str, bytes]:
        entries = [TreeEntry(name, EntryKind.FILE, blob_digest(b"x"), 1) for name in names]
        content = encode_tree(tree_from(entries))
        builder = PackBuilder(bytes(16))
        record = BlockEntry(tree_digest(content), EntryKindInPack.TREE, 0, len(content))
        block = builder.block(*encode_block(content), len(content), [record])
        return pack_named(builder.header() + bytes(block) + builder.finish())

    with running(tmp_path_factory.mktemp("names") / "data") as server:
        server.put("format", format_record(), server.key())
        many = [b"%06d" % number for number in range(30_000)]
        for names in ([b"a" * 20_000_000], [*many, b"a" * 5000], [b"a" * 2_000_000, *many]):
            status, said = server.put(*pack_of(*names), server.key(Role.WRITE))
            assert (status, "too long" in said) == (422, True)
        assert server.put(*pack_of(*many, b"a" * 255), server.key(Role.WRITE))[0] == 201
