"""A real nginx with deploy/'s configuration, a real service behind it, and what goes between them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.acceptance.test_processes import Program, cli, config, free_port, get, import_fleet, until
from tests.conftest import Sandbox, missing

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "token-health.example.com"


def tool(name: str) -> str:
    """A program that administrators have where others do not look."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        missing(f"{name} is not installed")
    assert found is not None
    return found


class Tap:
    """Stands between nginx and the service, and keeps every byte that nginx sent on."""

    def __init__(self, service: int) -> None:
        self.service, self.requests = service, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._relay, args=(self._listener.accept()[0],), daemon=True).start()

    def _relay(self, proxy: socket.socket) -> None:
        number = len(self.requests)
        self.requests.append(b"")
        with proxy, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.service)) as to:
            back = threading.Thread(target=_copy, args=(to, proxy), daemon=True)
            back.start()
            while part := proxy.recv(65536):
                self.requests[number] += part
                to.sendall(part)
            with contextlib.suppress(OSError):
                to.shutdown(socket.SHUT_WR)
            back.join(10)

    def lines(self) -> list[str]:
        """The request lines that came through."""
        return [one.split(b"\r\n")[0].decode() for one in self.requests]

    def close(self) -> None:
        # A blocked accept holds the socket open until it is shut down.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


@dataclass
class Proxied:
    """A service that strangers reach through nginx only."""

    path: Path
    tap: Tap
    tls: int
    plain: int
    folder: Path
    trust: ssl.SSLContext = field(repr=False)

    def socket(self, source: str = "127.0.0.1", name: str | None = HOST) -> ssl.SSLSocket:
        """A connection with a handshake, from one of loopback's addresses, asking for a name."""
        raw = socket.create_connection(("127.0.0.1", self.tls), timeout=15, source_address=(source, 0))
        try:
            return self.trust.wrap_socket(raw, server_hostname=name)
        except BaseException:
            raw.close()
            raise

    def say(self, text: str | bytes, source: str = "127.0.0.1") -> bytes:
        """Send bytes as they are; return all that comes back."""
        with self.socket(source) as to:
            to.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))
            return heard(to)

    def status(self, page: str, source: str = "127.0.0.1", headers: str = "", method: str = "GET") -> int:
        """Ask for one page; return the answer's status."""
        said = self.say(
            f"{method} {page} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Connection: close\r\n\r\n", source
        )
        return int(said.split()[1])

    def browser(self) -> httpx.Client:
        """A client that goes to loopback for the public name."""
        return httpx.Client(
            verify=self.trust,
            base_url=f"https://127.0.0.1:{self.tls}",
            headers={"Host": HOST, "Sec-Fetch-Site": "same-origin", "Accept-Language": "de"},
            event_hooks={"request": [lambda request: request.extensions.update(sni_hostname=HOST)]},
            timeout=30,
        )

    def logs(self) -> str:
        """All that nginx wrote."""
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))


def heard(to: socket.socket) -> bytes:
    """Read until the other side closes; what it resets is closed, too."""
    found = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while part := to.recv(65536):
            found += part
    return found


def nginx_files(folder: Path, upstream: int, tls: int, plain: int, **instead: str) -> Path:
    """deploy/nginx as shipped, but for ports, folders, the service's address and what a test wants shorter."""
    shipped = (DEPLOY / "nginx" / "token-health.conf").read_text()
    text = re.sub(r"^ *listen \[::\]:.*\n", "", shipped, flags=re.MULTILINE)
    text = text.replace("listen 443", f"listen 127.0.0.1:{tls}").replace(
        "listen 80", f"listen 127.0.0.1:{plain}"
    )
    text = text.replace("/etc/nginx/tls", str(folder)).replace("/var/log/nginx", str(folder))
    for old, new in instead.items():
        text, found = re.subn(rf"^( *){old} .*;", rf"\g<1>{old} {new};", text, flags=re.MULTILINE)
        assert found, old
    (folder / "token-health.conf").write_text(text)
    text = (DEPLOY / "nginx" / "nginx.conf").read_text()
    text = text.replace("server token-health:8080", f"server 127.0.0.1:{upstream}")
    text = re.sub(r"/etc/nginx/|/tmp/", f"{folder}/", text)
    (folder / "nginx.conf").write_text(text)
    return folder / "nginx.conf"


def certificates(folder: Path, name: str = HOST) -> ssl.SSLContext:
    """Certificates as compose makes them; return what trusts them."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["sh", str(DEPLOY / "certificates.sh"), str(folder), str(folder), name, str(os.getuid())], check=True
    )
    trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does from 3.13 on
    return trust


@contextlib.contextmanager
def nginx(path: Path, port: int) -> Iterator[None]:
    """Run nginx until the block ends."""
    # What it says before it has read where to write.
    with (path.parent / "start.log").open("wb") as said:
        process = subprocess.Popen(
            [tool("nginx"), "-c", str(path), "-e", "stderr", "-g", "daemon off;"], stdout=said, stderr=said
        )
    try:
        until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (path.parent / "start.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def proxied(folder: Path, sandbox: Sandbox, **instead: str) -> Iterator[Proxied]:
    """A service with one connection, `firm-0`, behind nginx."""
    tool("nginx"), tool("openssl")
    sandbox.app("clio", redirect_uris=[f"https://{HOST}/oauth/callback"])
    port, tls, plain = free_port(), free_port(), free_port()
    path = config(folder, sandbox, f"sqlite:///{folder / 'th.db'}", port)
    path.write_text(
        path.read_text().replace(
            "[web]\n", f'[web]\npublic_url = "https://{HOST}"\nproxies = ["127.0.0.1"]\n'
        )
    )
    import_fleet(path, sandbox, "clio", "us", 1)
    trust = certificates(folder / "nginx")
    tap, program = Tap(port), Program(path, ("clio",))
    try:
        until(lambda: get(port, "/readyz")[0] == 200)
        with nginx(nginx_files(folder / "nginx", tap.port, tls, plain, **instead), tls):
            yield Proxied(path, tap, tls, plain, folder / "nginx", trust)
    finally:
        with contextlib.suppress(OSError):
            tap.close()
        program.end()


def link_to(found: Proxied, connection: str) -> str:
    """A fresh link, by the command that makes one."""
    said = cli(found.path, "reauthorize", connection)
    return re.findall(rf"https://{HOST}(/r/[\w-]+)", said)[0]
