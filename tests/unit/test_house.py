"""The house's own rules that no linter has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from monitor.health.causes import TABLE, Cause
from monitor.providers import catalogue
from monitor.providers.schema import (
    Errors,
    Limits,
    OAuth,
    Provider,
    Region,
    RuleEntry,
    ScopeCheck,
    Whoami,
)
from monitor.store.columns import HEALTH

ROOT = Path(__file__).parents[2]


def test_no_code_asks_for_a_provider_by_name():
    names = "|".join(catalogue.built_in())
    asked = re.compile(rf"""(==|\bin\b|case)\s*\(?["']({names})["']""")
    for path in (ROOT / "monitor").rglob("*.py"):
        if not {"sandbox", "demo"} & set(path.parts):
            assert not asked.search(path.read_text()), path


def test_no_file_is_two_ideas():
    for path in (ROOT / "monitor").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 500, path


def test_the_sandbox_is_no_import_of_ours():
    for path in (ROOT / "monitor").rglob("*.py"):
        if "sandbox" not in path.parts:
            assert "from monitor.sandbox" not in path.read_text(), path


def test_no_other_file_lists_causes():
    """What follows from a cause is its row of the table: a new cause is a row, not a hunt."""
    values = {cause.value for cause in Cause} - {Cause.OK.value}
    for path in (
        path for room in ("monitor", "alerts", "dashboards") for path in (ROOT / room).rglob("*.py")
    ):
        if path.name == "causes.py" or "demo" in path.parts:
            continue  # the table; and who plays what on the demo's stage
        for node in ast.walk(ast.parse(path.read_text())):
            items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            named = [
                item
                for item in items
                if (isinstance(item, ast.Constant) and item.value in values)
                or (isinstance(item, ast.Attribute) and ast.unparse(item).startswith("Cause."))
            ]
            assert len(named) < 2, f"{path}:{node.lineno}"


def test_every_cause_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## What it finds") : readme.index("## Commands")]
    rows = "\n".join(line for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", rows)) == {cause.value for cause in TABLE} - {"ok"}


def test_no_sentence_counts_what_there_may_be_more_of_tomorrow():
    """Twelve causes were eleven, five ticks fifteen: what is counted by hand is not counted again."""
    numbers = "four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen twenty"
    counted = re.compile(
        rf"\b({'|'.join(numbers.split())}|[4-9]|\d\d+) (grafana )?"
        r"(causes|ticks|alerts|alert rules|dashboards|metrics|mail kinds)\b",
        re.IGNORECASE,
    )
    texts = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    texts += [*(ROOT / "docs").rglob("*.md")]
    texts += [path for room in ("monitor", "alerts", "dashboards") for path in (ROOT / room).rglob("*.py")]
    for path in texts:
        found = counted.search(" ".join(path.read_text().split()))
        assert found is None, f"{path}: {found.group()}"


def test_every_key_of_a_provider_file_is_in_its_document():
    text = (ROOT / "docs" / "provider-files.md").read_text()
    for model in (Provider, Region, OAuth, Whoami, ScopeCheck, Limits, Errors, RuleEntry):
        for name in model.model_fields:
            assert re.search(rf"`\[*{name}\b[^`]*`", text), f"{model.__name__}.{name}"


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
        if path.name == "alone.py":
            continue  # its transaction is a lock that is held, and writes nothing
        for function, transactions in _writers(ast.parse(path.read_text())):
            found += 1
            where = f"{path.relative_to(ROOT)}: {function.name}"
            assert transactions == 1, (
                f"{where} has {transactions} transactions: what is run again would do one twice"
            )
            assert "retried" in map(ast.unparse, function.decorator_list), f"{where} is not @retried"
    assert found > 30


# Who may write how a connection is: `fence` for whoever moves it, `verdicts` for what was found.
MOVERS = {"monitor/store/fence.py", "monitor/store/verdicts.py"}


def _written(tree: ast.AST):
    """Yield the names of the columns that a module's updates of `watch` write; None for what nobody can read."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith(".values"):
            continue
        if "update(watch)" in ast.unparse(call.func):
            for keyword in call.keywords:
                if keyword.arg is not None or ast.unparse(keyword.value) != "FENCED":
                    yield keyword.arg
            for given in call.args:
                yield from (
                    [getattr(key, "value", None) for key in given.keys]
                    if isinstance(given, ast.Dict)
                    else [None]
                )


def test_every_move_of_a_connection_is_written_by_the_fence_or_as_a_verdict():
    health, found = {column.name for column in HEALTH}, 0
    for path in [*(ROOT / "monitor").rglob("*.py"), *(ROOT / "alerts").rglob("*.py")]:
        name = str(path.relative_to(ROOT))
        if name in MOVERS or "migrations" in path.parts:
            continue
        text = path.read_text()
        assert not re.search(r"UPDATE watch|watch\.update\(|Watch\.__table__", text), name
        for column in _written(ast.parse(text)):
            found += 1
            assert column is not None and column not in health, f"{name}: {column}"
    assert found > 5


def test_how_a_connection_is_is_made_by_the_lifecycle_alone():
    """`columns` reads it back; nobody else makes a health out of nothing."""
    for path in [*(ROOT / "monitor").rglob("*.py"), *(ROOT / "alerts").rglob("*.py")]:
        if path.name in ("lifecycle.py", "columns.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            made = isinstance(node, ast.Call) and ast.unparse(node.func) in ("Health", "lifecycle.Health")
            assert not made, f"{path.relative_to(ROOT)}:{node.lineno}"
