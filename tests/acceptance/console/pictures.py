"""python -m tests.acceptance.console.pictures DIR [PATH…]: pictures of pages, light, dark, and at a phone's width."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from monitor.store import schema
from monitor.store.engine import Database
from tests.acceptance.browsers import chromium
from tests.acceptance.console import looking, pages
from tests.acceptance.console.stage import Stage, staged

WAYS = {"light": ("light", 1280, 900), "dark": ("dark", 1280, 900), "phone": ("light", 360, 740)}
MORE = ("/nowhere", "/connections/harcort-law-clio-us-00", "/sign-in")


async def _migrate(url: str) -> None:
    database = Database(url)
    await schema.upgrade(database)
    await database.close()


def take(stage: Stage, browser: object, folder: Path, wanted: list[str]) -> None:
    """Write a picture of each page in each way."""
    known = stage.do(pages.named)
    for path in wanted or [*pages.pages(known), *pages.questions(known), *MORE]:
        name = re.sub(r"[^a-z0-9]+", "-", path.split("?id=")[0].lower()).strip("-") or "fleet"
        for way, (theme, width, height) in WAYS.items():
            size = {"width": width, "height": height}
            with looking.at(browser, stage, color_scheme=theme, viewport=size) as page:
                page.goto(path)
                if page.locator("body[data-live-from]").count():
                    page.locator("#live").wait_for()
                page.screenshot(path=folder / f"{name[:60]}-{way}.png", full_page=True)


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as there:
        url = f"sqlite:///{there}/th.db"
        asyncio.run(_migrate(url))
        with staged(Path(there), url) as stage, chromium() as browser:
            take(stage, browser, folder, wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
