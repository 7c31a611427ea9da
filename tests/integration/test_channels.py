"""What is asked of every channel: a verdict for each kind of answer, and no secret in any of them.

A new channel is a new file in `alerts/channels`; here it gets a bench: how it is set up at an address, and
how the other side of it gives each kind of answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from alerts.channels import registry, smtp
from alerts.channels.channel import Around, KeptAlive
from alerts.channels.smtp import Interrupted, Letter, Session, Unreachable
from alerts.outbox.envelope import Outcome
from alerts.pages import wording
from monitor.secret import Secret
from monitor.wire.hooks import Hook
from tests.conftest import START
from tests.integration.test_echoes import shows
from tests.integration.test_wire import read_request, serving

SECRET = "hU7t3Lq9XzVb2Nw8Kc4Rf6Yd1Gs5Ja0P"
# What the other side does, and what may follow from it. The last is nobody there at all.
TAKEN, BUSY, NEVER, CUT, NOBODY = "takes it", "is busy", "will never take it", "cuts it off", "is not there"
VERDICTS = {
    TAKEN: {Outcome.SENT},
    BUSY: {Outcome.LATER},
    NEVER: {
        Outcome.FAILED,
        Outcome.LATER,
    },  # later, where a service's answer cannot be seen through a library
    CUT: {Outcome.LATER, Outcome.UNCONFIRMED},
    NOBODY: {Outcome.LATER},
}
STATUS = {TAKEN: b"200 OK", BUSY: b"503 Busy", NEVER: b"400 No"}
CODE = {TAKEN: "250", BUSY: "451", NEVER: "550"}


def http(answer: str):
    """Answer a request, and say all of it back."""

    async def talk(reader, writer, requests):
        await read_request(reader, requests)
        if answer == CUT:
            return
        body = requests[-1]
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (STATUS[answer], len(body)) + body)
        await writer.drain()

    return talk


def mail(answer: str):
    """Take a login and a letter, and answer its end, saying the letter back."""

    async def talk(reader, writer, requests):
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            verb, said = line.upper().split()[0].decode(), "250 ok"
            if verb == "EHLO":
                said = "250-mail.example\r\n250 AUTH PLAIN"
            elif verb == "AUTH":
                said = "235 in"
            elif verb == "QUIT":
                said = "221 bye"
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                letter = await reader.readuntil(b"\r\n.\r\n")
                requests.append(letter)
                if answer == CUT:
                    return
                said = f"{CODE[answer]} {' '.join(letter.decode().split())[-700:]}"
            writer.write(said.encode() + b"\r\n")
            await writer.drain()

    return talk


def read(what: str, value: str, variable: str | None, file: Path | None) -> Secret | None:
    return Secret(value) if value else None


class Paging:
    """A channel that takes pages, set up as the configuration does it."""

    behave = staticmethod(http)

    def __init__(self, name: str, settings: Any) -> None:
        self._name, self._settings = name, settings

    def opened(self, port: int) -> Any:
        channel = registry.PAGING[self._name]
        settings = channel.Settings.model_validate(self._settings(port))
        (given,) = channel.given(settings, read)
        assert not shows(given.name, SECRET), "its name is stored and shown"
        return channel.opened(given.name, given.url, Around(settings, Path(), "http://th.example"))

    async def send(self, port: int) -> tuple[Outcome, str]:
        matter = wording.trial("integrations", "http://wiki.example", START)
        return await self.opened(port).send("key", matter, over=False, now=START)


class Mail:
    """The mail server; what it was not handed is tried again by whoever sends."""

    behave = staticmethod(mail)

    async def send(self, port: int) -> tuple[Outcome, str]:
        given = {"url": f"smtp://monitor:{SECRET}@127.0.0.1:{port}", "starttls": "never", "timeout": "5s"}
        server = smtp.given(smtp.Settings.model_validate(given), read, Path())
        text = f"Subject: s\r\n\r\nhttp://x.example/r/{SECRET}\r\n".encode()
        letter = Letter(text, "a@b.example", "c@d.example", links=(Secret(SECRET),))

        async def always() -> bool:
            return True

        try:
            async with Session(server) as session:
                return await session.send(letter, always)
        except (Unreachable, Interrupted) as error:
            return Outcome.LATER, str(error)


BENCHES: dict[str, Any] = {
    "alertmanager": Paging(
        "alertmanager",
        lambda port: {"alertmanager_url": f"http://me:{SECRET}@127.0.0.1:{port}/am?key={SECRET}"},
    ),
    "notify": Paging("notify", lambda port: {"urls": [f"json://me:{SECRET}@127.0.0.1:{port}/{SECRET}"]}),
    "email": Mail(),
}


@contextlib.asynccontextmanager
async def other_side(bench: Any, answer: str) -> AsyncIterator[int]:
    async with serving(bench.behave(answer)) as (url, _):
        port = int(url.rsplit(":", 1)[1])
        if answer != NOBODY:
            yield port
    if answer == NOBODY:
        yield port


@pytest.mark.parametrize("answer", VERDICTS)
@pytest.mark.parametrize("name", registry.CHANNELS)
async def test_promise_4_every_answer_is_a_verdict_without_a_secret(name, answer, capsys):
    async with other_side(BENCHES[name], answer) as port:
        outcome, said = await BENCHES[name].send(port)
    assert outcome in VERDICTS[answer], said
    assert said and "\n" not in said
    assert not shows(said, SECRET)
    assert not shows("".join(capsys.readouterr()), SECRET)


@pytest.mark.parametrize("name", registry.CHANNELS)
def test_a_channel_knows_its_section_and_its_keys_are_nobody_elses(name):
    channel = registry.CHANNELS[name]
    others = [
        key
        for other, module in registry.CHANNELS.items()
        if other != name and module.SECTION == channel.SECTION
        for key in module.Settings.model_fields
    ]
    assert channel.Settings.model_fields.keys().isdisjoint(others)


@pytest.mark.parametrize(
    ("url", "name"),
    [("slack://a/b/c", "notify"), ("https://hooks.example/x", "notify"), ("no address at all", "notify")],
)
def test_an_address_finds_its_channel(url, name):
    assert registry.claiming("route 'x'", url) == name


def test_one_channel_at_most_claims_whatever_no_other_does():
    assert [name for name, channel in registry.PAGING.items() if channel.TAKES_ANY] == ["notify"]
    assert list(registry.PAGING)[-1] == "notify", "and it is asked last"


@pytest.mark.parametrize("name", registry.PAGING)
async def test_what_is_kept_alive_says_a_verdict_too(name):
    channel = BENCHES[name].opened(9)
    if isinstance(channel, KeptAlive):
        matter = wording.trial("integrations", "http://wiki.example", START)
        outcome, said = await channel.keep_alive([matter], START)
        assert outcome is Outcome.LATER and not shows(said, SECRET)


async def test_a_password_without_a_user_is_sent(httpserver):
    """As access tokens are written: https://:token@host."""
    httpserver.expect_request("/x").respond_with_data("ok")
    url = httpserver.url_for("/").replace("http://", f"http://:{SECRET}@")
    assert await Hook(Secret(url)).post("/x", {}) == (200, "ok")
    assert "Authorization" in httpserver.log[0][0].headers
