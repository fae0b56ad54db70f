"""`hitsave forget`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from hitsave.amounts import count, show_size
from hitsave.cli.completing import Kind, completes
from hitsave.cli.evaluations import all_projects_option, find_function, show_moment
from hitsave.cli.output import DEFAULT_REMOTE, emit, emit_json, json_option, one_line, remote_option, show_path
from hitsave.cli.paths import refuse_empty
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.looking.judging import Candidate, Candidates, Judged
    from hitsave.objects.digest import Digest
    from hitsave.objects.refs import RefName
    from hitsave.repository import Repository
    from hitsave.upkeep import Upkeep

#: What no remote's name has.
_REF_PART = re.compile(r"[/@]|^[0-9a-f]{7,64}$")
_ALL = "--keep-last, --keep-within, --keep-git"


def _seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from hitsave.limits import parse_age

    try:
        return None if value is None else parse_age(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; write 30d, 12h or 2w") from None


@click.command("forget")
@click.argument(
    "names",
    nargs=-1,
    metavar="[PATH|NAME]...",
    shell_complete=completes(Kind.DATASET, Kind.REF, Kind.FUNCTION),
)
@click.option("--keep-last", "last", metavar="N", type=click.IntRange(min=1), help="Keep the newest N of each.")
@click.option("--keep-within", "within", metavar="TIME", callback=_seconds, help="Keep those of the last 30d, 12h.")
@click.option("--keep-git", "in_git", is_flag=True, help="Keep those that a pointer file names anywhere in git.")
@click.option("--snapshots", is_flag=True, help="With a policy: snapshots that were taken in this project as well.")
@click.option("--experiments", is_flag=True, help="With the name of a function: its experiments as well.")
@all_projects_option("With the name of a function: those of all projects that are called so.")
@click.option("--all-versions", is_flag=True, help="With a dataset: all versions of it, the present one included.")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be forgotten, and what not, and why.")
@remote_option("Drop them from a remote (the default one, without a name) instead of the cache.")
@json_option
@pass_session
def command(
    session: Session,
    names: tuple[str, ...],
    last: int | None,
    within: int | None,
    in_git: bool,
    snapshots: bool,
    experiments: bool,
    everything: bool,
    all_versions: bool,
    dry_run: bool,
    remote: str | None,
    as_json: bool,
) -> None:
    """Drop refs by name or by policy, so that 'hitsave gc' may collect what nobody else owns.

    NAME is a ref as 'hitsave show-ref' or 'hitsave du --all --versions' prints it, whose digest may be abbreviated; or
    PATH@DIGEST, one version of a dataset; or a digest that one ref alone holds; or PATH, a dataset that has one
    version; or, where no ref is called so, the name of a function, as in train.fit or fit: then all that this project
    keeps of it, except experiments. 'hitsave undo' brings them back.

    With a policy, a version stays that any of the policies keeps, and what is left goes. PATH is a dataset, its pointer
    file, or a folder with datasets; without one, all datasets of this project are meant, and never those of others.
    Also the name of a function may be given, whose experiments stay. What a pointer file of the workspace names always
    stays. --keep-git looks at every commit of every branch, tag and stash of this clone, and at what is staged; it
    refuses where not all of them are here.

    \b
    Examples:
      hitsave forget data/images --keep-last 3 --dry-run
      hitsave forget --keep-git --keep-within 30d
      hitsave forget data/images@32684bfa28c
      hitsave forget --all-versions data/images
      hitsave forget train.fit
      hitsave forget train.fit --keep-last 10
    """
    if remote is not None and _REF_PART.search(remote):  # `--remote NAME`: the name of a ref, of the default remote.
        names, remote = (remote, *names), DEFAULT_REMOTE
    policy = _Policy(last, within, in_git)
    _check_usage(policy, names, experiments, all_versions, snapshots)
    repository = session.repository
    upkeep = repository.upkeep(remote) if remote is not None else None
    by_name = _ByName(repository, upkeep, experiments, everything, all_versions)
    judged = _judge(repository, upkeep, names, (snapshots, everything), policy, by_name) if policy else []
    going = [each.verdict.version.name for each in judged if not each.verdict.stays]
    wanted = going or by_name.all(() if policy else names)
    freed = _freed(repository, wanted) if dry_run and policy and upkeep is None else None
    if not dry_run:
        wanted = _forget(repository, upkeep, wanted)
    session.end_progress()
    if as_json:
        told = {"dry_run": dry_run, "forgotten": [str(name) for name in wanted], "freed": freed}
        emit_json({**told, "versions": [_as_json(each) for each in judged]} if policy else told)
    elif dry_run and policy:
        _show(repository, judged)
    else:
        for name in wanted:
            emit(str(name))
    stay = f", {len(judged) - len(going):,} stay" if policy else ""
    session.say(_summary(len(wanted), stay, dry_run, freed, "" if upkeep is None else " --remote"))


class _Policy(NamedTuple):
    """The policies that were given."""

    last: int | None
    within: int | None
    in_git: bool

    def __bool__(self) -> bool:
        return self != (None, None, False)


def _check_usage(
    policy: _Policy, names: tuple[str, ...], experiments: bool, all_versions: bool, snapshots: bool
) -> None:
    refuse_empty(names)
    if policy and experiments:
        raise click.UsageError("no policy forgets experiments; name their function without one")
    if policy and all_versions:
        raise click.UsageError("a policy chooses among versions, and --all-versions takes all; give one of them")
    if snapshots and not policy:
        raise click.UsageError(f"--snapshots goes with a policy ({_ALL})")
    if not names and not policy:
        raise click.UsageError(f"Missing argument: name what to forget, or give a policy ({_ALL})")


def _summary(number: int, stay: str, dry_run: bool, freed: int | None, there: str) -> str:
    refs = count(number, "ref")
    if dry_run:
        frees = f"; 'hitsave gc' would then free {show_size(freed)}" if freed is not None else ""
        return f"{refs} would be forgotten{stay}{frees}"
    if not number:
        return f"nothing to forget{stay}"
    return f"{refs} forgotten{stay}; 'hitsave undo{there}' brings back, 'hitsave gc{there}' collects"


class _ByName:
    """Finds the refs that names stand for."""

    def __init__(
        self, repository: Repository, upkeep: Upkeep | None, experiments: bool, everything: bool, all_versions: bool
    ) -> None:
        self._repository = repository
        self._held = repository.cache.refs() if upkeep is None else upkeep.refs()
        self._has_evaluations = upkeep is None
        self._experiments = experiments
        self._project = None if everything else repository.project.quoted
        self._all_versions = all_versions

    def all(self, names: Iterable[str]) -> list[RefName]:
        """The refs of all these names, each once. Raises RefError."""
        return list(dict.fromkeys(ref for name in names for ref in self.find(name)))

    def find(self, name: str) -> list[RefName]:
        """The refs of one name. Raises RefError."""
        from hitsave.errors import RefError
        from hitsave.looking.owners import shown_as, versions_among

        versions = versions_among(self._repository, self._held, Path(name))
        if self._all_versions and not versions:
            raise RefError(f"{name}: there is no version of it; --all-versions goes with the paths of datasets")
        if self._all_versions:
            self._note_present(name, {ref.digest for ref in versions})
            return [ref.name for ref in versions]
        if len(versions) > 1:
            shown = ", ".join(f"{name}@{ref.digest.short}" for ref in versions[:5])
            more = ", ..." if len(versions) > 5 else ""
            raise RefError(f"{name} could be {shown}{more}; name one of them, or --all-versions forgets them all")
        if versions:
            self._note_present(name, {versions[0].digest})
            return [versions[0].name]
        try:
            return [self._repository.names.ref_named(name, self._held)]
        except RefError:
            if len(found := shown_as(self._held, name)) == 1:
                return [found[0].name]
            function = self.function(name)
            if function is None:
                raise
        return _of_function(self._repository, function, self._experiments, self._project)

    def _note_present(self, name: str, digests: set[Digest]) -> None:
        """Who forgets versions of a dataset by its mere name may not have thought of the pointer file that names it."""
        from hitsave.snapshots.pointer import load_pointer, pointer_path, target_path

        path = Path(os.path.abspath(name))
        place = path if path.is_file() and target_path(path) != path else pointer_path(path)
        if place.is_file() and load_pointer(place).digest in digests:
            self._repository.progress.note(f"{name}: its pointer file still names what is forgotten")

    def function(self, name: str) -> str | None:
        """The function that is called so; None where there is none. Raises RefError where it could be several."""
        index = self._repository.cache.evaluations
        if not self._has_evaluations or not any(f".{each}".endswith(f".{name}") for each in index.names()):
            return None
        return name if name in index.names() else find_function(index, self._project, name)


def _of_function(repository: Repository, function: str, experiments: bool, project: str | None) -> list[RefName]:
    """A project's evaluations of a function. Raises RefError where there are only experiments, which are not wanted."""
    from hitsave.errors import RefError

    rows = repository.cache.evaluations.of(function, project)
    if not rows:
        raise RefError(f"nothing is kept of a function {function} of this project; --all forgets it in others, too")
    found = [row.name for row in rows if experiments or not row.experiment]
    if not found:
        raise RefError(f"of {function} there are only experiments; --experiments forgets them")
    return found


def _forget(repository: Repository, upkeep: Upkeep | None, wanted: list[RefName]) -> list[RefName]:
    """Drop refs; those that were there."""
    if not wanted:
        return []
    return [ref.name for ref in (repository.forget(wanted) if upkeep is None else upkeep.forget(wanted))]


# -- by policy


def _judge(
    repository: Repository,
    upkeep: Upkeep | None,
    names: Iterable[str],
    more: tuple[bool, bool],
    policy: _Policy,
    by_name: _ByName,
) -> list[Judged]:
    """Verdicts; `more` says whether snapshots are wanted, and functions of other projects."""
    from hitsave.looking.judging import Candidates, judge

    refs = repository.cache.refs() if upkeep is None else upkeep.refs()
    candidates = Candidates(repository, refs, more[0], upkeep is None, more[1])
    found = [each for name in names for each in _named(candidates, by_name, name)] if names else candidates.all()
    return judge(repository, found, policy.last, policy.within, policy.in_git)


def _named(candidates: Candidates, by_name: _ByName, name: str) -> list[Candidate]:
    """What a name stands for, which may also be the end of a function's. Raises RefError, WorkspaceError."""
    from hitsave.errors import RefError, WorkspaceError

    try:
        return candidates.named(name)
    except (RefError, WorkspaceError):
        function = by_name.function(name)
        if function is None or function == name:
            raise
    return candidates.named(function)


def _show(repository: Repository, judged: Iterable[Judged]) -> None:
    """A line for each version, beneath what it is a version of."""
    above = ""
    for candidate, verdict in judged:
        version = verdict.version
        if version.of != above:
            above = version.of
            emit(_title(repository, candidate))
        what = "stays" if verdict.stays else "goes "
        size = "?" if candidate.size is None else show_size(candidate.size)
        emit(f"  {what}  {version.digest.short}  {show_moment(version.time)}  {size:>9}  {one_line(verdict.why)}")


def _title(repository: Repository, candidate: Candidate) -> str:
    from hitsave.looking import judging

    if candidate.kind is judging.Kind.FUNCTION:
        return one_line(candidate.of)
    path = show_path(repository.absolute(Path(candidate.of)))
    return f"snapshots of {path}" if candidate.kind is judging.Kind.SNAPSHOT else path


def _as_json(judged: Judged) -> dict[str, Any]:
    candidate, verdict = judged
    return {
        "of": candidate.of,
        "kind": candidate.kind.value,
        "name": str(verdict.version.name),
        "digest": str(verdict.version.digest),
        "time": verdict.version.time // 1_000_000,
        "size": candidate.size,
        "stays": verdict.stays,
        "why": verdict.why,
    }


def _freed(repository: Repository, wanted: Iterable[RefName]) -> int:
    """What the next collection would free of the cache, if these went and nothing else did; bytes."""
    from hitsave.maintenance.usage import usage

    names = set(wanted)
    refs = [ref for ref in repository.cache.refs() if ref.name in names]
    return usage(repository.cache, {"": refs})[""].whole.freed if refs else 0
