"""Backups drilled: made while others write, restored on either database, refused where they would do harm."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from monitor.errors import AlreadyRunning, Conflict, KeyMissing, NotFound, SchemaNotCurrent
from monitor.operations import backup as backups
from monitor.operations.backup import backup, check, restore
from monitor.store import dumping, history, processes, schema, sealing
from monitor.store.engine import Database
from monitor.store.metadata import METADATA
from monitor.store.tables import journal
from monitor.tokens.vault import Vault, new_key
from tests.conftest import START, SetClock, postgres_url, rigged
from tests.migration.rows import ROWS


@pytest.fixture(params=["sqlite", "postgres"])
def target_url(request, tmp_path):
    if request.param == "postgres":
        return postgres_url(request.getfixturevalue("postgres_server"))
    return f"sqlite:///{tmp_path / 'target.db'}"


@pytest.fixture
async def target(target_url):
    """An empty database of each kind, without a table in it."""
    database = Database(target_url)
    if not database.is_sqlite:
        async with database.write() as conn:
            await conn.execute(text("DROP SCHEMA public CASCADE"))
            await conn.execute(text("CREATE SCHEMA public"))
    yield database
    await database.close()


@pytest.fixture
async def source(database):
    """A fleet in the middle of everything: at least one row of every table."""
    async with database.write() as conn:
        for name, rows in ROWS.items():
            for row in rows:
                await conn.execute(insert(METADATA.tables[name]), row)
    return database


@pytest.fixture
def vault() -> Vault:
    return Vault([new_key()])


async def known(database: Database, vault: Vault) -> None:
    """Put the vault's key on record in the place of the made-up one."""
    async with database.write() as conn:
        await conn.execute(text("DELETE FROM key_check"))
    await sealing.add_key_check(database, vault.current, vault.check_text(vault.current), START)


async def everything(database: Database) -> dict[str, list[dict]]:
    async with database.read() as conn:
        return {
            shape.name: [
                dict(row._mapping)
                for row in await conn.execute(
                    select(METADATA.tables[shape.name]).order_by(
                        *METADATA.tables[shape.name].primary_key.columns
                    )
                )
            ]
            for shape in dumping.shapes()
        }


def without(rows: list[dict], *names: str) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


async def test_what_was_backed_up_comes_back_on_either_database(source, target, vault, tmp_path):
    await known(source, vault)
    # A child whose parent is younger than itself, and a null of JSON beside one of SQL.
    async with source.write() as conn:
        await conn.execute(text("UPDATE incident SET parent_id = 2 WHERE id = 1"))
        await conn.execute(text("UPDATE incident SET parent_id = NULL WHERE id = 2"))
        await conn.execute(text("UPDATE notice SET matter = 'null' WHERE id = 1"))
    before = await everything(source)
    clock, file = SetClock(), tmp_path / "th.backup"
    made = await backup(source, file, clock, "me")
    assert file.stat().st_mode & 0o777 == 0o600
    clock.tick(hours=5)
    done = await restore(target, file, vault, clock, "me", replace=False)
    assert done.rows == made.rows and set(done.head.keys) == {vault.current}
    after = await everything(target)
    changed = {"watch", "credential", "refresh_journal", "audit"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    loose = ("lease_by", "lease_until", "lease_epoch", "next_probe_at")
    assert without(after["watch"], *loose) == without(before["watch"], *loose)
    assert without(after["credential"], "doubt_since") == without(before["credential"], "doubt_since")
    assert after["refresh_journal"][: len(before["refresh_journal"])] == before["refresh_journal"]
    async with target.read() as conn:
        nulls = await conn.execute(text("SELECT count(*) FROM notice WHERE matter IS NULL"))
        assert nulls.scalar_one() == 0
    assert await schema.current(target) == schema.head()
    # The counters of keys go on after the restored rows.
    async with target.write() as conn:
        found = await conn.execute(
            insert(journal)
            .values(connection="bolt", process="x", version=1, begun_at=START, outcome="stored")
            .returning(journal.c.id)
        )
        assert found.scalar_one() > max(row["id"] for row in after["refresh_journal"])


async def test_what_is_not_known_any_more_is_marked(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    made_at = clock.now()
    clock.tick(days=2)
    done = await restore(target, file, vault, clock, "me", replace=False)
    after = await everything(target)
    tokens = {row["connection"]: row for row in after["credential"]}
    assert {name: row["doubt_since"] for name, row in tokens.items()} == {
        "acme": made_at, "bolt": made_at, "coda": None, "dent": made_at,
    }  # fmt: skip
    assert done.in_doubt == 3
    rests = {row["connection"]: row for row in after["watch"]}
    assert all(row["lease_by"] is None and row["lease_epoch"] == 8 for row in rests.values())
    assert {name: row["next_probe_at"] for name, row in rests.items()} == {
        "acme": clock.now(), "bolt": clock.now(), "coda": None, "dent": None,
    }  # fmt: skip
    assert after["audit"][-1]["action"] == "database.restore"
    assert "a backup was restored" in after["refresh_journal"][-1]["evidence"]["detail"]


async def test_a_backup_is_of_one_moment_while_others_write(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    async with source.write() as conn:
        await conn.execute(text("UPDATE watch SET rule = '0'"))
        await conn.execute(text("UPDATE connection SET account_name = '0'"))
    ended, number = asyncio.Event(), 0

    async def writes() -> None:
        nonlocal number
        while not ended.is_set():
            number += 1
            async with source.write() as conn:
                for name, column in (("watch", "rule"), ("connection", "account_name")):
                    await conn.execute(update(METADATA.tables[name]).values({column: str(number)}))

    task = asyncio.create_task(writes())
    try:
        for attempt in range(5):
            await backup(source, file.with_suffix(f".{attempt}"), clock, "me")
    finally:
        ended.set()
        await task
    assert number > 5
    for attempt in range(5):
        await restore(target, file.with_suffix(f".{attempt}"), vault, clock, "me", replace=attempt > 0)
        after = await everything(target)
        assert (
            len(
                {row["account_name"] for row in after["connection"]} | {row["rule"] for row in after["watch"]}
            )
            == 1
        )


async def test_a_restore_refuses_a_database_that_holds_something_unless_told(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    before = await everything(source)
    await restore(target, file, vault, clock, "me", replace=False)
    after = await everything(target)
    with pytest.raises(Conflict, match="Name an empty database"):
        await restore(target, file, vault, clock, "me", replace=False)
    assert await everything(target) == after
    await restore(target, file, vault, clock, "me", replace=True)
    assert (await everything(target))["connection"] == before["connection"]
    with pytest.raises(Exception, match=r"(?i)append|audit"):  # its triggers are there again
        async with target.write() as conn:
            await conn.execute(text("DELETE FROM audit"))


async def test_a_restore_refuses_while_a_service_runs_on_the_target(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    other = Database(target.url.render_as_string(hide_password=False))
    try:
        await schema.ensure(other)
        other.claim_file()
        await processes.beat(other, "host-2-def", "all", "1", clock.now(), processes.GONE)
        with pytest.raises(AlreadyRunning, match=r"process|another"):
            await restore(target, file, vault, clock, "me", replace=True)
        assert (await everything(target))["connection"] == []
    finally:
        await other.close()


async def test_a_restore_says_which_key_is_missing_before_it_touches_anything(
    source, target, vault, tmp_path
):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    with pytest.raises(KeyMissing, match=f"sealed with {vault.current}, which is not among"):
        await restore(target, file, Vault([new_key()]), clock, "me", replace=False)
    assert await dumping.is_empty(target)


async def test_a_backup_holds_no_key(rig, tmp_path):
    await rig.add("acme")
    await rig.look()
    await backup(rig.parts.database, tmp_path / "th.backup", rig.clock, "me")
    raw = gzip.decompress((tmp_path / "th.backup").read_bytes()).decode()
    keys = rig.parts.loaded.keys()
    for key in keys:
        assert key.id in raw and key.material.reveal() not in raw
    assert (await rig.known("acme")).sealed.access in raw, "sealed, as in the database"


def damaged(file: Path, change) -> Path:
    lines = gzip.decompress(file.read_bytes()).split(b"\n")
    other = file.with_suffix(".damaged")
    other.write_bytes(gzip.compress(b"\n".join(change(lines))))
    return other


def resigned(lines: list[bytes]) -> list[bytes]:
    end = json.loads(lines[-2])
    end["sha256"] = hashlib.sha256(b"".join(line + b"\n" for line in lines[:-2])).hexdigest()
    return [*lines[:-2], json.dumps(end).encode(), b""]


async def test_a_damaged_backup_is_refused_whole(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    changes = {
        "a changed word": lambda lines: [line.replace(b"Acme", b"Evil") for line in lines],
        "a line less": lambda lines: [*lines[:2], *lines[3:]],
        "no end": lambda lines: lines[:-2],
        "more behind its end": lambda lines: [*lines[:-1], lines[1], b""],
        "no JSON": lambda lines: [*lines[:3], b"{", *lines[3:]],
        "nested": lambda lines: [*lines[:3], b"[" * 100_000, *lines[3:]],
        "another format": lambda lines: resigned(
            [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]]
        ),
        "another thing": lambda lines: [b"{}", b""],
        "nothing": lambda _: [b""],
        "half a head": lambda lines: resigned([lines[0].replace(b'"made_at"', b'"made_it"'), *lines[1:]]),
    }
    for name, change in changes.items():
        with pytest.raises(Conflict, match=r"no whole backup|newer version"):
            await restore(target, damaged(file, change), vault, clock, "me", replace=True)
        assert await dumping.is_empty(target), name
    cut = file.with_suffix(".cut")
    for wanted in (file.read_bytes()[:-20], file.read_bytes()[:10], b"SQLite format 3\0"):
        cut.write_bytes(wanted)
        with pytest.raises(Conflict, match="no whole backup"):
            check(cut)
    with pytest.raises(NotFound):
        check(tmp_path / "nowhere")


async def test_what_fails_in_the_middle_leaves_the_database_as_it_was(source, target, vault, tmp_path):
    await known(source, vault)
    clock, file = SetClock(), tmp_path / "th.backup"
    await backup(source, file, clock, "me")
    await restore(target, file, vault, clock, "me", replace=False)
    before = await everything(target)

    def twice(lines: list[bytes]) -> list[bytes]:
        """The last table's rows a second time, rightly signed: the database itself refuses them."""
        end = json.loads(lines[-2])
        end["rows"][json.loads(lines[-3])["table"]] *= 2
        return resigned([*lines[:-2], lines[-3], json.dumps(end).encode(), b""])

    with pytest.raises(Exception, match="the database did not do it"):
        await restore(target, damaged(file, twice), vault, clock, "me", replace=True)
    assert await everything(target) == before


async def test_a_backup_of_an_older_version_is_brought_to_this_one_and_a_newer_one_is_refused(
    database, target, vault, tmp_path, monkeypatch
):
    clock, file = SetClock(), tmp_path / "th.backup"
    await known(database, vault)
    await backup(database, file, clock, "me")

    def older(lines: list[bytes]) -> list[bytes]:
        head = json.loads(lines[0])
        kept = {"connection", "audit", "key_check"}
        head["schema"] = "0001"
        head["tables"] = [t for t in head["tables"] if t[0] in kept and "added_at" not in t[1]]
        end = {"rows": {}, "sha256": ""}
        return resigned([json.dumps(head).encode(), json.dumps(end).encode(), b""])

    await restore(target, damaged(file, older), vault, clock, "me", replace=False)
    assert await schema.current(target) == schema.head()

    def newer(lines: list[bytes]) -> list[bytes]:
        return resigned([lines[0].replace(schema.head().encode(), b"9999"), *lines[1:]])

    with pytest.raises(SchemaNotCurrent, match="Install that version or a later one"):
        await restore(target, damaged(file, newer), vault, clock, "me", replace=True)


async def test_a_backup_overwrites_nothing_and_leaves_no_piece(database, tmp_path, monkeypatch):
    file = tmp_path / "th.backup"
    file.write_text("another")
    with pytest.raises(Conflict, match="is there already"):
        await backup(database, file, SetClock(), "me")
    assert file.read_text() == "another"

    def fails(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups.os, "fsync", fails)
    with pytest.raises(Exception, match="nothing was backed up"):
        await backup(database, tmp_path / "other", SetClock(), "me")
    assert not [path for path in tmp_path.iterdir() if "other" in path.name or "part" in path.name]


async def test_a_refresh_token_spent_after_the_backup_is_ours_to_answer_for_and_never_revoked(
    tmp_path, sandbox
):
    """The middle of it all: tokens rotate, the backup is older than the last refresh."""
    apps = {"plat": {"provider": "clio-platform"}}
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", apps=apps) as rig:
        await rig.add("spent", "unused", app="plat")
        await rig.look()
        file = tmp_path / "th.backup"
        await backup(rig.parts.database, file, rig.clock, "me")
        # After the backup one of them refreshes: the token in the backup is spent.
        rig.sandbox.do(rig.grants["spent"], "expire_access")
        await rig.after(minutes=9)
        assert (await rig.known("spent")).sealed.version > (await rig.known("unused")).sealed.version
        vault, clock, grants = rig.parts.vault, rig.clock, rig.grants
    (tmp_path / "th.db").rename(tmp_path / "lost.db")
    target = Database(f"sqlite:///{tmp_path / 'th.db'}")
    done = await restore(target, file, vault, clock, "me", replace=False)
    await target.close()
    assert done.in_doubt == 2
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", apps=apps) as after:
        after.clock.time = clock.time
        sandbox.do(grants["unused"], "expire_access")
        await after.look()
        assert await after.settle("unused") == ("healthy", "ok")
        assert await after.settle("spent") == ("broken", "refresh_lost")
        tale = (await history.timeline(after.parts.database, "spent"))[0]
        assert any("backup was restored" in line for line in tale.reasons), tale.reasons
