"""One service and one browser for all tests of the console in a browser, and gone when others begin.

Playwright runs a loop in the thread of the tests: whoever wants one of their own finds it taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.browsers import chromium
from tests.acceptance.console import pages
from tests.acceptance.console.stage import Stage, staged


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[Stage]:
    """The scene, served."""
    folder = tmp_path_factory.mktemp("scene")
    file = folder / "th.db"
    file.write_bytes(sqlite_template)
    file.chmod(0o600)
    with staged(folder, f"sqlite:///{file}") as found:
        yield found


@pytest.fixture(scope="package")
def known(stage: Stage) -> pages.Named:
    """What stands in the paths of pages."""
    return stage.do(pages.named)


@pytest.fixture(scope="package")
def browser() -> Iterator[object]:
    with chromium() as found:
        yield found
