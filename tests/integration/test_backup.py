"""A backup is all of one moment, in one file without a key; a restore is whole or nothing, and honest about time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import stat

import pytest
from sqlalchemy import inspect, select

from monitor import desk
from monitor.assembly import Role
from monitor.backup import backup, check, restore
from monitor.errors import AlreadyRunning, Conflict, KeyMissing, NotFound, SchemaNotCurrent
from monitor.store import audit, processes, schema
from monitor.store.dumping import LEFT_OUT
from monitor.store.engine import Database
from monitor.store.tables import METADATA, connection
from monitor.tokens.vault import Vault, new_key
from tests.conftest import MAIL, NO_GUARD, postgres_url, rigged

APPS = {"clio": {}, "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}
# What a restore says anew, of each row it touches.
MARKED = {
    "watch": {"next_probe_at", "lease_by", "lease_until", "lease_epoch"},
    "credential": {"doubt_since"},
}


@pytest.fixture
async def lived(tmp_path, sandbox, mailbox, database_url):
    """A service with a past: connections, refreshes, a break, mails, links, a silence's audit."""
    more = MAIL.format(url=mailbox.url) + NO_GUARD
    async with rigged(tmp_path, sandbox, database_url, apps=APPS, more=more) as rig:
        await rig.add("acme", "bolt", "Zoë & Söhne".encode().hex())
        await rig.add("rota", app="plat")
        await rig.look()
        rig.sandbox.do(rig.grants["acme"], "revoke")
        await rig.after(minutes=8)
        await rig.settle("acme")
        await rig.mails(minutes=12)
        await desk.new_link(rig.parts, "bolt", "test")
        yield rig


@pytest.fixture(params=["sqlite", "postgres"])
def target_url(request, tmp_path):
    """An empty database of either kind, whatever the backup came from."""
    if request.param == "postgres":
        return postgres_url(request.getfixturevalue("postgres_server"))
    return f"sqlite:///{tmp_path / 'new.db'}"


@pytest.fixture
async def target(target_url):
    found = Database(target_url)
    yield found
    await found.close()


async def rows(database):
    """All rows of all tables that a backup holds."""
    found = {}
    async with database.read() as conn:
        for table in METADATA.sorted_tables:
            if table.name not in LEFT_OUT:
                order = table.primary_key.columns
                found[table.name] = [
                    row._asdict() for row in await conn.execute(select(table).order_by(*order))
                ]
    return found


def told(found, table):
    """A table's rows without what a restore says anew."""
    return [{k: v for k, v in row.items() if k not in MARKED.get(table, ())} for row in found[table]]


async def test_a_backup_of_a_running_service_goes_into_a_database_of_either_kind(lived, target, tmp_path):
    path = tmp_path / "th.backup"
    lived.sandbox.do(lived.grants["bolt"], "revoke")
    lived.clock.tick(minutes=8)
    done, *_ = await asyncio.gather(
        backup(lived.parts.database, path, lived.clock), lived.look(), lived.pump.pump()
    )
    head, counted = check(path)
    assert counted == done.rows and counted["connection"] == 4 and head.revision == schema.head()
    lived.clock.tick(minutes=1)
    again = tmp_path / "quiet.backup"
    await backup(lived.parts.database, again, lived.clock)
    before = await rows(lived.parts.database)
    await restore(target, again, lived.parts.vault, lived.clock, replace=False)
    after = await rows(target)
    for table in before:
        if table not in ("audit", "refresh_journal"):
            assert told(after, table) == told(before, table), table
    # The line about the backup itself is younger than the backup.
    assert [row["action"] for row in after["audit"]][-1] == "database.restore"
    assert len(after["audit"]) == len(before["audit"])
    assert {row["next_probe_at"] for row in after["watch"] if row["next_probe_at"]} == {lived.clock.now()}
    async with target.write() as conn:
        await audit.record(conn, lived.clock.now(), "test", "numbers.go_on", "x")


async def test_a_backup_holds_no_key_and_no_token_and_is_its_owners(lived, tmp_path):
    path = tmp_path / "th.backup"
    tokens = desk.export_tokens(lived.parts, await lived.known("bolt"))
    await backup(lived.parts.database, path, lived.clock)
    written = gzip.decompress(path.read_bytes()).decode()
    key = (tmp_path / "token-health.key").read_text().split()[-1]
    for secret in (key, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Conflict, match="is there already; nothing was written"):
        await backup(lived.parts.database, path, lived.clock)
    with pytest.raises(Conflict, match="nothing was backed up"):
        await backup(lived.parts.database, tmp_path / "no" / "th.backup", lived.clock)
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name) == ["th.backup"]


async def test_a_restore_without_the_backups_keys_names_them_and_touches_nothing(lived, target, tmp_path):
    path = tmp_path / "th.backup"
    await backup(lived.parts.database, path, lived.clock)
    with pytest.raises(KeyMissing, match=r"is not among the keys at hand .* nothing was restored"):
        await restore(target, path, Vault([new_key()]), lived.clock, replace=False)
    async with target.read() as conn:
        assert (
            "connection" not in await conn.run_sync(lambda c: inspect(c).get_table_names())
            or not (await conn.execute(select(connection))).all()
        )


def altered(raw):
    """A backup, damaged in each way that one can be."""
    text = gzip.decompress(raw)
    lines = text.splitlines(keepends=True)
    yield "cut off", raw[:-40]
    yield "was never one", b"PK\x03\x04 something else"
    yield "its end is missing", gzip.compress(b"".join(lines[:-1]))
    yield "its checksum does not fit", gzip.compress(text.replace(b"Firm bolt", b"Firm bold"))
    yield "its checksum does not fit", gzip.compress(b"".join([*lines[:2], *lines[3:]]))
    yield "something follows its end", gzip.compress(text + lines[1])
    yield "a line that is no JSON object", gzip.compress(lines[0] + b"[1]\n" + b"".join(lines[1:]))
    yield (
        "a line that no backup has",
        gzip.compress(lines[0] + b'{"table": "users", "rows": []}\n' + b"".join(lines[1:])),
    )
    yield "does not begin as one", gzip.compress(b'{"format": "other"}\n' + b"".join(lines[1:]))
    yield "its first line is not whole", gzip.compress(b'{"format": "token-health backup", "version": 1}\n')


async def test_a_damaged_backup_is_refused_before_anything_is_touched(lived, tmp_path, target):
    good, bad = tmp_path / "th.backup", tmp_path / "bad.backup"
    await backup(lived.parts.database, good, lived.clock)
    for why, raw in altered(good.read_bytes()):
        bad.write_bytes(raw)
        with pytest.raises(Conflict, match="Nothing was restored") as refused:
            await restore(target, bad, lived.parts.vault, lived.clock, replace=True)
        assert why in str(refused.value) and str(bad) in str(refused.value)
    with pytest.raises(NotFound, match="no such file"):
        await restore(target, tmp_path / "none", lived.parts.vault, lived.clock, replace=True)


async def test_a_newer_versions_backup_is_named_as_such(lived, tmp_path, target):
    path = tmp_path / "th.backup"
    await backup(lived.parts.database, path, lived.clock)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    head = json.loads(lines[0]) | {"schema": "9999", "made_by": "9.0"}
    lines[0] = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    end = json.loads(lines[-1])
    end["sha256"] = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    path.write_bytes(gzip.compress(b"".join([*lines[:-1], json.dumps(end).encode() + b"\n"])))
    with pytest.raises(SchemaNotCurrent, match=r"9\.0 made it"):
        await restore(target, path, lived.parts.vault, lived.clock, replace=False)


async def test_what_a_database_holds_is_lost_only_when_that_is_said(lived, tmp_path, target, target_url):
    path = tmp_path / "th.backup"
    await backup(lived.parts.database, path, lived.clock)
    vault, clock = lived.parts.vault, lived.clock
    await restore(target, path, vault, clock, replace=False)
    await target.close()
    for replace, refused in ((False, "add --replace to lose what is in this one"), (True, None)):
        again = Database(target_url)  # each as a command of its own
        try:
            with pytest.raises(Conflict, match=refused) if refused else contextlib.nullcontext():
                await restore(again, path, vault, clock, replace=replace)
            assert len((await rows(again))["connection"]) == 4
        finally:
            await again.close()


async def test_nothing_is_restored_under_a_running_service(lived, tmp_path):
    path, database = tmp_path / "th.backup", lived.parts.database
    await backup(database, path, lived.clock)
    if database.is_sqlite:
        service = Database(database.url)
        service.claim_file()
    else:
        service = None
        await processes.beat(database, "other", Role.ALL.value, "1", lived.clock.now(), processes.GONE)
    other = Database(database.url)
    try:
        with pytest.raises(AlreadyRunning):
            await restore(other, path, lived.parts.vault, lived.clock, replace=True)
    finally:
        await other.close()
        if service is not None:
            await service.close()


async def test_a_refresh_token_that_was_spent_since_the_backup_is_lost_by_us_and_never_called_revoked(
    lived, tmp_path
):
    """It rotated after the backup: the client's authorization stands, our copy of it is old."""
    path, database = tmp_path / "th.backup", lived.parts.database
    await backup(database, path, lived.clock)
    lived.sandbox.do(lived.grants["rota"], "expire_access")
    await lived.after(minutes=8)
    assert await lived.state("rota") == ("healthy", "ok"), "refreshed: the backup's pair is spent"
    other = Database(database.url)
    try:
        if not database.is_sqlite:
            for name in await _alive(database):
                await processes.leave(database, name)
        done = await restore(other, path, lived.parts.vault, lived.clock, replace=True)
    finally:
        await other.close()
    assert done.in_doubt >= 2
    await lived.look()
    seen = []
    for _ in range(8):
        await lived.after(minutes=6)
        seen.append(await lived.state("rota"))
    assert seen[-1] == ("broken", "refresh_lost"), seen
    assert await lived.state("bolt") == ("healthy", "ok")


async def _alive(database):
    from monitor.store.tables import process

    async with database.read() as conn:
        return list((await conn.execute(select(process.c.id))).scalars())
