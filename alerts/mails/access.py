"""What the operator is told about who may come in: a key that may read tokens, was exposed, or ends soon."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import reconcile
from alerts.mails.plan import Wish
from alerts.mails.standing import Client, Kind, Slot
from alerts.mails.voice import Voice
from monitor.text.ids import new_id


class Doorbell:
    """Writes a mail to the operator into the transaction of what it tells of.

    Whoever rings holds lock 2 (`incidents.one_at_a_time`), as all who plan notices do.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    async def ring(self, conn: AsyncConnection, reason: str, now: datetime) -> None:
        """Say it. Each is said by itself: several may happen before the first is sent."""
        wish = Wish(Slot.ACCESS, Kind.ACCESS.value, (), now, reason)
        operator = Client("", (), "en", "UTC")
        await reconcile.write_new(conn, operator, new_id("operator"), wish, self._voice, now)
