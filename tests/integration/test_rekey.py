"""Promise 2 while encryption keys change: no sealed text is ever without its key."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from monitor.errors import AlreadyRunning, Remedy
from monitor.operations import keys as operate
from monitor.operations.keys import Kept
from monitor.secret import Secret
from monitor.settings.file import load
from monitor.settings.parts import Parts
from monitor.store import schema, sealing
from monitor.store.consent_tables import consent, held, link
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, key_check, secret
from monitor.tokens.vault import Cell, Key, Vault, new_key, prefix_of, read_key_file, write_key_file
from tests.conftest import ME, START, SetClock, environ, postgres_url, write_config
from tests.integration.sealed import APP, all_open, everything_opens, sealed_in_file, sealed_texts

ROWS = ("acme", "bolt")
ROOT = Path(__file__).parents[2]


# -- a database with a secret in every place ------------------------------------------------------------


async def fill(database: Database, vault: Vault) -> None:
    """Two connections with tokens, and trips to the consent page with a verifier or a token left over."""
    async with database.write() as conn:
        sealed = vault.seal(Secret("i"), Cell("own_secret", "imports", "sealed"))
        await conn.execute(insert(secret).values(name="imports", sealed=sealed))
        for number, name in enumerate(ROWS, 1):
            await conn.execute(
                insert(connection).values(
                    id=name, app="clio", provider="clio", region="us", client_name=name, contacts=[], scopes=[],
                    labels={}, created_at=START, updated_at=START,
                )
            )  # fmt: skip
            await conn.execute(
                insert(credential).values(
                    connection=name, version=1, lost=False,
                    # The second one's are from before tokens were bound to their app.
                    access=vault.seal(Secret(f"a-{name}"), Cell("credential", name, "access", APP if number == 1 else "")),
                    refresh=vault.seal(Secret(f"r-{name}"), Cell("credential", name, "refresh", APP if number == 1 else "")),
                )
            )  # fmt: skip
            await conn.execute(
                insert(held).values(
                    connection=name, why="asked", account_id="1", held_at=START,
                    access=vault.seal(Secret(f"ha-{name}"), Cell("credential", name, "access", APP)),
                    refresh=vault.seal(Secret(f"hr-{name}"), Cell("credential", name, "refresh", APP)),
                )
            )  # fmt: skip
            await conn.execute(
                insert(link).values(
                    id=number, hash=name, connection=name, locale="en", cause="", always=False, made_at=START,
                    expires_at=START + timedelta(days=9),
                )
            )  # fmt: skip
            state = f"{number}" * 64
            await conn.execute(
                insert(consent).values(
                    id=number, state_hash=state, browser_hash="b", link=number, connection=name, app="clio",
                    redirect_uri="http://x", begun_at=START, expires_at=START + timedelta(hours=1), outcome="open",
                    verifier=vault.seal(Secret("v"), Cell("consent", state[:32], "verifier")),
                    leftover=vault.seal(Secret("l"), Cell("consent", str(number), "leftover")),
                )
            )  # fmt: skip


@contextlib.asynccontextmanager
async def parts_of(folder: Path, clock: SetClock) -> AsyncIterator[Parts]:
    """A process of its own on a database: its vault reads the file when this process would."""
    loaded = load(folder / "token-health.toml", environ())
    vault = Vault(loaded.keys(), loaded.keys, loaded.keys_stamp)
    database = Database(loaded.database_url())
    try:
        yield Parts(loaded, database, vault, {}, clock, Secret("i"))
    finally:
        await database.close()


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A folder with an SQLite file that has the schema, to be copied: migrations take longer than a rotation.

    In memory where the machine has such a place: on a disk, most of the time would go into waiting for it.
    """
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "th.db"

        async def make() -> None:
            database = Database(f"sqlite:///{path}")
            await schema.ensure(database)
            await database.close()

        asyncio.run(make())
        yield path


# -- any order of steps ---------------------------------------------------------------------------------


class Turnstile:
    """Lets works on one loop pass one database transaction at a time, in an order that is drawn."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self.running = self.sealed_not_stored = 0

    def gate(self, database: Database, name: str) -> None:
        """Make every transaction of this database object wait for its turn."""
        for kind in ("read", "write"):
            setattr(database, kind, self._gated(name, getattr(database, kind)))

    def _gated(self, name: str, inner: Callable[[], contextlib.AbstractAsyncContextManager]):
        @contextlib.asynccontextmanager
        async def gated():
            await self.turn(name)
            async with inner() as conn:
                yield conn

        return gated

    async def turn(self, name: str) -> None:
        self._waiting[name] = asyncio.get_running_loop().create_future()
        self.running -= 1
        self._changed.set()
        await self._waiting[name]

    async def play(
        self, works: dict[str, Awaitable[None]], choose: Callable[[int], int], after: Callable[[], None]
    ) -> None:
        """Run the works to their ends; `choose` draws whose turn it is, `after` looks at each step's result."""
        tasks = {name: asyncio.ensure_future(work) for name, work in works.items()}
        self.running = len(tasks)
        for task in tasks.values():
            task.add_done_callback(self._ended)
        try:
            for _ in range(1000):
                while self.running:
                    self._changed.clear()
                    await self._changed.wait()
                for task in tasks.values():
                    if task.done():
                        task.result()
                if not self._waiting:
                    return
                after()
                name = sorted(self._waiting)[choose(len(self._waiting))]
                self.running += 1
                self._waiting.pop(name).set_result(None)
            raise AssertionError("they undo each other's work for ever")
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _ended(self, _task: object) -> None:
        self.running -= 1
        self._changed.set()


async def rotates(parts: Parts, name: str, turnstile: Turnstile, times: int, days: list[int]) -> None:
    """Someone rotates, and perhaps comes back after days to do it again."""
    for number in range(times):
        while True:
            try:
                await operate.rotate(parts, ME)
                break
            except AlreadyRunning:
                await turnstile.turn(name)
        pause = days[number % len(days)]
        while pause and turnstile.sealed_not_stored:  # moments, not days, lie between the two
            await turnstile.turn(name)
        parts.clock.tick(days=pause)


async def seals(parts: Parts, name: str, turnstile: Turnstile, times: int) -> None:
    """A service: a pair comes in, is sealed, and stored in the next transaction; others may come in between."""
    for number in range(times):
        await turnstile.turn(name)
        row = ROWS[number % 2]
        pair = {
            column: parts.vault.seal(Secret(f"{name} {number}"), Cell("credential", row, column))
            for column in ("access", "refresh")
        }
        turnstile.sealed_not_stored += 1
        async with parts.database.write() as conn:
            await conn.execute(update(credential).where(credential.c.connection == row).values(**pair))
        turnstile.sealed_not_stored -= 1


@dataclass
class Play:
    """What happens, before it happens: who does how much, and whose turn it is."""

    older: int  # keys in the file at first
    sealed_with: int  # which of them the texts are sealed with
    days: list[int]  # between a rotation and the next of the same person
    rotations: tuple[int, int]
    seals: tuple[int, int]
    turns: list[int]


plays = st.builds(
    Play,
    st.integers(1, 4),
    st.integers(0, 3),
    st.lists(st.sampled_from([0, 0, 1, 2]), min_size=1, max_size=3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.lists(st.integers(0, 3), max_size=80),
)
_numbers = itertools.count()


@settings(max_examples=25, deadline=None)
@given(plays)
@example(Play(4, 3, [0], (1, 1), (0, 0), []))
@example(Play(1, 0, [0], (3, 1), (1, 0), [2, *[0] * 90]))  # three rotations between sealing and storing
@example(Play(4, 0, [2, 0, 2], (2, 1), (2, 3), [2, 0, 2, 2, 1, 2]))
def test_promise_2_no_order_of_two_rotations_and_of_sealing_leaves_a_text_without_its_key(template, play):
    folder = template.with_name(str(next(_numbers)))
    folder.mkdir()
    shutil.copy(template, folder / "th.db")
    asyncio.run(_played(folder, play))
    shutil.rmtree(folder)


async def _played(folder: Path, play: Play) -> None:
    write_config(folder, "http://127.0.0.1:1", f"sqlite:///{folder / 'th.db'}")
    file, clock, turnstile = folder / "token-health.key", SetClock(), Turnstile()
    older = [new_key() for _ in range(play.older)]
    write_key_file(file, older)
    async with contextlib.AsyncExitStack() as stack:

        async def process(name: str) -> Parts:
            parts = await stack.enter_async_context(parts_of(folder, clock))
            turnstile.gate(parts.database, name)
            return parts

        setup = await stack.enter_async_context(parts_of(folder, clock))
        # What was sealed under older keys is still there, as after rotations that were cut short.
        await fill(setup.database, Vault([older[play.sealed_with % play.older]]))
        for key in older:
            await sealing.add_key_check(setup.database, key.id, setup.vault.check_text(key.id), clock.now())
        works: dict[str, Awaitable[None]] = {}
        for name, times in zip(("rotation a", "rotation b"), play.rotations, strict=True):
            works[name] = rotates(await process(name), name, turnstile, times, play.days)
        for name, times in zip(("service a", "service b"), play.seals, strict=True):
            works[name] = seals(await process(name), name, turnstile, times)
        drawn = itertools.chain(play.turns, itertools.cycle(range(4)))
        await turnstile.play(
            works,
            lambda count: next(drawn) % count,
            lambda: all_open(sealed_in_file(folder / "th.db", "credential", "consent", "key_check"), file),
        )
        await everything_opens(setup.database, file)


# -- one after the other --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def set_up(folder: Path, database_url: str, *older: Key, more: str = "") -> AsyncIterator[Parts]:
    """A filled database whose texts are sealed with the last of some keys."""
    older = older or (new_key(),)
    path = write_config(folder, "http://127.0.0.1:1", database_url)
    path.write_text(path.read_text() + more)
    write_key_file(folder / "token-health.key", older)
    async with parts_of(folder, SetClock()) as parts:
        await schema.ensure(parts.database)
        await fill(parts.database, Vault(older[::-1]))
        for key in older:
            await sealing.add_key_check(parts.database, key.id, parts.vault.check_text(key.id), START)
        yield parts


async def keys_in_use(database: Database) -> set[str]:
    return {
        sealed.split(".")[1] for cell, sealed in await sealed_texts(database) if cell.table != "key_check"
    }


async def test_a_rotation_seals_every_place_anew_and_a_day_later_the_old_key_may_go(tmp_path, database_url):
    first = new_key()
    async with set_up(tmp_path, database_url, first) as parts:
        done = await operate.rotate(parts, ME)
        assert await keys_in_use(parts.database) == {done.current} and done.resealed == 13
        assert done.retired == (), "it is the one before"
        second = await operate.rotate(parts, ME)
        assert second.retired == () and second.kept == {
            first.id: Kept("a newer key took over less than a day ago")
        }
        parts.clock.tick(hours=25)
        third = await operate.rotate(parts, ME)
        assert third.retired == (done.current, first.id), "nothing can be on its way with them any more"
        kept = [key.id for key in read_key_file(tmp_path / "token-health.key")]
        assert kept == [third.current, second.current]
        await everything_opens(parts.database, tmp_path / "token-health.key")


async def test_a_key_that_took_over_before_that_was_written_down_is_retired_by_a_later_rotation(
    tmp_path, sqlite_url
):
    old, older, oldest = new_key(), new_key(), new_key()
    async with set_up(tmp_path, sqlite_url, old, older, oldest) as parts:
        async with parts.database.write() as conn:
            await conn.execute(update(key_check).values(added_at=None))  # as the migration leaves it
        assert (await operate.rotate(parts, ME)).retired == ()
        parts.clock.tick(hours=25)
        assert (await operate.rotate(parts, ME)).retired == (old.id, older.id, oldest.id)


async def test_a_second_rotation_at_the_same_time_says_so_in_one_sentence_and_does_nothing(
    tmp_path, database_url
):
    async with set_up(tmp_path, database_url) as one, parts_of(tmp_path, one.clock) as two:
        refused = []

        async def try_too() -> None:
            with pytest.raises(AlreadyRunning, match="another rotation of keys is at work") as caught:
                await operate.rotate(two, ME)
            refused.append(str(caught.value))

        loop, tries = asyncio.get_running_loop(), []
        # At the first of its progress: a try that begins with the last may come when it is over.
        await operate.rotate(one, ME, lambda _n: None if tries else tries.append(loop.create_task(try_too())))
        await asyncio.gather(*tries)
        assert refused and "\n" not in refused[0]
        assert len(read_key_file(tmp_path / "token-health.key")) == 2
        await operate.rotate(two, ME)


async def test_what_does_not_open_is_named_and_holds_up_nothing(tmp_path, database_url):
    first = new_key()
    async with set_up(tmp_path, database_url, first) as parts:
        damaged = f"{prefix_of(first.id)}AAAA"
        async with parts.database.write() as conn:
            await conn.execute(
                update(credential).where(credential.c.connection == "acme").values(access=damaged)
            )
            await conn.execute(
                update(credential).where(credential.c.connection == "bolt").values(refresh="v1.gone.AAAA")
            )
        for _ in range(2):
            done = await operate.rotate(parts, ME)
            assert [text.split(":")[0] for text in done.broken] == ["credential 'acme'", "credential 'bolt'"]
            parts.clock.tick(hours=25)
        assert (await operate.rotate(parts, ME)).kept[first.id] == Kept("something is sealed with it")
        assert await keys_in_use(parts.database) == {parts.vault.current, first.id, "gone"}


async def test_a_key_that_the_configuration_needs_stays_and_the_way_out_is_named(tmp_path, sqlite_url):
    first = new_key()
    secret = Vault([first]).seal(Secret("s"), Cell("app", "own", "client_secret"))
    more = f'[[apps]]\nid = "own"\nprovider = "clio"\nclient_id = "x"\nclient_secret = "{secret}"\n'
    async with set_up(tmp_path, sqlite_url, first, more=more) as parts:
        for _ in range(3):
            done = await operate.rotate(parts, ME)
            parts.clock.tick(hours=25)
        assert done.kept[first.id].remedies == (Remedy("keys.seal", "makes another", "own"),)
        Vault(read_key_file(tmp_path / "token-health.key")).open(secret, Cell("app", "own", "client_secret"))


async def test_a_row_that_somebody_is_changing_is_waited_for_by_nobody(tmp_path, postgres_server):
    first = new_key()
    async with set_up(tmp_path, postgres_url(postgres_server), first) as parts:
        async with parts.database.write() as conn:
            await conn.execute(
                select(credential.c.connection).where(credential.c.connection == "acme").with_for_update()
            )
            done = await asyncio.wait_for(operate.rotate(parts, ME), 30)
        assert done.resealed == 11, "all but the two of that row"
        assert await keys_in_use(parts.database) == {done.current, first.id}
        assert (await operate.rotate(parts, ME)).resealed == 13


async def test_a_service_seals_with_the_new_key_from_the_moment_that_it_is_in_the_file(tmp_path, sqlite_url):
    async with (
        set_up(tmp_path, sqlite_url) as parts,
        parts_of(tmp_path, parts.clock) as service,
    ):
        cell = Cell("credential", "acme", "access")
        before = service.vault.seal(Secret("t"), cell)
        done = await operate.rotate(parts, ME)
        assert service.vault.seal(Secret("t"), cell).startswith(prefix_of(done.current))
        assert service.vault.open(before, cell).reveal() == "t"
        (tmp_path / "token-health.key").unlink()
        assert service.vault.seal(Secret("t"), cell).startswith(prefix_of(done.current)), (
            "a pair that is there has to be sealed, or it is lost for certain"
        )


def test_every_place_that_is_sealed_for_is_known_to_a_rotation():
    """Each `Cell` of the code but the configuration's is one of the places that a rotation goes through."""
    named = {
        match.groups()
        for path in (ROOT / "monitor").rglob("*.py")
        for match in re.finditer(r'Cell\(\s*"(\w+)",[^"]*?"(\w+)"[,)]', path.read_text())
    }
    places = {(place.bound_to, place.column.name) for place in sealing.PLACES}
    assert named == places | {("key_check", "sealed"), ("app", "client_secret")}


# -- real processes -------------------------------------------------------------------------------------


def test_promise_2_rotations_of_several_processes_at_once_leave_every_text_readable(template):
    folder = template.with_name("processes")
    folder.mkdir()
    shutil.copy(template, folder / "th.db")
    path = write_config(folder, "http://127.0.0.1:1", f"sqlite:///{folder / 'th.db'}")

    async def prepare() -> None:
        async with parts_of(folder, SetClock()) as parts:
            await fill(parts.database, parts.vault)

    asyncio.run(prepare())
    command = [sys.executable, "-m", "monitor", "keys", "rotate", "--config", str(path)]
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environ()
        )
        for _ in range(3)
    ]
    ends = [(process, *process.communicate(timeout=60)) for process in running]
    done = [said for process, said, _ in ends if process.returncode == 0]
    refused = [error for process, _, error in ends if process.returncode == 2]
    assert done and len(done) + len(refused) == 3, ends
    assert all("another rotation of keys is at work" in " ".join(error.split()) for error in refused), refused
    assert len(read_key_file(folder / "token-health.key")) == 1 + len(done), (
        "each put its key there, none took one away"
    )

    async def look() -> None:
        async with parts_of(folder, SetClock()) as parts:
            await everything_opens(parts.database, folder / "token-health.key")

    asyncio.run(look())
