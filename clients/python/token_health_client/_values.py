"""What passes between the thinking and the talking: what to ask, what came back, how long to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional, Union


@dataclass(frozen=True)
class Request:
    """One request to Token Health. Who sends it adds the key.

    `path` is below `/api/v1`; `seconds` bound the whole exchange, from connecting to the last byte.
    """

    method: str
    path: str
    seconds: float
    etag: Optional[str] = None
    body: Optional[bytes] = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply:
    """An answer as it came, whoever gave it; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Lost:
    """No answer, or none that could be read. `connected`: a request may have left."""

    why: str
    connected: bool


@dataclass(frozen=True)
class Rest:
    """Wait before going on."""

    seconds: float


Heard = Union[Reply, Lost]
