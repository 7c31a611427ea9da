"""The files of the pages for people who work here: style, scripts, htmx; by their hash kept for a year."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "static"
MEDIA = {
    "console.css": "text/css", "console.js": "text/javascript", "theme.js": "text/javascript",
    "htmx.min.js": "text/javascript", "icon.svg": "image/svg+xml",
}  # fmt: skip
_ASIDE = re.compile(rb"/\*.*?\*/|\n[ \t]*", re.DOTALL)
_AROUND = re.compile(rb'("[^"]*")|\s*([{};,])\s*|(?<=:)\s+')


def terse(style: bytes) -> bytes:
    """Leave out of a style what only its author needs: its notes, and the room between its words."""
    return _AROUND.sub(rb"\1\2", _ASIDE.sub(b"", style)).replace(b";}", b"}")


def _read(name: str) -> bytes:
    data = (_FOLDER / name).read_bytes()
    return terse(data) if name.endswith(".css") else data


_FILES = {name: _read(name) for name in MEDIA}
_HASHES = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in _FILES.items()}
_FOR_GOOD = "public, max-age=31536000, immutable"


def url(name: str) -> str:
    """Return where a file is, in this version of it."""
    return f"/static/{name}?v={_HASHES[name]}"


def routes() -> list[Route]:
    """Return the routes of all files."""
    return [Route(f"/static/{name}", _one, methods=["GET"], name=f"static {name}") for name in MEDIA]


async def _one(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    kept = _FOR_GOOD if request.query_params.get("v") == _HASHES[name] else "no-cache"
    headers = {"cache-control": kept, "etag": f'"{_HASHES[name]}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(_FILES[name], headers=headers, media_type=MEDIA[name])
