"""Every page of the console there is, with what its path has to name in the scene, and every question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from monitor.operations import api_keys, campaigns, incidents, notices, silences, webhooks
from monitor.web.console.contents import declared
from tests.acceptance.console.scene import DANA, Scene
from tests.conftest import ME

_PART = re.compile(r"/([a-z-]+)/\{\w+(?::\w+)?\}")
Named = Mapping[str, str]
# What a page is asked with, where it shows nothing without.
_ONE = "&id={connections}&id=arabic-clio&id=hebrew-xero"
WITH = {
    "/bulk": [f"?action={does}{_ONE}" for does in ("pause", "link", "hold", "remove")],
    "/bulk/do": [f"?action=pause{_ONE}"],
    "/outbox/release": ["?over=connection&name={held}"],
    "/": [
        "",
        "?state=any",
        "?q=zzz",
        "?owner=client&cause=revoked&provider=clio&label=tier:gold",
        "?open=clio",
    ],
    "/calendar": ["", "?client=nobody", "?kind=grants", "?day=2027-01-10"],
    "/access": ["", "?ended=1"],
    "/audit": ["", "?actor=nobody"],
}


async def named(scene: Scene) -> dict[str, str]:
    """What stands in paths, by the word before it: something that the scene tells much of."""
    parts = scene.parts
    ours = {one.about.name: one.id for one in await incidents.shared(parts, DANA)}
    told = await notices.page(parts, DANA, 50)
    laid = await silences.every(parts, DANA)
    return {
        "connections": scene.ids["clio-us"][0], "held": scene.ids["clio-us"][2],
        "incidents": str(ours["clio"]),
        "outbox": str(next(one.id for one in told.notices if one.state == "waiting")),
        "apps": "clio-us", "providers": "clio", "mails": "revoked", "users": "Vera Lindt", "people": "Vera Lindt",
        "keys": (await api_keys.every(parts, ME))[0].id, "campaigns": (await campaigns.every(parts, ME))[0].id,
        "webhooks": (await webhooks.every(parts, ME))[0].id,
        "silences": silences.name_of(laid.laid[0]), "import": scene.plan, "jobs": scene.job,
    }  # fmt: skip


def pages(known: Named) -> Iterator[str]:
    """Every page that is looked at; files that are saved are none, nor is the mail in a preview's frame."""
    looked_at = (one.path for one in declared() if not one.acts)
    return _paths(known, (path for path in looked_at if "." not in path and not path.endswith("/html")))


def questions(known: Named) -> Iterator[str]:
    """Every question before something is done."""
    return _paths(known, (one.path for one in declared() if one.acts and one.asks is not None))


def _paths(known: Named, patterns: Iterator[str]) -> Iterator[str]:
    for pattern in sorted(patterns):
        missing = [word for word in _PART.findall(pattern) if word not in known]
        assert not missing, f"{pattern}: what is named after {missing} is to be added to `named`"
        path = _PART.sub(lambda part: f"/{part[1]}/{known[part[1]]}", pattern)
        for query in WITH.get(path, [""]):
            yield path + query.format(**known)
