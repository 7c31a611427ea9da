"""python -m monitor.web.console.extract: write the catalogue of the console's words, for translators."""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from monitor.health.causes import TABLE
from monitor.web.console.texts import FOLDER

WEB = Path(__file__).parents[1]
CATALOGUE = FOLDER / "console.pot"
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
_JINJA = {"silent": "false", "trimmed": "true"}


def catalogue() -> str:
    """Return the catalogue as it has to be: each sentence once, with the files that it stands in.

    What a cause is called stands in its own table.
    """
    found = Catalog(project="Token Health", charset="utf-8", fuzzy=False)
    for folder, way in (("console", "python"), ("templates/console", "jinja2")):
        name = "**.py" if way == "python" else "**.j2"
        messages = extract_from_dir(
            WEB / folder, [(name, way)], {name: _JINJA if way == "jinja2" else {}}, keywords=KEYWORDS
        )
        for file, _line, text, comments, context in sorted(messages, key=lambda one: one[:2]):
            found.add(text, locations=[(f"{folder}/{file}", 0)], auto_comments=comments, context=context)
    for row in TABLE.values():
        words = (row.meaning, row.advice, row.short, row.short_of_scope, row.asks.short if row.asks else "")
        for text in filter(None, words):
            found.add(text, locations=[("health/causes.py", 0)])
    binary = io.BytesIO()
    write_po(binary, found, width=110, sort_output=True, omit_header=True, include_lineno=False)
    return binary.getvalue().decode()


if __name__ == "__main__":
    CATALOGUE.write_text(catalogue())
