"""Settings as they were loaded, without secrets, where each came from, and what a checkup says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from monitor.operations import afresh, checkup, configured, records
from monitor.operations.actor import Right
from monitor.operations.configured import SET, Origin
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

_ORIGINS = {Origin.ENVIRONMENT: N_("environment"), Origin.FILE: N_("file"), Origin.DEFAULT: ""}
_SIGNS = {True: "healthy", None: "pending", False: "broken"}


@page("/settings", Right.SETTINGS_READ)
async def show_settings(visit: Visit) -> Shown:
    """Show the settings by section, and the checks that ask nobody outside."""
    found = await checkup.at_hand(visit.parts, visit.actor)
    document = records.for_eyes(visit.actor, configured.show(visit.parts, visit.actor))
    origins = configured.origins(visit.parts, visit.actor)
    return Shown(
        "settings.html.j2",
        _verdict(found),
        "/settings",
        checks=_checks(visit, found),
        whole=False,
        afresh=afresh.read(visit.parts, visit.actor),
        config=visit.parts.loaded.path.name,
        again="/settings",
        file=str(visit.parts.loaded.path),
        sections=[_section(name, value, origins) for name, value in document.items()],
    )


@page("/settings/checkup", Right.SETTINGS_READ)
async def show_checkup(visit: Visit) -> Shown:
    """Check everything, providers and mail server, too; it changes nothing."""
    found = await checkup.checkup(visit.parts.loaded.path, visit.actor)
    return Shown(
        "settings.html.j2",
        _verdict(found),
        "/settings",
        checks=_checks(visit, found),
        whole=True,
        file=str(visit.parts.loaded.path),
        sections=[],
    )


def _verdict(found: list[Any]) -> str:
    wrong = sum(1 for one in found if one.ok is False)
    if wrong:
        return ngettext("One check found trouble.", "%(n)s checks found trouble.", wrong)
    notes = sum(1 for one in found if one.ok is None)
    well = gettext("No check found trouble.")
    more = ngettext("One thing is worth knowing.", "%(n)s things are worth knowing.", notes)
    return f"{well} {more}" if notes else well


def _checks(visit: Visit, found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the checks as they are shown: trouble first, then what is worth knowing."""
    order = {False: 0, None: 1, True: 2}
    return [
        {
            "name": one.name,
            "sign": _SIGNS[one.ok],
            "says": records.for_eyes(visit.actor, one.says),
            "remedies": one.remedies,
        }
        for one in sorted(found, key=lambda one: order[one.ok])
    ]


def _section(name: str, value: Any, origins: dict[str, Origin]) -> dict[str, Any]:
    """Return a section: its title, and groups of settings; a list of tables has one each."""
    if isinstance(value, dict):
        rows = [_row(key, one, origins.get(f"{name}.{key}")) for key, one in value.items()]
        return {"name": f"[{name}]", "groups": [("", rows)], "id": name}
    groups = []
    for number, one in enumerate(value if isinstance(value, list) else [value], 1):
        if not isinstance(one, dict):
            groups.append(("", [_row(name, one, origins.get(name))]))
            continue
        title = str(one.get("id") or one.get("name") or number)
        groups.append(
            (title, [_row(key, it, None) for key, it in one.items() if it not in (None, [], {}, "")])
        )
    return {"name": f"[[{name}]]", "groups": groups, "id": name}


def _row(key: str, value: Any, origin: Origin | None) -> dict[str, Any]:
    return {
        "key": key,
        "value": _said(value),
        "secret": value == SET or (isinstance(value, list) and SET in value),
        "origin": gettext(_ORIGINS[origin]) if origin in (Origin.ENVIRONMENT, Origin.FILE) else "",
    }


def _said(value: Any) -> str:
    """Write a value as the file would have it, near enough; empty where there is none."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
