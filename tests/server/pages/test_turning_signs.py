"""Signs that turn the order of text are shown by pages, so that nothing looks like what it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.display import encode_display
from hitsave.objects.evaluation import Evaluation, encode_evaluation
from hitsave.objects.refs import Ref, dataset_ref, evaluation_ref, public_ref
from hitsave.objects.shapes import Display, Number, Text
from hitsave.server.access import Role
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import Visitor, add_tree, manifest, put
from tests.server.pages.places import Place

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NAME, SHOWN = "rtl\u202egpj.exe", "rtl\\u202egpj.exe"
NAME_QUOTED = "rtl%E2%80%AEgpj.exe"
FUNCTION = "pkg.train\u2067er"
CODE = f"if admin:  # {TURNING} nobody\n"


def add_run(intake: Intake, number: int) -> Ref:
    """A call whose function, code and argument have such signs."""
    code = put(intake, manifest(f"{number} {CODE}"))
    shown = encode_display(Display((("model", Text(f"{NAME}{number}", len(NAME) + 1)),), Number("int", number)))
    evaluation = Evaluation(
        function=FUNCTION,
        code=blob_digest(b"%d" % number),
        arguments=blob_digest(b"a"),
        manifest=code,
        result=put(intake, b"r%d" % number),
        display=put(intake, shown),
        started=1_795_000_000_000_000 + number,
        by=NAME,
    )
    digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
    return Ref(evaluation_ref(FUNCTION, evaluation.key, digest), digest, ObjectKind.EVALUATION, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.in_folder(tmp_path_factory.mktemp("turning"))


@pytest.fixture(scope="module")
def runs(place: Place) -> list[Ref]:
    with Cache.open(place.folder / "cache") as cache:
        with cache.intake() as intake:
            found = [add_run(intake, number) for number in range(2)]
            root = add_tree(intake, {NAME.encode(): CODE.encode(), b"table.csv": f"a,b\n{NAME},1\n".encode()})
            names = (dataset_ref("proj", NAME.encode(), root), public_ref(root))
            found += [Ref(name, root, ObjectKind.TREE, 1, NAME) for name in names]
            intake.publish(found)
        place.take(cache)
    return found


@pytest.fixture(scope="module")
def server(place: Place, runs: list[Ref]) -> Iterator[Running]:
    with running(place.folder / "data", store=place.store) as server:
        yield server


def test_no_page_is_turned(server: Running, runs: list[Ref]) -> None:
    visitor = Visitor.with_role(server, Role.ADMIN)
    old, new, tree = (ref.digest for ref in runs[:3])
    pages = [f"/public/{tree}/", f"/objects/{tree}", *visitor.get(f"/objects/{tree}").links(f"/objects/{tree}/")]
    pages += ["/experiments?all=1", "/evaluations", f"/evaluations/{new}", f"/evaluations/{new}/code"]
    pages += [f"/compare?e={old}&e={new}", "/blobs", "/links", "/log"]
    pages += ["/datasets", *visitor.get("/datasets").links("/dataset")]
    pages += [f"/code?old={old}&new={new}", f"/function?name={quote(FUNCTION)}"]
    for page in pages:
        answer = visitor.get(page)
        assert answer.status == 200, page
        assert not set(TURNING) & set(re.sub('value="[^"]*"', "", answer.text)), page
    for page in (f"/public/{tree}/", f"/objects/{tree}", "/evaluations", "/datasets"):
        assert SHOWN in visitor.get(page).text, page
    assert "".join(f"\\u{ord(sign):04x}" for sign in TURNING) in visitor.get(f"/objects/{tree}/{NAME_QUOTED}").text


def test_what_is_downloaded_or_sent_back_stays_as_it_is(server: Running, runs: list[Ref]) -> None:
    visitor = Visitor.with_role(server, Role.READ)
    tree = runs[2].digest
    assert server.request("GET", f"/public/{tree}/{NAME_QUOTED}", key=None).data == CODE.encode()
    assert server.request("GET", f"/public/{tree}", key=None).json()["entries"][0]["name"] == NAME
    assert visitor.get(f"/function?name={quote(FUNCTION)}").field("name") == FUNCTION
