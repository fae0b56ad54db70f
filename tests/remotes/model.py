"""A model of remotes (objects_spec.md, sections 9.4 to 9.6) on which every interleaving can be tried.

A world is what the store holds, and what was reported as done. Processes (`model_processes`) change it by single
requests. Content is abstract: an object is a letter, which refers to others, and the ref of an object is its capital.
There is no clock: which commits expire and which sessions are taken for dead is chosen in every way that is allowed.
A process that dies is one that has no more turns, so that every state is one in which any of them has died.

Each rule of the protocol is a switch, so that tests can show what happens without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeAlias

#: What each object refers to.
LINKS = {"b": "", "k": "", "x": "b", "y": "x", "z": "yb", "f": "x"}


@dataclass(frozen=True)
class Rules:
    """The rules of the protocol. Without one of them, somebody can lose data, or garbage stays for ever."""

    #: Whoever reads the newest commit lists once more: it must still be the newest.
    reads_surely: bool = True
    #: A commit counts only where it is seen to stand.
    checks_standing: bool = True
    #: A commit that is followed by another one stands only where that one names it as its parent.
    checks_parent: bool = True
    #: Sessions whose files a collection removes are fenced.
    fences: bool = True
    #: A commit takes over the fences of its parent.
    inherits_fences: bool = True
    #: A session that is fenced does not commit.
    obeys_fences: bool = True
    #: One that is continued looks at the fences, too.
    resumes_unfenced: bool = True
    #: The names of files tell sessions apart.
    names_sessions: bool = True
    #: Nothing is removed before the commit of the collection.
    commits_first: bool = True
    #: What a retained commit names is not removed.
    spares_retained: bool = True
    #: What the next commit itself names is not removed.
    spares_named: bool = True
    #: What sessions left that never committed is removed.
    finds_orphans: bool = True
    #: A writer that lost a race makes sure that what it relied on is there.
    checks_relied_on: bool = True
    #: A collector that lost a race marks again.
    marks_again: bool = True
    #: Dead entries are left out of indexes.
    prunes: bool = True
    #: A writer takes over `oldest`.
    keeps_oldest: bool = True
    #: Expired commits are removed, and only these.
    removes_expired_only: bool = True
    #: Refs are brought back from commits that are retained, also where another writer was quicker.
    restores_retained: bool = True


class Session(NamedTuple):
    """A token: the number of the commit it began on, and what tells it from all others."""

    base: int
    who: str
    run: int


Objects: TypeAlias = frozenset[str]


class Pack(NamedTuple):
    """A pack."""

    session: Session | None
    objects: Objects


class Index(NamedTuple):
    """An index: files of packs, and the entries that it has of them."""

    session: Session | None
    packs: frozenset[tuple[int, Objects]]


class Segment(NamedTuple):
    """A ref segment without drops: collections write segments anew where they drop refs."""

    session: Session | None
    refs: frozenset[str]


class Commit(NamedTuple):
    """A commit, with its files. `dropped` says when each ref was dropped last: it is for checks only."""

    number: int
    parent: int
    session: Session | None
    indexes: frozenset[int]
    segments: frozenset[int]
    oldest: int = 1
    fenced_before: int = 0
    fenced: frozenset[Session] = frozenset()
    dropped: frozenset[tuple[str, int]] = frozenset()


class World(NamedTuple):
    """Commits that are there, by number ascending; files as a set of bits; refs that were reported, and with which."""

    commits: tuple[int, ...] = ()
    files: int = 0
    done: frozenset[tuple[str, int]] = frozenset()


_files: list[Pack | Index | Segment] = []
_file_numbers: dict[Pack | Index | Segment, int] = {}
_commits: list[Commit] = [Commit(0, 0, None, frozenset(), frozenset())]
_commit_digests: dict[Commit, int] = {_commits[0]: 0}


def name(value: Pack | Index | Segment) -> int:
    """The key of a file: small numbers are quicker than what they stand for."""
    found = _file_numbers.setdefault(value, len(_files))
    if found == len(_files):
        _files.append(value)
    return found


def file(number: int) -> Pack | Index | Segment:
    """What `name` named."""
    return _files[number]


def digest(value: Commit) -> int:
    """The digest of a commit; 0 stands for the state before the first one."""
    found = _commit_digests.setdefault(value, len(_commits))
    if found == len(_commits):
        _commits.append(value)
    return found


def commit(number: int) -> Commit:
    """What `digest` named."""
    return _commits[number]


@cache
def number(commit_digest: int) -> int:
    """The number in the key of a commit."""
    return _commits[commit_digest].number


@cache
def packs(commit_digest: int) -> tuple[tuple[int, Objects], ...]:
    """The packs of a commit, with their entries."""
    indexes = (_files[key] for key in sorted(_commits[commit_digest].indexes))
    return tuple(sorted({pack for index in indexes if isinstance(index, Index) for pack in index.packs}, key=str))


@cache
def entries(commit_digest: int) -> Objects:
    """The objects of a commit."""
    return frozenset(entry for _, some in packs(commit_digest) for entry in some)


@cache
def refs(commit_digest: int) -> frozenset[str]:
    """The refs of a commit."""
    segments = (_files[key] for key in _commits[commit_digest].segments)
    return frozenset(ref for segment in segments if isinstance(segment, Segment) for ref in segment.refs)


@cache
def named(commit_digest: int) -> int:
    """The files that a commit leads to, as bits."""
    found = _commits[commit_digest]
    return bits({*found.indexes, *found.segments, *(pack for pack, _ in packs(commit_digest))})


@cache
def log(newest: int, oldest: int) -> tuple[int, ...]:
    """The commits that a newest one descends from, from the number `oldest` on, ascending, with itself."""
    found = _commits[newest]
    if found.number < max(oldest, 1):
        return ()
    return (*log(found.parent, oldest), newest)


def bits(keys: set[int] | frozenset[int]) -> int:
    """A set of files as bits."""
    return sum(1 << key for key in keys)


def keys_of(files: int) -> Iterator[int]:
    """The files of a set of bits, ascending."""
    while files:
        lowest = files & -files
        yield lowest.bit_length() - 1
        files ^= lowest


@cache
def closure(roots: frozenset[str]) -> Objects:
    """Everything that objects reach."""
    found: set[str] = set()
    pending = [*roots]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += LINKS[one]
    return frozenset(found)


@cache
def alive(kept: frozenset[str]) -> Objects:
    """What refs reach."""
    return closure(frozenset(ref.lower() for ref in kept))


def fences(newest: int, session: Session) -> bool:
    """Whether a commit fences a session."""
    found = _commits[newest]
    return session.base < found.fenced_before or session in found.fenced


def at(world: World, wanted: int) -> int | None:
    """The commit that is there under a number."""
    return next((found for found in world.commits if number(found) == wanted), None)


# -- what has to hold in every state


class Broken(Exception):
    """Something does not hold."""


def check(world: World) -> None:
    """Raise Broken where data is lost, or a later step would lose it."""
    newest = world.commits[-1] if world.commits else 0
    if missing := named(newest) & ~world.files:
        raise Broken(f"the newest commit names what is not there: {[file(key) for key in keys_of(missing)]}")
    for pack, some in packs(newest):
        stored = file(pack)
        if isinstance(stored, Pack) and not some <= stored.objects:
            raise Broken("an index has entries that its pack does not have")
    if closure(entries(newest)) != entries(newest):
        raise Broken(f"an index leads to half a closure: {sorted(closure(entries(newest)) - entries(newest))} lacks")
    if not alive(refs(newest)) <= entries(newest):
        raise Broken("a ref reaches what is not there")
    _check_log(world, newest)
    _check_reported(world, newest)


def _check_log(world: World, newest: int) -> None:
    oldest = commit(newest).oldest
    if tuple(found for found in world.commits if number(found) >= oldest) != log(newest, oldest):
        raise Broken(f"the commits from {oldest} on are no chain")
    if oldest < commit(commit(newest).parent).oldest:
        raise Broken("`oldest` goes back")


def _check_reported(world: World, newest: int) -> None:
    dropped = dict(commit(newest).dropped)
    for ref, since in world.done:
        if ref not in refs(newest) and dropped.get(ref, 0) <= since:
            raise Broken(f"{ref} was reported as done by commit {since}, and is lost")
