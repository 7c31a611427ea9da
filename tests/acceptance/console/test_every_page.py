"""Every page and every question in Chromium: nobody is shut out, nothing is cut off, nothing is refused."""

from __future__ import annotations

import pytest

from tests.acceptance.console import looking, pages

WIDTHS = (360, 800, 1280, 1600)


@pytest.fixture(scope="module")
def every(known, stage, browser) -> list[str]:
    """The paths of all pages, of all questions, and of what goes wrong."""
    found, wrong = [*pages.pages(known), *pages.questions(known)], ["/nowhere", "/connections/harcort-law-clio"]
    with looking.at(browser, stage) as page:
        shown = {path: page.request.get(path, max_redirects=0) for path in found}
    assert {path: one.status for path, one in shown.items() if one.status >= 400} == {}
    return found + wrong


@pytest.mark.timeout(240)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_and_no_browser_complains(stage, browser, every, theme):
    found = []
    with looking.at(browser, stage, color_scheme=theme, bypass_csp=False) as page:
        faults = looking.Faults(page)
        for path in every:
            page.goto(path)
            found += [f"{path}: {one}" for one in looking.violations(page)]
            found += [f"{path}: {one}" for one in faults.said if "status of 4" not in one]
            faults.said.clear()
    assert found == []


@pytest.mark.timeout(240)
def test_no_page_is_wider_than_its_window_in_a_wide_font(stage, browser, every):
    found = []
    with looking.at(browser, stage, bypass_csp=True) as page:
        for path in every:
            page.goto(path)
            page.add_style_tag(content=looking.WIDE)
            found += [f"{path} at {one}" for one in looking.too_wide(page, WIDTHS)]
    assert found == []


def test_every_page_says_the_same_without_a_script(stage, browser, every):
    for path in every:
        with looking.at(browser, stage, java_script_enabled=False) as page:
            page.goto(path)
            assert page.locator("h1").inner_text().strip(), path
            assert page.locator("main").inner_text().strip(), path
