"""Writes the tables of docs/providers.md: what is known of each provider's answers, and by what."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from monitor.providers import catalogue
from monitor.wire.recorded import PROVED, REFRESHES
from tests.providers.answers import recorded

PATH = Path(__file__).parents[2] / "docs" / "providers.md"
_TABLE = re.compile(r"(<!-- answers of ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OVERVIEW = re.compile(r"(<!-- overview -->\n).*?(<!-- end -->)", re.DOTALL)


def text() -> str:
    """Return the document with its tables as they have to be. Raises LookupError for one that is missing."""
    written = PATH.read_text(encoding="utf-8")
    missing = set(catalogue.built_in()) - {name for _, name, _ in _TABLE.findall(written)}
    if missing:
        raise LookupError(f"docs/providers.md has no section for {', '.join(sorted(missing))}")
    written = _OVERVIEW.sub(lambda found: found[1] + _overview() + found[2], written)
    return _TABLE.sub(lambda found: found[1] + _answers(found[2]) + found[3], written)


def _overview() -> str:
    lines = ["| provider | answers | seen | community | unproved |", "|---|---|---|---|---|"]
    for name in sorted(catalogue.built_in()):
        answers = recorded(name)
        counted = [sum(one.proved == proof for one in answers) for proof in PROVED]
        title = catalogue.load(name).title
        lines.append(f"| [{title}](#{_anchor(title)}) | {len(answers)} | {' | '.join(map(str, counted))} |")
    return "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def _answers(provider: str) -> str:
    rows: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for one in recorded(provider):
        rows[one.verdict, PROVED.index(one.proved), one.source].append(one.name.removesuffix(".http"))
    lines = ["| verdict | answers | | from |", "|---|---|---|---|"]
    for (verdict, proof, source), names in sorted(rows.items()):
        means = "*asks for a refresh*" if verdict == REFRESHES else f"`{verdict}`"
        shown = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
        lines.append(f"| {means} | {shown} | {PROVED[proof]} | {source} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(PATH.relative_to(Path.cwd()))
