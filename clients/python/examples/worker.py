"""Ask each connection's provider for one document.

    export TOKEN_HEALTH_URL=https://th.example TOKEN_HEALTH_KEY=thk_…
    python worker.py /api/v4/users/who_am_i.json acme-clio globex …

What a person has to mend is parked, what passes is tried again, and Token Health hears how each token fared.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.response import addinfourl

from token_health_client import NeedsPerson, StillRefused, Token, TokenHealth, TokenHealthError, TryLater

TRIES = 5
LONGEST_PAUSE = 60.0


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the token along to wherever it is sent."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


opener = urllib.request.build_opener(NoRedirect)


def get(token: Token, path: str) -> addinfourl:
    """Return the provider's answer, whatever its status."""
    request = urllib.request.Request(token.base_url + path, headers=token.headers)
    try:
        answer: addinfourl = opener.open(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        return refusal
    return answer


def work(th: TokenHealth, connection: str, path: str) -> str:
    """Do one connection's work, with a second token if the first was refused."""
    token = th.token(connection)
    answer = get(token, path)
    if answer.status == 401:
        with answer:
            token = th.refused(token, answer)
        answer = get(token, path)
    with answer:
        th.saw(token, answer)
        return f"{answer.status}, {len(answer.read())} bytes"


def patiently(th: TokenHealth, connection: str, path: str) -> str:
    """Return what came of it, in a line."""
    for _ in range(TRIES):
        try:
            return work(th, connection, path)
        except TryLater as later:
            time.sleep(min(later.seconds, LONGEST_PAUSE))
        except NeedsPerson as stuck:
            return f"parked ({stuck.cause}): {stuck.next_step} {stuck.reconnect_url or ''}".rstrip()
        except StillRefused as refused:
            return f"refused, though Token Health saw {refused.looked}"
        except TokenHealthError as error:
            return str(error).partition(": ")[2]
        except OSError as error:
            return f"the provider is not reached: {error}"
    return "not today"


def main() -> None:
    """Work through the connections named on the command line."""
    path, *connections = sys.argv[1:]
    with TokenHealth(os.environ["TOKEN_HEALTH_URL"], key=os.environ["TOKEN_HEALTH_KEY"]) as th:
        for connection in connections:
            print(f"{connection}: {patiently(th, connection, path)}")


if __name__ == "__main__":
    main()
