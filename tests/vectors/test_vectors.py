"""Every test vector of objects_spec.md holds for this implementation."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from blake3 import blake3

from hitsave.cache.packfile import verify_pack
from hitsave.errors import MalformedObject, WorkspaceError
from hitsave.objects import display, shapes
from hitsave.objects.canonical import decode_json, encode_json
from hitsave.objects.digest import (
    EVALUATION_CONTEXT,
    TREE_CONTEXT,
    Digest,
    ObjectKind,
    blob_digest,
    evaluation_digest,
    parse_digest,
    tree_digest,
)
from hitsave.objects.encoding import decode_number, decode_tree, encode_number, encode_tree
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    Extra,
    ShownArgument,
    TakenSnapshot,
    call_key,
    decode_evaluation,
    encode_evaluation,
)
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.objects.refs import (
    Ref,
    RefName,
    acceptance_ref,
    dataset_ref,
    evaluation_ref,
    parse_evaluation_name,
    parse_ref_name,
    quote_name,
    unquote_name,
)
from hitsave.packing.blocks import BlockEntry, Codec, EntryKindInPack, decode_block, entry_content
from hitsave.packing.chunking import decode_chunking
from hitsave.packing.commit import (
    Commit,
    RemoteFormat,
    StoredFile,
    commit_digest,
    decode_commit,
    decode_format,
    encode_commit,
    encode_format,
)
from hitsave.packing.index import Index, IndexedPack, Location, encode_index
from hitsave.packing.pack import ENTRY_RECORD, Block, PackBuilder, PackTable
from hitsave.packing.packreader import pack_contents
from hitsave.packing.recipe import (
    RECIPE_CONTEXT,
    Chunk,
    Recipe,
    decode_part,
    decode_recipe,
    encode_recipe,
    join_parts,
)
from hitsave.packing.refsegment import decode_refs, encode_refs
from hitsave.packing.treelist import TreeListReader, encode_tree_list
from hitsave.remotes.commits.keys import claim_key, commit_key, index_key, pack_key, refs_key
from hitsave.snapshots.pointer import Pointer, format_pointer, load_pointer
from tests.vectors.document import BadVector, Vector, read_vectors

VECTORS = read_vectors()
#: At least so many vectors that hold, and so many that are refused, must be in the document.
LEAST = {
    "blob": (7, 0),
    "derived": (3, 0),
    "digest": (1, 4),
    "number": (8, 9),
    "tree": (10, 39),
    "block": (6, 20),
    "pack": (6, 34),
    "index": (3, 33),
    "chunking": (15, 0),
    "recipe": (4, 10),
    "recipe part": (2, 2),
    "evaluation": (4, 29),
    "call key": (3, 0),
    "display": (11, 49),
    "quoting": (5, 0),
    "dataset ref": (4, 0),
    "evaluation ref": (4, 0),
    "ref name": (5, 22),
    "ref records": (5, 33),
    "ref segment": (3, 15),
    "json": (5, 32),
    "key": (6, 0),
    "remote format": (6, 27),
    "commit": (3, 40),
    "tree list": (2, 4),
    "pointer": (8, 27),
}


def of_format(name: str) -> list[Any]:
    """The vectors of one format, as parameters."""
    return [pytest.param(vector, id=vector.name) for vector in VECTORS if vector.format == name]


def check_refused(vector: Vector, decode: Callable[[], object], error: type[Exception] = MalformedObject) -> None:
    """Decoding must raise this error, with the reason that the document gives."""
    with pytest.raises(error) as raised:
        decode()
    assert vector.get("refuse") in str(raised.value)


# -- the document


@pytest.mark.parametrize("name", LEAST)
def test_the_document_has_vectors_of_every_format(name: str) -> None:
    counted = Counter(vector.refusal for vector in VECTORS if vector.format == name)
    assert counted[False] >= LEAST[name][0]
    assert counted[True] >= LEAST[name][1]


def test_every_vector_of_the_document_is_run() -> None:
    assert {vector.format for vector in VECTORS} == set(LEAST)


def test_vectors_have_names_of_their_own() -> None:
    assert not [name for name, count in Counter(vector.name for vector in VECTORS).items() if count > 1]


@pytest.mark.parametrize(
    "lines",
    [
        "```vector\nformat: blob\nbites: 00\n```",
        "```vector\nformat: blob\nbytes: 00\nbytes: 00\n```",
        "```vector\nformat: blob\nnonsense\n```",
        "```vector\nformat: blob",
    ],
    ids=["unknown key", "key twice", "no key", "no end"],
)
def test_a_slip_in_a_vector_is_noticed(tmp_path: Path, lines: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"## 1 Section\n\n{lines}\n")
    with pytest.raises(BadVector):
        read_vectors(document)


# -- section 2


@pytest.mark.parametrize("vector", of_format("blob"))
def test_blob(vector: Vector) -> None:
    assert str(blob_digest(vector.content())) == vector.get("digest")


@pytest.mark.skipif(shutil.which("b3sum") is None, reason="b3sum is not installed")
@pytest.mark.parametrize("vector", of_format("blob"))
def test_b3sum_gives_the_same_name(vector: Vector) -> None:
    found = subprocess.run(["b3sum", "--no-names"], input=vector.content(), capture_output=True, check=True).stdout
    assert found.decode().strip() == vector.get("digest")


@pytest.mark.parametrize("vector", of_format("derived"))
def test_derived(vector: Vector) -> None:
    context = vector.get("context")
    assert context in (TREE_CONTEXT, EVALUATION_CONTEXT, RECIPE_CONTEXT)
    assert blake3(vector.hex(), derive_key_context=context).digest() == vector.hex("digest")
    if context == TREE_CONTEXT:
        assert str(tree_digest(vector.hex())) == vector.get("digest")
    if context == EVALUATION_CONTEXT:
        assert str(evaluation_digest(vector.hex())) == vector.get("digest")


@pytest.mark.parametrize("vector", of_format("digest"))
def test_digest(vector: Vector) -> None:
    text = vector.content().decode()
    if vector.refusal:
        check_refused(vector, lambda: parse_digest(text), ValueError)
    else:
        assert parse_digest(text) == vector.hex("value")
        assert str(Digest(vector.hex("value"))) == text


def link_of(value: list[Any]) -> BlobLink:
    """The link that `[digest, size]` spells."""
    return BlobLink(parse_digest(value[0]), value[1])


def evaluation_of(value: dict[str, Any]) -> Evaluation | Acceptance:
    """The evaluation or acceptance that a vector's value spells."""
    members = dict(value)
    for name in ("code", "arguments", "accepts"):
        members |= {name: parse_digest(value[name])} if name in value else {}
    for name in ("manifest", "result", "display", "reason"):
        members |= {name: link_of(value[name])} if name in value else {}
    if "accepts" in value:
        return Acceptance(**members)
    taken = [
        TakenSnapshot(parse_digest(digest), ObjectKind[kind.upper()], size, path)
        for digest, kind, size, path in value.get("snapshots", [])
    ]
    shown = [ShownArgument(name, parse_digest(digest), text) for name, digest, text in value.get("shown", [])]
    extras = [Extra(name, parse_digest(digest)) for name, digest in value.get("extras", [])]
    members["buffers"] = tuple(map(link_of, value.get("buffers", [])))
    return Evaluation(**members | {"snapshots": tuple(taken), "shown": tuple(shown), "extras": tuple(extras)})


@pytest.mark.parametrize("vector", of_format("evaluation"))
def test_evaluation(vector: Vector) -> None:
    data = vector.content()
    if vector.refusal:
        check_refused(vector, lambda: decode_evaluation(data))
        return
    evaluation = evaluation_of(vector.json())
    assert encode_evaluation(evaluation) == data
    assert decode_evaluation(data) == evaluation
    assert str(evaluation_digest(data)) == vector.get("digest")


@pytest.mark.parametrize("vector", of_format("call key"))
def test_call_key(vector: Vector) -> None:
    value = vector.json()
    key = call_key(value["function"], parse_digest(value["code"]), parse_digest(value["arguments"]))
    assert str(key) == vector.get("digest")


def number_of(value: Any) -> int | float | None:
    """The number that a vector spells; what is not finite is text there."""
    return float(value) if isinstance(value, str) else value


def shape_of(value: dict[str, Any]) -> Any:
    """The shape that a vector's value spells."""
    members = {key: tuple(member) if isinstance(member, list) else member for key, member in value.items()}
    match members.pop("kind"):
        case "number":
            members["value"] = number_of(members["value"])
        case "series":
            members["points"] = tuple((at, number_of(number)) for at, number in members["points"])
        case "table":
            members["head"] = tuple(map(tuple, members["head"]))
        case "array":
            members["statistics"] = members["statistics"] and tuple(map(number_of, members["statistics"]))
            members["corner"] = tuple(tuple(map(number_of, row)) for row in members.get("corner", ()))
        case "image":
            members["png"] = bytes.fromhex(members["png"])
        case "snapshot":
            members |= {"digest": parse_digest(value["digest"]), "kind": ObjectKind[members.pop("object").upper()]}
        case "group":
            members["metrics"] = tuple((path, number_of(number)) for path, number in members["metrics"])
            members["parts"] = tuple((path, shape_of(part)) for path, part in members["parts"])
    return SHAPES[value["kind"]](**members)


SHAPES: dict[str, type] = {
    "none": shapes.Nothing,
    "number": shapes.Number,
    "text": shapes.Text,
    "series": shapes.Series,
    "table": shapes.Table,
    "array": shapes.Array,
    "image": shapes.Image,
    "plot": shapes.Plot,
    "snapshot": shapes.SnapshotShown,
    "other": shapes.Other,
    "group": shapes.Group,
}


@pytest.mark.parametrize("vector", of_format("display"))
def test_display(vector: Vector) -> None:
    data = vector.content()
    if vector.refusal:
        check_refused(vector, lambda: display.decode_display(data))
        return
    value = vector.json()
    arguments = tuple((name, shape_of(shape)) for name, shape in value["arguments"])
    shown = shapes.Display(arguments, shape_of(value["result"]))
    assert display.encode_display(shown) == data
    assert display.decode_display(data) == shown


# -- sections 3 and 4


@pytest.mark.parametrize("vector", of_format("number"))
def test_number(vector: Vector) -> None:
    if vector.encode_only:
        check_refused(vector, lambda: encode_number(vector.json()), ValueError)
        return
    data = vector.hex()
    if vector.refusal:
        check_refused(vector, lambda: decode_number(data, 0, "number"))
    else:
        assert encode_number(vector.json()) == data
        assert decode_number(data, 0, "number") == (vector.json(), len(data))


def tree_of(value: list[dict[str, Any]]) -> Tree:
    """The tree that a vector's value spells."""
    return Tree(
        tuple(
            TreeEntry(
                bytes.fromhex(entry["hex"]) if "hex" in entry else entry["name"].encode("ascii"),
                EntryKind[entry["kind"].upper()],
                Digest.fromhex(entry["digest"]),
                entry["size"],
                entry.get("files", 1),
            )
            for entry in value
        )
    )


@pytest.mark.parametrize("vector", of_format("tree"))
def test_tree(vector: Vector) -> None:
    if vector.encode_only:
        check_refused(vector, lambda: encode_tree(tree_of(vector.json())), ValueError)
        return
    data = vector.hex()
    if vector.refusal:
        check_refused(vector, lambda: decode_tree(data))
    else:
        tree = tree_of(vector.json())
        assert encode_tree(tree) == data
        assert decode_tree(data) == tree
        assert str(tree_digest(data)) == vector.get("digest")


# -- section 5


@pytest.mark.parametrize("vector", of_format("block"))
def test_block(vector: Vector) -> None:
    def decode() -> bytes:
        content = decode_block(int(vector.get("codec")), vector.hex(), int(vector.get("length")))
        if vector.has("entry"):
            content = entry_content(content, bytes(32), *vector.json("entry"))
        return bytes(content)

    if vector.refusal:
        check_refused(vector, decode)
    else:
        assert decode() == vector.hex("content")


def pack_entries(rows: list[list[Any]]) -> tuple[bytes, ...]:
    """The entry records that rows of [digest, block, offset, length, kind] spell, in their order."""
    return tuple(
        ENTRY_RECORD.pack(parse_digest(digest), block, offset, length, EntryKindInPack[kind.upper()])
        for digest, block, offset, length, kind in rows
    )


def build_pack(value: dict[str, Any]) -> tuple[bytes, PackBuilder]:
    """The pack that a vector's value spells; its blocks are stored as they are."""
    builder = PackBuilder(bytes.fromhex(value["nonce"]))
    data = bytearray(builder.header())
    for number, block in enumerate(value["blocks"]):
        content = bytes.fromhex(block["content"])
        entries = [
            BlockEntry(parse_digest(digest), EntryKindInPack[kind.upper()], offset, length)
            for digest, where, offset, length, kind in value["entries"]
            if where == number
        ]
        data += builder.block(Codec[block["codec"].upper()], content, len(content), entries)
    return bytes(data + builder.finish()), builder


@pytest.mark.parametrize("vector", of_format("pack"))
def test_pack(vector: Vector, tmp_path: Path) -> None:
    data = vector.hex()
    name = parse_digest(vector.get("digest")) if vector.has("digest") else Digest(blake3(data).digest())
    path = tmp_path / "pack"
    path.write_bytes(data)
    if vector.refusal:
        check_refused(vector, lambda: verify_pack(path, name))
        return
    value = vector.json()
    pack = verify_pack(path, name)
    assert (pack.digest, pack.length) == (name, len(data))
    assert pack.table.records == pack_entries(value["entries"])
    contents = [bytes.fromhex(block["content"]) for block in value["blocks"]]
    assert [(block.codec, block.raw) for block in pack.table.blocks] == [
        (Codec[block["codec"].upper()], len(content)) for block, content in zip(value["blocks"], contents, strict=True)
    ]
    found = list(pack_contents(lambda offset, length: data[offset : offset + length], pack))
    assert len(found) == len(value["entries"])
    for entry, content in found:
        assert bytes(content) == contents[entry.block][entry.offset : entry.offset + entry.length]
    if not vector.decode_only:
        encoded, builder = build_pack(value)
        assert encoded == data
        assert (builder.digest, builder.length, builder.table) == (pack.digest, pack.length, pack.table)


# -- section 6


def packs_of(value: list[dict[str, Any]]) -> list[IndexedPack]:
    """The packs that a vector's value spells."""
    return [
        IndexedPack(
            parse_digest(pack["digest"]),
            pack["length"],
            PackTable(
                tuple(
                    Block(offset, stored, raw, Codec[codec.upper()]) for offset, stored, raw, codec in pack["blocks"]
                ),
                pack_entries(pack["entries"]),
            ),
        )
        for pack in value
    ]


def locations_in(packs: list[IndexedPack]) -> list[Location]:
    """Where everything lies."""
    return [
        Location(Digest(digest), kind, pack.digest, pack.table.blocks[block], offset, length)
        for pack in packs
        for digest, block, offset, length, kind in pack.table.entries()
    ]


@pytest.mark.parametrize("vector", of_format("index"))
def test_index(vector: Vector) -> None:
    data = vector.hex()
    if vector.refusal:
        step = vector.get("step")
        assert step in ("opening", "lookup", "verification")
        if step == "opening":
            check_refused(vector, lambda: Index(data))
            return
        damaged = Index(data)
        if step == "lookup":
            check_refused(vector, lambda: list(damaged.locations()))
            check_refused(vector, lambda: [damaged.find(digest) for digest, _ in damaged.digests()])
            with pytest.raises(MalformedObject):
                damaged.verify()
        else:
            assert len(list(damaged.locations())) == damaged.entry_count
            check_refused(vector, damaged.verify)
        return
    packs = packs_of(vector.json())
    assert encode_index(packs) == data
    assert str(Digest(blake3(data).digest())) == vector.get("digest")
    index = Index(data)
    index.verify()
    assert index.tables() == packs
    expected = locations_in(packs)
    assert index.entry_count == len(expected)
    assert sorted(index.locations()) == sorted(expected)
    for location in expected:
        assert index.find(location.digest) in expected
    assert index.find(blake3(b"elsewhere").digest()) is None


# -- section 7


@pytest.mark.parametrize("vector", of_format("chunking"))
def test_chunking(vector: Vector) -> None:
    content = vector.content() if vector.has("cycle") or vector.has("stream") else b""
    cuts = decode_chunking(vector.json(), "vector").cuts(memoryview(content))
    assert [list(cut) for cut in cuts] == vector.json("cuts")


@pytest.mark.parametrize("vector", of_format("recipe"))
def test_recipe(vector: Vector) -> None:
    data = vector.hex()
    if vector.refusal:
        check_refused(vector, lambda: decode_recipe(data, parse_digest(vector.get("blob"))))
        return
    value = vector.json()
    chunks = tuple(Chunk(parse_digest(digest), length) for digest, length in value["chunks"])
    recipe = Recipe(parse_digest(value["blob"]), value["size"], chunks, value.get("of_parts", False))
    assert encode_recipe(recipe) == data
    assert decode_recipe(data, recipe.blob) == recipe


@pytest.mark.parametrize("vector", of_format("recipe part"))
def test_recipe_part(vector: Vector) -> None:
    data = vector.hex()
    if vector.refusal:
        check_refused(vector, lambda: decode_part(data, int(vector.get("length"))))
        return
    value = vector.json()
    chunks = tuple(Chunk(parse_digest(digest), length) for digest, length in value["chunks"])
    assert decode_part(data, value["length"]) == chunks
    assert str(blob_digest(data)) == vector.get("digest")
    parts = Recipe(blob_digest(b"whole"), value["length"], (Chunk(blob_digest(data), value["length"]),), of_parts=True)
    assert join_parts(parts, {blob_digest(data): data}).chunks == chunks


# -- section 8


@pytest.mark.parametrize("vector", of_format("quoting"))
def test_quoting(vector: Vector) -> None:
    text = vector.json("text")
    assert quote_name(vector.hex()) == text
    assert unquote_name(text) == vector.hex()


@pytest.mark.parametrize("vector", of_format("dataset ref"))
def test_dataset_ref(vector: Vector) -> None:
    value = vector.json()
    name = dataset_ref(value["project"], bytes.fromhex(value["path"]), parse_digest(value["digest"]))
    assert str(name) == vector.json("text")
    assert parse_ref_name(str(name)) == name


@pytest.mark.parametrize("vector", of_format("evaluation ref"))
def test_evaluation_ref(vector: Vector) -> None:
    value = vector.json()
    digest = parse_digest(value["digest"])
    if "key" in value:
        name = evaluation_ref(value["function"], parse_digest(value["key"]), digest)
    else:
        name = acceptance_ref(value["function"], parse_digest(value["code"]), digest)
    assert str(name) == vector.json("text")
    key = parse_digest(value.get("key") or value["code"])
    assert parse_evaluation_name(name) == (value["function"], key, digest, "code" in value)


@pytest.mark.parametrize("vector", of_format("ref name"))
def test_ref_name(vector: Vector) -> None:
    text = vector.json("text")
    if vector.refusal:
        check_refused(vector, lambda: parse_ref_name(text), ValueError)
    else:
        name = parse_ref_name(text)
        assert {"namespace": name.namespace.value, "name": name.name} == vector.json()
        assert str(name) == text


def in_frame(lines: bytes) -> bytes:
    """A ref segment with these decoded lines."""
    return b"HSRS\x01\0\0\0" + struct.pack("<Q", len(lines)) + zstandard.ZstdCompressor().compress(lines)


def out_of_frame(segment: bytes) -> bytes:
    """The decoded lines of a ref segment."""
    assert segment[:8] == b"HSRS\x01\0\0\0"
    lines = zstandard.ZstdDecompressor().decompress(segment[16:])
    assert struct.pack("<Q", len(lines)) == segment[8:16]
    return lines


def records_of(value: list[dict[str, Any]]) -> dict[RefName, Ref | None]:
    """The records that a vector's value spells."""
    records: dict[RefName, Ref | None] = {}
    for record in value:
        name = parse_ref_name(record["name"])
        records[name] = (
            None
            if "dropped" in record
            else Ref(
                name=name,
                digest=parse_digest(record["digest"]),
                kind=ObjectKind[record["kind"].upper()],
                created=record["created"],
                by=record.get("by", ""),
                path=record.get("path", ""),
                git_commit=record.get("git", ""),
            )
        )
    return records


@pytest.mark.parametrize("vector", of_format("ref records"))
def test_ref_records(vector: Vector) -> None:
    lines = vector.content() if vector.has("line") or vector.has("text") else b""
    if vector.refusal:
        check_refused(vector, lambda: decode_refs(in_frame(lines)))
        return
    records = records_of(vector.json())
    if not vector.decode_only:
        assert out_of_frame(encode_refs(records)) == lines
    assert decode_refs(in_frame(lines)) == records
    assert list(decode_refs(in_frame(lines))) == list(records)


@pytest.mark.parametrize("vector", of_format("ref segment"))
def test_ref_segment(vector: Vector) -> None:
    data = vector.hex()
    if vector.refusal:
        check_refused(vector, lambda: decode_refs(data))
    else:
        assert decode_refs(data) == records_of(vector.json())


# -- section 9


@pytest.mark.parametrize("vector", of_format("json"))
def test_canonical_json(vector: Vector) -> None:
    if vector.encode_only:
        check_refused(vector, lambda: encode_json(vector.json()), ValueError)
        return
    data = vector.content()
    if vector.refusal:
        check_refused(vector, lambda: decode_json(data, "record"))
    else:
        assert encode_json(vector.json()) == data
        assert decode_json(data, "record") == vector.json()


KEYS: dict[str, Callable[[Any], str]] = {
    "pack": lambda value: pack_key(parse_digest(value)),
    "index": lambda value: index_key(StoredFile(parse_digest(value[0]), 0, 0, value[1])),
    "ref segment": lambda value: refs_key(StoredFile(parse_digest(value[0]), 0, 0, value[1])),
    "commit": commit_key,
    "claim": lambda value: claim_key(parse_digest(value[0]), value[1]),
}


@pytest.mark.parametrize("vector", of_format("key"))
def test_key(vector: Vector) -> None:
    ((kind, value),) = vector.json().items()
    assert KEYS[kind](value) == vector.json("text")


@pytest.mark.parametrize("vector", of_format("remote format"))
def test_remote_format(vector: Vector) -> None:
    data = vector.content()
    if vector.refusal:
        check_refused(vector, lambda: decode_format(data))
        return
    value = vector.json()
    record = RemoteFormat(value["identity"], decode_chunking(value["chunking"], "vector"))
    assert encode_format(record) == data
    assert decode_format(data) == record


def stored_files(rows: list[dict[str, Any]]) -> tuple[StoredFile, ...]:
    """The files that a vector's value spells."""
    return tuple(StoredFile(parse_digest(row["digest"]), row["length"], row["entries"], row["session"]) for row in rows)


@pytest.mark.parametrize("vector", of_format("commit"))
def test_commit(vector: Vector) -> None:
    data = vector.content()
    if vector.refusal:
        check_refused(vector, lambda: decode_commit(data))
        return
    value = vector.json()
    commit = Commit(
        identity=value["identity"],
        number=value["number"],
        parent=parse_digest(value["parent"]) if value["parent"] else None,
        created=value["created"],
        author=value["author"],
        operation=value["operation"],
        session=value["session"],
        indexes=stored_files(value["indexes"]),
        refs=stored_files(value["refs"]),
        oldest=value["oldest"],
        fenced_before=value["fenced_before"],
        fenced=tuple(value["fenced"]),
    )
    assert encode_commit(commit) == data
    assert decode_commit(data) == commit
    assert str(commit_digest(data)) == vector.get("digest")


# -- section 10


@pytest.mark.parametrize("vector", of_format("tree list"))
def test_tree_list(vector: Vector) -> None:
    data, root = vector.hex(), parse_digest(vector.get("digest"))

    def decode() -> list[bytes]:
        reader = TreeListReader(root)
        for at in range(len(data)):
            reader.feed(data[at : at + 1])
        reader.close()
        return [*reader.trees.values()]

    if vector.refusal:
        check_refused(vector, decode)
        return
    trees = [bytes.fromhex(text) for text in vector.json()]
    assert decode() == trees
    assert b"".join(encode_tree_list(root, {tree_digest(tree): tree for tree in trees}.__getitem__)) == data


@pytest.mark.parametrize("vector", of_format("pointer"))
def test_pointer(vector: Vector, tmp_path: Path) -> None:
    path = tmp_path / "images.hitsave"
    path.write_bytes(vector.content())
    if vector.refusal:
        check_refused(vector, lambda: load_pointer(path), WorkspaceError)
        return
    value = vector.json()
    pointer = Pointer(
        digest=parse_digest(value["digest"]),
        kind=ObjectKind[value["kind"].upper()],
        size=value["size"],
        files=value["files"],
        executable=value.get("executable", False),
    )
    assert load_pointer(path) == pointer
    if not vector.decode_only:
        assert format_pointer(pointer).encode() == vector.content()
