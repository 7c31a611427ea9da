"""The house's own rules that no linter has."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from alerts.channels import registry
from monitor.cli.main import command
from monitor.cli.remedies import COMMANDS, OPEN
from monitor.health import causes
from monitor.health.causes import TABLE, Cause
from monitor.providers import catalogue
from monitor.providers.schema import (
    Call,
    End,
    Errors,
    Limits,
    OAuth,
    Provider,
    Region,
    RuleEntry,
    ScopeCheck,
    Setting,
    Value,
    Whoami,
    Words,
)
from monitor.store.columns import HEALTH
from monitor.wire import recorded

ROOT = Path(__file__).parents[2]


def test_no_code_asks_for_a_provider_by_name():
    names = "|".join(catalogue.built_in())
    asked = re.compile(rf"""(==|\bin\b|case)\s*\(?["']({names})["']""")
    for path in (ROOT / "monitor").rglob("*.py"):
        if not {"sandbox", "demo"} & set(path.parts):
            assert not asked.search(path.read_text()), path


def test_no_file_is_two_ideas():
    for path in (ROOT / "monitor").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
    for room in ("alerts", "dashboards"):
        for path in (ROOT / room).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path


def test_the_sandbox_is_no_import_of_ours():
    for path in (ROOT / "monitor").rglob("*.py"):
        if "sandbox" not in path.parts:
            assert "from monitor.sandbox" not in path.read_text(), path


ROOMS = ("monitor", "alerts", "dashboards")
# Who may ask for a single cause by its name, and why.
NAMES_A_CAUSE = {
    "monitor/health": "decides which cause it is: a rule each",
    "monitor/sandbox": "knows nothing of ours: these are its own words",
    "monitor/cli/demo": "who plays what on the demo's stage",
    "alerts/rules/fleet.py": "an alert each, which says what it is about",
    "monitor/providers/rule_entries.py": "a rule that names a setting is of the one cause that a setting mends",
    "monitor/store/api_keys.py": "how a key ends, in the same word",
    "monitor/store/guarding.py": "our own network is looked at by all of the fleet",
    "monitor/operations/documents.py": "a field of its document, in the same word",
    "monitor/tokens/arrival.py": "how a trip ends, in the same word",
    "monitor/metrics/catalogue.py": "how a trip ends, in the same word",
    "monitor/metrics/exposition.py": "what an incident is about, in the same word",
    "monitor/operations/campaign_reports.py": "how a trip ended, in the same word",
    "monitor/operations/road.py": "a page says which of two ways out there is",
    "dashboards/funnel.py": "how a trip ends, in the same word",
}


@cache
def _tree(path: Path) -> ast.Module:
    """A file as it is read by Python; nobody changes it."""
    return ast.parse(path.read_text())


def _sources():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            yield path, path.relative_to(ROOT).as_posix()


def _causes_in(node: ast.AST, values: set[str]) -> set[str]:
    """Return the causes that a piece of code names: by attribute, as a word of its own, or quoted in SQL."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and ast.unparse(one).startswith("Cause."):
            found.add(one.attr.lower())
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            found |= {one.value} | set(re.findall(r"'(\w+)'", one.value))
    return found & values


def test_no_other_file_lists_causes():
    """What follows from a cause is its row of the table: a new cause is a row, not a hunt."""
    values = {cause.value for cause in Cause} - {Cause.OK.value}
    lists = (ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Match, ast.BoolOp)
    for path, name in _sources():
        if path.name == "causes.py" or name.startswith("monitor/cli/demo"):
            continue
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Dict):
                named = set().union(*(_causes_in(key, values) for key in node.keys if key is not None))
            elif isinstance(node, ast.Match):
                named = set().union(*(_causes_in(case.pattern, values) for case in node.cases))
            elif isinstance(node, lists):
                items = getattr(node, "elts", None) or getattr(node, "values", [])
                plain = (ast.Constant, ast.Attribute, ast.Compare)
                named = set().union(*(_causes_in(item, values) for item in items if isinstance(item, plain)))
            elif isinstance(node, ast.Constant):
                named = _causes_in(node, values)
            else:
                continue
            assert len(named) < 2, f"{name}:{node.lineno}: {sorted(named)}"


def test_no_other_file_asks_for_a_cause_by_its_name():
    """Short names, colours, mails, pages and queries take it from the row; the rest has its reason above."""
    values = {cause.value for cause in Cause} - {Cause.OK.value}
    for path, name in _sources():
        if not any(name.startswith(place) for place in NAMES_A_CAUSE):
            assert _causes_in(_tree(path), values) == set(), name


def test_whoever_may_name_a_cause_still_does():
    values = {cause.value for cause in Cause}
    for place in NAMES_A_CAUSE:
        texts = [path.read_text() for path, name in _sources() if name.startswith(place)]
        assert any(_causes_in(ast.parse(text), values) for text in texts), place


def test_a_channel_is_found_by_its_name_and_nobody_names_it():
    """A new channel is one file: none of our others imports it."""
    modules = {channel.__name__ for channel in registry.PAGING.values()}
    for path, name in _sources():
        tree = _tree(path)
        imported = {
            found
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for found in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        assert not modules & imported, name


def test_every_cause_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## What it finds") : readme.index("## Commands")]
    rows = "\n".join(line for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", rows)) == {cause.value for cause in TABLE} - {"ok"}


def test_the_readme_says_of_each_cause_how_loudly_on_call_is_told():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## What it finds") : readme.index("## Commands")]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        named = re.findall(r"`(\w+)`", cells[0]) if line.startswith("| `") else []
        # A client's cause while the operator has to act first is told as the app's.
        if "lacks the scope" not in line:
            calls = {TABLE[Cause(name)].call for name in named}
            assert (
                calls <= {causes.Call(cells[3]) if cells[3] in list(causes.Call) else None} if named else True
            ), line


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
    tables = (Provider, Region, OAuth, Call, Whoami, ScopeCheck, Limits, Errors, RuleEntry)
    for model in (*tables, Value, Setting, Words, End):
        for name in model.model_fields:
            assert re.search(rf"`\[*{name}\b[^`]*`", text), f"{model.__name__}.{name}"


def test_every_key_of_recorded_answers_is_in_its_document():
    text = (ROOT / "docs" / "provider-files.md").read_text()
    for key in recorded.KEYS:
        assert f"`# {key}:" in text, key


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
        for function, transactions in _writers(_tree(path)):
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
        for node in ast.walk(_tree(path)):
            made = isinstance(node, ast.Call) and ast.unparse(node.func) in ("Health", "lifecycle.Health")
            assert not made, f"{path.relative_to(ROOT)}:{node.lineno}"


# -- operations and doors --------------------------------------------------------------------------------

# Below the doors, what is no text of ours to people: rules are written for engineers at a shell, the sandbox
# is a program of its own.
_SPEAK_FOR_THEMSELVES = (
    "monitor/cli/", "monitor/web/commands.py", "monitor/sandbox/", "alerts/rules/", "monitor/__main__.py",
)  # fmt: skip
_MARKS = {"token-health backup"}  # how a backup begins: the name of its format


def _commands(group, path=()):
    """Yield every command, by its words, with its options."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _commands(one, (*path, name))
        else:
            yield " ".join((*path, name)), {o for p in one.params for o in p.opts if o.startswith("--")}


def _texts(tree: ast.AST):
    """Yield the strings of a module as people would read them, {} for what is put in; no docstrings."""
    parts_of_others = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            parts_of_others.add(id(body[0].value))
        if isinstance(node, ast.JoinedStr):
            parts_of_others |= {id(value) for value in node.values}
    for node in ast.walk(tree):
        if id(node) in parts_of_others:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            values = [value.value if isinstance(value, ast.Constant) else "{}" for value in node.values]
            yield node.lineno, "".join(values)


def _below_the_doors():
    for room in ("monitor", "alerts"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(_SPEAK_FOR_THEMSELVES):
                yield name, _tree(path)


def test_nothing_below_the_doors_names_a_command():
    """What mends something is a Remedy, which each door says in its own words."""
    found = dict(_commands(command()))
    grouped = "|".join(name for name in found if " " in name)
    options = "|".join(set().union(*found.values()))
    says = re.compile(rf"token-health ({'|'.join(found)})\b|'({grouped})\b|(?<![\w-])({options})\b")
    said = [
        f"{name}:{line}: {text}"
        for name, tree in _below_the_doors()
        for line, text in _texts(tree)
        if text not in _MARKS and says.search(text)
    ]
    assert said == []


def test_every_remedy_is_a_command_that_there_is():
    named = {
        node.args[0].value
        for _, tree in _below_the_doors()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Remedy"
    }
    assert named <= COMMANDS.keys(), "the command line knows every remedy"
    there_are = dict(_commands(command())) | {"…": set()}  # an option that every command has
    for operation, said in COMMANDS.items():
        words = said.split()
        assert there_are.keys() & {" ".join(words[:n]) for n in (1, 2, 3)}, (
            f"{operation}: token-health {said}"
        )
    assert OPEN.keys() <= {operation for operation, said in COMMANDS.items() if "{}" in said}
