"""--help of every command, as a person sees it."""

from __future__ import annotations

import sys

import pytest

from monitor.cli import main


def paths(command, so_far=()):
    """Every way to write a command."""
    yield so_far
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from paths(below, (*so_far, name))


@pytest.fixture
def help_of(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")

    def shown(*path):
        monkeypatch.setattr(sys, "argv", ["token-health", *path, "--help"])
        with pytest.raises(SystemExit) as left:
            main.main()
        assert left.value.code == 0
        return capsys.readouterr().out

    return shown


def test_no_command_shows_a_person_the_type_of_a_parameter(help_of):
    shown = {path: help_of(*path) for path in paths(main.command())}
    assert len(shown) > 30
    typed = {
        " ".join(path): line for path, text in shown.items() for line in text.splitlines() if "<" in line
    }
    assert typed == {}


def test_a_value_has_a_word_and_a_flag_has_none(help_of):
    words = [" ".join(line.strip("│ ").split()) for line in help_of("silence", "add").splitlines()]
    assert "--for TIME For how long: 30m, 2h, 3d. [default: 2h]" in words
    assert "--maintenance And do not probe what is well: a maintenance window." in words
    assert "Usage: token-health explain [OPTIONS] {ID}" in help_of("explain")
