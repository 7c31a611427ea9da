"""A real browser, Debian's Chromium, for whoever walks through pages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from tests.conftest import missing

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def chromium() -> Iterator[object]:
    """Start one, and end it at the end; without it the test is skipped, in CI it fails."""
    if CHROMIUM is None:
        missing("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()
