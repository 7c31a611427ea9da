"""Whatever a browser sends to the console: no fault of ours, no markup of a stranger's, nowhere else to go.

Each field that a page reads is given odd values, all of them in `make attack` and some in a usual run; clients'
names are odd themselves. Then what no browser would send, over a socket.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import zlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from monitor.store.tables import connection
from monitor.web.console.contents import declared
from monitor.web.console.declared import Declared
from tests.attack.test_what_browsers_send import send
from tests.integration.api.stage import Stage, staged
from tests.integration.console.conftest import Console, served
from tests.integration.console.test_live import Listening

LONG = os.environ.get("ATTACK") == "long"
NAME = "\"><script>alert(1)</script>' {{7*7}} %(n)s \u202e =1+1"
ODD = (
    "\0", "x" * 2000, "\ud800", "'\"%_\\", "{{7*7}}%(n)s", "-1", "9" * 30, "²", "//evil.example", "/\\evil.example",
    "\r\nX: y", "<script>x</script>", "2026-13-45", "0001-01-01", "9999-12-31T23:59:59Z", "2026-01-01T00:00+99:99", "[",
    "tier:\0",
)  # fmt: skip
OURS = {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}
_READ = re.compile(r"""(?:given|several|query\.get|form\.get|_day|_list)\((?:visit, )?"([\w-]+)\"""")


def escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def fields_of(one: Declared) -> list[str]:
    """The fields that a page's module reads, and those of the fleet's filter, which several read by name."""
    text = inspect.getsource(sys.modules[one.endpoint.__module__])
    return sorted({*_READ.findall(text), "q", "back", "after", "label"})


def path_of(stage: Stage, path: str, odd: str = "") -> str:
    there = {
        "connection": "acme", "number": str(stage.own), "silence": stage.silence, "name": "clio", "app": "clio",
        "kind": "broken", "language": "en",
    }  # fmt: skip
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda one: escaped(odd) or there.get(one[1], "x"), path)


def attempts(stage: Stage, one: Declared) -> Iterator[tuple[str, str, str]]:
    """Requests for a page or an action: method, target, form."""
    path, named = path_of(stage, one.path), "{" in one.path
    looks, acts = not one.acts or one.asks is not None, one.acts
    for number, field in enumerate(fields_of(one)):
        first = zlib.crc32(one.path.encode()) + number
        if not LONG and first % 3:
            continue
        for odd in ODD if LONG else (ODD[first // 3 % len(ODD)],):
            given = f"{field}={escaped(odd)}"
            if looks:
                yield "GET", f"{path}?{given}", ""
            if acts:
                yield "POST", path, given
    for odd in ODD if LONG else (ODD[zlib.crc32(one.path.encode()) % len(ODD)], "\0"):
        if named:
            yield ("GET" if looks else "POST"), path_of(stage, one.path, odd), ""


@pytest.fixture
async def stage(tmp_path, sandbox, database_url):
    async with staged(tmp_path, sandbox, database_url) as found:
        async with found.api.rig.parts.database.write() as conn:
            await conn.execute(update(connection).where(connection.c.id == "acme").values(client_name=NAME))
        async with served(found.api.rig) as console:
            yield found, console


@pytest.mark.timeout(1800 if LONG else 180)
async def test_nothing_that_people_send_is_a_fault_of_ours_or_markup_or_leads_elsewhere(stage):
    there, console = stage
    console: Console
    person, wrong = await console.anybody(), []
    with capture_logs() as said:
        for one in declared():
            for method, target, form in attempts(there, one):
                answer = await person.http.request(method, target, headers=OURS, content=form)
                page = answer.headers.get("content-type", "").startswith("text/html")
                if answer.status_code >= 500:
                    wrong.append(f"{method} {target} {form}: {answer.status_code}")
                if page and ("<script>" in answer.text or "49%" in answer.text):
                    wrong.append(f"{method} {target} {form}: markup")
                if "evil.example" in answer.headers.get("location", "").partition("?")[0]:
                    wrong.append(f"{method} {target} {form}: {answer.headers['location']}")
    assert not wrong, "\n".join(wrong)
    assert not [line for line in said if line["event"] == "console.failed"]


BAD = (
    "Referer: http://[", "Referer: \xff", "Cookie: th-said=\xff; th=\xff", "Cookie: th-said=AAAA", "Accept-Language: \xff;q=x",
    "HX-Request: true", "X-HTTP-Method-Override: DELETE", "Expect: 100-continue", "Upgrade: websocket",
    "Transfer-Encoding: gzip, chunked", "Content-Length: 5\r\nContent-Length: 6", "Last-Event-ID: \xff",
)  # fmt: skip
HOSTS = (
    "[",
    "[::1",
    "127.0.0.1/live?",
    "127.0.0.1:99999999",
    "a@127.0.0.1",
    "127.0.0.1\\x",
    "evil.example",
    "",
)
TARGETS = (
    "/", "/nothing", "/connections/%00", "/connections/..%2f..%2faudit", "//audit", "/..;/audit", "/%2e%2e/audit", "/audit/",
    "/audit.", "/AUDIT", "/./audit", "/static/..%2f..%2fsettings", "http://evil.example/", "*", "/live?connection=%ff",
)  # fmt: skip


async def test_what_no_browser_sends_is_answered_in_words(stage):
    """Nor is anything of the console behind another spelling of its path, for somebody who is not signed in."""
    _, console = stage
    async with Listening(console) as on:
        port = int(on.url.rpartition(":")[2].partition("/")[0])
        for host, target, header in [
            *(("127.0.0.1", "/", one) for one in BAD),
            *(("127.0.0.1", "/nothing", one) for one in BAD),
            *((host, "/audit", "A: b") for host in HOSTS),
            *(("evil.test", target, "A: b") for target in TARGETS),
        ]:
            for method in ("GET", "POST"):
                asked = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nConnection: close\r\n\r\n"
                answer = (await send(port, asked.encode("latin-1"))).decode("latin-1")
                status = int(answer.split(" ", 2)[1]) if answer else 400
                assert status < 500, f"{asked}\n{answer[:400]}"
                if host == "evil.test":  # a name of nobody's, so not this machine's own
                    assert "Who did what" not in answer, asked
                    assert "evil.example" not in answer.partition("\r\n\r\n")[0], asked
