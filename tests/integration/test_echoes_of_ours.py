"""Mail servers and on-call's services that quote what they were sent: logins and links stay unsaid."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from alerts.channels.alertmanager import Alertmanager
from alerts.channels.smtp import Letter, Server, Session, Unreachable
from alerts.outbox.envelope import Outcome
from monitor.secret import Secret
from monitor.wire.hooks import Hook
from tests.integration.test_echoes import shows
from tests.integration.test_wire import read_request, serving

PASSWORD = "m4il-pass:w@rd!"
LINK = "hU7_t3-Lq9XzVb2Nw8Kc4Rf6Yd1Gs5Ja0PmEoTiQvBh"
AUTH = ("PLAIN", "LOGIN")


async def _line(reader, writer, said: str) -> str:
    writer.write(said.encode() + b"\r\n")
    await writer.drain()
    return (await reader.readline()).decode().rstrip("\r\n")


def mailserver(mechanism: str, *, lets_in: bool, at: str = ""):
    """Say everything back in its refusals, decoded as well, in several lines."""

    async def talk(reader, writer, requests):
        heard = await _line(reader, writer, "220 hello")
        while heard:
            requests.append(heard.encode())
            verb = heard.upper().partition(" ")[0]
            if verb == "EHLO":
                said = f"250-mail.example\r\n250 AUTH {mechanism}"
            elif verb == "AUTH":
                given = heard.split()[2:]
                if mechanism == "LOGIN":
                    given = [*given, await _line(reader, writer, "334 UGFzc3dvcmQ6")]
                decoded = " ".join(base64.b64decode(g).decode().replace("\0", " ") for g in given)
                said = "235 in" if lets_in else f"535-5.7.8 no: {heard} {given}\r\n535 that is {decoded}"
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += await reader.read(4096)
                text = letter.decode()[-900:].replace("\r\n", " ").strip(" .")
                said = f"{at} rejected by policy, it says: {text}"
            else:
                said = "221 bye" if verb == "QUIT" else "250 ok"
            heard = await _line(reader, writer, said)

    return talk


def server(url: str) -> Server:
    return Server(
        "127.0.0.1", int(url.rsplit(":", 1)[1]), starttls=False, username="monitor",
        password=Secret(PASSWORD), timeout=5,
    )  # fmt: skip


@pytest.mark.parametrize("mechanism", AUTH)
async def test_a_mail_server_that_quotes_the_login_in_its_refusal_gives_nothing_away(mechanism):
    async with serving(mailserver(mechanism, lets_in=False)) as (url, _):
        with pytest.raises(Unreachable) as caught:
            async with Session(server(url)):
                pass
    said = str(caught.value)
    assert "535" in said and "no:" in said
    assert not shows(said, PASSWORD)


@pytest.mark.parametrize("code", ["550", "451", "250"])
async def test_a_mail_server_that_quotes_the_mail_gives_its_link_to_nobody(code):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "us@h.example", "ann@firm.example", "Again"
    message.set_content(f"Please press https://h.example/r/{LINK}\n")
    message.add_alternative(f'<a href="https://h.example/r/{LINK}">here</a>', subtype="html", cte="base64")

    async def ours() -> bool:
        return True

    async with (
        serving(mailserver("PLAIN", lets_in=True, at=code)) as (url, _),
        Session(server(url)) as session,
    ):
        outcome, said = await session.send(Letter.of(message), ours)
    assert outcome in (Outcome.FAILED, Outcome.LATER, Outcome.SENT)
    assert "rejected by policy" in said
    assert not shows(said, LINK)


async def test_an_alertmanager_that_quotes_its_login_gives_nothing_away():
    async def echoes(reader, writer, requests):
        await read_request(reader, requests)
        head = requests[-1].partition(b"\r\n\r\n")[0].decode()
        basic = next(x for x in head.split("\r\n") if x.lower().startswith("authorization")).split()[-1]
        body = json.dumps({"head": head, "user": base64.b64decode(basic).decode()}).encode()
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with serving(echoes) as (url, _):
        address = url.replace("http://", "http://ops:m4il-pass%3Aw%40rd!@") + "/am?key=s3cr3t-k3y"
        now = datetime(2026, 10, 5, tzinfo=UTC)
        matter = dict.fromkeys(("summary", "description", "runbook"), "x")
        matter |= {"since": now.isoformat(), "labels": {"a": "b"}}
        manager = Alertmanager(Hook(Secret(address)), "http://h")
        outcome, said = await manager.send("k", matter, over=False, now=now)
    assert outcome is Outcome.LATER and "403" in said
    assert not shows(said, PASSWORD) and "s3cr3t" not in said
