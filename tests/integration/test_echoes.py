"""A server that says back everything it was sent, in every way of writing it: nothing of it is kept."""

from __future__ import annotations

import base64
import contextlib
import html
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.health.evidence import redact
from monitor.operations import accounts, exports
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.text.echoes import without
from monitor.tokens.messages import exchange_form, introspection_form, refresh_form, revoke_form
from monitor.wire.answers import read
from monitor.wire.client import Wire
from monitor.wire.settings import HttpSettings
from tests.conftest import ME
from tests.integration.test_wire import read_request, serving

NOW = datetime(2026, 10, 5, tzinfo=UTC)
# Short ones, words and odd characters: none of them looks like a token, so only knowing them helps.
REFRESH = "Tr0ub4dor/&3 +\"x'"
CODE = "blue-horse"
VERIFIER = "v-er.if~ier"
ACCESS = "Acc3ss.t0ken/a+b="
CLIENT_SECRET = "pa<ss>&wörd:%41"

WAYS = {
    "plain": lambda t: t,
    "percent": lambda t: quote(t, safe=""),
    "percent, small letters": lambda t: "".join(f"%{b:02x}" for b in t.encode()),
    "percent, twice": lambda t: quote(quote(t, safe=""), safe=""),
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64 among others": lambda t: base64.b64encode(b"a=1; token=" + t.encode() + b"; z=26").decode(),
    "base64url": lambda t: base64.urlsafe_b64encode(b"?" + t.encode()).decode().rstrip("="),
    "hexadecimal": lambda t: t.encode().hex().upper(),
    "json": json.dumps,
    "json, all escaped": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "json in json": lambda t: json.dumps(json.dumps({"was": t})),
    "html": html.escape,
    "html, by number": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "html, by hexadecimal": lambda t: "".join(f"&#x{ord(c):X};" for c in t),
    "html of json": lambda t: html.escape(json.dumps({"was": t})),
    "one letter a line": "\r\n".join,
    "wide": "\0".join,
    "capitals": lambda t: t.upper(),
}


def decodings(text: str) -> set[str]:
    """What somebody who reads the text with the usual tools gets to see."""
    import re
    from urllib.parse import unquote

    seen = {text}
    for _ in range(3):
        for one in list(seen):
            seen |= {unquote(one), html.unescape(one), re.sub(r"[\s\0]", "", one)}
            seen.add(re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), one).replace("\\", ""))
            with contextlib.suppress(ValueError):
                seen.add(bytes.fromhex(one).decode("latin-1"))
    for one in list(seen):
        for run in re.findall(r"[A-Za-z0-9+/_-]{6,}", one):
            for start in range(4):
                part = run[start:].replace("-", "+").replace("_", "/")
                with contextlib.suppress(ValueError):
                    seen.add(base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1"))
    return {one.lower() for one in seen}


def shows(text: str, secret: str) -> bool:
    """Whether as much as eight characters of the secret in a row can be read in the text."""
    size = min(8, len(secret))
    wanted = {secret[i : i + size].lower() for i in range(len(secret) - size + 1)}
    wanted |= {w.encode().decode("latin-1") for w in wanted}
    return any(w in seen for seen in decodings(text) for w in wanted)


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_taken_out_whichever_way_it_was_written(way):
    for secret in (REFRESH, CODE, ACCESS, CLIENT_SECRET):
        text = f"Your token {WAYS[way](secret)} is none of ours"
        clean = without(text, [Secret(secret)])
        assert not shows(clean, secret), (way, clean)
        assert clean.startswith("Your token ") and clean.endswith(" is none of ours")


@pytest.mark.parametrize("kept", [30, 20, 13, 8, 6])
def test_a_secret_that_a_cut_left_a_piece_of_is_taken_out_at_both_edges(kept):
    token = "Zq7" * 3 + "kLm2Pw9Xy4" * 4
    assert token[:kept] not in without("unknown token: " + token[:kept], [Secret(token)])
    assert token[-kept:] not in without(token[-kept:] + " is not known", [Secret(token)])
    if kept >= 13:
        assert token[9 : 9 + kept] not in without(f"token …{token[9 : 9 + kept]}…", [Secret(token)])


def test_the_cut_of_a_long_page_leaves_no_piece_of_a_secret_that_lies_on_it():
    for limit in (80, 200, 400):
        for before in range(limit * 4 - 60, limit * 4 + 5):
            # What is removed before makes room for what lies at the cut.
            text = (CODE + " ") * 20
            text = text + "x " * ((before - len(text)) // 2) + "Zq7kLm2Pw9Xy4Hd8Rt5Vn3"
            clean = redact(text, limit, [Secret(CODE), Secret("Zq7kLm2Pw9Xy4Hd8Rt5Vn3")])
            assert "Zq7k" not in clean and CODE not in clean


def test_words_that_no_secret_has_stay_as_they_were():
    for text in (
        "invalid_grant",
        "The refresh token is invalid, expired & revoked: 100% \\ &amp; =41 %zz &#0;",
    ):
        assert without(text, [Secret(REFRESH), Secret(CODE), Secret("abc"), Secret("")]) == text


@settings(max_examples=150)
@given(st.text(max_size=300), st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=6))
@example("%", "%%%%%%")
@example("&#1114112; &#x110000; %uD800 \\ud800", "secret")
def test_no_text_breaks_it_and_no_secret_stays(text, secret):
    assert secret not in without(text + secret + text, [Secret(secret)])


def everything(request: bytes) -> list[str]:
    """All parts of a request that somebody might say back."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    said = [body.decode(), *(value for _, value in parse_qsl(body.decode()))]
    if "authorization" in headers:
        said.append(headers["authorization"])
        scheme, _, rest = headers["authorization"].partition(" ")
        said.append(base64.b64decode(rest).decode() if scheme == "Basic" else rest)
    return said


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("auth", ["basic", "body"])
async def test_a_server_that_says_everything_back_tells_nobody_else(way, auth):
    turn = WAYS[way]

    async def echoes(reader, writer, requests):
        await read_request(reader, requests)
        said = " ".join(turn(part) for part in everything(requests[-1]))
        body = json.dumps({"error": said, "error_description": said, "debug": said}).encode()
        header = (
            said.replace("\r\n", " ").replace("\0", " ").replace('"', "'").encode("ascii", "replace")[:4000]
        )
        writer.write(
            b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b'WWW-Authenticate: Bearer error="' + header + b'"\r\n'
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()

    ours, client = Secret(CLIENT_SECRET), "app-1"
    forms = [
        refresh_form(client, ours, Secret(REFRESH), auth),
        exchange_form(client, ours, Secret(CODE), "https://h.example/cb", auth, Secret(VERIFIER)),
        revoke_form(client, ours, Secret(REFRESH), auth),
        introspection_form(client, ours, Secret(ACCESS), "access_token", auth),
    ]
    wire = Wire(HttpSettings(), timeout=timedelta(seconds=5), concurrency=2)
    try:
        async with serving(echoes) as (url, _):
            replies = [await wire.post_form(url, *form) for form in forms]
            replies.append(await wire.get(url, Secret(ACCESS)))
    finally:
        await wire.close()
    for reply in replies:
        answer, _ = read(reply, Errors(), NOW)
        assert answer.status == 401 and answer.sample
        for text in (answer.error, answer.description, answer.challenge, answer.sample):
            for secret in (REFRESH, CODE, VERIFIER, ACCESS, CLIENT_SECRET):
                assert not shows(text or "", secret), (way, text)


def test_where_an_answer_sends_us_names_no_secret_either():
    from monitor.wire.client import Reply

    def answer(location: str):
        reply = Reply(302, [(b"Location", location.encode())], b"", (Secret("tok-3n.abcdef"),))
        return read(reply, Errors(), NOW)[0]

    assert "tok-3n" not in (answer("https://tok-3n.abcdef.evil.example/x").redirect or "")
    assert answer("https://login.example/x").redirect == "login.example"
    assert answer("http://[bad").redirect is None


async def test_an_account_number_that_the_token_begins_with_is_no_echo(rig):
    """Salesforce's tokens begin with the organization's id; without it every client would be another account's."""
    await rig.add("acme")
    number = exports.tokens_of(rig.parts, await rig.known("acme"))["access_token"][:18]
    rig.sandbox.do(rig.grants["acme"], "move", account_id=number, account_name="Firm acme")
    await accounts.accept(rig.parts, ME, "acme", number)
    for _ in range(3):
        await rig.after(minutes=6)
    assert await rig.state("acme") == ("healthy", "ok")
    known = await rig.known("acme")
    assert known.account_id == number
