"""The stage of the on-call story: Prometheus, Alertmanager and a webhook as real processes and servers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.test_processes import free_port, until
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
# The shipped files say minutes; the story is told in seconds. An alert's own patience shrinks less: between
# the start of Prometheus and its first scrape lie seconds that no longer shrink.
FASTER, PATIENT = 60, 20


def need(*programs: str) -> None:
    for name in programs:
        if shutil.which(name) is None:
            missing(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")


class Webhook:
    """Takes what Alertmanager sends, by the path it was sent to: `page/legal`, `tickets`."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.taken.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, status: str = "firing", path: str = "page/") -> list[tuple[str, str]]:
        """Return where, and what: the alerts of each message with this status.

        But a scrape that came late, which on a busy machine is the machine's doing and no part of the story.
        """
        return [
            (where, alert["labels"]["alertname"])
            for where, message in self.taken
            if where.startswith(path) and message["status"] == status
            for alert in message["alerts"]
            if alert["labels"]["alertname"] != "TokenHealthDown"
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Middleware:
    """A program that works beside the story: it asks for tokens, and says how they served."""

    def __init__(self, web: str, key: str, connection: str) -> None:
        self.base, self.key, self.connection = f"{web}/api/v1/connections", key, connection
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while not self.ended.wait(0.5):
            given = self._ask(f"{self.connection}/token")
            if given is not None:
                said = {"kind": "success", "generation": given["generation"]}
                self._ask(f"{self.connection}/signals", json.dumps(said).encode())
            self._ask("nobody/token")  # a mistake of its own, again and again

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"{self.base}/{path}", body)
        request.add_header("Authorization", f"Bearer {self.key}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:  # refused, or the service has ended
            return None

    def close(self) -> None:
        self.ended.set()
        self.thread.join(20)


def _faster(document: Any) -> Any:
    """Divide every duration of a configuration by FASTER, down to a second."""
    sizes = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def shorter(text: str, by: int) -> str:
        match = re.fullmatch(r"(\d+)([smhd])", text)
        assert match is not None, text
        return f"{max(1, int(match.group(1)) * sizes[match.group(2)] // by)}s"

    if isinstance(document, dict):
        timed = ("for", "keep_firing_for", "group_wait", "group_interval", "repeat_interval")
        return {
            key: shorter(value, PATIENT if key == "for" else FASTER) if key in timed else _faster(value)
            for key, value in document.items()
        }
    return [_faster(item) for item in document] if isinstance(document, list) else document


@contextmanager
def running(*words: str, log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file)
        try:
            until(lambda: _answers(ready) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def alertmanager(folder: Path, shipped: str, webhook: Webhook) -> Iterator[str]:
    """Debian's Alertmanager with the shipped configuration, its receivers put in the webhook's place."""
    document = _faster(yaml.safe_load(shipped.replace("http://127.0.0.1:9095", webhook.url)))
    file, port = folder / "alertmanager.yml", free_port()
    file.write_text(yaml.safe_dump(document))
    url = f"http://127.0.0.1:{port}"
    with running(
        "prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder / 'am'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        log=folder / "alertmanager.log", ready=f"{url}/-/ready",
    ):  # fmt: skip
        yield url


@contextmanager
def prometheus(folder: Path, rules: str, manager: str, service_port: int) -> Iterator[str]:
    """Debian's Prometheus with the shipped configuration and rules, scraping each second."""
    (folder / "token-health.rules.yml").write_text(yaml.safe_dump(_faster(yaml.safe_load(rules))))
    document = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{service_port}"]}]
    managers = document["alerting"]["alertmanagers"][0]
    managers["static_configs"] = [{"targets": [manager.removeprefix("http://")]}]
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(document))
    url = f"http://127.0.0.1:{port}"
    with running(
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
        log=folder / "prometheus.log", ready=f"{url}/-/ready",
    ):  # fmt: skip
        yield url


def ask(url: str, path: str, **words: str) -> Any:
    """Ask Prometheus; an error is its own sentence."""
    try:
        with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(words)}", timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{words}: {error.read().decode()}") from None


def queries(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a dashboard asks: where, and the expression."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} ({target['refId']})", target["expr"]
    for annotation in document["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
            yield f"variable {variable['name']}", f"count by ({label}) ({metric})"


def filled(expr: str, **values: str) -> str:
    """Put values in the place of Grafana's variables."""
    for name, value in ({"__rate_interval": "30s", "__range": "5m"} | values).items():
        expr = re.sub(rf"\$\{{?{name}\b\}}?", value, expr)
    return expr
