"""The dashboard in a real browser: what people do with it, and that nothing on it goes wrong or out of sight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any

import pytest

from tests.browser.conftest import LONG_NAME, Watched, expect_count, log_in
from tests.server.serving import Served

PAGES = (
    "/experiments",
    "/function?name=training.train",
    "/evaluations",
    "/datasets",
    "/blobs",
    "/links",
    "/keys",
    "/log",
)


@pytest.fixture(scope="module")
def window(browser: Any, served: Served) -> Iterator[Watched]:
    """Somebody who has logged in."""
    found = Watched(browser, served.url, viewport={"width": 1200, "height": 900})
    log_in(found, served.key)
    yield found
    found.close()


def test_a_run_its_plot_and_what_changed(window: Watched) -> None:
    page = window.page
    page.goto("/experiments")
    page.get_by_role("link", name="training.train").click()
    expect_count(page.locator("tbody").first.locator("tr"), 3)
    # Sorting, filtering and plotting change a part of the page, and its address.
    page.evaluate("window.kept = true")
    page.get_by_role("link", name="accuracy", exact=True).click()
    page.wait_for_url("**sort=result.accuracy**")
    page.get_by_label("Filter").fill("lr < 0.05")
    page.keyboard.press("Enter")
    page.wait_for_url("**where=lr**")
    page.get_by_text("2 evaluations", exact=True).wait_for()
    page.get_by_label("Code", exact=True).select_option("all")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("4 evaluations", exact=True).wait_for()
    assert page.evaluate("window.kept")
    expect_count(page.locator("svg circle"), 4)
    page.go_back()
    page.get_by_text("2 evaluations", exact=True).wait_for()
    # A point leads to its evaluation, which shows its curve.
    page.locator("svg a").first.click()
    page.wait_for_url("**/evaluations/*")
    expect_count(page.locator("svg polyline"), 1)
    expect_count(page.get_by_text("small <b>"), 1)
    page.go_back()
    page.get_by_role("link", name="What changed").click()
    assert page.locator("pre.diff .new").inner_text().strip() == "+0.95"
    assert window.faults == []


def test_what_is_true_or_false_is_no_number(window: Watched) -> None:
    page = window.page
    page.goto("/function?name=training.train")
    assert sorted(page.locator("td", has_text="True").all_inner_texts()) == ["True", "True"]
    assert "converged" not in page.locator("#y option").all_inner_texts()
    page.goto("/function?name=training.train&where=converged+%3D+true")
    page.get_by_text("2 evaluations", exact=True).wait_for()
    page.locator("tbody a[href^='/evaluations/']").first.click()
    assert page.locator(".metrics div", has_text="converged").inner_text().split() == ["converged", "True"]
    assert window.faults == []


def test_a_figure_is_drawn_where_it_can_reach_nothing(window: Watched) -> None:
    pytest.importorskip("plotly")
    page = window.page
    page.goto("/function?name=training.drawn")
    page.locator("tbody a[href^='/evaluations/']").first.click()
    frame = page.frame_locator("iframe")
    frame.locator("path.js-line").wait_for()
    inside = page.frames[1]
    assert inside.evaluate("self.origin") == "null"
    assert inside.evaluate("fetch('/keys').then(() => 'read', () => 'refused')") == "refused"
    assert [fault for fault in window.faults if "/keys" not in fault] == []
    window.faults.clear()


def test_side_by_side(window: Watched) -> None:
    page = window.page
    page.goto("/function?name=training.train")
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(2).check()
    page.get_by_role("button", name="Compare chosen").click()
    expect_count(page.locator("svg polyline"), 2)
    assert page.locator("tr.differs").count() >= 3
    assert window.faults == []


def test_runs_are_opened_without_scrolling_sideways(browser: Any, served: Served, window: Watched) -> None:
    for width in (400, 1200):
        shown = Watched(browser, served.url, viewport={"width": width, "height": 800})
        shown.context.add_cookies(window.context.cookies())
        shown.page.goto(
            "/function?name=training.train&column=arguments.lr&column=arguments.model&column=result.accuracy"
        )
        table = shown.page.get_by_role("region", name="Evaluations")
        table.evaluate("element => element.scrollLeft = 1000")
        link = table.locator("tbody a").first
        box, frame = link.bounding_box(), table.bounding_box()
        assert frame["x"] <= box["x"] < box["x"] + box["width"] <= frame["x"] + frame["width"]
        heights = "found => found.map(text => text.getBoundingClientRect().height).filter(height => height > 0)"
        assert min(shown.page.locator("svg .grid text").evaluate_all(heights)) >= 10  # Large enough to be read.
        link.click()
        shown.page.wait_for_url("**/evaluations/*")
        shown.close()


def test_everything_by_the_keyboard(window: Watched) -> None:
    page = window.page
    page.goto("/experiments")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.locator("#main:focus").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "training.train":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/function**")
    page.locator("[id='sort-result.loss']").wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "sort-result.loss":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=result.loss**")
    page.locator("th[aria-sort=descending] a:focus").wait_for()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("loss")
    assert window.faults == []


COVERED = """element => {
    const box = element.getBoundingClientRect();
    return !element.contains(document.elementFromPoint(box.x + 5, box.y + box.height / 2));
}"""


def test_nothing_has_the_focus_out_of_sight(browser: Any, served: Served, window: Watched) -> None:
    narrow = Watched(browser, served.url, viewport={"width": 400, "height": 800})
    narrow.context.add_cookies(window.context.cookies())
    page = narrow.page
    page.goto("/function?name=training.train&code=all")
    region = page.get_by_role("region", name="Evaluations")
    region.focus()
    seen = 0
    while region.locator("a:focus, input:focus").count() or not seen:
        page.keyboard.press("Tab")
        for link in region.locator("a:focus").all():
            assert not link.evaluate(COVERED), link.inner_text()
            seen += 1
    assert seen > 12  # Headings, runs, and their code.
    narrow.close()


def test_a_table_that_is_sorted_stays_where_it_was_scrolled_to(browser: Any, served: Served, window: Watched) -> None:
    narrow = Watched(browser, served.url, viewport={"width": 400, "height": 800})
    narrow.context.add_cookies(window.context.cookies())
    narrow.page.goto("/function?name=training.train")
    region = narrow.page.get_by_role("region", name="Evaluations")
    heading = narrow.page.locator("[id='sort-result.loss']")
    heading.scroll_into_view_if_needed()
    before = region.evaluate("element => element.scrollLeft")
    heading.click()
    narrow.page.locator("th[aria-sort=descending] [id='sort-result.loss']").wait_for()
    assert before > 50
    assert abs(region.evaluate("element => element.scrollLeft") - before) < 50
    assert narrow.faults == []
    narrow.close()


def test_narrow_and_dark(browser: Any, served: Served, window: Watched) -> None:
    cookies = window.context.cookies()
    narrow = Watched(browser, served.url, viewport={"width": 400, "height": 800}, color_scheme="dark")
    narrow.context.add_cookies(cookies)
    page = narrow.page
    root = window.page
    root.goto("/datasets")
    inner = [root.locator("a[href^='/objects/']").first.get_attribute("href")]
    root.goto("/evaluations")
    inner.append(root.locator("a[href^='/evaluations/']").first.get_attribute("href"))
    for path in (*PAGES, *inner, "/login"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path
        ground, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert _brightness(ground) < 60 < 180 < _brightness(ink), path
    assert narrow.faults == []
    narrow.close()


def _brightness(colour: str) -> float:
    numbers = [float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(numbers) / 3


def test_times_are_those_of_the_reader(browser: Any, served: Served, window: Watched) -> None:
    far = Watched(browser, served.url, timezone_id="Asia/Tokyo", locale="en-GB")
    far.context.add_cookies(window.context.cookies())
    far.page.goto("/evaluations")
    far.page.get_by_text("times in Asia/Tokyo").wait_for()
    time = far.page.locator("time").first
    moment = datetime.fromisoformat(time.get_attribute("datetime"))
    assert time.inner_text() == f"{moment + timedelta(hours=9):%Y-%m-%d %H:%M}"
    assert time.get_attribute("title") == f"{moment:%Y-%m-%d %H:%M} UTC"
    assert far.faults == []
    far.close()


def test_without_scripts_all_of_it_works(browser: Any, served: Served, window: Watched) -> None:
    plain = Watched(browser, served.url, java_script_enabled=False)
    plain.context.add_cookies(window.context.cookies())
    page = plain.page
    page.goto("/function?name=training.train")
    page.get_by_role("link", name="accuracy", exact=True).click()
    assert "sort=result.accuracy" in page.url
    page.get_by_label("Filter").fill("lr < 0.05")
    page.get_by_role("button", name="Show").click()
    expect_count(page.locator("svg circle"), 2)
    if find_spec("plotly"):
        page.goto("/function?name=training.drawn")
        page.locator("tbody a[href^='/evaluations/']").first.click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Save as JSON").click()
        assert json.loads(download.value.path().read_bytes())["data"][0]["y"] == [1, 3, 2]
        # The figure's own page: that scripts are off may reach a frame when it has been parsed already.
        page.goto(page.locator("iframe").get_attribute("src"))
        page.locator("noscript p").wait_for()
    plain.close()


def test_what_is_not_there_is_said_on_a_page_like_others(browser: Any, served: Served, window: Watched) -> None:
    narrow = Watched(browser, served.url, viewport={"width": 400, "height": 800})
    narrow.context.add_cookies(window.context.cookies())
    narrow.page.goto("/function?name=nothing")
    card = narrow.page.locator(".card").bounding_box()
    assert card["x"] >= 8
    assert card["x"] + card["width"] <= 392
    narrow.page.get_by_role("link", name="Datasets").click()
    narrow.page.wait_for_url("**/datasets")
    narrow.close()


def test_a_file_is_shared_with_somebody_who_has_no_key(browser: Any, window: Watched, served: Served) -> None:
    page = window.page
    page.goto("/datasets")
    page.locator("tbody a[href^='/objects/']").first.click()
    page.get_by_role("link", name="readme.txt").click()
    page.get_by_text("what this is").wait_for()
    page.get_by_role("link", name="Make public").click()
    page.get_by_label("I may give it to anybody").check()
    page.get_by_role("button", name="Make public").click()
    link = page.locator("tbody a[href*='/public/']").get_attribute("href")
    stranger = browser.new_context(accept_downloads=True)
    answer = stranger.request.get(link)
    assert answer.status == 200
    assert answer.body() == b"what this is\n"
    assert stranger.request.get(f"{served.url}/experiments", max_redirects=0).status == 401
    page.get_by_role("button", name="Take back").click()
    page.get_by_text("Nothing is public.").wait_for()
    assert window.faults == []
    stranger.close()


def test_a_reload_makes_no_other_key(window: Watched, served: Served) -> None:
    page = window.page
    page.goto("/keys")
    page.get_by_label("Label", exact=True).fill("made once")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_label("The new key").input_value()
    assert served.request("GET", "/store/v1/whoami", key=key).json()["label"] == "made once"
    page.reload()
    page.get_by_text("This key was made already").wait_for()
    assert key not in page.content()
    expect_count(page.locator("tbody tr", has_text="made once"), 1)
    assert [fault for fault in window.faults if "409" not in fault] == []
    window.faults.clear()


def test_strangers_see_a_public_directory_as_it_should_be(browser: Any, window: Watched, served: Served) -> None:
    page = window.page
    page.goto("/datasets")
    page.locator("tbody a[href^='/objects/']").first.click()
    digest = page.url.rpartition("/")[2]
    page.goto(f"/links/new?digest={digest}")
    page.get_by_label("I may give it to anybody").check()
    page.get_by_role("button", name="Make public").click()
    page.wait_for_url("**/links")
    for scheme, width, ground in (("light", 1200, 240), ("dark", 400, 20)):
        stranger = Watched(browser, served.url, viewport={"width": width, "height": 800}, color_scheme=scheme)
        failed: list[str] = []
        stranger.page.on("response", lambda got, failed=failed: failed.append(got.url) if got.status >= 400 else None)
        for inside in ("", "deep/", f"{LONG_NAME}/"):
            stranger.page.goto(f"/public/{digest}/{inside}")
            stranger.page.get_by_role("link", name="Download as zip").wait_for()
            assert stranger.page.evaluate("document.documentElement.scrollWidth") <= width, inside
            shown = stranger.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert abs(_brightness(shown) - ground) < 20
        stranger.page.get_by_label("Directories above").get_by_role("link").first.click()
        stranger.page.wait_for_url(f"**/public/{digest}/")
        stranger.page.get_by_text("4 files, 1.0 MB").wait_for()
        with stranger.page.expect_download() as download:
            stranger.page.get_by_role("link", name="Download as tar.zst").click()
        assert download.value.suggested_filename == "data.tar.zst"
        assert (stranger.faults, failed) == ([], [])
        stranger.close()
    page.get_by_role("button", name="Take back").click()
    page.get_by_text("Nothing is public.").wait_for()


def test_a_blob_is_deleted_and_gone_after_the_collection(window: Watched, served: Served) -> None:
    page = window.page
    page.goto("/blobs")
    row = page.locator("tbody tr", has_text="large.bin")
    size = row.locator("td").first.inner_text()
    assert size == "1.0 MB"
    before = sum(path.stat().st_size for path in served.store.rglob("*") if path.is_file())
    row.get_by_role("link", name="Delete").click()
    page.get_by_text("1 version").wait_for()
    page.get_by_label("for good, at once").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Done.").wait_for()
    page.goto("/blobs")
    expect_count(page.locator("tbody tr", has_text="large.bin"), 0)
    page.get_by_role("link", name="training.train").first.wait_for()
    assert sum(path.stat().st_size for path in served.store.rglob("*") if path.is_file()) < before
    page.goto("/log")
    assert page.locator("tbody tr", has_text="delete").count() >= 1
    assert window.faults == []
