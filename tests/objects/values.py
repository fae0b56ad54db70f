"""Random objects for hypothesis: names, digests, trees, evaluations."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import LARGEST_NUMBER, name_fault, tree_from
from hitsave.objects.evaluation import Acceptance, BlobLink, Evaluation, Extra, ShownArgument, TakenSnapshot
from hitsave.objects.model import EntryKind, Tree, TreeEntry

#: For every property here: a machine that is busy fails no test.
modest = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: Numbers of every length of encoding, the bounds among them.
numbers = st.one_of(
    st.integers(0, LARGEST_NUMBER),
    st.integers(0, 300),
    st.sampled_from([edge for bits in range(7, 64, 7) for edge in ((1 << bits) - 1, 1 << bits) if edge >> 63 == 0]),
)
digests = st.binary(min_size=32, max_size=32).map(Digest)
#: Whatever bytes can be a name in a directory, valid UTF-8 or not.
names = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(str.encode),
    st.sampled_from([b"...", b" ", b"\n", b"\xff", b"-", b"con", b".hidden", b"n" * 300]),
).filter(lambda name: name_fault(name) is None)


@st.composite
def entries(draw: st.DrawFn) -> TreeEntry:
    """One entry; only a tree has a count of files of its own."""
    kind = draw(st.sampled_from(EntryKind))
    files = draw(numbers) if kind is EntryKind.TREE else 1
    return TreeEntry(draw(names), kind, draw(digests), draw(numbers), files)


trees: st.SearchStrategy[Tree] = st.lists(entries(), max_size=8, unique_by=lambda entry: entry.name).map(tree_from)


texts = st.one_of(st.just(""), st.text(max_size=10), st.sampled_from(["me@host", "line\nend\r", '"\\', "\x7f", "%2F"]))
blob_links = st.builds(BlobLink, digests, numbers)
evaluations = st.builds(
    Evaluation,
    function=texts.filter(bool),
    code=digests,
    arguments=digests,
    manifest=blob_links,
    result=blob_links,
    buffers=st.lists(blob_links, max_size=3).map(tuple),
    snapshots=st.lists(
        st.builds(TakenSnapshot, digests, st.sampled_from([ObjectKind.BLOB, ObjectKind.TREE]), numbers, texts),
        max_size=3,
    ).map(tuple),
    display=st.none() | blob_links,
    reason=st.none() | blob_links,
    shown=st.lists(st.builds(ShownArgument, texts, digests, texts), max_size=3).map(tuple),
    extras=st.lists(st.builds(Extra, texts, digests), max_size=3, unique_by=lambda extra: extra.name)
    .map(sorted)
    .map(tuple),
    experiment=st.booleans(),
    started=numbers,
    elapsed=numbers,
    by=texts,
    git=texts,
    python=texts,
)
acceptances = st.builds(
    Acceptance,
    function=texts.filter(bool),
    accepts=digests,
    code=digests,
    manifest=blob_links,
    made=numbers,
    by=texts,
    git=texts,
    note=texts,
)


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes with a few of them changed, put in, or taken out."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed)))
        match draw(st.sampled_from(("flip", "set", "insert", "delete", "cut", "repeat"))):
            case "flip" if at < len(changed):
                changed[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(changed):
                changed[at] = draw(st.sampled_from((0, 1, 3, 0x7F, 0x80, 0xFF)))
            case "insert":
                changed[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del changed[at : at + draw(st.integers(1, 4))]
            case "cut":
                del changed[at:]
            case "repeat":
                changed[at:at] = changed[at : at + draw(st.integers(1, 40))]
            case _:
                pass
    return bytes(changed)
