"""Every recorded answer of every provider comes to the verdict that it has to come to."""

from __future__ import annotations

import pytest

from monitor.health.causes import Cause, Owner, consequence
from monitor.operations.recorded import not_reached, tried
from monitor.providers import catalogue
from monitor.providers.schema import Errors
from tests.providers import document
from tests.providers.answers import ROOM, of_all, recorded, tried_all

_BARE = {"errors": Errors(), "rules": ()}  # what the standards alone would make of it


@pytest.mark.parametrize(
    ("provider", "one"), list(of_all()), ids=lambda value: value if isinstance(value, str) else value.name
)
def test_an_answer_comes_to_its_verdict(provider, one):
    found = tried(catalogue.load(provider), one)
    assert found.wrong == (), found.reasons


@pytest.mark.parametrize("provider", catalogue.built_in())
def test_every_rule_has_an_answer(provider):
    assert not_reached(catalogue.load(provider), tried_all(provider)) == []


@pytest.mark.parametrize("provider", catalogue.built_in())
def test_each_step_has_a_good_answer_and_a_refusal(provider):
    verdicts: dict[str, set[str]] = {}
    for one in recorded(provider):
        verdicts.setdefault(one.messages[0].step, set()).add(one.verdict)
    needed = {"refresh", "whoami"}
    if any(check.probe for check in catalogue.load(provider).scopes.values()):
        needed.add("scope")
    for step in needed:
        assert "ok" in verdicts.get(step, ()), f"{step}: no good answer"
        assert verdicts[step] - {"ok"}, f"{step}: no refusal"


@pytest.mark.parametrize("provider", catalogue.built_in())
def test_every_answer_says_where_it_is_from(provider):
    for one in recorded(provider):
        assert one.source, one.name


@pytest.mark.parametrize("provider", catalogue.built_in())
def test_what_is_unproved_mails_nobody_whom_the_standards_would_not(provider):
    known = catalogue.load(provider)
    bare = known.model_copy(update=_BARE)
    for one in recorded(provider):
        if one.proved != "unproved":
            continue
        found = tried(known, one)
        if found.verdict in set(Cause) and consequence(Cause(found.verdict)).owner is Owner.CLIENT:
            alone = tried(bare, one)
            assert consequence(Cause(alone.verdict)).owner is Owner.CLIENT, f"{one.name}: {found.rule}"


def test_every_folder_of_answers_is_a_provider():
    folders = {path.name for path in ROOM.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(catalogue.built_in())


def test_the_document_says_what_the_answers_say():
    assert document.PATH.read_text(encoding="utf-8") == document.text(), "run `make generate`"
