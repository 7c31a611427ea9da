"""Cursors: where a page ends, for whoever reads on; signed, and good for their own list only."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import pydantic_core
from starlette.requests import Request

from monitor.operations.actor import Actor
from monitor.secret import Secret
from monitor.web.api.problems import Problem

_SIGNATURE = 16  # bytes


class Cursors:
    """Signs where a page ends, and reads it again. Every process of a service has the same `secret`."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret.reveal().encode()

    def write(self, request: Request, actor: Actor, place: Sequence[str | int | None]) -> str:
        """Return the cursor of a place in the list that this request asks for."""
        told = pydantic_core.to_json(list(place))
        return base64.urlsafe_b64encode(self._sign(request, actor, told) + told).rstrip(b"=").decode()

    def read(self, request: Request, actor: Actor, cursor: str, length: int) -> list[str | int | None]:
        """Return the place. Raises Problem for a cursor of another list, or of none."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            signature, told = raw[:_SIGNATURE], raw[_SIGNATURE:]
            if hmac.compare_digest(signature, self._sign(request, actor, told)):
                place = pydantic_core.from_json(told)
                if isinstance(place, list) and len(place) == length:
                    return place
        except ValueError:
            pass
        raise Problem("bad_cursor")

    def _sign(self, request: Request, actor: Actor, told: bytes) -> bytes:
        asked = sorted(
            (name, value)
            for name, value in request.query_params.multi_items()
            if name not in ("cursor", "limit")
        )
        of = pydantic_core.to_json([request.scope["path"], asked, actor.name])
        return hmac.digest(self._secret, hashlib.sha256(of).digest() + told, "sha256")[:_SIGNATURE]
