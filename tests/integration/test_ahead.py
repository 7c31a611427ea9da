"""What lies ahead as it is exported and told: /metrics, on-call's own channels, and what a fleet costs."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import pytest
from sqlalchemy import update

from alerts.pages import truth
from monitor.health.doors import Door, Outcome, Seen, after
from monitor.metrics.exposition import Exposition, negotiated
from monitor.operations import apps, costs, records
from monitor.settings.builders import build_oncall
from monitor.store import app_checks
from monitor.store.tables import credential
from tests.conftest import ME, START, rigged

DAY = timedelta(days=1)
MORE = """
[[ends]]
what = "The old way"
on = 2027-03-01
"""
LIMITS = """
[limits]
least_interval = "1h"
reads_per_month = 1000
live_access_tokens = 2
grants_per_user = 5
"""


@pytest.fixture
async def rig(tmp_path, sandbox, database_url):
    known = files("monitor.providers").joinpath("clio.toml").read_text().replace("[limits]\n", LIMITS)
    (tmp_path / "mine.toml").write_text(known + MORE)
    app = {"extra": 'provider_file = "mine.toml"\nsecret_expires = 2027-01-20'}
    async with rigged(tmp_path, sandbox, database_url, apps={"clio": app}) as found:
        await found.add("acme", "bolt", scopes=("contacts",))
        await found.look()
        async with found.parts.database.write() as conn:
            await conn.execute(
                update(credential)
                .where(credential.c.connection == "acme")
                .values(grant_ends_at=START + 20 * DAY)
            )
        yield found


async def page(rig):
    settings = rig.parts.loaded.settings
    exposition = Exposition(
        rig.parts.database, rig.meters, rig.parts.apps, rig.clock,
        interval=settings.schedule.interval, extent=settings.extent,
    )  # fmt: skip
    encoder, _ = negotiated("")
    intervals = rig.watching.admission.intervals()
    pieces = [
        piece
        async for piece in exposition.write(leads=True, lag=0, alive=1, intervals=intervals, encoder=encoder)
    ]
    return b"".join(pieces).decode()


async def shut(rig, door=Door.TOKEN):
    seen = Seen(
        door, Outcome.REFUSED, "The token endpoint refuses our app: 401 invalid_client.", "rfc6749.client"
    )
    once = after(None, seen, rig.clock.now())
    await app_checks.keep(rig.parts.database, "clio", [after(once, seen, rig.clock.now())], START + DAY)


async def told(rig):
    async with rig.parts.database.read() as conn:
        seen = await truth.look(conn, build_oncall(rig.parts), rig.clock.now())
    return {matter.alert.name: matter for matter in seen.told.values()}


async def test_metrics_have_the_next_end_of_each_kind(rig):
    lines = (await page(rig)).splitlines()

    def value(start):
        return [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start)]

    end = 'token_health_next_end_timestamp_seconds{kind="%s",provider="clio",app="%s"}'
    assert value(end % ("grant", "clio")) == [(START + 20 * DAY).timestamp()]
    assert value(end % ("client_secret", "clio")) and value(end % ("provider_end", ""))
    assert value(end % ("refresh_token", "clio")) == [], "nothing that the service prevents itself"
    assert value("token_health_grants_ending{") == [1]
    assert value('token_health_refresh_token_expiry_timestamp_seconds{connection="acme"') == [
        (START + 20 * DAY).timestamp()
    ]
    assert value("token_health_door_up") == [], "never asked"
    assert value("token_health_metered_reads_per_month{") == [2 * 2 * 720]
    assert value("token_health_metered_reads_per_month_limit{") == [1000]
    assert value("token_health_probe_interval_stretched{") == [1], "a provider's least is no stretch"
    await shut(rig)
    lines = (await page(rig)).splitlines()
    assert value('token_health_door_up{provider="clio",app="clio",door="token"}') == [0]


async def test_on_call_is_told_by_the_service_itself(rig):
    secret = rig.parts.loaded.settings.secrets["clio"]
    assert "TokenHealthSecretEnds" not in await told(rig)
    left = (secret - START.date()).days
    rig.clock.tick(days=left - 29)
    found = await told(rig)
    assert found["TokenHealthSecretEnds"].app == "clio"
    rig.clock.tick(days=23)
    found = await told(rig)
    assert "TokenHealthSecretEnds" not in found and "TokenHealthSecretEndsSoon" in found
    assert found["TokenHealthProviderEndAhead"].provider == "clio"
    await shut(rig)
    door = (await told(rig))["TokenHealthDoorShut"]
    assert "invalid_client" in door.description
    assert door.labels()["app"] == "clio"


async def test_what_a_fleet_costs_is_said_with_what_to_set(rig):
    used = await apps.show(rig.parts, ME, "clio")
    assert (used.interval, used.configured) == (timedelta(hours=1), timedelta(minutes=5))
    document = records.app(used)
    assert document["stretched"] is False
    assert document["cost"]["reads_per_month"] == 2 * 2 * 720
    assert "least_interval" in document["cost"]["trouble"]
    checks = await costs.checked(rig.parts, await apps.intervals_now(rig.parts))
    assert [check.ok for check in checks] == [None, True]
    assert "2 access tokens" in checks[1].says and "5 approvals" in checks[1].says


async def test_a_provider_s_least_interval_is_kept(rig):
    known = await rig.known("acme")
    assert known.next_probe_at - rig.clock.now() >= timedelta(minutes=28), "half a beat away at least"
    before = known.last_probe_at
    await rig.after(minutes=6)
    assert (await rig.known("acme")).last_probe_at == before
