"""The reverse proxy that deploy/ ships, as a real nginx: clients pass, strangers do not, and links stay secret."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.proxied import (
    DEPLOY,
    HOST,
    Proxied,
    certificates,
    heard,
    link_to,
    nginx,
    nginx_files,
    proxied,
    tool,
)
from tests.acceptance.test_processes import free_port, until


def test_a_client_takes_the_whole_trip_through_the_proxy_and_no_log_has_its_secrets(tmp_path, sandbox):
    with proxied(tmp_path, sandbox) as found, found.browser() as browser:
        link = link_to(found, "firm-0")
        page = browser.get(link)
        assert page.status_code == 200, page.text
        assert page.headers["strict-transport-security"] == "max-age=63072000"
        assert page.headers["referrer-policy"] == "no-referrer", "the service's own headers stay"
        assert browser.get("/static/pages.css").status_code == 200
        assert browser.get("/r/guessed").headers["content-language"] == "de", "what the browser asked for"
        started = browser.post(link)
        assert started.status_code == 303
        assert "secure" in started.headers["set-cookie"].lower()
        consent = started.headers["location"]
        users = re.findall(r'name="user" value="([^"]+)"', httpx.get(consent).text)
        back = httpx.post(consent, data={"user": users[0], "decision": "approve"}).headers["location"]
        assert urlsplit(back).netloc == HOST
        arrived = browser.get(f"{urlsplit(back).path}?{urlsplit(back).query}")
        assert arrived.status_code == 200, arrived.text
        # Also for what nginx itself cannot do: the service gone, a request too large, one nobody publishes.
        found.tap.close()
        assert browser.get(link).status_code == 502
        assert browser.post(link, content=b"x" * 9000).status_code == 413
        assert browser.get(f"/{link}").status_code == browser.get(f"{link}/%2e%2e").status_code == 404
        assert found.say(f"GET {link} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").startswith(b"HTTP/1.1 400")
        logs = found.logs()
    assert "GET /r/- 200" in logs and "GET /oauth/callback 200" in logs and "/r/- 502" in logs
    query = re.findall(r"[^=&]{20,}", urlsplit(back).query)
    cookies = re.findall(r"=([^;]{20,})", started.headers["set-cookie"])
    assert len(query) >= 2 and cookies
    for secret in [link.removeprefix("/r/"), *query, *cookies]:
        assert secret not in logs


# What a stranger may write on the request line to get at a page that is not published.
TRICKS = [
    "/", "/metrics", "/healthz", "/readyz", "/docs", "/favicon.ico", "//metrics", "/./metrics", "/metrics/", "/metrics?x",
    "/r/../metrics", "/r/x/../../metrics", "/r/..%2fmetrics", "/r/%2e%2e/metrics", "/r/x%2f..%2f..%2fmetrics",
    "/r/..;/metrics", "/r/x;/../../metrics", "/r/\\..\\metrics", "/r/", "/r//metrics", "/r/x/metrics", "/r/x%00/../metrics",
    "/static/..%2fmetrics", "/static/../metrics", "/static/..%252fmetrics", "/static/%2e%2e%2fmetrics", "/static/..",
    "/static//metrics", "/static/pages.css/../../metrics", "/static/.%2e/metrics", "/static/pages.css?../metrics",
    "/oauth/callback/../../metrics", "/oauth/callback/a/../../../metrics", "/oauth/callback/..", "/oauth/callback/%2e%2e",
    "/oauth/callback/.", "/oauth/callback/a/b", "/oauth/callbackx", "/oauth", "/%6detrics", "/metr%69cs", "/METRICS",
    "/metrics#/r/x", "/metrics%3f/r/x", "/r/x#/../metrics", "http://127.0.0.1/metrics", f"http://{HOST}/metrics",
    f"https://{HOST}/r/../metrics", f"http://{HOST}:8080/healthz", "http://127.0.0.1:8080/metrics", "*",
    "/r/../metrics?/static/pages.css", "/metrics /r/x", "/metrics\t/r/x",
]  # fmt: skip


def test_nothing_but_what_clients_need_reaches_the_service_by_no_trick(tmp_path, sandbox):
    with proxied(tmp_path, sandbox) as found:
        for page in TRICKS:
            for version, host in (
                ("HTTP/1.1", f"Host: {HOST}\r\n"),
                ("HTTP/1.0", f"Host: {HOST}\r\n"),
                ("HTTP/1.0", ""),
            ):
                said = found.say(f"GET {page} {version}\r\n{host}Connection: close\r\n\r\n")
                assert said.split()[1] in (b"400", b"404"), (page, said)
        assert found.say("GET /metrics\r\n\r\n").count(b"token_health") == 0, "HTTP/0.9"
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
            assert found.status("/r/x", method=method) in (400, 404, 405), method
        assert (
            found.status("/oauth/callback", method="POST")
            == found.status("/static/logo", method="POST")
            == 404
        )
        # Another Host with our name in the handshake; no name, or another one, in the handshake.
        assert (
            found.say("GET /r/x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").split()[1]
            == b"404"
        )
        assert (
            found.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").split()[1]
            == b"404"
        )
        found.trust.check_hostname = False
        for name in (None, "elsewhere.example"):
            with pytest.raises(ssl.SSLError):
                found.socket(name=name)
        assert found.tap.requests == []
        # Without TLS there is the way to the same page with it, for pages that are published.
        with socket.create_connection(("127.0.0.1", found.plain), timeout=15) as to:
            to.sendall(
                b"GET /r/x HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            said = heard(to)
        assert (
            f"Location: https://{HOST}/r/x\r\n".encode() in said and b" 404 " in said and b"evil" not in said
        )
        assert found.tap.requests == []


SMUGGLED = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = f"0\r\n\r\n{SMUGGLED}"


def posts(*headers: str, body: str = CHUNKED, eol: str = "\r\n") -> str:
    """A POST of a form, with headers and a body as they are given."""
    return eol.join(["POST /r/x HTTP/1.1", f"Host: {HOST}", *headers, "", ""]) + body


SMUGGLERS = [
    posts("Content-Length: 6", "Transfer-Encoding: chunked"),
    posts(f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: chunked"),
    posts("Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}"),
    posts("Transfer-Encoding: chunked", "Transfer-Encoding: identity", f"Content-Length: {len(CHUNKED)}"),
    posts("Transfer-Encoding: xchunked", f"Content-Length: {len(CHUNKED)}"),
    posts("Transfer-Encoding : chunked", f"Content-Length: {len(CHUNKED)}"),
    posts("Transfer-Encoding:\x0bchunked", f"Content-Length: {len(CHUNKED)}"),
    posts(" Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}"),
    posts("X: y\n Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}"),
    posts("Transfer_Encoding: chunked", f"Content-Length: {len(CHUNKED)}"),
    posts("Content-Length: 0", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
    posts(f"Content-Length: 0, {len(SMUGGLED)}", body=SMUGGLED),
    posts("Content-Length: +0", body=SMUGGLED),
    posts(
        f"Content-Length: {len(CHUNKED)}", "Expect: 100-continue", "Upgrade: websocket", "Connection: upgrade"
    ),
    posts("Content-Length: 0", f"Connection: close, Content-Length\r\nX: {HOST}", body=SMUGGLED),
    posts("Content-Length: 0", body=SMUGGLED, eol="\n"),
    posts("Content-Length: 0", "Cookie: a\rGET /metrics HTTP/1.1", body=SMUGGLED),
]


def test_no_second_request_is_smuggled_in_the_first(tmp_path, sandbox):
    with proxied(tmp_path, sandbox) as found:
        for text in SMUGGLERS:
            said = found.say(
                text.replace(SMUGGLED, SMUGGLED.replace("Host: x", "Host: x\r\nConnection: close"))
            )
            assert b"token_health_" not in said, text
            assert b"process_" not in said, text
        # What nginx took for one request, it sent on as one, with its body's length and no other framing.
        for request in found.tap.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            assert head.startswith(b"POST /r/x HTTP/1.1\r\n"), request
            assert b"transfer-encoding" not in head.lower() and b"upgrade" not in head.lower()
            told = re.findall(rb"(?im)^content-length: (\d+)\r?$", head)
            assert len(told) <= 1 and len(body) == int(told[0] if told else 0), request


def test_who_asks_is_told_afresh_and_the_service_counts_by_it(tmp_path, sandbox):
    lies = (
        "X-Forwarded-For: 198.51.100.{n}\r\nX-Forwarded-For: 203.0.113.{n}\r\nForwarded: for=198.51.100.{n}\r\n"
        "X-Real-IP: 198.51.100.{n}\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\n"
        "X-Forwarded-Prefix: /evil\r\nX_Forwarded_For: 198.51.100.{n}\r\nTrue-Client-IP: 198.51.100.{n}\r\n"
        "X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\nX-HTTP-Method-Override: PUT\r\nAuthorization: Bearer x\r\n"
    )  # fmt: skip
    with proxied(tmp_path, sandbox) as found:
        answers = [found.status(f"/r/x{n}", "127.0.0.2", lies.format(n=n)) for n in range(70)]
        assert answers[:60].count(429) == 0 and answers[60:] == [429] * 10
        assert found.status("/r/x", "127.0.0.3") == 404, "another client is not held for it"
        for request in found.tap.requests:
            head = request.decode().lower()
            assert f"host: {HOST}\r\n" in head and head.count("host:") == 1
            assert "x-forwarded-proto: https\r\n" in head
            assert re.findall(r"(?m)^x-forwarded-for: (.*)\r$", head) in (["127.0.0.2"], ["127.0.0.3"])
            for lie in ("198.51", "203.0", "evil", "metrics", "bearer", "override"):
                assert lie not in head


def test_slow_and_idle_sockets_end_and_keep_no_client_out(tmp_path, sandbox):
    short = {"client_header_timeout": "2s", "client_body_timeout": "2s", "keepalive_timeout": "2s"}
    with proxied(tmp_path, sandbox, **short) as found, contextlib.ExitStack() as stack:
        idle = []
        for n in range(300):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", found.tls), timeout=15))
            idle.append(raw)
            if n % 3 == 0:
                raw.sendall(b"\x16\x03\x01")  # the first bytes of a handshake
        for beginning in (
            "GET /r/x HT",
            f"GET /r/x HTTP/1.1\r\nHost: {HOST}\r\nX: ",
            posts("Content-Length: 5", body="x"),
        ):
            to = stack.enter_context(found.socket())
            to.sendall(beginning.encode())
            idle.append(to)
        assert found.status("/r/x", "127.0.0.2") == 404, "a client is served meanwhile"
        served = len(found.tap.requests)
        for one in idle:
            assert b"200" not in heard(one)
        assert len(found.tap.requests) == served == 1, "none of them was the service's to wait for"


def test_requests_that_are_too_large_or_too_many_end_at_the_proxy(tmp_path, sandbox):
    with proxied(tmp_path, sandbox) as found:
        assert found.status("/oauth/callback?code=" + "x" * 9000) == 414
        assert found.status("/r/x", headers=f"Cookie: {'x' * 9000}\r\n") == 400
        assert found.status("/r/x", headers="".join(f"X-{n}: {'x' * 7000}\r\n" for n in range(6))) == 400
        assert found.status("/r/" + "x" * 200) == 404
        assert found.say(posts("Content-Length: 9000", body="x" * 9000)).split()[1] == b"413"
        chunks = "1000\r\n" + "x" * 4096 + "\r\n"
        assert b" 413 " in found.say(posts("Transfer-Encoding: chunked", body=chunks * 3))
        assert found.tap.requests == []
        # What a provider sends back at its longest still passes.
        assert found.status("/oauth/callback?state=s&code=" + "x" * 4000) < 414
        # A flood from one address is cut off before the service counts it.
        with found.socket("127.0.0.4") as to:
            to.sendall(f"GET /static/logo HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 300)
            until(lambda: " 429 " in found.logs())
        assert found.status("/r/x", "127.0.0.5") == 404
        assert len(found.tap.requests) < 200


def test_all_addresses_of_one_ipv6_network_are_one_stranger(tmp_path):
    tool("nginx"), tool("openssl")
    trust, tls = certificates(tmp_path), free_port()
    # Loopback has one IPv6 address only, so here nginx is told who asks.
    told = {"server_tokens": "off; set_real_ip_from 127.0.0.1; real_ip_header X-Seen-As"}
    files = nginx_files(tmp_path, free_port(), tls, free_port(), **told)
    # What was asked for stays counted for as long as the test lasts.
    conf = tmp_path / "token-health.conf"
    conf.write_text(conf.read_text().replace("rate=10r/s", "rate=1r/m"))
    with nginx(files, tls):
        found = Proxied(tmp_path, None, tls, 0, tmp_path, trust)

        def flood(address: str, count: int = 1) -> bytes:
            ask = f"GET /r/x HTTP/1.1\r\nHost: {HOST}\r\nX-Seen-As: {address}\r\n"
            return found.say(f"{ask}\r\n" * (count - 1) + f"{ask}Connection: close\r\n\r\n")

        assert b" 429 " in flood("2001:db8::1", 400)
        assert b" 429 " in flood("2001:db8::ffff:2")
        assert b" 502 " in flood("2001:db8:0:1::1"), "the next network"
        assert b" 502 " in flood("192.0.2.1") and b" 502 " in flood("192.0.2.2")


def test_the_files_for_a_machine_are_taken_by_an_nginx_that_has_other_sites(tmp_path):
    certificates(tmp_path)
    nginx_files(tmp_path, free_port(), free_port(), free_port())
    upstream = DEPLOY / "nginx" / "token-health-upstream.conf"
    (tmp_path / "machine.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; log_format main '$request';\n"
        f"ssl_protocols TLSv1.2; gzip on; include {upstream}; include {tmp_path}/token-health.conf;\n"
        f"server {{ listen 127.0.0.1:{free_port()} default_server; }} }}"
    )
    done = subprocess.run(
        [tool("nginx"), "-t", "-e", "stderr", "-c", str(tmp_path / "machine.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "warn" not in done.stderr, done.stderr
