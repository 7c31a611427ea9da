"""The house's own rules that no linter has."""

from __future__ import annotations

import ast
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


def _writers(tree: ast.AST):
    """Yield the functions that open transactions which write, and how many each has."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.FunctionDef)):
            opened = [
                call
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in ("write", "reshape")
                if "database" in ast.unparse(call.func.value).lower()
            ]
            if opened:
                yield node, len(opened)


def test_whoever_writes_is_one_transaction_that_can_be_run_again():
    found = 0
    for path in [*(ROOT / "monitor").rglob("*.py"), *(ROOT / "alerts").rglob("*.py")]:
        for function, transactions in _writers(ast.parse(path.read_text())):
            found += 1
            where = f"{path.relative_to(ROOT)}: {function.name}"
            assert transactions == 1, (
                f"{where} has {transactions} transactions: what is run again would do one twice"
            )
            assert "retried" in map(ast.unparse, function.decorator_list), f"{where} is not @retried"
    assert found > 30
