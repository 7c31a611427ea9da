"""What goes out about the calendar."""

from __future__ import annotations

from pydantic import Field

from monitor.web.api.shapes import Time
from monitor.web.api.strict import Shown


class EndsOf(Shown):
    """What an end is about: a connection, app, provider or api_key, by its id."""

    kind: str
    name: str


class Prevention(Shown):
    """What keeps it from ending, and when that happens."""

    at: Time
    what: str


class Ending(Shown):
    """Something that ends. `prevented_by` null: nothing prevents it but who `needs` to act."""

    at: Time
    kind: str
    about: EndsOf
    title: str
    what: str
    needs: str
    urgency: str = Field(description="`none`, `ahead`, `soon` (30 days), `urgent` (7 days) or `over`.")
    prevented_by: Prevention | None
    provider: str | None
    app: str | None
    client: str | None
    connections: int | None
    page: str | None


class Calendar(Shown):
    """A page of the calendar, soonest first."""

    items: list[Ending]
    next: str | None


class EndingWeek(Shown):
    """How many ends somebody has to act on before, in the week from a Monday on."""

    begins: str
    client: int
    operator: int


class EndingDay(Shown):
    """What ends on one day of UTC, of one kind, app and provider; `asked`: how many a campaign asks."""

    on: str
    kind: str
    needs: str
    provider: str | None
    app: str | None
    count: int
    asked: int


class KeptAlive(Shown):
    """Refresh tokens that the service uses before they run out; of `left` nobody uses them."""

    provider: str
    count: int
    first: Time | None
    left: int
    left_first: Time | None


class Horizon(Shown):
    """The calendar in sums. `unknown`: apps without `secret_expires`."""

    at: Time
    weeks: list[EndingWeek]
    days: list[EndingDay]
    kept: list[KeptAlive]
    unknown: list[str]
