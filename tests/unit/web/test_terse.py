"""What a template leaves out when it is compiled changes nothing of what a browser reads."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from jinja2 import Environment, PackageLoader

from monitor.web import files
from monitor.web.console.terse import Terse

_IMPLIED = {"td", "tr", "li", "dt", "dd"}


class _Read(HTMLParser):
    """What is opened with which attributes, what is closed that has to be, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))

    def handle_endtag(self, tag):
        if tag not in _IMPLIED:
            self.found.append(tag)

    def handle_data(self, data):
        said = "".join(data.split())
        if self.found and isinstance(self.found[-1], list):
            self.found[-1][0] += said
        elif said:
            self.found.append([said])


def terse(source: str) -> str:
    return Terse(Environment(autoescape=True)).preprocess(source, None)


def test_indentation_implied_ends_and_quotes_around_a_word_go():
    source = (
        '<tr id="row">\n  <td class="a" colspan="2">{{ p.cell(cls="b", more=" class=\\"x\\"") }}</td>\n</tr>'
    )
    assert terse(source) == (
        '<tr id="row">\n<td class=a colspan=2>{{ p.cell(cls="b", more=" class=\\"x\\"") }}\n'
    )


@pytest.mark.parametrize(
    "kept",
    [
        '<i class="a b"></i>',
        '<i class="{{ x }}"></i>',
        '<i class="a{{ x }}"></i>',
        '<use href="#x"/>',
        "<p></p>",
    ],
)
def test_what_may_hold_more_than_a_word_keeps_its_quotes(kept):
    assert terse(kept) == kept


@pytest.mark.parametrize("name", PackageLoader("monitor.web", "templates/console").list_templates())
def test_a_browser_reads_the_same(name):
    source, _file, _current = PackageLoader("monitor.web", "templates/console").get_source(
        Environment(autoescape=True), name
    )
    assert _Read(terse(source)).found == _Read(source).found
    assert terse(source).count("\n") == source.count("\n"), "the number of a line is the author's"


def test_a_style_loses_its_notes_and_none_of_its_rules():
    style = b'/* a note */\n.a :not(.b) > .c { color: red;\n  content: "; "; }\n@media (min-width: 1px) { .d, .e { top: 0 } }\n'
    assert files.terse(style) == (
        b'.a :not(.b) > .c{color:red;content:"; "}@media (min-width:1px){.d,.e{top:0}}'
    )
