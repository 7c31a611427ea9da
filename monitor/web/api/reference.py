"""Writes docs/openapi.json and docs/api.md: the document as it is served, and what people read of it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.web.api.app import schema

FOLDER = Path(__file__).parents[3] / "docs"
HEAD = """\
# The HTTP API

Generated from [openapi.json](openapi.json) by `make generate`; the service answers the same document on
`/api/v1/openapi.json`. All paths are below `/api/v1`. Send a key as `Authorization: Bearer thk_…`.

- **Lists** answer `{{"items": […], "next": …}}`: `?limit=` (1 to 500) and `?cursor=`, the `next` of the page
  before.
- **Times** are RFC 3339 in UTC. **Lengths of time** are given as `90`, `90s`, `5m`, `2h` or `3d`, and
  answered in seconds.
- **What is wrong** is `application/problem+json` (RFC 9457). Programs compare `code`; `errors` say where.
  Each code with its cure: `/api/v1/problems`.
- **Changes** of what has a revision take `If-Match` with the ETag of its GET. Each POST takes an
  `Idempotency-Key`.
- **What lies outside of a key's restriction** is not there: 404, and absent from lists, sums and what is
  told beside.

Every path may answer {common}.
"""


def text() -> str:
    """Return the reference as Markdown."""
    document = schema()
    every = list(_operations(document))
    common = set.intersection(*(_codes(one) for _, _, one in every if one.get("security") != []))
    known = sorted(common, key=lambda code: (code[1], code[0]))
    parts = [HEAD.format(common=", ".join(f"`{code}`" for code, _ in known))]
    by_tag = defaultdict(list)
    for path, method, one in every:
        by_tag[one["tags"][0]].append(_told(document, path, method, one, common))
    for tag, told in by_tag.items():
        parts.append(f"## {tag}\n")
        parts += told
    return "\n".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield path, method.upper(), one


def _codes(one: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the codes of an operation's problems, each with its status."""
    return {
        (code, status)
        for status, answer in one["responses"].items()
        if status >= "4"
        for code in re.findall(r"`(\w+)`", answer["description"])
    }


def _told(
    document: Mapping[str, Any], path: str, method: str, one: Mapping[str, Any], common: set[tuple[str, str]]
) -> str:
    said = one["description"].partition("\n\nScope:")[0].partition("\n\nOpen.")[0]
    scope = f"Scope `{one['x-scope']}`." if one.get("x-scope") else "No scope."
    lines = [f"### {method} {path}\n", f"{said.strip()} {scope}\n"]
    given = [p for p in one.get("parameters", ()) if p["in"] != "path"]
    for where, title in (("query", "Query"), ("header", "Headers")):
        names = [_named(p) for p in given if p["in"] == where]
        if names:
            lines.append(f"- {title}: {', '.join(names)}")
    for media, body in one.get("requestBody", {}).get("content", {}).items():
        shown = json.dumps(example(document, body["schema"]), ensure_ascii=False)
        kind = "" if media == "application/json" else f" (`{media}`)"
        lines.append(f"- Body{kind}: `{shown}`")
    answers = [_answer(status, found) for status, found in one["responses"].items() if status < "4"]
    lines.append(f"- Answers: {', '.join(answers)}")
    own = sorted(_codes(one) - common, key=lambda code: (code[1], code[0]))
    if own:
        lines.append(f"- Problems: {', '.join(f'`{code}` ({status})' for code, status in own)}")
    return "\n".join(lines) + "\n"


def _named(parameter: Mapping[str, Any]) -> str:
    said = parameter.get("description", "").rstrip(".")
    return f"`{parameter['name']}`" + (f" ({said[:1].lower()}{said[1:]})" if said else "")


def _answer(status: str, found: Mapping[str, Any]) -> str:
    for content in found.get("content", {}).values():
        if name := content.get("schema", {}).get("$ref", "").rpartition("/")[2]:
            return f"{status} `{name}`"
    return status


def example(document: Mapping[str, Any], schema_: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a value that a schema takes, with each of its members by name."""
    if "$ref" in schema_:
        name = schema_["$ref"].rpartition("/")[2]
        return example(document, document["components"]["schemas"][name], depth + 1)
    for told in ("default", "const"):
        if schema_.get(told) not in (None, "", [], {}):
            return schema_[told]
    if found := schema_.get("examples") or schema_.get("enum"):
        return found[0]
    if several := schema_.get("anyOf") or schema_.get("oneOf"):
        return example(document, next(one for one in several if one.get("type") != "null"), depth)
    match schema_.get("type"):
        case "object":
            members = schema_.get("properties", {}) if depth < 4 else {}
            return {name: example(document, one, depth + 1) for name, one in members.items()}
        case "array":
            return [example(document, schema_.get("items", {}), depth + 1)]
        case "integer" | "number":
            return max(schema_.get("minimum", 1), 1)
        case "boolean":
            return True
    return "2026-12-01T02:00:00Z" if schema_.get("format") == "date-time" else "…"


def files() -> dict[Path, str]:
    """Return every file made here, with its text."""
    document = json.dumps(schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    return {FOLDER / "openapi.json": document, FOLDER / "api.md": text()}


if __name__ == "__main__":
    for path, written in files().items():
        path.write_text(written, encoding="utf-8")
        print(path.relative_to(Path.cwd()))
