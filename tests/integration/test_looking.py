"""The outbox is leafed through by indexes: what a page costs does not depend on how much is in it."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from alerts.outbox import looking
from alerts.outbox.looking import Is, View
from monitor.store.engine import Database
from tests.conftest import START


@pytest.mark.parametrize("programs", [False, True])
@pytest.mark.parametrize("is_", list(Is))
async def test_no_page_and_no_count_walks_the_whole_outbox(sqlite_url, is_, programs):
    database, asked = Database(sqlite_url), []
    event.listen(
        database._reader.sync_engine, "before_cursor_execute", lambda _c, _cur, text, values, *_: asked.append((text, values))
    )  # fmt: skip
    view = View(is_, programs=programs, since=START if is_ is not Is.WAITING else None)
    await looking.page(database, view, 50)
    await looking.page(database, view, 50, looking.Place(START, 7))
    await looking.count(database, [view])
    mine = [(text, values) for text, values in asked if "FROM notice" in text and "WHERE notice.slot" in text]
    assert len(mine) == 3
    async with database.read() as conn:
        for text, values in mine:
            rows = await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(values))
            plan = [row[3] for row in rows]
            assert not [step for step in plan if step.startswith("SCAN notice")], plan
            assert any(
                "USING INDEX notice_" in step
                or "USING COVERING INDEX notice_" in step
                or "INTEGER PRIMARY KEY" in step
                for step in plan
            ), plan
    await database.close()
