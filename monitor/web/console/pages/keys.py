"""Keys of programs: made, given another text, revoked. A key's text is shown once, to whoever made it."""

from __future__ import annotations

from datetime import timedelta

from monitor.errors import ConfigurationError
from monitor.health.restriction import Restriction
from monitor.operations import api_keys
from monitor.operations.actor import MACHINES_ONLY, Right
from monitor.operations.api_keys import Made
from monitor.operations.roles import SCOPES
from monitor.web.console.answers import Ask, Done, Field, Shown
from monitor.web.console.declared import action
from monitor.web.console.pages.people import revision
from monitor.web.console.rights import WORDS
from monitor.web.console.texts import N_, gettext
from monitor.web.console.visit import Visit

LASTS = ("30", "90", "180", "365", "400")  # days
GRACES = {
    "0": N_("not at all: the program has the new one at once"),
    "1": N_("1 hour"),
    "24": N_("24 hours"),
    "168": N_("7 days"),
}  # hours


async def _ask_what(visit: Visit) -> Ask:
    asked = set(visit.several("scope"))
    may = [right for right in WORDS if right in SCOPES and right in visit.actor.may | MACHINES_ONLY]
    scopes = [
        Field(
            _field_of(right), right.value, "checkbox",
            "1" if right.value in asked or visit.given(_field_of(right)) else "", gettext(WORDS[right]),
        )
        for right in may
    ]  # fmt: skip
    return Ask(
        gettext("Make a key for a program"),
        [
            gettext("It may do what you tick, and nothing more."),
            gettext("Giving one tokens:read mails the operator."),
        ],
        gettext("Make the key"),
        "/access",
        fields=[
            Field("name", gettext("Name"), value=visit.given("name"), required=True,
                  hint=gettext("What it is for: middleware.")),
            *scopes,
            Field("apps", gettext("Only these apps"), value=visit.given("apps"),
                  hint=gettext("Several with commas. Empty: every one.")),
            Field("labels", gettext("Only with these labels"), value=visit.given("labels"),
                  hint=gettext("tier=gold, tier=silver: of one name any value, of several names each.")),
            Field("connections", gettext("Only these connections"), value=visit.given("connections"),
                  hint=gettext("Ids, with * for anything: acme-*.")),
            Field("networks", gettext("Only from these networks"), value=visit.given("networks"),
                  hint="10.0.0.0/8"),
            Field("days", gettext("It ends after"), "select", visit.given("days", "90"),
                  options=[(days, gettext("%(n)s days", n=days)) for days in LASTS],
                  hint=gettext("You are told 14 and 3 days ahead.")),
        ],
        here="/access",
    )  # fmt: skip


@action("/access/keys/new", Right.KEYS_WRITE, api=("create_key",), asks=_ask_what)
async def make_key(visit: Visit) -> Shown:
    """Make a key."""
    days = visit.given("days", "90")
    if days not in LASTS:
        raise ConfigurationError(gettext("A key ends after 30, 90, 180, 365 or 400 days."))
    made = await api_keys.new(
        visit.parts,
        visit.actor,
        visit.given("name"),
        [right.value for right in WORDS if visit.given(_field_of(right))],
        only=_only(visit),
        expires_at=visit.now + timedelta(days=int(days)),
    )
    return _once(made)


async def _ask_rotation(visit: Visit) -> Ask:
    key = await api_keys.show(visit.parts, visit.actor, visit.path["key"])
    return Ask(
        gettext("Give the key %(name)s another text", name=key.name),
        [gettext("The new text is shown once. What the key may do, and when it ends, stays.")],
        gettext("Rotate the key"),
        "/access",
        fields=[
            Field("grace", gettext("The text before is good yet for"), "select", visit.given("grace", "24"),
                  options=[(hours, gettext(words)) for hours, words in GRACES.items()]),
        ],
        hidden=[("revision", str(key.revision))],
        here="/access",
    )  # fmt: skip


@action("/access/keys/{key}/rotate", Right.KEYS_WRITE, api=("rotate_key",), asks=_ask_rotation)
async def rotate_key(visit: Visit) -> Shown:
    """Give a key another text."""
    hours = visit.given("grace", "24")
    if hours not in GRACES:
        raise ConfigurationError(gettext("The text before is good for 0, 1, 24 or 168 hours yet."))
    grace = timedelta(hours=int(hours))
    return _once(
        await api_keys.rotate(visit.parts, visit.actor, visit.path["key"], grace, revision=revision(visit))
    )


async def _ask_end(visit: Visit) -> Ask:
    key = await api_keys.show(visit.parts, visit.actor, visit.path["key"])
    used = gettext("It was never used.")
    if key.last_used_at is not None:
        used = gettext("It was last used on %(at)s UTC.", at=f"{key.last_used_at:%Y-%m-%d %H:%M}")
    return Ask(
        gettext("Revoke the key %(name)s", name=key.name),
        [gettext("Every process refuses it within 5 seconds, for good. It stays in the list."), used],
        gettext("Revoke %(name)s", name=key.name),
        "/access",
        hidden=[("revision", str(key.revision))],
        danger=True,
        note=gettext("It cannot be taken back; make another key for the program."),
        here="/access",
    )


@action("/access/keys/{key}/revoke", Right.KEYS_WRITE, api=("revoke_key",), asks=_ask_end)
async def revoke_key(visit: Visit) -> Done:
    """End a key."""
    key = await api_keys.revoke(visit.parts, visit.actor, visit.path["key"], revision=revision(visit))
    return Done("/access", gettext("The key %(name)s is revoked.", name=key.name))


def _field_of(right: Right) -> str:
    return f"may-{right.value.replace(':', '-')}"


def _only(visit: Visit) -> Restriction:
    """Read what a key is restricted to. Raises ConfigurationError."""
    labels: dict[str, list[str]] = {}
    for one in _list(visit, "labels"):
        name, sign, value = one.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigurationError(gettext("A label is written as name=value: tier=gold."))
        labels.setdefault(name.strip(), []).append(value.strip())
    return api_keys.restricted(
        _list(visit, "apps"), labels, _list(visit, "connections"), _list(visit, "networks")
    )


def _list(visit: Visit, name: str) -> list[str]:
    return [one.strip() for one in visit.given(name).split(",") if one.strip()]


def _once(made: Made) -> Shown:
    """Show a key's text, on this page and never again."""
    return Shown(
        "once.html.j2",
        gettext("The key %(name)s", name=made.key.name),
        "/access",
        secret=made.secret.reveal(),
        says=gettext(
            "Keep it now: nobody can show it again. It is good until %(day)s.",
            day=f"{made.key.expires_at:%Y-%m-%d}",
        ),
        back="/access",
        how=gettext("Sent as a header: Authorization: Bearer, and never in an address."),
    )
