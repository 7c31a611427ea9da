"""What a form brings: read up to a size, and never put on a disk, since a file may hold tokens."""

from __future__ import annotations

import re

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

PLAIN, WITH_FILE = "application/x-www-form-urlencoded", "multipart/form-data"
MOST_FIELDS = 1000
# Our pages are UTF-8, and so is what browsers send of them. Python knows codecs that make halves of
# characters of bytes, or take the square of their number in time (punycode).
_CHARSET = re.compile(r"""charset\s*=\s*"?'?(?!utf-?8["'\s;]*(;|$))""", re.IGNORECASE)


async def read(request: Request, largest: int) -> FormData:
    """Read a form of at most so many bytes; whoever reads it closes it. Raises HTTPException."""
    said = request.headers.get("content-length", "")
    if not said.isdecimal() or int(said[:20]) > largest:
        raise HTTPException(413)
    if _CHARSET.search(request.headers.get("content-type", "")):
        raise HTTPException(415)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == WITH_FILE:
        return await _with_file(request, largest)
    if kind == PLAIN:
        return await request.form(max_fields=MOST_FIELDS, max_part_size=largest)
    if said == "0":
        return FormData()
    raise HTTPException(415)


async def _with_file(request: Request, largest: int) -> FormData:
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=MOST_FIELDS, max_part_size=largest
    )
    parser.spool_max_size = largest + 1  # Starlette's own would spill what is larger than 1 MiB into a file
    try:
        return await parser.parse()
    except MultiPartException:
        raise HTTPException(400) from None
