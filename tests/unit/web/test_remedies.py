"""A remedy in the console's words: a link or a button where it has a page, else the command."""

from __future__ import annotations

import pytest

from monitor.errors import Remedy
from monitor.web.commands import COMMANDS
from monitor.web.console.contents import declared
from monitor.web.console.remedies import CHOSEN_AT, PATHS, _page, said

declared()  # every page is there before one says a remedy, as in a service


def test_what_the_console_asks_for_first_is_a_link_and_what_it_does_at_once_a_button():
    remove, resume = said(
        [Remedy("connections.remove", subject="a/c&me"), Remedy("connections.resume", "watches it", "acme")]
    )
    assert (remove.href, remove.posts, remove.command) == ("/connections/a%2Fc%26me/remove", False, "")
    assert (resume.href, resume.posts, resume.does) == ("/connections/acme/resume", True, "watches it")


def test_what_it_does_not_is_the_command():
    (rotate,) = said([Remedy("keys.rotate", "retires it")])
    assert (rotate.href, rotate.command) == ("", "token-health keys rotate")


def test_options_are_said_with_it():
    accept = Remedy("accounts.accept", subject="acme", options=(("account", "42 & more"),), when="If it is")
    (one,) = said([accept])
    assert one.href == "/connections/acme/accept-account?account=42+%26+more"
    assert one.when == "If it is"


def test_what_the_reader_may_not_use_is_not_said():
    assert said([Remedy("people.add", subject="NAME")], may=["connections:read"]) == []
    assert said([Remedy("people.add", subject="NAME")], may=["users:write"]) != []


@pytest.mark.parametrize("operation", [name for name, (path, _) in PATHS.items() if "{}" in path])
def test_where_it_is_open_what_it_is_done_to_one_chooses_from_a_list(operation):
    """Also where it is several: a page is about one."""
    for subject in ("", "one two"):
        (one,) = said([Remedy(operation, subject=subject)])
        assert one.href == CHOSEN_AT[operation.partition(".")[0]]
        assert not one.posts


@pytest.mark.parametrize("path", [*(path for path, _ in PATHS.values()), *CHOSEN_AT.values()])
def test_each_page_is_there(path):
    assert _page(path.format("7")) is not None


def test_each_is_a_remedy_that_there_is():
    assert PATHS.keys() <= COMMANDS.keys()
