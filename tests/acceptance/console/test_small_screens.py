"""On a phone: targets for a thumb, rows that are still rows, 320 pixels; and what a page of fifty weighs."""

from __future__ import annotations

import gzip

import pytest

from tests.acceptance.console import looking, pages

PHONE = {"viewport": {"width": 360, "height": 740}}
# Buttons, fields and what opens something; a link within words is as high as its line (WCAG 2.2, 2.5.8).
_TOO_SMALL = """() => {
  const least = 43.5, found = [];
  const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".hidden-words, .skip, dialog");
  for (const one of document.querySelectorAll("a.btn, button, summary, select, textarea, input:not([type=hidden])")) {
    if (!seen(one) || one.matches(".legend *")) continue;
    let { width, height } = one.getBoundingClientRect();
    const label = one.closest("label");
    if (label && one.matches("[type=checkbox], [type=radio]")) ({ width, height } = label.getBoundingClientRect());
    const around = getComputedStyle(one, "::before");
    if (around.position === "absolute" && around.content !== "none") {
      width -= 2 * parseFloat(around.left);
      height -= 2 * parseFloat(around.top);
    }
    if (height < least || width < 24) found.push(`${one.outerHTML.slice(0, 110)} is ${Math.round(width)} by ${Math.round(height)}`);
  }
  return found.slice(0, 5);
}"""

# Words that stand in so narrow a column that one reads them downwards.
_SQUEEZED = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const words = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim().length > 6);
  if (!words.length || one.closest(".hidden-words, svg, .fleet .t") || !one.checkVisibility()) return false;
  const { width, height } = one.getBoundingClientRect();
  return width < 64 && height > 3.5 * parseFloat(getComputedStyle(one).fontSize) * 1.4;
}).slice(0, 5).map((one) => `${one.outerHTML.slice(0, 90)} is ${Math.round(one.getBoundingClientRect().width)} wide`)"""


@pytest.mark.timeout(300)
def test_every_target_is_made_for_a_thumb_and_nothing_is_read_downwards(stage, browser, known):
    found = []
    with looking.at(browser, stage, **PHONE) as page:
        for path in [*pages.pages(known), *pages.questions(known), "/nowhere", "/sign-in"]:
            page.goto(path)
            found += [f"{path}: {one}" for check in (_TOO_SMALL, _SQUEEZED) for one in page.evaluate(check)]
    assert not found, "\n".join(found)


def test_cards_of_the_fleet_are_rows_of_a_table_to_a_screen_reader(stage, browser):
    """Its rows say no role: browsers keep what a table is, whatever its style, since Chromium 80 and Safari 17."""
    with looking.at(browser, stage, **PHONE) as page:
        page.goto("/")
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    said = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert said.count("table") == 1
    assert said.count("row") > 20
    assert said.count("cell") == 7 * said.count("row"), "all but the two columns that a phone has no room for"


def test_a_page_of_fifty_is_within_its_budget(stage, browser):
    with looking.at(browser, stage) as page:
        whole = page.request.get("/?state=any").body()
        style = page.request.get("/static/console.css").body()
        htmx = page.request.get("/static/htmx.min.js").body()
    assert whole.count(b"<tr") == 51
    assert len(whole) < 60 * 1024, "bytes of HTML before compression"
    assert len(gzip.compress(style, 9)) < 10.5 * 1000
    assert len(gzip.compress(htmx, 9)) < 17 * 1024
