"""The collector of the model (objects_spec.md, section 9.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.remotes.model import (
    Commit,
    Index,
    Objects,
    Pack,
    Segment,
    Session,
    World,
    alive,
    bits,
    commit,
    digest,
    fences,
    file,
    keys_of,
    name,
    named,
    number,
    packs,
    refs,
)
from tests.remotes.model_processes import NOTHING, Committer, Place, Steps

#: How a collector takes sessions for dead: only those that have committed; all that it finds; all that began before it.
DEAD = ("committed", "found", "before")


@dataclass(frozen=True)
class Collector(Committer):
    """Collects `runs` times. It may drop the refs in `drops`, and chooses as `dead` and `oldest` let it."""

    runs: int = 1
    #: Whether it removes one key at a time.
    piecewise: bool = False
    rewrites: bool = True
    drops: frozenset[str] = frozenset("X")
    dead: tuple[str, ...] = DEAD
    #: How `oldest` is chosen: that of the parent; the parent; the own commit.
    oldest: tuple[str, ...] = ("same", "parent", "own")

    def begin(self) -> Place:
        return Place(left=self.runs - 1)

    def looked(self, world: World, place: Place) -> Iterator[tuple[World, Place]]:
        begun = self.session(place)
        if begun is None or not place.view:
            yield world, Place("gave up")
            return
        if begun.commit:
            old = commit(begun.commit)
            moved = old._replace(number=number(place.view) + 1, parent=place.view)
            yield world, begun._replace(next="commit", view=0, commit=digest(moved))
            return
        yield world, begun._replace(next="retained")

    def beaten(self, place: Place) -> Place:
        again = Place("list", place.session, place.run, left=place.left)
        return again if self.rules.marks_again else again._replace(commit=place.commit, remove=place.remove)

    def _retained(self, world: World, place: Place) -> Steps:
        """Read the commits that are retained; mark, and decide which packs to keep."""
        parent = commit(place.view)
        found = {number(one): one for one in world.commits if parent.oldest <= number(one) <= parent.number}
        if len(found) <= parent.number - parent.oldest:
            yield "does not find all commits", world, place._replace(next="list", view=0)
            return
        known = tuple(found[one] for one in sorted(found))
        droppable = self.drops & refs(place.view)
        for drops in {frozenset[str](), droppable}:
            for rewrite in {False, self.rewrites}:
                marked = self._marked(place, refs(place.view) - drops, rewrite)
                if marked is not None:
                    how = f"marks, drops {''.join(drops) or 'nothing'}" + (", rewrites packs" * rewrite)
                    yield how, world, marked._replace(next="scan", drops=drops, known=known)

    def _marked(self, place: Place, kept: frozenset[str], rewrite: bool) -> Place | None:
        """With new files; None where nothing was to be rewritten, but should be."""
        live = alive(kept)
        session = self.named_by(place)
        stays: set[tuple[int, Objects]] = set()
        moves: set[str] = set()
        for pack, some in packs(place.view):
            stored = file(pack)
            partly = bool(some & live) and isinstance(stored, Pack) and not stored.objects <= live
            if rewrite and partly:
                moves |= some & live
            elif some & live:
                stays.add((pack, some & live if self.rules.prunes else some))
        if rewrite and not moves:
            return None
        own: tuple[int, ...] = ()
        if moves:
            own = (name(Pack(session, frozenset(moves))),)
            stays.add((own[0], frozenset(moves)))
        indexes, segments = commit(place.view).indexes, commit(place.view).segments
        if stays != set(packs(place.view)):
            indexes = frozenset({name(Index(session, frozenset(stays)))}) if stays else NOTHING
        if kept != refs(place.view):
            segments = frozenset({name(Segment(session, kept))}) if kept else NOTHING
        return place._replace(own=own, indexes=indexes, segments=segments)

    def _scan(self, world: World, place: Place) -> Steps:
        """List the files; choose what expires and who is dead; build the commit."""
        parent = commit(place.view)
        numbers = {"same": parent.oldest, "parent": parent.number, "own": parent.number + 1}
        for oldest in sorted({numbers[choice] for choice in self.oldest}):
            seen: set[tuple[int, int]] = set()
            for dead in self.dead:
                built, remove = self._built(world, place, oldest, dead)
                if (built, remove) in seen:
                    continue
                seen.add((built, remove))
                how = f"lists files, keeps commits from {oldest}, takes for dead: {dead}"
                yield how, world, place._replace(next="files", commit=built, remove=remove)

    def _files(self, world: World, place: Place) -> Steps:
        files = world.files | bits({*place.own} | place.indexes | place.segments)
        after = Place("commit", place.session, place.run, commit=place.commit, remove=place.remove, left=place.left)
        if not self.rules.commits_first:
            after = after._replace(next="early")
        yield "puts its files", world._replace(files=files), after

    def _built(self, world: World, place: Place, oldest: int, dead: str) -> tuple[int, int]:
        """The commit, and the candidates."""
        parent = commit(place.view)
        session = place.session
        candidates = world.files
        if self.rules.spares_named:
            candidates &= ~bits({*place.own} | place.indexes | place.segments | self._packs_of(place.indexes))
        if self.rules.spares_retained:
            for one in place.known:
                if number(one) >= oldest:
                    candidates &= ~named(one)
        committed = {commit(one).session for one in place.known}
        before = 0
        for one in place.known:
            before |= named(one)
        remove: set[int] = set()
        fenced: set[Session] = set()
        fenced_before = parent.number + 1 if dead == "before" else parent.fenced_before
        for key in keys_of(candidates):
            owner = file(key).session
            if owner == session and owner is not None:
                continue
            ended = owner is None or owner in committed or fences(place.view, owner) or before >> key & 1
            dying = dead == "found" or (owner is not None and owner.base < fenced_before)
            if ended or (dying and self.rules.finds_orphans):
                remove.add(key)
                if owner is not None:
                    fenced.add(owner)
        if not self.rules.fences:
            fenced, fenced_before = set(), 0
        if self.rules.inherits_fences:
            fenced |= parent.fenced
        following = Commit(
            number=parent.number + 1,
            parent=place.view,
            session=session,
            indexes=place.indexes,
            segments=place.segments,
            oldest=oldest,
            fenced_before=fenced_before,
            fenced=frozenset(one for one in fenced if one.base >= fenced_before),
            dropped=frozenset((dict(parent.dropped) | dict.fromkeys(place.drops, parent.number + 1)).items()),
        )
        return digest(following), bits(remove)

    def _packs_of(self, indexes: Iterable[int]) -> set[int]:
        found: set[int] = set()
        for key in indexes:
            index = file(key)
            if isinstance(index, Index):
                found |= {pack for pack, _ in index.packs}
        return found

    def _early(self, world: World, place: Place) -> Steps:
        """What nobody may do: remove before the commit."""
        yield "removes files", world._replace(files=world.files & ~place.remove), place._replace(next="commit")

    def stood(self, world: World, place: Place) -> tuple[World, Place]:
        return world, Place("expire", None, place.run, commit=place.commit, remove=place.remove, left=place.left)

    def _expire(self, world: World, place: Place) -> Steps:
        """Remove the commits before `oldest`, then files."""
        oldest = commit(place.commit).oldest
        before = [one for one in world.commits if number(one) < oldest]
        if not self.rules.removes_expired_only:
            before = [one for one in world.commits if one != place.commit]
        expired = before[: 1 if self.piecewise else None]
        if expired:
            rest = tuple(one for one in world.commits if one not in expired)
            after = place if self.piecewise else place._replace(next="remove", commit=0)
            yield f"removes commits {[*map(number, expired)]}", world._replace(commits=rest), after
            return
        yield from self._remove(world, place._replace(next="remove", commit=0, remove=place.remove & world.files))

    def _remove(self, world: World, place: Place) -> Steps:
        rest = place.remove & world.files
        now = rest & -rest if self.piecewise else rest
        after = world._replace(files=world.files & ~now)
        place = place._replace(remove=rest & ~now)
        if not place.remove:
            place = Place("list", run=place.run, left=place.left - 1) if place.left else Place("done")
        yield f"removes files {[*keys_of(now)]}", after, place
