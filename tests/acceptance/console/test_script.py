"""What the script does beyond plain HTML, in Chromium: keys, panels, light and dark, times, and staying live."""

from __future__ import annotations

import pytest

from tests.acceptance.console import looking


@pytest.fixture
def page(stage, browser):
    with looking.at(browser, stage) as found:
        yield found


def test_what_looks_at_pages_finds_what_is_wrong(page):
    page.goto("/")
    page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
        '<img src="/static/none.png"><p class="nowrap">' + "wide ".repeat(300) + "</p>")"""
    )
    assert any(one.startswith("image-alt") for one in looking.violations(page))
    assert any("p.nowrap" in one for one in looking.too_wide(page, [360]))


def test_keys_lead_anywhere_but_not_while_one_types_and_not_where_they_are_off(page):
    page.goto("/")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/calendar")
    page.keyboard.press("?")
    sheet = page.locator("#shortcuts")
    sheet.wait_for()
    assert sheet.get_by_role("heading").inner_text() == "Keyboard shortcuts"
    sheet.get_by_label("Single keys do this here").uncheck()
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    page.keyboard.press("?")
    assert sheet.is_hidden()
    page.evaluate("localStorage.removeItem('keys')")
    page.goto("/import")
    page.locator("textarea, input[type=text]").first.focus()
    page.keyboard.press("?")
    assert sheet.is_hidden()


def test_a_theme_is_kept_and_no_page_flashes_in_another(page):
    page.goto("/")
    menu = page.locator(".who summary")
    menu.click()
    theme = page.locator("#theme")
    assert theme.inner_text() == "Theme: as the system"
    theme.click()
    theme.click()
    assert theme.inner_text() == "Theme: dark"
    page.goto("/calendar")
    # Before anything else is loaded: the first script in the head.
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.head.querySelector('script:not([defer])').src").count("theme.js") == 1
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(14, 20, 25)"


def test_a_question_comes_into_the_page_and_goes_and_the_focus_comes_back(page, known):
    page.goto(f"/connections/{known['connections']}")
    page.keyboard.press("s")
    head = page.locator("#ask-here #ask-head")
    head.wait_for()
    assert page.evaluate("document.activeElement.id") == "ask-head"
    assert page.url.endswith(known["connections"]), "it is the same page still"
    page.keyboard.press("Escape")
    head.wait_for(state="detached")
    assert "send-link" in page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    head.wait_for()
    page.locator("#ask [data-cancel]").click()
    head.wait_for(state="detached")
    assert page.url.endswith(known["connections"])


def test_a_question_that_does_not_come_leaves_the_page_and_says_so(page, known):
    page.goto(f"/connections/{known['connections']}")
    page.route("**/send-link", lambda route: route.abort())
    page.locator("a[href$='/send-link']").first.click()
    alert = page.locator("#ask-here [role=alert]")
    assert "did not answer, and nothing was done" in alert.inner_text()
    page.unroute("**/send-link")
    page.route(
        "**/send-link",
        lambda route: route.fulfill(status=503, body="<h1>The database does not answer.</h1>"),
    )
    page.locator("a[href$='/send-link']").first.click()
    page.get_by_text("The database does not answer.").wait_for()
    assert page.locator("h1").count() == 1


def test_a_time_is_told_as_it_is_where_one_is_and_that_can_be_closed(stage, browser, known):
    with looking.at(browser, stage, timezone_id="Asia/Tokyo", locale="en-GB") as page:
        page.goto(f"/connections/{known['connections']}")
        page.locator("main time[datetime]").first.hover()
        tip = page.locator(".tip")
        assert "where you are (Asia/Tokyo)" in tip.inner_text()
        page.keyboard.press("Escape")
        assert tip.is_hidden()


def test_a_button_that_was_pressed_is_not_pressed_again(page, known):
    page.goto(f"/connections/{known['connections']}")
    page.evaluate("document.addEventListener('submit', (event) => event.preventDefault())")
    button = page.locator("form[action$='/probe'] button").first
    words = button.inner_text()
    page.keyboard.press("p")
    page.wait_for_function("() => document.querySelector('[data-pressed]')")
    assert (button.is_disabled(), button.inner_text()) == (True, words)


def test_without_a_script_something_is_done_and_taken_back_by_forms_alone(stage, browser):
    name = stage.scene.ids["clio-us"][60]
    with looking.at(browser, stage, java_script_enabled=False) as page:
        page.goto(f"/connections/{name}")
        page.locator("details.menu > summary", has_text="More").click()
        page.locator(f"a[href='/connections/{name}/pause']").click()
        page.wait_for_url(f"**/{name}/pause")
        page.locator("#ask button[type=submit]").click()
        page.wait_for_url(f"**/connections/{name}")
        assert page.locator("#verdict").get_attribute("class").endswith("paused")
        page.locator("#said button").click()
        page.wait_for_url(f"**/connections/{name}")
        assert "paused" not in page.locator("#verdict").get_attribute("class")
