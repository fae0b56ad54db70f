"""The processes of the model but the collector: a writer, one who brings back a ref, a reader.

What a process knows is a `Place`. One step is one request to the store, and what the process decides then. Steps
gives all that can come next: an answer that was lost, and every choice that the specification leaves open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from tests.remotes.model import (
    LINKS,
    Broken,
    Commit,
    Index,
    Objects,
    Pack,
    Rules,
    Segment,
    Session,
    World,
    at,
    bits,
    commit,
    digest,
    entries,
    fences,
    file,
    log,
    name,
    named,
    number,
    refs,
)

NOTHING: frozenset[int] = frozenset()


class Place(NamedTuple):
    """What a process does next, and what it knows. Fields that it does not need any more are empty again."""

    next: str = "list"
    #: The session, and how many this process had before.
    session: Session | None = None
    run: int = 0
    #: The commit that was read, or the number that was listed.
    view: int = 0
    listed: int = 0
    #: Packs of this session; the objects that were found; files that the next commit adds.
    own: tuple[int, ...] = ()
    relied_on: Objects | None = None
    indexes: frozenset[int] = NOTHING
    segments: frozenset[int] = NOTHING
    #: The commits that are retained; the commit that is to be created; what is to be removed then; refs that it drops.
    known: tuple[int, ...] = ()
    commit: int = 0
    remove: int = 0
    drops: frozenset[str] = frozenset()
    #: How often it may yet die and be continued, or run again.
    left: int = 0


Steps: TypeAlias = Iterator[tuple[str, World, Place]]
ENDED = frozenset({"done", "gave up"})


class Process(Protocol):
    """One process."""

    @property
    def who(self) -> str:
        """Its name."""

    def begin(self) -> Place:
        """Before its first step."""

    def steps(self, world: World, place: Place) -> Steps:
        """All that can happen next."""


@dataclass(frozen=True)
class Committer:
    """What all have in common that create commits (sections 9.5, steps 1 and 6 to 8).

    `fine` makes reading the newest commit three requests. Where the rules are kept, that is the same as one, which a
    test shows; other tests need fewer states without.
    """

    who: str
    rules: Rules
    fine: bool = False
    most_sessions: int = 2
    #: Whether the answer to the creation of a commit may be lost.
    loses_answers: bool = True

    def begin(self) -> Place:
        return Place()

    def steps(self, world: World, place: Place) -> Steps:
        action = getattr(self, f"_{place.next}", None)
        return iter(()) if action is None else action(world, place)

    # -- what is to be done with a commit, once it is read, and once the own one stands

    def looked(self, world: World, place: Place) -> Iterator[tuple[World, Place]]:
        raise NotImplementedError

    def stood(self, world: World, place: Place) -> tuple[World, Place]:
        raise NotImplementedError

    def beaten(self, place: Place) -> Place:
        """Another one was quicker. The session goes on."""
        return Place("list", place.session, place.run, own=place.own, relied_on=place.relied_on, left=place.left)

    # -- reading the newest commit

    def _list(self, world: World, place: Place) -> Steps:
        newest = world.commits[-1] if world.commits else 0
        listed = self.listed(world, place) if newest else place
        if self.fine and newest:
            yield f"lists {number(newest)}", world, listed
            return
        for after in self.looked(world, listed._replace(view=newest, listed=0)):
            yield f"reads {number(newest)}", *after

    def listed(self, world: World, place: Place) -> Place:
        """About to get the newest commit of a listing."""
        return place._replace(next="get", listed=number(world.commits[-1]), view=0)

    def trusted(self, place: Place) -> int:
        """A commit of which is known that it was the newest one once."""
        return 0

    def _get(self, world: World, place: Place) -> Steps:
        found = at(world, place.listed)
        if found is None:
            yield f"does not find {place.listed}", world, place._replace(next="list", listed=0)
        elif self.rules.reads_surely and found != self.trusted(place):
            yield f"gets {place.listed}", world, place._replace(next="confirm", view=found)
        else:
            for after in self.looked(world, place._replace(view=found, listed=0)):
                yield f"gets {place.listed}", *after

    def _confirm(self, world: World, place: Place) -> Steps:
        newest = number(world.commits[-1])
        if newest != place.listed:
            yield f"lists {newest}", world, self.listed(world, place)
            return
        for after in self.looked(world, place._replace(listed=0)):
            yield f"lists {newest} again", *after

    # -- committing

    def session(self, place: Place) -> Place | None:
        """With a session that the commit that was read does not fence; None where that would be one too many."""
        if place.session and not (self.rules.obeys_fences and fences(place.view, place.session)):
            return place
        if place.run == self.most_sessions:
            return None
        session = Session(number(place.view), self.who, place.run + 1)
        return Place("list", session, place.run + 1, place.view, left=place.left)

    def named_by(self, place: Place) -> Session | None:
        """What tells the files of a session from all others."""
        return place.session if self.rules.names_sessions else None

    def extended(self, place: Place, also: frozenset[int] = NOTHING) -> int:
        """The commit that adds files to the one that was read."""
        parent = commit(place.view)
        inherits = self.rules.inherits_fences
        following = Commit(
            number=parent.number + 1,
            parent=place.view,
            session=place.session,
            indexes=parent.indexes | place.indexes | also,
            segments=parent.segments | place.segments,
            oldest=parent.oldest if self.rules.keeps_oldest else 1,
            fenced_before=parent.fenced_before if inherits else 0,
            fenced=parent.fenced if inherits else frozenset(),
            dropped=parent.dropped,
        )
        return digest(following)

    def _commit(self, world: World, place: Place) -> Steps:
        mine = number(place.commit)
        taken = at(world, mine)
        if taken == place.commit:
            yield f"finds its own {mine}", world, place._replace(next="look")
        elif taken is not None:
            yield f"finds {mine} taken", world, self.beaten(place)
        else:
            after = world._replace(commits=tuple(sorted((*world.commits, place.commit), key=number)))
            if not self.rules.checks_standing:
                yield f"creates {mine}", *self.stood(after, place)
                return
            yield f"creates {mine}", after, place._replace(next="look")
            if self.loses_answers:
                yield f"creates {mine}, and the answer is lost", after, place

    def _look(self, world: World, place: Place) -> Steps:
        """List the commits from the own number on."""
        mine = number(place.commit)
        found = [number(one) for one in world.commits if number(one) >= mine]
        if found == [mine]:
            yield f"sees {mine} stand", *self.stood(world, place)
        elif found[:2] == [mine, mine + 1]:
            if self.rules.checks_parent:
                yield f"sees {found}", world, place._replace(next="parent")
            else:
                yield f"sees {found}", *self.stood(world, place)
        else:
            yield f"sees {found}", world, self._anew(place)

    def _parent(self, world: World, place: Place) -> Steps:
        """Read the commit after the own one."""
        following = at(world, number(place.commit) + 1)
        if following is not None and commit(following).parent == place.commit:
            yield "sees that it is the parent", *self.stood(world, place)
        else:
            yield "does not see that it is the parent", world, self._anew(place)

    def _anew(self, place: Place) -> Place:
        """Start over, with a new session."""
        return Place(run=place.run, left=place.left)


@dataclass(frozen=True)
class Writer(Committer):
    """Pushes one ref. `resumes` says how often it dies and goes on with its session."""

    ref: str = "Y"
    resumes: int = 0

    def begin(self) -> Place:
        return Place(left=self.resumes)

    def steps(self, world: World, place: Place) -> Steps:
        yield from super().steps(world, place)
        if place.left and place.session and place.next not in ENDED:
            # Packs were noted when they were in the remote. The one that is to be sent next is not.
            sent = place.own[:-1] if place.next == "pack" else place.own
            again = Place("list", place.session, place.run, own=sent, left=place.left - 1)
            yield "dies, and is continued", world, again

    def looked(self, world: World, place: Place) -> Iterator[tuple[World, Place]]:
        if self.ref in refs(place.view):
            yield self._report(world, place, number(place.view))
            return
        resumed = place.session is not None and place.relied_on is None
        unfenced = place if resumed and not self.rules.resumes_unfenced else self.session(place)
        if unfenced is None:
            yield world, Place("gave up")
            return
        relied_on = unfenced.relied_on
        if relied_on is None or (self.rules.checks_relied_on and not relied_on <= entries(place.view)):
            yield world, self._plan(unfenced)
        else:
            yield world, self._built(unfenced)

    def _plan(self, place: Place) -> Place:
        """Find out what is missing. Of what is there, the closure is, too."""
        there = entries(place.view)
        sent: set[str] = set()
        for pack in place.own:
            stored = file(pack)
            sent |= stored.objects if isinstance(stored, Pack) else set()
        missing: set[str] = set()
        relied_on: set[str] = set()
        pending = [self.ref.lower()]
        while pending:
            wanted = pending.pop()
            if wanted in there:
                relied_on.add(wanted)
                continue
            if wanted not in sent:
                missing.add(wanted)
            pending += LINKS[wanted]
        planned = place._replace(relied_on=frozenset(relied_on))
        if missing:
            pack = name(Pack(self.named_by(place), frozenset(missing)))
            return planned._replace(next="pack", own=(*place.own, pack))
        return self._built(planned)

    def _built(self, place: Place) -> Place:
        """With the files that the commit needs beside packs."""
        session = self.named_by(place)
        held = frozenset((pack, stored.objects) for pack in place.own if isinstance(stored := file(pack), Pack))
        indexes = frozenset({name(Index(session, held))}) if held else NOTHING
        segments = frozenset({name(Segment(session, frozenset(self.ref)))})
        return place._replace(next="files", indexes=indexes, segments=segments)

    def _pack(self, world: World, place: Place) -> Steps:
        after = world._replace(files=world.files | 1 << place.own[-1])
        yield f"puts pack {place.own[-1]}", after, self._built(place)

    def _files(self, world: World, place: Place) -> Steps:
        after = world._replace(files=world.files | bits(place.indexes | place.segments))
        built = place._replace(next="commit", commit=self.extended(place), view=0, indexes=NOTHING, segments=NOTHING)
        yield "puts index and segment", after, built

    def stood(self, world: World, place: Place) -> tuple[World, Place]:
        return self._report(world, place, number(place.commit))

    def _report(self, world: World, place: Place, since: int) -> tuple[World, Place]:
        return world._replace(done=world.done | {(self.ref, since)}), Place("done")


@dataclass(frozen=True)
class Restorer(Committer):
    """Brings back a ref that was dropped, from a commit that is retained."""

    ref: str = "X"

    def looked(self, world: World, place: Place) -> Iterator[tuple[World, Place]]:
        if self.ref in refs(place.view):
            yield world._replace(done=world.done | {(self.ref, number(place.view))}), Place("done")
            return
        begun = self.session(place)
        retained = log(place.view, commit(place.view).oldest)
        having = [one for one in retained if self.ref in refs(one)]
        if not self.rules.restores_retained and place.indexes:
            having = having or [0]  # It goes on with the indexes that it chose first.
        if begun is None or not having:
            yield world, Place("gave up")
            return
        segment = name(Segment(self.named_by(begun), frozenset(self.ref)))
        indexes = commit(having[-1]).indexes or place.indexes
        yield world, begun._replace(next="files", indexes=indexes, segments=frozenset({segment}))

    def _files(self, world: World, place: Place) -> Steps:
        after = world._replace(files=world.files | bits(place.segments))
        kept = NOTHING if self.rules.restores_retained else place.indexes
        built = place._replace(next="commit", commit=self.extended(place), view=0, indexes=kept, segments=NOTHING)
        yield "puts segment", after, built

    def beaten(self, place: Place) -> Place:
        return super().beaten(place)._replace(indexes=place.indexes)

    def stood(self, world: World, place: Place) -> tuple[World, Place]:
        return world._replace(done=world.done | {(self.ref, number(place.commit))}), Place("done")


@dataclass(frozen=True)
class Reader(Committer):
    """Reads the newest state, and all that it names. `commit` of its place is the newest it has seen."""

    #: Whether it reads again and again, and not only where something is missing.
    again: bool = True

    def listed(self, world: World, place: Place) -> Place:
        found = super().listed(world, place)
        return found._replace(known=(place.commit,)) if place.commit in world.commits else found

    def trusted(self, place: Place) -> int:
        return place.commit

    def looked(self, world: World, place: Place) -> Iterator[tuple[World, Place]]:
        if place.view not in log(world.commits[-1] if world.commits else 0, 0) and place.view:
            raise Broken(f"a reader takes commit {number(place.view)} for the newest, which never was")
        if place.remove and place.remove - 1 == place.view:
            raise Broken(f"a reader reports that something of commit {number(place.view)} is missing")
        seen, found = commit(place.commit), commit(place.view)
        if place.commit and (
            found.number < seen.number
            or (found.number == seen.number and place.view != place.commit)
            or (found.number == seen.number + 1 and found.parent != place.commit)
            or (found.oldest <= seen.number and place.commit not in place.known)
        ):
            raise Broken(f"a reader reports that commit {found.number} does not descend from the one it read before")
        yield world, Place("read", view=place.view, commit=place.view)

    def _read(self, world: World, place: Place) -> Steps:
        """Read what the commit names, in whatever order: what is missing now is missing for ever."""
        if named(place.view) & ~world.files:
            yield "misses a file", world, Place(commit=place.commit, remove=place.view + 1)
        else:
            yield "has read everything", world, Place(commit=place.commit) if self.again else Place("done")
