"""What is looked for on a page in a browser: accessibility, width, faults that its console tells, plain HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from tests.acceptance.console.stage import Stage

_AXE = Axe().axe_script
_AS = {"resultTypes": ["violations"], "iframes": False}  # what is framed is a mail, and no page
RULES = _AS | {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = _AS | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
# DejaVu is a fifth wider than what most systems have: what fits in it, fits.
_WIDE = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*:not(code, kbd, .mono, pre) { font-family: 'DejaVu Sans', sans-serif !important }");
  document.adoptedStyleSheets = [sheet];
}"""
# What is wider than the window, and the innermost elements that are to blame.
_TOO_WIDE = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  const cut = (one) => one && one !== document.body && (getComputedStyle(one).overflowX !== "visible" || cut(one.parentElement));
  const right = (one) => {  // of itself, and of its own words, which may stand out of it
    const found = [one.getBoundingClientRect().right];
    for (const words of getComputedStyle(one).overflowX === "visible" ? one.childNodes : []) {
      if (words.nodeType !== Node.TEXT_NODE || !words.data.trim()) continue;
      const range = document.createRange();
      range.selectNode(words);
      found.push(range.getBoundingClientRect().right);
    }
    return Math.max(...found);
  };
  const wide = [...document.body.querySelectorAll("*")].filter((one) =>
    right(one) > most + 1 && !cut(one.parentElement) && !one.closest(".sprite"));
  const name = (one) => `${one.tagName.toLowerCase()}.${[...one.classList].join(".")}`;
  const innermost = wide.filter((one) => !wide.some((other) => other !== one && one.contains(other)));
  return (innermost.length ? innermost : [document.body]).slice(0, 3)
    .map((one) => `${name(one)} “${one.textContent.trim().slice(0, 40)}”`);
}"""


class Faults:
    """What a page's console says, and what its rules for content refused."""

    def __init__(self, page: Any) -> None:
        self.said: list[str] = []
        page.on("console", lambda one: one.type in ("error", "warning") and self.said.append(one.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))


@contextmanager
def at(browser: Any, stage: Stage, *, who: str = "", **given: Any) -> Iterator[Any]:
    """Give a page of somebody's: of who is on this machine, or of who signed in."""
    context = browser.new_context(base_url=stage.url, **given)
    if who:
        context.add_cookies([stage.cookie(who)])
    page = context.new_page()
    page.set_default_timeout(10_000)
    try:
        yield page
    finally:
        context.close()


def violations(page: Any, rules: Any = RULES) -> list[str]:
    """What axe finds; it is put into a page once, and what is well stays there."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    found = page.evaluate("rules => axe.run(rules).then((found) => found.violations)", rules)
    return [
        f"{one['id']}: {node['target']} {node['html'][:120]}" for one in found for node in one["nodes"][:3]
    ]


def too_wide(page: Any, widths: Sequence[int]) -> list[str]:
    """At which widths one would have to scroll sideways in a wide font, and for what."""
    found = []
    page.evaluate(_WIDE)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width}: {one}" for one in page.evaluate(_TOO_WIDE)]
    return found
