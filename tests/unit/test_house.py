"""The house's own rules that no linter has."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.providers import catalogue

ROOT = Path(__file__).parents[2]


def test_no_code_asks_for_a_provider_by_name():
    names = "|".join(catalogue.built_in())
    asked = re.compile(rf"""(==|\bin\b|case)\s*\(?["']({names})["']""")
    for path in (ROOT / "monitor").rglob("*.py"):
        if "sandbox" not in path.parts and path.name not in ("demo.py", "stage.py"):
            assert not asked.search(path.read_text()), path


def test_no_file_is_two_ideas():
    for path in (ROOT / "monitor").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 500, path


def test_the_sandbox_is_no_import_of_ours():
    for path in (ROOT / "monitor").rglob("*.py"):
        if "sandbox" not in path.parts:
            assert "from monitor.sandbox" not in path.read_text(), path
