"""The sentence that stands on the next page: that something was done, and how it is taken back.

It travels in a cookie, since nothing else joins the two requests; signed, so that what it says is ours, and
said to whoever did it alone: the next to sign in at the same browser is offered no *Undo* of it.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import asdict
from datetime import datetime

import pydantic_core
from starlette.responses import Response

from monitor.secret import Secret
from monitor.web.console.answers import Done, Undo

LASTS = 60  # seconds
LONGEST = 3000  # characters of a cookie that browsers keep
_SIGNATURE = 16  # bytes


class Said:
    """Writes it on an answer, and reads it from the next request."""

    def __init__(self, secret: Secret, *, plain: bool) -> None:
        self._secret, self._plain = secret.reveal().encode(), plain
        self.name = "th-said" if plain else "__Host-th-said"

    def write(self, answer: Response, done: Done, who: str, now: datetime) -> None:
        """Have the next page say it to `who`. What is too long for a cookie is said without its way back."""
        until = int(now.timestamp()) + LASTS
        for undo in (done.undo, None):
            told = pydantic_core.to_json(
                {"said": done.said[:1000], "undo": asdict(undo) if undo else None, "until": until}
            )
            value = base64.urlsafe_b64encode(self._sign(told, who) + told).decode()
            if len(value) <= LONGEST:
                break
        answer.set_cookie(
            self.name, value, max_age=LASTS, path="/", secure=not self._plain, httponly=True, samesite="lax"
        )

    def read(self, cookie: str | None, who: str, now: datetime) -> Done | None:
        """Return what was said, None for what is none of ours, was said to somebody else, or long ago."""
        try:
            raw = base64.b64decode((cookie or "")[:LONGEST], altchars=b"-_", validate=True)
            signature, told = raw[:_SIGNATURE], raw[_SIGNATURE:]
            if not hmac.compare_digest(signature, self._sign(told, who)):
                return None
            found = pydantic_core.from_json(told)
            if now.timestamp() >= found["until"]:
                return None
            undo = found["undo"]
            fields = [(name, value) for name, value in undo["fields"]] if undo else []
            return Done("", found["said"], Undo(undo["path"], fields) if undo else None)
        except (ValueError, KeyError, TypeError):
            return None

    def forget(self, answer: Response) -> None:
        """Have it said once."""
        answer.delete_cookie(self.name, path="/", secure=not self._plain, httponly=True, samesite="lax")

    def _sign(self, told: bytes, who: str) -> bytes:
        # A name has no NUL in it, so no name and sentence are another's.
        signed = who.encode("utf-8", "surrogatepass") + b"\0" + told
        return hmac.digest(self._secret, signed, "sha256")[:_SIGNATURE]
