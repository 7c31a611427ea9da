"""Where messages to other people's addresses may go: never into our own network, whatever a name says and when."""

from __future__ import annotations

import ipaddress
import ssl

import pytest

from monitor.wire.endpoints import Poster, Reach, tls
from tests.conftest import START
from tests.integration.hooked import receiving

OWN = ("127.0.0.1", 8080)
USUAL = Reach(own=(OWN,))
PRIVATE = Reach(private=True, own=(OWN,))
INSECURE = Reach(insecure=(ipaddress.ip_network("10.1.0.0/16"),), own=(OWN,))
ANYWHERE = Reach(own=(("0.0.0.0", 8080),))  # noqa: S104 - what somebody may have configured


@pytest.mark.parametrize(
    ("url", "reach", "why"),
    [
        ("https://hooks.example.com/x", USUAL, None),
        ("https://93.184.216.34/x", USUAL, None),
        ("http://127.0.0.1:9000/x", USUAL, None),
        ("http://localhost:9000/x", USUAL, None),
        ("https://[::1]:9000/x", USUAL, None),
        ("http://127.0.0.1:8080/x", USUAL, "this service itself"),
        ("http://localhost:8080/x", USUAL, "this service itself"),
        ("http://127.0.0.1:8080/x", ANYWHERE, "this service itself"),
        ("http://hooks.example.com/x", USUAL, "https://"),
        ("ftp://hooks.example.com/x", USUAL, "https://"),
        ("https://user:pw@hooks.example.com/x", USUAL, "a user name"),
        ("https://hooks.example.com/x#y", USUAL, "fragment"),
        ("https://hooks.example.com:99999/x", USUAL, "no URL"),
        ("https://", USUAL, "no URL"),
        ("https://hooks.example.com/x\r\ny: z", USUAL, "no URL"),
        ("https://10.1.2.3/x", USUAL, "private"),
        ("https://10.1.2.3/x", PRIVATE, None),
        ("http://10.1.2.3/x", PRIVATE, "https://"),
        ("http://10.1.2.3/x", INSECURE, None),
        ("http://10.2.2.3/x", INSECURE, "https://"),
        ("https://[fd00::1]/x", USUAL, "private"),
        ("https://100.64.0.1/x", USUAL, "private"),
        ("https://169.254.169.254/latest", PRIVATE, "metadata"),
        ("https://[::ffff:169.254.169.254]/latest", PRIVATE, "metadata"),
        ("https://0xA9FEA9FE/latest", PRIVATE, "metadata"),
        ("https://169.254.1.1/x", PRIVATE, "link-local"),
        ("https://metadata.google.internal/x", PRIVATE, "metadata"),
        ("https://0.0.0.0/x", PRIVATE, "no address"),
        ("https://224.0.0.1/x", PRIVATE, "multicast"),
    ],
)
def test_what_shows_before_a_name_is_resolved(url, reach, why):
    found = reach.refused(url)
    assert found is None if why is None else why in (found or "")


class Names:
    """A resolver whose answers change from one question to the next."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "127.0.0.1", "10.1.2.3", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"],
)
async def test_a_name_that_leads_inside_is_not_gone_to(address):
    posted = await Poster(USUAL, tls(None), resolve=Names(address)).post(
        "https://h.example/x", b"{}", {}, START
    )
    assert posted.status is None
    assert posted.said.startswith("not sent: the address is ")


async def test_what_is_looked_at_is_what_is_connected_to():
    """A name that is harmless when it is asked for, and ours ever after, brings nobody to us."""
    async with receiving() as inside:
        names = Names("192.0.2.1", "127.0.0.1")
        poster = Poster(Reach(private=True), tls(None), resolve=names, timeout=0.5)
        posted = await poster.post(f"https://h.example:{inside.port}/x", b"{}", {}, START)
        assert names.asked == 1
        assert posted.status is None
        assert inside.seen == []
        again = await poster.post(f"https://h.example:{inside.port}/x", b"{}", {}, START)
        assert again.said == "not sent: the address is this machine"
        assert inside.seen == []


async def test_one_bad_address_among_several_is_enough():
    async def several(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "169.254.169.254"]

    posted = await Poster(PRIVATE, tls(None), resolve=several).post("https://h.example/x", b"{}", {}, START)
    assert "metadata" in posted.said


async def test_tls_keeps_the_name_and_is_checked():
    """Connected to an address, certificates are still those of the name."""
    asked: list[str | None] = []
    context = ssl.create_default_context()
    real = context.wrap_bio

    def wrap(*given, **named):
        asked.append(named.get("server_hostname"))
        return real(*given, **named)

    context.wrap_bio = wrap  # type: ignore[method-assign]
    async with receiving() as receiver:
        posted = await Poster(USUAL, context).post(f"https://localhost:{receiver.port}/x", b"{}", {}, START)
        assert posted.status is None  # it speaks no TLS
        assert asked == ["localhost"]


async def test_who_does_not_answer_in_time_has_not_answered():
    async with receiving(hangs=True) as receiver:
        posted = await Poster(USUAL, tls(None), timeout=0.2).post(receiver.url, b"{}", {}, START)
        assert posted == (None, "no answer within 0.2 seconds", None)


async def test_what_is_answered_is_kept_short_and_without_controls():
    async with receiving(status=500, headers="X: 1\r\n") as receiver:
        posted = await Poster(USUAL, tls(None)).post(receiver.url, b"{}", {"webhook-id": "evt_1"}, START)
        assert (posted.status, posted.said) == (500, "")
        assert receiver.seen == ["POST /hook HTTP/1.1"]
        assert receiver.taken[0][0]["user-agent"] == "token-health/1"
