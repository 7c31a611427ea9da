"""A page that is open stays true, in Chromium: in place, without a row that moves, and it says when it does not."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.console import looking, words

ROWS = "#rows [data-row]"


@pytest.fixture
def page(stage, browser):
    with looking.at(browser, stage) as found:
        yield found


def _ids(page) -> list[str]:
    return page.eval_on_selector_all(ROWS, "rows => rows.map((row) => row.id)")


def _live(page) -> None:
    page.locator("#live:not(.lost)", has_text=re.compile(r"\d\d:\d\d:\d\d")).wait_for()


def test_what_changes_is_told_in_place_and_no_row_moves(stage, page):
    us, google = stage.scene.ids["clio-us"], stage.scene.ids["google-docs"]
    page.goto("/?owner=client")
    _live(page)
    before = _ids(page)
    healed, broken = google[0], google[7]
    assert f"row-{healed}" in before
    page.locator(f"#row-{us[3]} input").check()
    stage.do(lambda scene: scene.now([healed]))
    stage.do(lambda scene: scene.now([broken], words.revoked))
    row = page.locator(f"#row-{healed}")
    row.get_by_text("Healthy").wait_for()
    assert row.locator(".state").get_attribute("class") == "state is-healthy"
    news = page.locator("#news")
    news.wait_for()
    assert news.inner_text() == "1 more since you opened this page. Show it"
    assert _ids(page) == before
    assert page.locator(f"#row-{us[3]} input").is_checked()
    page.keyboard.press(".")
    page.locator(f"#row-{broken}").wait_for()
    assert f"row-{healed}" not in _ids(page)
    assert news.is_hidden()
    assert page.locator(f"#row-{us[3]} input").is_checked()


def test_what_the_pointer_or_the_focus_is_in_waits(stage, page):
    us = stage.scene.ids["clio-us"]
    page.goto("/?owner=client")
    _live(page)
    row = page.locator(f"#row-{us[3]}")
    row.locator("td.c a").focus()
    told = row.locator(".t").inner_text()
    stage.do(lambda scene: scene.now(scene.ids["qbo"][8:9], words.revoked))
    page.locator("#news").wait_for()
    assert row.locator(".t").inner_text() == told
    assert page.evaluate("document.activeElement.closest('[data-row]').id") == f"row-{us[3]}"


def test_a_page_about_one_connection_tells_its_healing(stage, page):
    us = stage.scene.ids["clio-us"]
    page.goto(f"/connections/{us[5]}")
    _live(page)
    assert "broken" in page.locator("h1").inner_text()
    stage.do(lambda scene: scene.now([us[5]]))
    page.locator("#verdict.healthy").wait_for()
    assert "healthy" in page.locator("h1").inner_text()
    assert "healthy" in page.locator("#spoken").inner_text(), "and whoever does not see it hears it"


def test_a_page_that_hears_nothing_says_so_and_that_it_is_live_again(stage, browser):
    with looking.at(browser, stage) as page:
        page.clock.install()
        page.goto("/calendar")
        page.clock.fast_forward(1_000)
        _live(page)
        page.route("**/live*", lambda route: route.abort())
        page.route("**/calendar", lambda route: route.abort())
        page.evaluate("dispatchEvent(new Event('pagehide'))")  # its stream ends
        page.clock.fast_forward(31_000)
        page.locator("#live.lost", has_text="Not live since").wait_for()
        assert page.locator("h1").is_visible(), "what is there stays"
        page.unroute("**/live*")
        page.unroute("**/calendar")
        page.clock.fast_forward(31_000)
        _live(page)


def test_a_page_that_nobody_sees_listens_to_nothing(stage, page):
    page.goto("/calendar")
    _live(page)
    open_ = stage.streams.open
    page.evaluate(
        """() => { Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    stage.until(lambda: stage.streams.open < open_)
    page.evaluate(
        """() => { delete document.hidden; document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    stage.until(lambda: stage.streams.open == open_)


def test_rows_are_walked_and_chosen_by_keys(stage, page):
    page.goto("/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.closest('[data-row]').id")
    assert first == _ids(page)[0]
    while not page.evaluate("document.activeElement.closest('[data-row]').querySelector('input')"):
        page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    assert page.locator(f"{ROWS} input:checked").count() == 3
    assert page.locator("[data-count]").first.inner_text().startswith("3")
    page.keyboard.press("Escape")
    assert page.locator(f"{ROWS} input:checked").count() == 0
    page.keyboard.press("Enter")
    page.wait_for_url("**/connections/**")
    here = page.url
    page.keyboard.press("]")
    page.wait_for_function("here => location.href !== here", arg=here)
    page.keyboard.press("[")
    page.wait_for_url(here)
