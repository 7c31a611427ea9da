"""A middleware to practise on: it syncs firms' contacts with tokens of Token Health, and knows no others.

    export TOKEN_HEALTH_URL=http://127.0.0.1:8080 TOKEN_HEALTH_KEY=thk_…
    python -m monitor.sandbox.middleware acme globex

The key needs `tokens:read`, `signals:write` and `events:read`. Prints a line when a firm's work stops, and
when it goes on.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import os
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator

from token_health_client import NeedsPerson, StillRefused, Token, TokenHealth, TokenHealthError, TryLater

log = logging.getLogger("middleware")
PATH = "/api/v4/contacts.json"
BETWEEN = 3.0  # seconds between two rounds of a firm's work: the API's limit is the prober's, too
ASKED_ANYWAY = 60.0  # a parked firm is asked about so often, should its event get lost
TIDINGS = "connection.recovered,authorization.completed"


class Firm:
    """One firm's work: done again and again, parked where a person has to act."""

    def __init__(self, name: str, th: TokenHealth) -> None:
        self.name = name
        self._th = th
        self._parked = False
        self._woken = threading.Event()

    def wake(self) -> None:
        """Go on at once: something has changed."""
        self._th.forget(self.name)
        self._woken.set()

    def work_on(self) -> None:
        """Work for as long as the process lives."""
        while True:
            self._woken.clear()
            self._woken.wait(self._round())

    def _round(self) -> float:
        """Do the work once, or say why not; return the seconds until the next time."""
        try:
            if self._worked():
                self._go_on()
        except NeedsPerson as stuck:
            self._park(stuck)
            return ASKED_ANYWAY
        except TryLater as later:
            return later.seconds
        except (StillRefused, OSError) as error:  # the token is good, or the provider is not to be had
            log.info("%s: %s", self.name, error)
        except TokenHealthError as error:  # the key or the name is wrong
            log.error("%s: %s", self.name, error)
        return BETWEEN

    def _worked(self) -> bool:
        """Ask for the contacts, with a second token if the first was refused."""
        token = self._th.token(self.name)
        status = _status(token)
        if status == 401:
            status = _status(self._th.refused(token, status))
        return status == 200

    def _park(self, stuck: NeedsPerson) -> None:
        if not self._parked:
            print(f"{self.name} parked: {stuck.cause}, the {stuck.owner} acts", flush=True)
        self._parked = True

    def _go_on(self) -> None:
        if self._parked:
            print(f"{self.name} works again", flush=True)
        self._parked = False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the token along to wherever it is sent."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


_opener = urllib.request.build_opener(_NoRedirect)


def _status(token: Token) -> int:
    """Ask the provider, and return its status."""
    request = urllib.request.Request(token.base_url + PATH, headers=token.headers)  # noqa: S310
    try:
        with _opener.open(request, timeout=10) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def listen(url: str, key: str, firms: dict[str, Firm]) -> None:
    """Wake the firms whose connections work again, for as long as the process lives."""
    last = ""
    while True:
        headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last} if last else {})
        request = urllib.request.Request(f"{url}/api/v1/events/stream?type={TIDINGS}", headers=headers)  # noqa: S310
        try:
            with _opener.open(request, timeout=30) as stream:
                for number, name in _told(stream):
                    last = number or last
                    if name in firms:
                        firms[name].wake()
        except (OSError, http.client.HTTPException, ValueError) as error:  # it comes back with its server
            log.info("no events: %s", error)
        time.sleep(BETWEEN)


def _told(stream: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Read server-sent events: the id of each, and the connection that it is about."""
    number = ""
    for line in stream:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "id":
            number = value
        elif name == "data":
            yield number, str(json.loads(value)["data"].get("connection"))


def main() -> None:
    """Work for the firms that are named, until the process is ended."""
    parser = argparse.ArgumentParser(description="A middleware to practise on.")
    parser.add_argument("firms", nargs="+", help="ids of connections")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    url, key = os.environ["TOKEN_HEALTH_URL"].rstrip("/"), os.environ.pop("TOKEN_HEALTH_KEY")
    th = TokenHealth(url, key)
    firms = {name: Firm(name, th) for name in parser.parse_args().firms}
    for firm in firms.values():
        threading.Thread(target=firm.work_on, daemon=True).start()
    listen(url, key, firms)


if __name__ == "__main__":
    main()
