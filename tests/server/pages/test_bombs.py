"""Small uploads of what is very large, where something small is expected: none of it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.evaluation import BlobLink, Evaluation, ShownArgument, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_ref
from hitsave.remotes.reading.reader import Reader
from hitsave.server.access import Role
from tests.server.inprocess import running
from tests.server.pages.exhibits import Visitor, put
from tests.server.pages.places import Place
from tests.server.wire import faults, logged

LARGE = 40 << 20


def add_bomb(intake: Intake) -> tuple[Ref, Digest]:
    """An evaluation whose code, display and reason all claim to be small."""
    large = put(intake, bytes(LARGE)).digest
    link = BlobLink(large, 100)
    evaluation = Evaluation(
        function="pkg.f",
        code=blob_digest(b"code"),
        arguments=blob_digest(b"arguments"),
        manifest=link,
        result=put(intake, b"result"),
        display=link,
        reason=link,
        started=5,
        elapsed=5,
    )
    digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
    return Ref(evaluation_ref("pkg.f", evaluation.key, digest), digest, ObjectKind.EVALUATION, 5), large


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what is read whole of the store."""
    lengths: list[int] = []
    one, many = Reader.read, Reader.read_many

    def read_one(self: Reader, digest: Digest) -> bytes:
        content = one(self, digest)
        lengths.append(len(content))
        return content

    def read_many(self: Reader, digests: Iterator[Digest]) -> dict[Digest, bytes]:
        found = many(self, digests)
        lengths.extend(map(len, found.values()))
        return found

    monkeypatch.setattr(Reader, "read", read_one)
    monkeypatch.setattr(Reader, "read_many", read_many)
    return lengths


def test_what_claims_to_be_small_is_not_read_where_it_is_large(tmp_path: Path, read: list[int]) -> None:
    with Cache.open(tmp_path / "cache") as cache:
        with cache.intake() as intake:
            ref, large = add_bomb(intake)
            intake.publish([ref])
        Place.in_folder(tmp_path).take(cache)
    read.clear()
    with running(tmp_path / "data", store=str(tmp_path / "store")) as server, logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        for page in ("/experiments", "/evaluations", "/blobs", "/function?name=pkg.f", f"/evaluations/{ref.digest}"):
            assert visitor.get(page).status == 200
        assert visitor.get(f"/compare?e={ref.digest}").status == 200
        for page in ("/evaluations/{}", "/evaluations/{}/code", "/compare?e={}", "/datasets/changes?old={0}&new={0}"):
            assert visitor.get(page.format(large)).status == 404
        assert visitor.get(f"/evaluations/{ref.digest}/code").status == 404
        assert visitor.get(f"/objects/{large}").status == 200
    assert faults(records) == []
    assert max(read) < LARGE


def test_lists_have_no_long_words(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    with Cache.open(tmp_path / "cache") as cache:
        with cache.intake() as intake:
            evaluation = Evaluation(
                function=f"pkg.{long}",
                code=blob_digest(b"code"),
                arguments=blob_digest(b"arguments"),
                manifest=put(intake, b"code"),
                result=put(intake, b"result"),
                display=None,
                shown=(ShownArgument(long, blob_digest(b"1"), long), ShownArgument("lr", blob_digest(b"2"), "0.5")),
                started=5,
                elapsed=5,
                by=long,
                git=long,
                python=long,
            )
            digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
            name = evaluation_ref("pkg.f", evaluation.key, digest)  # Which need not be what the record says.
            intake.publish([Ref(name, digest, ObjectKind.EVALUATION, 5)])
        Place.in_folder(tmp_path).take(cache)
    with running(tmp_path / "data", store=str(tmp_path / "store")) as server:
        visitor = Visitor.with_role(server, Role.READ)
        [function] = set(visitor.get("/experiments").links("/function?"))
        for page in ("/experiments", "/evaluations", function):
            text = visitor.get(page).text
            assert ("0.5" in text) is (page != "/experiments")
            assert len(text) < 100_000
