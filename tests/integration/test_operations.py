"""What operations change, they change with their line in the audit or not at all; and only for who may."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from alerts.outbox.listing import Wanted
from alerts.outbox.tables import delivery, fuse, notice
from alerts.silences.tables import silence
from alerts.webhooks import fanout
from alerts.webhooks.signing import new_secret
from monitor.errors import NotFound, Refused, TokenHealthError
from monitor.health.causes import Cause
from monitor.health.incidents import Place
from monitor.operations import audit as audit_lines
from monitor.operations import campaigns, connections, keys, links, notices, silences, webhooks
from monitor.operations import database as databases
from monitor.operations import incidents as standing
from monitor.operations.actor import Actor, Door, Right
from monitor.settings.builders import secret_cell
from monitor.settings.file import load
from monitor.store import imports
from monitor.store.campaign_tables import campaign
from monitor.store.door_tables import webhook
from monitor.store.engine import Database
from monitor.store.metadata import METADATA
from monitor.store.tables import audit, connection, incident
from monitor.tokens.vault import new_key, write_key_file
from tests.conftest import ME, START, by, environ
from tests.integration.test_store import _break, _healthy, new
from tests.migration.rows import ROWS

HOUR = timedelta(hours=1)
FIRMS = [f"c{number:02}" for number in range(30)]


def without(right: Right) -> Actor:
    """Somebody who may do everything but this."""
    return Actor("key:other", Door.API, frozenset(Right) - {right})


async def everything(database: Database) -> dict[str, list[tuple]]:
    """All rows of all tables."""
    async with database.read() as conn:
        return {
            name: sorted(map(tuple, await conn.execute(select(table))), key=repr)
            for name, table in METADATA.tables.items()
        }


async def lines(database: Database) -> list[tuple[str, str, str]]:
    """The audit's lines since a test began, without the service's own."""
    async with database.read() as conn:
        rows = await conn.execute(select(audit).where(audit.c.actor == ME.name).order_by(audit.c.id))
        return [(row.actor, row.action, row.subject) for row in rows]


@contextlib.asynccontextmanager
async def no_more_lines(database: Database):
    """Let the audit take no line: what writes one has to fail whole."""
    async with database.write() as conn:
        await conn.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    yield
    async with database.write() as conn:
        await conn.execute(text("DROP TRIGGER full"))


@pytest.fixture
async def told(rig):
    """A fleet of which a wave is held, one mail failed, and two silences of people stand."""
    database = rig.parts.database
    await _healthy(database, FIRMS, START)
    await _break(database, FIRMS[:8], Cause.REVOKED, START + timedelta(minutes=1))
    await standing.acknowledge(rig.parts, by("before"), 2)
    rig.clock.time = START + HOUR
    await imports.put(database, [new("acme", place=Place("clio", "clio", "us"))], START, "test")
    await fanout.put_in_order(database, rig.clock.time)
    failed = ROWS["notice"][0] | {"state": "failed", "outcome": "550 no such user"}
    async with database.write() as conn:
        await conn.execute(update(connection).values(contacts=["it@firm.example"]))
        number = (await conn.execute(insert(notice).values(**failed).returning(notice.c.id))).scalar_one()
        letter = ROWS["delivery"][0] | {"notice": number, "state": "failed", "message_id": "<th.f@x.example>"}
        await conn.execute(insert(delivery).values(**letter))
        for kind in ("all", "client"):
            await conn.execute(
                insert(silence).values(
                    kind=kind, name="Firm c01" if kind == "client" else "", reason="", by="ann",
                    begun_at=START, until=None, pauses=False,
                )
            )  # fmt: skip
        await conn.execute(
            update(connection)
            .where(connection.c.id == "c04")
            .values(
                claimed_by="Anna",
                claimed_until=START + HOUR * 30,
                claimed_incident=select(incident.c.id).where(incident.c.name == "c04").scalar_subquery(),
            )
        )
        for name, phase in (("cmp_runs", "running"), ("cmp_waits", "paused")):
            asked = {"reason": "so", "chosen": {"id": [name]}, "pace": 5, "until": date(2027, 6, 30)}
            times = {"created_at": START, "created_by": "ann", "changed_at": START, "changed_by": "ann"}
            await conn.execute(insert(campaign).values(id=name, phase=phase, **asked, **times))
        hook = {
            "id": "wh_1",
            "url": "http://127.0.0.1:9/x",
            "events": ["*"],
            "made_by": "ann",
            "created_at": START,
        }
        sealed = rig.parts.vault.seal(new_secret(), secret_cell("wh_1"))
        await conn.execute(insert(webhook).values(**hook, secret=sealed))
    return rig


WRITES = {
    "silence": (
        Right.SILENCES_WRITE,
        lambda p, a: silences.begin(p, a, "client", "Firm c00", HOUR),
        ("silence.begin", "client Firm c00"),
    ),
    "end a silence": (
        Right.SILENCES_WRITE,
        lambda p, a: silences.end(p, a, "all", ""),
        ("silence.end", "all"),
    ),
    "end a silence by its number": (
        Right.SILENCES_WRITE,
        lambda p, a: silences.end_numbered(p, a, [2]),
        ("silence.end", "client Firm c01"),
    ),
    "hold": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.hold(p, a, "connection", "c03", None, "moving"),
        ("silence.begin", "connection c03"),
    ),
    "lift a hold": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.unhold(p, a, "client", "Firm c01"),
        ("silence.end", "client Firm c01"),
    ),
    "release": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.release(p, a, "clio"),
        ("mails.released", "provider clio"),
    ),
    "drop": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.drop(p, a, "clio"),
        ("mails.dropped", "provider clio"),
    ),
    "ask a few first": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.ask_first(p, a, "clio", 2),
        ("mails.canary", "provider clio"),
    ),
    "retry": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.retry(p, a, []),
        ("mail.retry", "notice 1"),
    ),
    "hand out no more": (
        Right.CONNECTIONS_WRITE,
        lambda p, a: connections.set_handout(p, a, "c00", on=False),
        ("connection.handout", "c00"),
    ),
    "say who is on it": (
        Right.CONNECTIONS_OPERATE,
        lambda p, a: connections.claim(p, a, "c03", "Anna, Acme", START + HOUR * 30),
        ("connection.claim", "c03"),
    ),
    "say that nobody is on it any more": (
        Right.CONNECTIONS_OPERATE,
        lambda p, a: connections.unclaim(p, a, "c04"),
        ("connection.unclaim", "c04"),
    ),
    "add a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.add(p, a, "https://hooks.example.com/x", ["connection.*"]),
        ("webhook.add", lambda made: made.endpoint.id),
    ),
    "change a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.change(p, a, "wh_1", events=["connection.broken"]),
        ("webhook.change", "wh_1"),
    ),
    "rotate a webhook's secret": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.rotate(p, a, "wh_1"),
        ("webhook.rotate", "wh_1"),
    ),
    "enable a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.enable(p, a, "wh_1"),
        ("webhook.enable", "wh_1"),
    ),
    "disable a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.disable(p, a, "wh_1"),
        ("webhook.disable", "wh_1"),
    ),
    "send events again": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.replay(p, a, "wh_1", START - HOUR),
        ("webhook.replay", "wh_1"),
    ),
    "try a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.test(p, a, "wh_1"),
        ("webhook.test", "wh_1"),
    ),
    "remove a webhook": (
        Right.WEBHOOKS_WRITE,
        lambda p, a: webhooks.remove(p, a, "wh_1"),
        ("webhook.remove", "wh_1"),
    ),
    "acknowledge an incident": (
        Right.INCIDENTS_OPERATE,
        lambda p, a: standing.acknowledge(p, a, 1, "calling"),
        ("incident.acknowledge", "incident 1"),
    ),
    "lay an incident down": (
        Right.INCIDENTS_OPERATE,
        lambda p, a: standing.unacknowledge(p, a, 2),
        ("incident.unacknowledge", "incident 2"),
    ),
    "release what an incident holds": (
        Right.INCIDENTS_OPERATE,
        lambda p, a: notices.release_incident(p, a, 9),
        ("mails.released", "provider clio"),
    ),
    "drop what an incident holds": (
        Right.INCIDENTS_OPERATE,
        lambda p, a: notices.drop_incident(p, a, 9),
        ("mails.dropped", "provider clio"),
    ),
    "ask a few of what an incident holds first": (
        Right.INCIDENTS_OPERATE,
        lambda p, a: notices.ask_first_of(p, a, 9, 2),
        ("mails.canary", "provider clio"),
    ),
    "retry one": (
        Right.NOTICES_OPERATE,
        lambda p, a: notices.retry_one(p, a, 1),
        ("mail.retry", "notice 1"),
    ),
    "end a silence by what programs call it": (
        Right.SILENCES_WRITE,
        lambda p, a: silences.remove(p, a, silences.numbered(2)),
        ("silence.end", "client Firm c01"),
    ),
    "make a link": (
        Right.LINKS_CREATE,
        lambda p, a: links.make(p, a, "acme"),
        ("link.made", "acme"),
    ),
    "pause a campaign": (
        Right.CONNECTIONS_WRITE,
        lambda p, a: campaigns.pause(p, a, "cmp_runs", "too fast"),
        ("campaign.pause", "cmp_runs"),
    ),
    "resume a campaign": (
        Right.CONNECTIONS_WRITE,
        lambda p, a: campaigns.resume(p, a, "cmp_waits"),
        ("campaign.resume", "cmp_waits"),
    ),
    "stop a campaign": (
        Right.CONNECTIONS_WRITE,
        lambda p, a: campaigns.stop(p, a, "cmp_runs"),
        ("campaign.stop", "cmp_runs"),
    ),
    "release the fuse": (
        Right.NOTICES_OPERATE,
        notices.release_fuse,
        ("mails.release", "fuse"),
    ),
}


@pytest.mark.parametrize("name", WRITES)
async def test_what_is_changed_has_its_line_and_who_may_not_changes_nothing(told, name):
    right, work, line = WRITES[name]
    database = told.parts.database
    before = await everything(database)
    with pytest.raises(Refused, match=f"key:other may not do this: it needs {right.value}"):
        await work(told.parts, without(right))
    assert await everything(database) == before
    async with no_more_lines(database):
        with pytest.raises(DBAPIError, match="full"):
            await work(told.parts, ME)
        assert await everything(database) == before, "no line, no change"
    done = await work(told.parts, ME)
    action, subject = line
    assert await lines(database) == [(ME.name, action, subject(done) if callable(subject) else subject)]
    assert await everything(database) != before


async def test_what_is_silent_is_told_with_what_lies_beside_it(told):
    begun = await silences.begin(told.parts, ME, "all", "", HOUR, start=told.clock.now() + HOUR)
    assert (begun.to_come, [one.number for one in begun.beside]) == (True, [1])
    found = await silences.every(told.parts, ME)
    assert [one.over_text for one in found.laid] == ["everything", "client Firm c01", "everything"]
    ended = await silences.end(told.parts, ME, "all", "")
    assert [one.number for one in ended.ended] == [1] and ended.called_off == ()
    assert [one.number for one in ended.beside] == [begun.number]
    called_off = await silences.end_numbered(told.parts, ME, [begun.number])
    assert [one.number for one in called_off.called_off] == [begun.number]
    with pytest.raises(TokenHealthError, match="is over already"):
        await silences.begin(told.parts, ME, "all", "", HOUR, start=told.clock.now() - 2 * HOUR)
    with pytest.raises(TokenHealthError, match="'moon' is nothing that a silence lies over"):
        await silences.begin(told.parts, ME, "moon", "", HOUR)


async def test_a_wave_is_held_as_the_question_that_it_is_until_it_is_decided(told):
    (question,) = (await notices.every(told.parts, ME, 50)).waves
    assert (question.provider, question.held_connections) == ("clio", 8)
    assert await notices.ask_first(told.parts, ME, "clio", 2) == ("Firm c00", "Firm c01")
    assert await notices.release(told.parts, ME, "clio") == 6
    assert await standing.questions(told.parts, ME) == []
    with pytest.raises(NotFound, match="No wave is held over 'clio'"):
        await notices.drop(told.parts, ME, "clio")
    async with told.parts.database.read() as conn:
        words = await conn.execute(select(incident.c.mails).where(incident.c.name.in_(FIRMS[:8])))
        assert sorted(words.scalars()) == ["canary"] * 2 + ["released"] * 6


async def test_the_fuse_is_whole_for_an_hour(told):
    await notices.release_fuse(told.parts, ME)
    async with told.parts.database.read() as conn:
        until = (await conn.execute(select(fuse.c.released_until))).scalar_one()
    assert until == told.clock.now() + HOUR


async def test_notices_are_paged_by_their_numbers_and_filtered(told):
    first = ROWS["notice"][0]
    async with told.parts.database.write() as conn:
        for client in ("A", "B", "A", "B", "A"):
            await conn.execute(insert(notice).values(**first | {"client": client, "state": "sent"}))
    seen, before = [], None
    while True:
        found = await notices.page(told.parts, ME, 2, before=before)
        seen += [one.id for one in found.notices]
        if (before := found.before) is None:
            break
    assert seen == [6, 5, 4, 3, 2, 1]
    assert [one.id for one in (await notices.page(told.parts, ME, 9, Wanted(client="A"))).notices] == [
        6,
        4,
        2,
    ]
    assert [one.id for one in (await notices.page(told.parts, ME, 9, Wanted(states=["failed"]))).notices] == [
        1
    ]
    assert (await notices.page(told.parts, ME, 9, Wanted(connection="c00"))).notices == ()
    assert await notices.counts(told.parts, ME) == {"failed": 1, "sent": 5}
    assert (await notices.show(told.parts, ME, 4)).client == "A"
    with pytest.raises(NotFound, match="There is no notice 7"):
        await notices.show(told.parts, ME, 7)


# -- for whoever has a shell beside the key file ----------------------------------------------------------


async def test_a_lost_key_is_given_up_with_its_line_or_not_at_all(told):
    loaded, database = told.parts.loaded, told.parts.database
    (key,) = told.parts.vault.key_ids
    write_key_file(loaded.key_file, [new_key()])
    assert (await keys.lost(loaded, ME, key)).count == 0, "no token of theirs is sealed with it"
    before = await everything(database)
    with pytest.raises(Refused, match="it needs host"):
        await keys.forget(loaded, without(Right.HOST), key)
    async with no_more_lines(database):
        with pytest.raises(DBAPIError, match="full"):
            await keys.forget(loaded, ME, key)
        assert await everything(database) == before
    await keys.forget(loaded, ME, key)
    assert await lines(database) == [(ME.name, "keys.forget", key)]
    with pytest.raises(NotFound, match="The database knows no key"):
        await keys.forget(loaded, ME, key)


async def test_a_rotation_has_its_line(rig):
    with pytest.raises(Refused, match="it needs host"):
        await keys.rotate(rig.parts, without(Right.HOST))
    assert len(rig.parts.loaded.keys()) == 1, "no key was made"
    await keys.rotate(rig.parts, ME)
    assert await lines(rig.parts.database) == [(ME.name, "keys.rotate", "keys")]


async def test_an_upgrade_has_its_line_where_it_changed_something(rig, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    given = rig.parts.loaded.path.read_text().replace(str(tmp_path / "th.db"), str(empty / "th.db"))
    (empty / "token-health.toml").write_text(given)
    loaded = load(empty / "token-health.toml", environ("clio"))
    with pytest.raises(Refused, match="it needs host"):
        await databases.upgrade(loaded, without(Right.HOST))
    assert not (empty / "th.db").exists()
    assert (await databases.upgrade(loaded, ME)).before is None
    done = await databases.upgrade(loaded, ME)
    assert done.before == done.after
    database = Database(loaded.database_url())
    assert await lines(database) == [(ME.name, "database.upgrade", "database")]
    await database.close()


async def test_a_backup_and_its_restore_have_their_lines(rig, tmp_path):
    loaded, file = rig.parts.loaded, tmp_path / "th.backup"
    with pytest.raises(Refused, match="it needs host"):
        await databases.backup(loaded, without(Right.HOST), file)
    assert not file.exists()
    await databases.backup(loaded, ME, file)
    assert await lines(rig.parts.database) == [(ME.name, "database.backup", "th.backup")]
    before = await everything(rig.parts.database)
    with pytest.raises(Refused, match="it needs host"):
        await databases.restore(loaded, without(Right.HOST), file, replace=True)
    with pytest.raises(TokenHealthError, match="Name an empty database") as caught:
        await databases.restore(loaded, ME, file, replace=False)
    assert [remedy.operation for remedy in caught.value.remedies] == ["database.replace"]
    assert await everything(rig.parts.database) == before
    await databases.restore(loaded, ME, file, replace=True)
    assert await lines(rig.parts.database) == [(ME.name, "database.restore", "database")]


async def test_what_was_done_and_what_is_over_is_read_page_by_page(rig):
    for name in ("acme", "bolt", "clay"):
        await rig.add(name)
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert (await rig.settle("acme"))[0] == "broken"
    for name in ("acme", "bolt", "clay"):
        await connections.pause(rig.parts, by(name), [name])
    first = await audit_lines.page(rig.parts, ME, 2, action="connection.pause")
    rest = await audit_lines.page(rig.parts, ME, 2, before=first.before, action="connection.pause")
    assert [line.subject for line in (*first.lines, *rest.lines)] == ["clay", "bolt", "acme"]
    assert rest.before is None
    assert [line.actor for line in (await audit_lines.page(rig.parts, ME, 5, by="bolt")).lines] == ["bolt"]
    (closed,), more = await standing.over(rig.parts, ME, 1)
    assert (closed.was.about.name, closed.was.cause.value, more) == ("acme", "revoked", None)
    assert await standing.over(rig.parts, ME, 1, before=closed.was.id) == ([], None)
