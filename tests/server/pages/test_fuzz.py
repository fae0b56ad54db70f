"""Whatever an address says, the answer is a page or a refusal; and displays that are broken spoil no page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.cache.store import Cache
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.evaluation import BlobLink, Evaluation, ShownArgument, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_ref
from hitsave.server.access import Role
from hitsave.server.pages.catalogue.where import BadFilter, parse_filter
from tests.server.inprocess import running
from tests.server.pages.exhibits import FUNCTION, Visitor, put
from tests.server.pages.places import Place

_PAGES = (
    "experiments function evaluations compare code datasets datasets/versions datasets/changes snapshots blobs "
    "delete collection keys log links links/new login"
).split()
_NAMES = "name code where sort way page column x y log e old new ref digest before next experiments".split()
_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        (FUNCTION, "all", "arguments.lr", "result.accuracy", "lr < 1", "0", "-1", "9" * 30, "a" * 64, "up")
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_PAGES), st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=6))
def test_any_address_has_an_answer(admin: Visitor, page: str, parameters: list[tuple[str, str]]) -> None:
    answer = admin.get(f"/{page}?{urlencode(parameters, errors='replace')}")
    assert answer.status < 500, answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(("objects", "content", "evaluations", "blobs", "static", "keys")), st.binary(max_size=12))
def test_any_path_has_an_answer(admin: Visitor, page: str, path: bytes) -> None:
    assert admin.get(f"/{page}/{quote(path, safe='/')}").status < 500


def test_a_display_that_is_broken_spoils_no_page(tmp_path: Path) -> None:
    with Cache.open(tmp_path / "cache") as cache:
        with cache.intake() as intake:
            refs = []
            for number, content in enumerate((b"nonsense", b"{}\n", None)):
                evaluation = Evaluation(
                    function="pkg.f",
                    code=blob_digest(b"code"),
                    arguments=blob_digest(b"%d" % number),
                    manifest=put(intake, b"no manifest"),
                    result=BlobLink(*put(intake, b"result")),
                    display=None if content is None else put(intake, content),
                    reason=put(intake, b"no reason"),
                    shown=(ShownArgument("x", blob_digest(b"x"), "nan" if number else "1e999"),),
                    started=2**62 + number,
                    elapsed=2**62,
                )
                digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
                name = evaluation_ref("pkg.f", evaluation.key, digest)
                refs.append(Ref(name, digest, ObjectKind.EVALUATION, 2**62))
            intake.publish(refs)
        Place.in_folder(tmp_path).take(cache)
    with running(tmp_path / "data", store=str(tmp_path / "store")) as server:
        visitor = Visitor.with_role(server, Role.ADMIN)
        for path in (
            "/experiments",
            "/evaluations",
            "/blobs",
            "/function?name=pkg.f",
            "/function?name=pkg.f&x=started",
        ):
            assert visitor.get(path).status == 200, path
        addresses = visitor.get("/function?name=pkg.f").links("/evaluations/")
        assert (
            visitor.get("/compare?" + "&".join(f"e={each.rpartition('/')[2]}" for each in addresses[:3])).status == 200
        )
        for address in addresses:
            assert visitor.get(address).status in (200, 404)  # Its code cannot be read.


def test_a_filter_is_read_in_one_pass() -> None:
    """Blanks that several parts of a pattern could take are tried in every order: minutes, for a line of them."""
    for text in (f"lr ={' ' * 5000}=", f"{' ' * 5000}lr <{' ' * 5000}>", f"lr = {'and ' * 1000}<", "l" * 5000):
        with pytest.raises(BadFilter):
            parse_filter(text, ["arguments.lr", "result." + "k" * 5000])
    assert [each.text for each in parse_filter(f"lr ={' ' * 50}a b{' ' * 50}, x=1 and y < 2 ", ["lr", "x", "y"])] == [
        "a b",
        "1",
        "2",
    ]
