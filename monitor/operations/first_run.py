"""From nothing to the first probed connection, and to the first mail: which steps are done, by the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.health.doors import Outcome, Standing
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import app_checks, listing


@dataclass(frozen=True, slots=True)
class AppFound:
    """A configured app, and what its provider said when it was asked whether anybody could connect."""

    id: str
    title: str  # the provider's
    provider: str
    redirect_uri: str  # what has to be registered there
    answers: Sequence[Standing]

    @property
    def refusal(self) -> str:
        """How the provider refuses it, empty where it does not."""
        return next((one.seen.says for one in self.answers if one.seen.outcome is Outcome.REFUSED), "")

    @property
    def taken(self) -> bool:
        """Whether the provider takes it, as far as it was asked."""
        return any(one.seen.outcome is Outcome.GOOD for one in self.answers) and not self.refusal

    @property
    def asked(self) -> bool:
        """Whether anybody asked yet."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The three steps: an app that its provider takes, a connection, and a sender of mails."""

    apps: tuple[AppFound, ...]
    connections: int
    mails: bool

    @property
    def app_taken(self) -> bool:
        """Whether the first step is done."""
        return any(one.taken for one in self.apps)

    @property
    def step(self) -> int:
        """Return the step that is next: one to three; four where nothing is left.

        What a provider leaves open, when it is asked, keeps nobody from the second step.
        """
        open_only = any(one.asked and not one.refusal for one in self.apps)
        if not (self.app_taken or self.connections or open_only):
            return 1
        if not self.connections:
            return 2
        return 4 if self.mails else 3


async def first_run(parts: Parts, actor: Actor, connections: int | None = None) -> FirstRun:
    """Return how far it is; `connections` where they were counted already."""
    actor.needs(Right.CONNECTIONS_READ)
    if connections is None:
        connections = (await listing.counts(parts.database)).total
    public = parts.loaded.settings.web.public_url
    doors = await app_checks.standing(parts.database)
    found = [
        AppFound(
            app.id,
            app.provider.title,
            app.provider.name,
            public + app.callback,
            tuple(doors.get(app.id, {}).values()),
        )
        for app in parts.apps.values()
        if not actor.only.apps or app.id in actor.only.apps
    ]
    return FirstRun(tuple(found), connections, bool(parts.loaded.settings.smtp.sender))
