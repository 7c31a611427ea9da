"""What an older version held when it was updated: its guards become waves, without what never belonged to them."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import text

from monitor.store import incidents, schema, waves
from monitor.store.engine import Database
from tests import conftest
from tests.conftest import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'old.db'}"
    template = request.getfixturevalue("postgres_server")
    name = f"old_{os.getpid()}_{next(conftest._numbers)}"
    conftest.postgres_server.psql(f"CREATE DATABASE {name} TEMPLATE template0")
    conftest._made.append(name)
    return template.replace("/template_th", f"/{name}")


@pytest.fixture
async def before(empty_url):
    """A database as the last schema left it, empty."""
    database = Database(empty_url)
    async with database.write() as conn:
        await conn.run_sync(lambda c: command.upgrade(schema._config(c), "0003"))
    yield database
    await database.close()


async def _fill(database):
    """A guard over a region, that took in what was long broken and told; one over another app; and history."""
    at = {name: START - span for name, span in (("now", 0 * HOUR), ("hour", HOUR), ("days", 9 * DAY))}
    at = {name: moment.isoformat(" ", "microseconds") for name, moment in at.items()}
    names = ("old", "told", "held", "other", "dropped", "consent", "alone")
    async with database.write() as conn:
        for name in names:
            values = {"id": name, "at": at["days"]}
            await conn.execute(
                text(
                    "INSERT INTO connection (id, app, provider, region, client_name, contacts, locale, timezone,"
                    " scopes, labels, created_at, updated_at) VALUES (:id, 'us', 'clio', 'us', :id, '[]', 'en',"
                    " 'UTC', '[]', '{}', :at, :at)"
                ),
                values,
            )
            await conn.execute(
                text(
                    "INSERT INTO watch (connection, app, provider, region, state, cause, owner, confidence, rule,"
                    " candidate, streak, good_streak, flaps, lease_epoch, scope_cursor, scopes_all, reads)"
                    " VALUES (:id, 'us', 'clio', 'us', 'broken', 'revoked', 'client', 1, 'r', 'revoked', 2, 0, 0,"
                    " 0, 0, true, '{}')"
                ),
                values,
            )
            await conn.execute(
                text("INSERT INTO credential (connection, version, lost) VALUES (:id, 0, false)"), values
            )
        rows = (
            (1, "region", "clio/us", True, "hour", None, None, ""),
            (2, "app", "us", True, "hour", None, None, ""),
            (3, "connection", "old", False, "days", None, 1, ""),
            (4, "connection", "told", False, "hour", None, 1, ""),
            (5, "connection", "held", False, "hour", None, 1, ""),
            (6, "connection", "other", False, "now", None, 2, ""),
            (7, "connection", "dropped", False, "now", None, 2, "dropped"),
            (8, "connection", "consent", False, "days", "now", None, ""),
            (9, "connection", "alone", False, "days", "now", None, ""),
        )
        for number, kind, name, guard, opened, closed, parent, mails in rows:
            await conn.execute(
                text(
                    "INSERT INTO incident (id, kind, name, cause, owner, guard, reasons, opened_at, updated_at,"
                    " closed_at, parent_id, mails) VALUES (:id, :kind, :name, 'revoked', 'client', :guard, '[]',"
                    " :opened, :opened, :closed, :parent, :mails)"
                ),
                {
                    "id": number, "kind": kind, "name": name, "guard": guard, "opened": at[opened],
                    "closed": at[closed] if closed else None, "parent": parent, "mails": mails,
                },
            )  # fmt: skip
        await conn.execute(
            text(
                "INSERT INTO notice (id, slot, kind, client, audience, locale, timezone, recipients, number, reason,"
                " state, outcome, planned_at, due_at, settled_at) VALUES (1, 'ask', 'revoked', 'told', 'x', 'en',"
                " 'UTC', '[]', 0, '', 'sent', '', :at, :at, :at)"
            ),
            {"at": at["now"]},
        )
        await conn.execute(
            text(
                "INSERT INTO notice_item (notice, connection, incident, cause) VALUES (1, 'told', 4, 'revoked')"
            )
        )
        await conn.execute(
            text(
                "INSERT INTO link (id, hash, connection, locale, cause, always, made_at, expires_at)"
                " VALUES (1, 'h', 'consent', 'en', '', false, :at, :at)"
            ),
            {"at": at["days"]},
        )
        await conn.execute(
            text(
                "INSERT INTO consent (id, state_hash, browser_hash, link, connection, app, redirect_uri, begun_at,"
                " expires_at, spent_at, outcome) VALUES (1, 's', 'b', 1, 'consent', 'us', '', :at, :at, :at,"
                " 'stored')"
            ),
            {"at": at["hour"]},
        )


async def test_a_guard_that_stood_becomes_a_wave_of_what_broke_with_it(before):
    await _fill(before)
    await schema.upgrade(before)
    (wave,) = await waves.open_now(before)
    assert (wave.provider, wave.held.wave.opened_at) == ("clio", START - HOUR)
    assert {one.connection for one in wave.held.breaks} == {"held", "other"}
    assert not [i for i in await incidents.open_now(before) if i.guard and not i.wave]
    async with before.read() as conn:
        rows = await conn.execute(text("SELECT name, ended, told_at FROM incident WHERE kind = 'connection'"))
        known = {row.name: (row.ended, row.told_at is not None) for row in rows}
    assert known == {
        "old": ("", False), "told": ("", True), "held": ("", False), "other": ("", False),
        "dropped": ("", False), "consent": ("authorized", False), "alone": ("alone", False),
    }  # fmt: skip
