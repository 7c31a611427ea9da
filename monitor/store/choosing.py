"""Which connections, as conditions: on how they are, on who they are, and on what they are part of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal, literal_column, or_, select

from monitor.health.causes import Subject
from monitor.health.lifecycle import State
from monitor.health.listing import Filter
from monitor.store import within
from monitor.store.tables import connection, credential, incident, watch

_STATES = frozenset(state.value for state in State)


def of_watch(which: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions on how a connection is."""
    states: frozenset[str] = which.states
    app: ColumnElement[str] = watch.c.app
    if which.causes:
        # A cause is found by `watch_sums`, which begins with the state; SQLite would follow the app's index
        # from row to row, if it could.
        states, app = states or _STATES, func.coalesce(app, literal_column("''"))
    chosen: tuple[tuple[ColumnElement[str], frozenset[str]], ...] = (
        (watch.c.state, states),
        (watch.c.cause, which.causes),
        (watch.c.owner, which.owners),
        (watch.c.provider, which.providers),
        (app, which.apps),
        (watch.c.connection, which.ids),
    )
    found: list[ColumnElement[bool]] = [column.in_(sorted(values)) for column, values in chosen if values]
    if which.since_before is not None:
        found.append(watch.c.since < which.since_before)
    if which.incidents:
        found.append(watch.c.connection.in_(members(sorted(which.incidents))))
    return found


def of_connection(which: Filter, is_sqlite: bool) -> list[ColumnElement[bool]]:
    """Return the conditions on who a connection is, and whether its refresh is in doubt."""
    found: list[ColumnElement[bool]] = [
        column.in_(sorted(values))
        for column, values in (
            (connection.c.client_name, which.clients),
            (connection.c.custody, which.custodies),
        )
        if values
    ]
    found += [connection.c.labels[name].as_string() == value for name, value in which.labels.items()]
    if which.text and which.begins:
        beginning = (connection.c.id, connection.c.client_name)
        found.append(or_(*(column.startswith(which.text, autoescape=True) for column in beginning)))
    elif which.text:
        found.append(_says(which.text, is_sqlite))
    if which.in_doubt:
        found.append(credential.c.doubt_since.is_not(None) & credential.c.lost.is_(False))
    return found + within.conditions(which.within, is_sqlite)


def _says(text: str, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether a part of id, client or account is this text, in capitals or not."""
    named = (connection.c.id, connection.c.client_name, connection.c.account_name)
    if is_sqlite:  # whose LIKE takes capitals for small letters, and is three times as fast without lower()
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return or_(*(column.like(f"%{escaped}%", escape="\\") for column in named))
    # One call a row instead of three; a line's end stands between them, which nobody looks for.
    whole = named[0] + "\n" + named[1] + "\n" + func.coalesce(named[2], "")
    return func.strpos(func.lower(whole), func.lower(literal(text))) > 0


def needed(which: Filter, is_sqlite: bool) -> FromClause:
    """Return no more tables than a filter needs: to count the whole fleet is one walk through how it is."""
    if not of_connection(which, is_sqlite):
        return watch
    found = watch.join(connection, connection.c.id == watch.c.connection)
    return found.join(credential, credential.c.connection == connection.c.id) if which.in_doubt else found


def everything(which: Filter, is_sqlite: bool) -> list[ColumnElement[bool]]:
    """Return all conditions of a filter."""
    return of_watch(which) + of_connection(which, is_sqlite)


def names(which: Filter, is_sqlite: bool) -> Select[Any]:
    """Return the query for the ids of those that are who a filter says, however they are."""
    source: FromClause = connection
    if which.in_doubt:
        source = connection.join(credential, credential.c.connection == connection.c.id)
    return select(connection.c.id).select_from(source).where(*of_connection(which, is_sqlite))


def named(which: Filter, ids: frozenset[str]) -> Filter:
    """Return a filter that names the connections which are who it says."""
    return Filter(
        states=which.states, causes=which.causes, owners=which.owners, providers=which.providers,
        apps=which.apps, ids=ids & which.ids if which.ids else ids, since_before=which.since_before,
        incidents=which.incidents,
    )  # fmt: skip


def members(numbers: list[int]) -> Select[Any]:
    """Return the query for the connections of open incidents: a shared one's members; of an own, itself."""
    return select(incident.c.name).where(
        incident.c.kind == Subject.CONNECTION.value,
        incident.c.closed_at.is_(None),
        or_(incident.c.parent_id.in_(numbers), incident.c.id.in_(numbers)),
    )
