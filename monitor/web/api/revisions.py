"""Revisions as ETags: who changes what others change too says what it was read as (RFC 9110 13.1)."""

from __future__ import annotations

import re

from starlette.requests import Request

from monitor.web.api.problems import Problem

_TAG = re.compile(r'"r([0-9]{1,9})"')


def etag(revision: int) -> str:
    """Return the strong ETag of a revision."""
    return f'"r{revision}"'


def expected(request: Request) -> int | None:
    """Return the revision that If-Match names, None for `*`. Raises Problem without one, or for nonsense."""
    given = request.headers.get("if-match")
    if given is None:
        raise Problem("precondition_required")
    if given.strip() == "*":
        return None
    tags = [_TAG.fullmatch(part.strip()) for part in given.split(",")]
    found = [int(match[1]) for match in tags if match is not None]
    # A list is allowed by the RFC; only one revision is ever ours. A tag of another form matches nothing.
    return found[0] if found else -1
