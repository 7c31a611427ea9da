"""A Token Health that plays the contract on loopback, and a clock that the test moves."""

from __future__ import annotations

import pytest
from played import Clock, Played

from token_health_client import TokenHealth

KEY = "thk_7QmAbcdefg_" + "s3cretS3cret" * 4


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with Played(KEY) as played:
        played.add("acme-clio")
        yield played


@pytest.fixture
def make(server, clock):
    """Make clients of the server, and close them."""
    made = []

    def _make(url=None, key=KEY, **wish):
        wish = {"clock": clock, "sleep": clock.sleep, "chance": lambda: 0.0, **wish}
        made.append(TokenHealth(server.url if url is None else url, key, **wish))
        return made[-1]

    yield _make
    for one in made:
        one.close()


@pytest.fixture
def th(make):
    return make()
