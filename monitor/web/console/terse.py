"""Leaves out of a template, as it is compiled, what only its author needs."""

from __future__ import annotations

import re

from jinja2.ext import Extension

_INDENTED = re.compile(r"^[ \t]+", re.MULTILINE)
# HTML 13.1.2.4: these may be left out before the next of their kind and before the end of what they stand in.
_IMPLIED = re.compile(r"</(?:t[dr]|d[td]|li)>")
# HTML 13.1.2.3: a value of one plain word that the template writes; what comes from elsewhere is quoted.
_PLAIN = re.compile(r'( (?:class|aria-hidden|scope|type|form|for|colspan))="([\w-]+)"(?=[ >])')
_CODE = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)


class Terse(Extension):
    """Indentation, ends that are implied, quotes around a word: a browser reads the same without."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the template without them; neither values nor the numbers of lines are touched."""
        parts = _CODE.split(_INDENTED.sub("", source))
        return "".join(part if at % 2 else _shorter(part) for at, part in enumerate(parts))


def _shorter(markup: str) -> str:
    return _PLAIN.sub(r"\1=\2", _IMPLIED.sub("", markup))
