"""deploy/nginx with a real nginx before the real service: what clients need passes, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.test_processes import Program, cli, config, free_port, get, import_fleet, states, until
from tests.conftest import missing

CONF = Path(__file__).parents[2] / "deploy/nginx/token-health.conf"
MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/start.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/token-health.conf;
}}
"""


def nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        missing("nginx is not installed")
    return found


def written(folder: Path, port: int, upstream: int) -> Path:
    """Write the shipped file with this machine's addresses, and a certificate made here."""
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    text = CONF.read_text()
    for ours, here in (
        ("server token-health:8080;", f"server 127.0.0.1:{upstream};"),
        ("listen 8443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/nginx/tls", str(folder)),
        ("/dev/stderr", str(folder / "error.log")),
    ):
        assert ours in text, ours
        text = text.replace(ours, here)
    (folder / "token-health.conf").write_text(text)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder))
    return main


def ask(port: int, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)
    except OSError:
        return 0, "", {}


@pytest.fixture
def behind(tmp_path, sandbox):
    """The service with split listeners, and nginx before the clients' one."""
    program_of_nginx = nginx()
    clients, operations, front = free_port(), free_port(), free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}")
    text = path.read_text().split("\n[web]\n")[0]
    path.write_text(
        f'{text}\n[web]\nclients_listen = "127.0.0.1:{clients}"\noperations_listen = "127.0.0.1:{operations}"\n'
        f'public_url = "https://localhost:{front}"\n'
    )
    sandbox.app("clio")
    import_fleet(path, sandbox, "clio", "us", 1)
    main = written(tmp_path / "nginx", front, clients)
    subprocess.run([program_of_nginx, "-t", "-q", "-c", str(main)], check=True)
    service = Program(path, ("clio",))
    proxy = subprocess.Popen([program_of_nginx, "-c", str(main)])
    try:
        until(lambda: get(operations, "/readyz")[0] == 200)
        until(lambda: ask(front, "/static/pages.css")[0] == 200)
        yield path, clients, operations, front, tmp_path / "nginx"
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(10)
        assert service.end() == 0, service.text


def test_clients_pages_pass_and_nothing_else_does(behind):
    path, clients, operations, front, folder = behind
    until(lambda: set(states(path).values()) == {"ok"})
    said = cli(path, "reauthorize", "firm-0")
    road = re.search(r"https://localhost:\d+(/r/[\w-]+)", said.replace("\n", "")).group(1)
    status, text, headers = ask(front, road)
    assert status == 200 and "<form" in text
    assert "Strict-Transport-Security" in headers and "nginx/" not in headers.get("Server", "")
    assert "<h1>" in ask(front, "/r/guess")[1] and "<h1>" in ask(front, "/oauth/callback?state=a&code=b")[1]
    assert ask(front, "/again/guess")[0] == 404

    for closed in (
        "/metrics", "/healthz", "/readyz", "/", "/docs", "/static/", "/static/pages.css/..%2f..%2fmetrics",
        "/r/../metrics", "/r/..%2fmetrics", "/r/%2e%2e/metrics", "//metrics", "/oauth", "/oauth/callbackx", "/R/x",
    ):  # fmt: skip
        status, text, _ = ask(front, closed)
        assert (status, "token_health_" in text) == (404, False), closed

    # Behind the proxy the two doors are apart, too.
    assert get(clients, "/metrics")[0] == 404 and get(clients, "/healthz")[0] == 404
    assert get(operations, "/metrics")[0] == 200 and get(operations, road)[0] == 404

    kept = "".join(file.read_text(errors="replace") for file in folder.glob("*.log"))
    assert road.removeprefix("/r/") not in kept, "no secret of a link in the proxy's logs"


def test_each_client_behind_the_proxy_has_a_limit_of_its_own_that_it_cannot_forge(behind):
    front = behind[3]
    codes = [ask(front, "/r/guess", **{"X-Forwarded-For": f"198.51.100.{i}"})[0] for i in range(70)]
    assert codes[0] == 404 and codes[-1] == 429, "what a client says of itself is not passed on"
