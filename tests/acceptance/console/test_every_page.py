"""Every page and every question in Chromium: nobody is shut out, nothing is cut off, nothing is refused."""

from __future__ import annotations

import pytest

from tests.acceptance.console import looking, pages

WIDTHS = (320, 360, 800, 1280, 1600)


WRONG = ("/nowhere", "/connections/harcort-law-clio")


@pytest.fixture(scope="module")
def every(known) -> list[str]:
    """The paths of all pages, of all questions, and of what goes wrong."""
    return [*pages.pages(known), *pages.questions(known), *WRONG]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(4))  # for several workers
def test_axe_finds_nothing_nothing_is_cut_off_and_no_browser_complains(stage, browser, every, part):
    found = []
    with looking.at(browser, stage) as page:
        faults = looking.Faults(page)
        for path in every[part::4]:
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1280, "height": 900})
            answer = page.goto(path)
            if path not in WRONG and (answer.status not in (200, 409) or answer.request.redirected_from):
                found.append(f"{path}: answered {answer.status}, at {page.url}")
            found += [f"{path}: {one}" for one in looking.violations(page)]
            page.emulate_media(color_scheme="dark")
            found += [f"{path} in dark: {one}" for one in looking.violations(page, looking.CONTRAST)]
            found += [f"{path} at {one}" for one in looking.too_wide(page, WIDTHS)]
            found += [f"{path}: {one}" for one in faults.said if "status of 4" not in one]
            faults.said.clear()
    assert not found, "\n".join(found)


def test_every_page_says_the_same_without_a_script(stage, browser, every):
    with looking.at(browser, stage, java_script_enabled=False) as page:
        for path in every:
            page.goto(path)
            assert page.locator("h1").inner_text().strip(), path
            assert page.locator("main").inner_text().strip(), path
