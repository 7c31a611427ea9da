"""However many programs ask however many processes: a refresh token is sent once, and a spent one never again."""

from __future__ import annotations

import signal
import threading

import httpx
import pytest

from tests.acceptance.outside import House, house, states
from tests.acceptance.test_processes import until


@pytest.mark.timeout(120)
def test_200_callers_over_two_processes_are_one_refresh_and_one_token(tmp_path, sandbox, database_url):
    with house(tmp_path, sandbox, database_url, "web", "web") as one:
        for number, app in enumerate(("clio", "plat")):
            one.authorize(f"acme-{app}", app, 100, 500 + number)
            before = sandbox.seen()["refreshes"]
            asked = [("GET", n % 2, f"/connections/acme-{app}/token") for n in range(200)]
            answers = one.at_once(*asked)
            assert {answer.status_code for answer in answers} == {200}, [
                a.text for a in answers if a.status_code != 200
            ][:3]
            assert len({answer.json()["access_token"] for answer in answers}) == 1
            assert {answer.json()["generation"] for answer in answers} == {1}
            assert sandbox.seen()["refreshes"] == before + 1
        # Again, while somebody begins to look at all that is due.
        for number, app in enumerate(("clio", "plat")):
            one.authorize(f"bolt-{app}", app, 100, 510 + number)
        before = sandbox.seen()["refreshes"]
        worker = threading.Thread(target=one.start, args=("worker",))
        worker.start()
        answers = one.at_once(
            *[
                ("GET", n % 2, f"/connections/bolt-{app}/token")
                for n in range(100)
                for app in ("clio", "plat")
            ]
        )
        worker.join()
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["access_token"] for answer in answers}) == 2
        until(lambda: set(states(one).values()) == {"healthy"})
        assert sandbox.seen()["refreshes"] == before + 2
        assert sandbox.seen()["replays"] == 0


@pytest.mark.timeout(150)
def test_the_process_that_renews_is_killed_in_the_middle(tmp_path, sandbox, database_url):
    """The provider took the refresh tokens, and whoever sent them did not live to hear the answers."""
    with house(tmp_path, sandbox, database_url, "web", "web") as one:
        for number, app in enumerate(("clio", "plat")):
            sandbox.do(one.authorize(app, app, 1, 500 + number)["grant"], "expire_access")
        sandbox.limits(held="refresh_token")
        callers = [threading.Thread(target=_lost, args=(one, app)) for app in ("clio", "plat")]
        for caller in callers:
            caller.start()
        until(lambda: sandbox.seen()["waiting"] == 2, every=0.01)
        one.processes[0].end(signal.SIGKILL)
        for caller in callers:
            caller.join()
        sandbox.limits(held="")
        for app in ("clio", "plat"):
            waiting = one.ask("GET", f"/connections/{app}/token?wait=1s", 1)
            assert waiting.status_code == 503 and waiting.json()["code"] == "refresh_under_way", waiting.text
            assert int(waiting.headers["retry-after"]) > 0
        one.start("worker")
        # Once the dead process is buried: where tokens are reused it is sent again, and that is all there is to it.
        answer = until(lambda: _answered(one, "clio", 200), 60, 0.5)
        assert answer["generation"] == 1
        # Where they rotate, the pair went with the process. Nothing is sent while that could harm.
        gone = until(lambda: _answered(one, "plat", 409), 90, 0.5)
        assert (gone["cause"], gone["owner"]) == ("refresh_lost", "client"), gone
        assert sandbox.seen()["early"] == 0
        until(lambda: states(one, 1) == {"clio": "healthy", "plat": "broken"})


def _lost(one: House, name: str) -> None:
    with pytest.raises(httpx.TransportError):
        one.ask("GET", f"/connections/{name}/token?wait=60s", 0)


def _answered(one: House, name: str, status: int):
    answer = one.ask("GET", f"/connections/{name}/token?wait=1s", 1)
    assert answer.status_code in (status, 503), answer.text
    return answer.json() if answer.status_code == status else None
