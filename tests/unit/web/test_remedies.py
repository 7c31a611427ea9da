"""A remedy in the console's words: a link where it has a page, else the command."""

from __future__ import annotations

import pytest

from monitor.errors import Remedy
from monitor.web.commands import COMMANDS
from monitor.web.console import remedies
from monitor.web.console.remedies import PATHS, said


@pytest.fixture(autouse=True)
def _every_page(monkeypatch):
    monkeypatch.setattr(remedies, "_is_here", lambda href: True)


def test_what_the_console_does_is_a_link_and_what_it_does_not_a_command():
    resume, rotate = said(
        [Remedy("connections.resume", "watches it again", "a/c&me"), Remedy("keys.rotate", "retires it")]
    )
    assert (resume.href, resume.command) == ("/connections/a%2Fc%26me/resume", "")
    assert resume.label and resume.does == "watches it again"
    assert (rotate.href, rotate.command) == ("", "token-health keys rotate")


def test_options_are_said_with_it():
    accept = Remedy("accounts.accept", subject="acme", options=(("account", "42 & more"),), when="If it is")
    (one,) = said([accept])
    assert one.href == "/connections/acme/accept-account?account=42+%26+more"
    assert one.when == "If it is"


@pytest.mark.parametrize("operation", [name for name, (path, _) in PATHS.items() if "{}" in path])
def test_where_it_is_open_what_it_is_done_to_one_chooses_from_a_list(operation):
    """Also where it is several: a page is about one."""
    for subject in ("", "one two"):
        (one,) = said([Remedy(operation, subject=subject)])
        assert one.href.startswith("/") and "{" not in one.href


def test_each_is_a_remedy_that_there_is():
    assert PATHS.keys() <= COMMANDS.keys()


def test_where_the_page_is_not_there_it_is_the_command(monkeypatch):
    monkeypatch.setattr(remedies, "_is_here", lambda href: False)
    (one,) = said([Remedy("connections.resume", subject="acme")])
    assert (one.href, one.command) == ("", "token-health connections resume acme")
