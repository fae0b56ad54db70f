"""Pages to look at: what is on them, and that nothing of what users have stored is ever more than text."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote, unquote

import pytest

from tests.server.inprocess import Running
from tests.server.pages.exhibits import FUNCTION, HOSTILE, Visitor

#: Files.
_NO_PAGES = ("/static", "/content", "/figures")
FUNCTION_PAGE = f"/function?name={quote(FUNCTION)}"


def reached(visitor: Visitor) -> dict[str, str]:
    """Every page that links lead to from the first ones, of each kind a few."""
    seen: dict[str, str] = {}
    counts: dict[str, int] = {}
    pending = ["/experiments", "/evaluations", "/datasets", "/blobs", "/links", "/keys", "/log", "/snapshots"]
    while pending:
        path = pending.pop(0)
        kind = re.sub(r"[0-9a-f]{64}.*", "", path.partition("?")[0])
        if path in seen or counts.get(kind, 0) > 4 or path.startswith(_NO_PAGES):
            continue
        answer = visitor.get(path)
        assert answer.status == 200, (path, answer.status, answer.text[-500:])
        seen[path] = answer.text
        counts[kind] = counts.get(kind, 0) + 1
        pending += answer.links("/")
    return seen


def test_nothing_of_users_is_markup(admin: Visitor) -> None:
    pages = reached(admin)
    kinds = {re.sub(r"[0-9a-f]{64}.*", "", path.partition("?")[0]) for path in pages}
    assert {"/function", "/code", "/datasets/versions", "/datasets/changes", "/objects/", "/blobs/", "/delete"} <= kinds
    for path, text in pages.items():
        assert HOSTILE not in text, path
        assert "<script>alert" not in text, path
        assert "<i>x</i>" not in text, path
        # Code of pages is in files of their own: no attribute that runs, no inline style, no inline script.
        assert not re.search(r"<[^>]+\s(?:on\w+|style)\s*=", text), path
        assert set(re.findall(r"<script(?![^>]*(?: src=|application/json))", text)) == set(), path
    assert any("&lt;script&gt;" in text for text in pages.values())


def test_every_page_forbids_what_it_does_not_use(admin: Visitor) -> None:
    for path in ("/experiments", FUNCTION_PAGE, "/blobs", "/keys", "/login", "/nothing"):
        headers = admin.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def evaluations_of(visitor: Visitor, query: str) -> list[str]:
    answer = visitor.get(FUNCTION_PAGE + query)
    assert answer.status == 200
    table = answer.text[: answer.text.index("Compare chosen")]
    return re.findall(r'name="e" value="([0-9a-f]{64})"', table)


def column(visitor: Visitor, query: str, at: int) -> list[str]:
    """The cells of one column."""
    text = visitor.get(FUNCTION_PAGE + query).text
    rows = re.findall(r"<tr>\s*<th scope=\"row\" class=\"run\".*?</tr>", text, re.DOTALL)
    return [re.sub("<[^>]*>", "", re.findall(r"<td.*?</td>", row, re.DOTALL)[at]) for row in rows]


def test_a_page_after_the_last_one_is_the_last_one(reader: Visitor) -> None:
    for path in ("/blobs", "/links", "/snapshots", "/datasets", "/experiments"):
        last, first = (reader.get(f"{path}?page={number}").text for number in (100_000, 1))
        rows = [len(re.findall("<tr", text)) for text in (last, first)]
        assert (rows[0] > 1) == (rows[1] > 1), path
        assert "page 100,000" not in last


def test_evaluations_after_the_last_page_are_those_of_the_last_page(reader: Visitor) -> None:
    for path, last in ((f"{FUNCTION_PAGE}&code=all", 2), ("/evaluations?sort=started", 2), (FUNCTION_PAGE, 1)):
        shown = [reader.get(f"{path}&page={number}").links("/evaluations/") for number in (last, 99, 99_999_999)]
        assert shown[0]
        assert shown[1] == shown[0], path
        assert shown[2] == shown[0], path


def test_times_have_their_zone(reader: Visitor) -> None:
    times = re.findall(r'<time datetime="([^"]*)">([^<]*)</time>', reader.get("/evaluations").text)
    assert len(times) > 10
    assert all(shown == f"{exact[:10]} {exact[11:16]} UTC" for exact, shown in times)


def test_a_table_is_sorted_filtered_and_paged(reader: Visitor) -> None:
    newest = evaluations_of(reader, "")
    assert len(newest) == 5  # The newest version of the code alone.
    every = evaluations_of(reader, "&code=all")
    assert len(every) == 50
    assert every[:5] == newest
    rest = evaluations_of(reader, "&code=all&page=2")
    assert len(set(every + rest)) == 65
    # The columns beside the run itself: lr, model, accuracy, ...
    assert column(reader, "&code=all&sort=result.accuracy&way=up", 2)[:3] == ["0", "0.01", "0.02"]
    assert column(reader, "&code=all&sort=result.accuracy", 2)[:3] == ["0.64", "0.63", "0.62"]
    filtered = column(reader, "&code=all&sort=result.accuracy&where=" + quote("lr < 0.01, model = small"), 2)
    assert filtered == []  # Rates below that have odd numbers, and these the other model.
    filtered = column(reader, "&code=all&sort=result.accuracy&where=" + quote("lr = 0.01 and accuracy >= 0.5"), 2)
    assert filtered == ["0.62", "0.58", "0.54", "0.5"]
    # Headings stand as what is below them.
    text = reader.get(FUNCTION_PAGE + "&code=all").text
    found = re.findall(r'<th scope="col" class="([^"]*)"[^>]*><a id="sort-([^"]*)"', text)
    heads = {name: kind for kind, name in found}
    assert (
        heads.items()
        >= {
            "arguments.lr": "number argument",
            "arguments.model": "text argument",
            "result.accuracy": "number result",
        }.items()
    )
    text = reader.get(FUNCTION_PAGE + "&where=" + quote("acuracy > 1")).text
    assert "did you mean accuracy?" in text
    assert "No evaluation" not in reader.get(FUNCTION_PAGE + "&x=arguments.lr&y=result.accuracy&log=x").text
    assert len(re.findall("<circle", reader.get(FUNCTION_PAGE + "&code=all").text)) == 65


def test_columns_can_be_chosen(reader: Visitor) -> None:
    text = reader.get(FUNCTION_PAGE + "&column=result.accuracy").text
    assert 'id="sort-result.accuracy"' in text
    assert 'id="sort-arguments.lr"' not in text


def test_all_evaluations(reader: Visitor) -> None:
    assert "66 evaluations" in reader.get("/evaluations").text
    assert "1 evaluation<" in reader.get("/evaluations?where=" + quote("function ~ other")).text
    assert "22 evaluations" in reader.get("/evaluations?where=" + quote("by ~ ann0")).text


def test_an_evaluation_shows_itself(reader: Visitor) -> None:
    address = reader.get(FUNCTION_PAGE).links("/evaluations/")[0]
    answer = reader.get(address)
    for shown in ("data:image/png;base64,", "<polyline", "accuracy", "pandas.DataFrame", "<iframe"):
        assert shown in answer.text, shown
    assert "Delete…" not in answer.text  # For a reader.
    (frame,) = answer.links(f"{address}/figures/")
    figure = reader.get(frame)
    assert "sandbox allow-scripts;" in figure.headers["Content-Security-Policy"]
    assert "allow-same-origin" not in figure.headers["Content-Security-Policy"] + answer.text
    assert "</script><b>" not in figure.text
    assert reader.get(f"{address}/figures/7").status == 404


def test_what_changed_in_the_code(reader: Visitor) -> None:
    (changes,) = reader.get(FUNCTION_PAGE).links("/code?old=")
    text = reader.get(changes).text
    assert re.search(r'class="old">-    return 0\s', text)
    assert re.search(r'class="new">\+    return 1\s', text)
    assert "numpy" not in text


def test_side_by_side(reader: Visitor) -> None:
    chosen = evaluations_of(reader, "&code=all")
    answer = reader.get(f"/compare?e={chosen[0]}&e={chosen[-1]}")
    assert re.search(r'<tr class="differs"><th scope="row">accuracy', answer.text)
    assert answer.text.count("<polyline") == 2
    assert answer.links("/code?old=")


def test_nothing_or_one_alone_is_not_compared(reader: Visitor) -> None:
    nothing = reader.get("/compare")
    assert nothing.status == 400
    assert "Nothing is chosen" in nothing.text
    assert nothing.links("/experiments")  # The menu.
    (one, *_) = evaluations_of(reader, "&code=all")
    alone = reader.get(f"/compare?e={one}").text
    assert "nothing to compare it with" in alone
    assert "are marked" not in alone


def test_datasets(reader: Visitor) -> None:
    (versions,) = set(reader.get("/datasets").links("/datasets/versions"))
    assert HOSTILE in unquote(versions)
    answer = reader.get(versions)
    (changes,) = answer.links("/datasets/changes")
    assert "old.txt" in reader.get(changes).text
    assert "Nothing" not in reader.get(changes).text


def files_of(visitor: Visitor) -> dict[str, str]:
    """The pages of the files of the newest version of the dataset, by how their names end."""
    root = visitor.get(visitor.get("/datasets").links("/datasets/versions")[0]).links("/objects/")[0]
    links = [link for link in visitor.get(root).links(f"{root}/") if link != root]
    return {unquote(link, "latin-1").rpartition(".")[2].rpartition("/")[2]: link for link in links}


def test_files_are_shown_as_what_cannot_run(reader: Visitor) -> None:
    files = files_of(reader)
    assert "&lt;script&gt;alert" in reader.get(files["html"]).text
    assert "&lt;svg" in reader.get(files["svg"]).text
    assert "<td" in reader.get(files["csv"]).text
    assert "00000010" in reader.get(files["not \xff utf-8"]).text
    image = reader.get(files["png"])
    (source,) = set(image.links("/content/")) - set(image.links("/content/")[-1:])
    for kind, media_type in (("png", "image/png"), ("html", None), ("svg", None), ("csv", None), ("txt", None)):
        answer = reader.get(files[kind].replace("/objects/", "/content/"))
        assert answer.headers["Content-Type"] == (media_type or "application/octet-stream")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert ("Content-Disposition" in answer.headers) == (media_type is None)
    assert reader.get(source).headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    "path",
    [
        "/objects/" + "0" * 64,
        "/objects/xyz",
        "/evaluations/" + "0" * 64,
        "/function?name=nothing",
        "/code?old=1&new=2",
        "/datasets/versions?name=nothing",
        "/static/1/../style.css",
        "/static/1/..%2fsite.js",
        "/delete?ref=nonsense",
        "/blobs/" + "0" * 64 + "/delete",
    ],
)
def test_what_is_not_there(admin: Visitor, path: str) -> None:
    answer = admin.get(path)
    assert answer.status == 404
    assert "Traceback" not in answer.text


def test_paths_lead_nowhere_else(admin: Visitor, server: Running) -> None:
    root = admin.get(admin.get("/datasets").links("/datasets/versions")[0]).links("/objects/")[0]
    for inside in ("..", "%2e%2e/%2e%2e", "text.txt/x", "nothing", "%00"):
        assert admin.get(f"{root}/{inside}").status == 404, inside


def test_of_several_versions_each_run_says_its_own(reader: Visitor) -> None:
    codes = reader.get(FUNCTION_PAGE + "&code=all").links("/evaluations/")
    assert sum(link.endswith("/code") for link in codes) > 50
    one = reader.get(FUNCTION_PAGE).links("/evaluations/")
    assert sum(link.endswith("/code") for link in one) == 2  # Of each version, in the list of these.


def test_code_begins_with_the_function_itself(reader: Visitor) -> None:
    text = reader.get(next(link for link in reader.get(FUNCTION_PAGE).links("/evaluations/") if "/code" in link)).text
    first = re.search(r'<span class="tag">function</span> <code class="long">([^<]*)</code>', text)
    assert first is not None
    assert unescape(first[1]) == FUNCTION


def test_browsers_that_ask_for_an_icon_are_not_refused(server: Running) -> None:
    answer = server.request("GET", "/favicon.ico", key=None)
    assert (answer.status, answer.headers["Cross-Origin-Resource-Policy"]) == (204, "cross-origin")
