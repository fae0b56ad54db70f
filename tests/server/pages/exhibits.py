"""What the pages are tried on: evaluations and datasets whose names and values are as hostile as can be."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode

import urllib3
from PIL import Image as Picture

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.canonical import encode_json
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.display import encode_display
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.evaluation import BlobLink, Evaluation, ShownArgument, encode_evaluation
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, dataset_ref, evaluation_ref, snapshot_ref
from hitsave.objects.shapes import Display, Group, Image, Number, Plot, Series, Table, Text
from hitsave.server.access import COOKIE, Role
from tests.server.inprocess import Running

HOSTILE = "<script>alert('x')</script>"
FUNCTION = f"pkg.{HOSTILE}.train"
FIRST = 1_795_000_000


def put(intake: Intake, content: bytes) -> BlobLink:
    """A blob."""
    return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))


def manifest(source: str) -> bytes:
    """The code of a function that has one helper."""
    rows = [
        ["function", FUNCTION, blob_digest(source.encode()).hex(), source],
        ["package", "numpy", blob_digest(b"2.0").hex(), "2.0"],
    ]
    return encode_json({"dependencies": rows})


def png(side: int = 4) -> bytes:
    """A small image."""
    file = io.BytesIO()
    Picture.new("RGB", (side, side), "teal").save(file, "PNG")
    return file.getvalue()


def add_run(intake: Intake, number: int, version: int = 0, function: str = FUNCTION) -> Ref:
    """An evaluation: its rate is 10 to the minus `number` % 4, its accuracy grows with the number."""
    rate, accuracy = 10.0 ** -(number % 4), number / 100
    curve = Series("list", 10, tuple((at, 1 / (1 + at)) for at in range(10)))
    parts = (
        ("curve", curve),
        ("table", Table("pandas.DataFrame", 1, 1, (HOSTILE,), ("str",), ((HOSTILE,),))),
        ("image", Image("PIL.Image", 4, 4, png())),
        ("figure", Plot("plotly.Figure", HOSTILE, '{"data": [{"y": [1, 2]}], "layout": {"title": "</script><b>"}}')),
    )
    display = Display(
        (("lr", Number("float", rate)), ("model", Text(HOSTILE if number % 2 else "small", 27))),
        Group("pkg.Score", HOSTILE, (("accuracy", accuracy),), parts),
    )
    evaluation = Evaluation(
        function=function,
        code=blob_digest(b"code %d" % version),
        arguments=blob_digest(b"%d" % number),
        manifest=put(intake, manifest(f"def train(lr):\n    return {version}\n    # {HOSTILE}\n")),
        result=put(intake, b"result of %d, version %d" % (number, version)),
        display=put(intake, encode_display(display)),
        shown=(ShownArgument("lr", blob_digest(b"lr"), str(rate)), ShownArgument("model", blob_digest(b"m"), HOSTILE)),
        experiment=True,
        started=(FIRST + number) * 1_000_000,
        elapsed=1000 * number,
        by=f"ann{number % 3}@{HOSTILE}",
        python="3.11",
    )
    digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
    return Ref(evaluation_ref(function, evaluation.key, digest), digest, ObjectKind.EVALUATION, FIRST + number)


FILES = {
    HOSTILE.encode().replace(b"/", b"_") + b".html": HOSTILE.encode() * 3,
    b"picture.png": png(),
    b"drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"text.txt": b"one\n" + HOSTILE.encode() + b"\n",
    b"table.csv": b"a,b\n1,<i>x</i>\n2,y\n",
    b"not \xff utf-8": bytes(range(256)),
}


def add_tree(intake: Intake, files: Mapping[bytes, bytes]) -> Digest:
    """A directory of files."""
    entries = [TreeEntry(name, EntryKind.FILE, *put(intake, content)) for name, content in files.items()]
    return intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))


def add_dataset(intake: Intake, files: Mapping[bytes, bytes], name: str = f"data/{HOSTILE}", age: int = 0) -> Ref:
    """A version of a dataset."""
    digest = add_tree(intake, files)
    return Ref(dataset_ref("proj", name.encode(), digest), digest, ObjectKind.TREE, FIRST + age, f"bob@{HOSTILE}")


def fill(cache: Cache) -> None:
    """Everything that the tests look at."""
    with cache.intake() as intake:
        refs = [add_run(intake, number) for number in range(60)]
        refs += [add_run(intake, number, version=1) for number in range(60, 65)]
        refs += [add_run(intake, 100, function="pkg.other")]
        refs += [add_dataset(intake, {**FILES, b"old.txt": b"old"}), add_dataset(intake, FILES, age=5)]
        lone = put(intake, os.urandom(200_000))
        refs.append(Ref(snapshot_ref(lone.digest), lone.digest, ObjectKind.BLOB, FIRST, "bob"))
        intake.publish(refs)


@dataclass(frozen=True)
class Answer:
    """What a page is."""

    status: int
    text: str
    headers: Mapping[str, str]

    def links(self, beginning: str) -> list[str]:
        """The addresses that it leads to and that begin so."""
        found = re.findall(r'(?:href|src)="([^"]*)"', self.text)
        return [unescape(link) for link in found if link.startswith(beginning)]

    def field(self, name: str) -> str:
        """The value of a form's field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, name
        return unescape(found[1])


class Visitor:
    """Somebody with a browser, who has logged in by a key, or has not."""

    def __init__(self, url: str, cookie: str = "") -> None:
        self.url = url
        self.cookie = cookie

    @classmethod
    def with_role(cls, server: Running, role: Role) -> Visitor:
        """Somebody who has logged in."""
        visitor = cls(server.url)
        answer = visitor.post("/login", {"key": server.key(role, f"{HOSTILE} {role.name}")})
        assert answer.status == 303
        found = re.match(rf"{COOKIE}=([^;]+)", answer.headers["Set-Cookie"])
        assert found is not None
        visitor.cookie = found[1]
        return visitor

    def get(self, path: str, **headers: str) -> Answer:
        """A page."""
        return self._ask("GET", path, headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Send a form."""
        return self._ask("POST", path, headers, dict(fields))

    def _ask(self, method: str, path: str, headers: Mapping[str, str], fields: dict[str, str] | None = None) -> Answer:
        sent = {"Accept": "text/html", **headers}
        if self.cookie:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        body = None
        if fields is not None:
            body = urlencode(fields)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        answer = urllib3.request(
            method, self.url + path, headers=sent, body=body, redirect=False, retries=False, timeout=60
        )
        return Answer(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)
