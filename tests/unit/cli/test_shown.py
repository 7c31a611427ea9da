"""Alerts, runbooks, dashboards and docs hold together, and are what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer

from alerts.rules import recording
from alerts.rules.alert import RUNBOOKS
from alerts.rules.catalogue import BY_NAME
from dashboards import build
from monitor.metrics import catalogue
from tests.acceptance.oncall_stage import filled, queries

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "runbooks"
SECTIONS = ("What it means", "How to see it", "What to do", "How to know it is over", "When to escalate")
DASHBOARDS = [build.document(module) for module in build.ALL]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    assert {path.stem for path in PAGES.glob("TokenHealth*.md")} == set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_runbook_says_all_that_is_needed(name):
    text = (PAGES / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    assert tuple(parts[1::2]) == SECTIONS
    assert all(part.strip() for part in parts[2::2])
    assert "```sh" in parts[4], "how to see it is a command"
    assert f"({name}.md)" in (PAGES / "README.md").read_text()
    assert BY_NAME[name].runbook() == f"{RUNBOOKS}/{name}.md"


def _commands() -> dict[str, set[str]]:
    """Return our commands, `silence add`, each with its options."""
    import inspect

    from monitor.cli import (
        apps,
        audit,
        calendar,
        campaigns,
        connections,
        look,
        mail,
        oncall,
        providers,
        run,
        upkeep,
        webhooks,
    )  # fmt: skip
    from monitor.cli.demo import play as demo

    here = typer.Typer()
    for module in (
        run, demo, look, calendar, mail, oncall, webhooks, connections, campaigns, apps, providers, upkeep,
        audit,
    ):  # fmt: skip
        module.register(here)

    def options(command) -> set[str]:
        found = set()
        for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
            for extra in getattr(parameter.annotation, "__metadata__", ()):
                # With one name only, typer keeps it where a default would be.
                first = getattr(extra, "default", None)
                named = [
                    *(getattr(extra, "param_decls", None) or ()),
                    *([first] if isinstance(first, str) else ()),
                ]
                given = named or [f"--{parameter.name.replace('_', '-')}"]
                found.update(word for one in given for word in one.split("/"))
        return found

    def name(command) -> str:
        return command.name or command.callback.__name__.replace("_", "-").strip("-")

    known = {name(command): options(command) for command in here.registered_commands}
    for group in here.registered_groups:
        for command in group.typer_instance.registered_commands:
            known[f"{group.name} {name(command)}"] = options(command)
    return known


def test_the_commands_of_the_runbooks_are_there():
    known = _commands()
    texts = "\n".join(path.read_text() for path in PAGES.glob("*.md"))
    found = re.findall(r"(?:^|`)[ \t]*token-health ([^`#\n]+)", texts, re.MULTILINE)
    assert len(found) > 50
    for line in found:
        words = line.split()
        command = next((c for c in (" ".join(words[:2]), words[0]) if c in known), None)
        assert command is not None, line
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            assert option in known[command] | {"--config", "--json"}, line


def test_the_files_are_what_the_code_says():
    for path, text in build.files().items():
        assert path.read_text() == text, f"{path}: run 'make generate'"


@pytest.mark.parametrize("document", DASHBOARDS, ids=lambda document: document["title"])
def test_a_dashboard_is_complete(document):
    assert document["schemaVersion"] == 41
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert [annotation["name"] for annotation in document["annotations"]["list"]] == list(build.TITLES)
    for panel in document["panels"]:
        if panel["type"] in ("row", "text"):
            continue
        where = f"{document['title']}: {panel['title']}"
        assert panel["description"], where
        assert panel["fieldConfig"]["defaults"]["noValue"], f"{where} has words for when there is nothing"
        assert panel["datasource"]["uid"] == "${datasource}", where
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0, where


@pytest.mark.parametrize("document", DASHBOARDS, ids=lambda document: document["title"])
def test_it_asks_only_for_what_there_is(document):
    names = {m.name for m in (*catalogue.FLEET, *catalogue.OWN)}
    recorded = {rule.name for rule in recording.ALL}
    for where, expr in queries(document):
        for name in re.findall(r"\btoken_health[a-z_0-9:]+", filled(expr)):
            base = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert base in names or name in names or name in recorded, f"{where}: {name}"


def test_links_lead_somewhere():
    uids = {document["uid"] for document in DASHBOARDS}
    text = json.dumps(DASHBOARDS)
    for uid in re.findall(r"/d/([a-z-]+)", text):
        assert uid in uids
    for page in re.findall(re.escape(RUNBOOKS) + r"/([A-Za-z]+\.md)", text):
        assert (PAGES / page).exists()
    # The one link that is made of an alert's name.
    assert f"{RUNBOOKS}/${{__data.fields.alertname}}.md" in text


def test_each_series_of_a_connection_is_counted_in_the_reference():
    each = {*catalogue.EACH, *catalogue.EACH_BROKEN, *catalogue.EACH_MAILED, catalogue.SILENCE}
    assert each == {m for m in (*catalogue.FLEET, *catalogue.OWN) if "connection" in m.labels}


def test_every_metric_stands_in_a_list_or_it_would_be_nowhere():
    made = {name: value for name, value in vars(catalogue).items() if isinstance(value, catalogue.Metric)}
    listed = {*catalogue.FLEET, *catalogue.OWN}
    assert made and [name for name, value in made.items() if value not in listed] == []
