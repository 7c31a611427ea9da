"""How old a connection's tokens are and when they end, for people: never the tokens. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.text.spans import span


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is known of a connection's tokens, and how long its provider lets them live."""

    access: bool  # whether there is one
    refresh: bool
    issued_at: datetime | None = None
    access_ends: datetime | None = None
    assumed: bool = False  # when the access token ends is what the provider's file says
    refused: bool = False  # the provider's API refused the access token that there is
    refresh_used_at: datetime | None = None
    refresh_ends: datetime | None = None  # as an answer told: unless it is used before
    lost: bool = False  # the refresh token is spent
    doubted: bool = False  # it may be
    ended: bool = False  # the provider took the grant back, or it ran out
    authorized_at: datetime | None = None
    grant_ends: datetime | None = None  # as an answer told: whatever is done
    idle_lifetime: timedelta | None = None
    absolute_lifetime: timedelta | None = None
    gives_refresh: bool = True


@dataclass(frozen=True, slots=True)
class Age:
    """One of them: how it is, in words, and what share of its life is used; None where it has no end."""

    name: str
    says: str
    more: str
    ends_at: datetime | None = None
    used: float | None = None
    bad: bool = False


def ages(known: Tokens, now: datetime) -> tuple[Age, ...]:
    """Return what is to be said of each token and of the authorization that they came by."""
    if not (known.access or known.authorized_at):
        return ()
    return (_access(known, now), _refresh(known, now), _authorization(known, now))


def _access(known: Tokens, now: datetime) -> Age:
    begun, ends = known.issued_at, known.access_ends
    more = ""
    if begun is not None and ends is not None:
        how = ", by what the provider's file says" if known.assumed else ""
        more = f"{_old(begun, now)} of {span(ends - begun)}{how}."
    elif begun is not None:
        more = f"{_old(begun, now)} old; the provider set no end for it."
    used = _share(begun, ends, now)
    if not known.access:
        return Age("Access token", "none", "")
    if known.refused:
        return Age("Access token", "refused by the provider", more, ends, used, bad=True)
    if ends is None:
        return Age("Access token", "no end is known", more)
    if ends <= now:
        return Age("Access token", f"ended {span(now - ends)} ago", more, ends, 1.0, bad=not known.refresh)
    return Age("Access token", f"ends in {span(ends - now)}", more, ends, used)


def _refresh(known: Tokens, now: datetime) -> Age:
    name, used = "Refresh token", known.refresh_used_at
    last = f"Last used {span(now - used)} ago." if used is not None else ""
    if not known.refresh:
        why = (
            "The provider gives none." if not known.gives_refresh else "Without it nothing renews the access."
        )
        return Age(name, "none", why, bad=known.gives_refresh and known.access_ends is not None)
    if known.lost:
        return Age(
            name, "lost", f"{last} It was spent, and what came for it never arrived.".strip(), bad=True
        )
    if known.ended:
        return Age(name, "good for nothing any more", last, bad=True)
    ends = known.refresh_ends
    if ends is None and used is not None and known.idle_lifetime is not None:
        ends = used + known.idle_lifetime
    if known.doubted:
        return Age(name, "in doubt", f"{last} The answer to its last use was lost.".strip(), ends, bad=True)
    if ends is None:
        return Age(name, "no end is known", last)
    if ends <= now:
        return Age(name, f"ran out {span(now - ends)} ago", last, ends, 1.0, bad=True)
    return Age(name, f"ends in {span(ends - now)} if unused", last, ends, _share(used, ends, now))


def _authorization(known: Tokens, now: datetime) -> Age:
    begun = known.authorized_at
    ends = known.grant_ends
    if ends is None and begun is not None and known.absolute_lifetime is not None:
        ends = begun + known.absolute_lifetime
    old = f"{_old(begun, now)} old" if begun is not None else "brought by an import"
    if ends is None:
        return Age("Authorization", old, "No absolute deadline.")
    how = "as the provider told" if known.grant_ends is not None else "by the provider's rules"
    if ends <= now:
        return Age("Authorization", old, f"It ended {span(now - ends)} ago, {how}.", ends, 1.0, bad=True)
    says = f"It ends in {span(ends - now)} whatever is done, {how}."
    return Age("Authorization", old, says, ends, _share(begun, ends, now))


def _old(begun: datetime, now: datetime) -> str:
    return span(now - begun)


def _share(begun: datetime | None, ends: datetime | None, now: datetime) -> float | None:
    if begun is None or ends is None or ends <= begun:
        return None
    return min(1.0, max(0.0, (now - begun) / (ends - begun)))
