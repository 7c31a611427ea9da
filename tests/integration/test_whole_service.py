"""Budgets, metrics, other providers and secrets, with everything put together."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import structlog
from pytest_httpserver import HTTPServer
from starlette.applications import Starlette

from monitor.health.cadence import Cadence
from monitor.health.incidents import Place
from monitor.metrics.catalogue import FLEET, OWN
from monitor.metrics.exposition import Exposition, negotiated
from monitor.operations.apps import stretched
from monitor.operations.exports import tokens_of
from monitor.secret import Secret
from monitor.service import logs
from monitor.store import connections, due, imports
from monitor.store.engine import Database
from monitor.store.imports import NewConnection
from monitor.tokens.refresh import access_cell
from monitor.watching.admission import Admission, Pace
from monitor.watching.pacing import Demand, Pacer
from monitor.web.ops import Ops, Pulse
from tests.conftest import ME, START, missing, postgres_url, rigged

PLATFORM = {"plat": {"provider": "clio-platform"}}


def _sqlite(tmp_path):
    return f"sqlite:///{tmp_path / 'th.db'}"


PLAT = Place("plat", "clio-platform", "us")


async def _big_fleet(rig, count):
    vault = rig.parts.vault
    await imports.put(
        rig.parts.database,
        [
            NewConnection(
                id=f"c{i:05}", place=PLAT, client_name="x", contacts=(),
                locale="en", timezone="UTC", scopes=(), account_id="1", labels={},
                access=vault.seal(Secret("t"), access_cell(f"c{i:05}", PLAT)), imported="x", first_probe_at=START,
            )
            for i in range(count)
        ],
        START, "test",
    )  # fmt: skip


async def test_an_app_wide_limit_holds_with_ten_thousand_connections(tmp_path, sqlite_url, sandbox):
    """Three a second for the whole app, of which probing takes half: 90 a minute, whoever asks."""
    async with rigged(tmp_path, sandbox, sqlite_url, apps=PLATFORM) as rig:
        await _big_fleet(rig, 10_000)
        await rig.watching.ticks.prepare()
        assert rig.watching.admission.intervals()["plat"] == timedelta(minutes=10_000 * 1.2 / 90)
        assert [(app, wanted) for app, _, wanted in await stretched(rig.parts, ME)] == [
            ("plat", timedelta(minutes=5))
        ]
        pacer, begun = Pacer(rig.parts.database, rig.clock), 0
        admission = Admission(rig.parts.database, rig.parts.apps, pacer, Cadence(), Pace())
        while rig.clock.now() < START + timedelta(minutes=1):
            for (app,), count in await admission.admit(500, rig.clock.now()):
                for _ in range(count):
                    await pacer.turn(rig.parts.apps[app])  # which waits for it
                begun += count
            rig.clock.tick(seconds=0.1)
        assert 80 <= begun <= 90 + 5, "the limit's share in a minute, and what was reserved ahead"


async def test_renewals_on_demand_have_what_probing_leaves_of_an_app_wide_limit(
    tmp_path, sqlite_url, sandbox
):
    async with rigged(tmp_path, sandbox, sqlite_url, apps=PLATFORM) as rig:
        app, probing = rig.parts.apps["plat"], Pacer(rig.parts.database, rig.clock)
        await probing.prepare(app)
        demand, begun = Demand(rig.parts.database, rig.clock, probing), 0
        while rig.clock.now() < START + timedelta(minutes=1):
            await demand.turn(app)  # which waits for it
            begun += 1
        assert 85 <= begun <= 92, "three a second, of which probing takes half"
        assert await probing.reserve(app, 1) == 1, "and probing has lost none of it"
        await demand.hold(app, rig.clock.now() + timedelta(minutes=1))
        assert await Pacer(rig.parts.database, rig.clock).reserve(app, 1) == 0, "a 429 is everybody's"


async def test_a_429_of_an_app_wide_limit_holds_the_whole_app(tmp_path, sqlite_url, sandbox):
    async with rigged(tmp_path, sandbox, sqlite_url, apps=PLATFORM) as rig:
        await rig.add("acme", "bolt", app="plat")
        await rig.look()
        sandbox.limits(platform_per_second=0.1)
        before = rig.clock.now()
        await rig.after(minutes=8)
        assert "rate_limited" in {(await rig.state(n))[1] for n in ("acme", "bolt")}
        pacer = Pacer(rig.parts.database, rig.clock)
        assert await pacer.reserve(rig.parts.apps["plat"], 5) == 0, "nothing starts now"
        assert rig.clock.now() > before


@pytest.mark.parametrize(
    ("introspects", "cause"), [({}, "revoked"), ({"introspection_endpoint": "/i"}, "refresh_expired")]
)
async def test_a_standards_following_server_is_watched_by_its_metadata(
    tmp_path, sandbox, httpserver: HTTPServer, introspects, cause
):
    issuer = httpserver.url_for("").rstrip("/")
    endpoints = {
        "token_endpoint": "/t",
        "userinfo_endpoint": "/u",
        "authorization_endpoint": "/a",
    } | introspects
    httpserver.expect_request("/.well-known/openid-configuration").respond_with_json(
        {"issuer": issuer} | {name: issuer + path for name, path in endpoints.items()}
    )
    httpserver.expect_request("/i", method="POST", headers={"Authorization": "Basic eDp4"}).respond_with_json(
        {"active": False, "exp": (START - timedelta(days=1)).timestamp()}
    )
    httpserver.expect_request("/u", headers={"Authorization": "Bearer good"}).respond_with_json(
        {"sub": "user-7", "preferred_username": "ann"}
    )
    httpserver.expect_request("/u").respond_with_data(
        "", 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )
    httpserver.expect_request("/t", method="POST").respond_with_json({"error": "invalid_grant"}, 400)
    extra = f'base_url = "{issuer}"'
    apps = {"oidc": {"provider": "oidc"}}
    path = tmp_path / "x"
    path.mkdir()
    async with rigged(path, sandbox, _sqlite(path), apps={"clio": {}}) as rig:
        config = (path / "token-health.toml").read_text().split("[[apps]]")[0]
        (path / "token-health.toml").write_text(
            config
            + f'[[apps]]\nid = "oidc"\nprovider = "oidc"\nclient_id = "x"\nclient_secret_env = "S"\n{extra}\n'
        )
        from monitor.metrics.meters import Meters
        from monitor.operations import imports, intake
        from monitor.settings.builders import build_watching, build_wire
        from monitor.settings.file import load
        from monitor.settings.parts import opened
        from monitor.store.processes import Role

        async with opened(load(path / "token-health.toml", {"S": "x"}), rig.clock) as parts:
            wire = build_wire(parts)
            watching = build_watching(parts, wire, Meters(), "p", Role.ALL)
            records = [
                intake.Record.model_validate(
                    {
                        "id": n,
                        "app": "oidc",
                        "client": {"name": n},
                        "tokens": {"access_token": t, "refresh_token": "r"},
                    }
                )
                for n, t in (("good", "good"), ("bad", "bad"))
            ]
            await imports.take_in(parts, ME, records)
            await watching.ticks.prepare()
            for _ in range(3):
                await watching.rounds.due()
                rig.clock.tick(minutes=1)
            good, bad = [await connections.show(parts.database, n) for n in ("good", "bad")]
            assert (good.health.state.value, good.account_id) == ("healthy", "user-7")
            assert (bad.health.state.value, bad.health.cause.value) == ("broken", cause)
            await watching.ticks.stop()
            await wire.close()
    assert apps


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def _metrics(rig, accept="", **more):
    exposition = Exposition(
        more.get("database", rig.parts.database), rig.meters, rig.parts.apps, rig.clock, interval=timedelta(minutes=5),
        extent=replace(rig.parts.loaded.settings.extent, **more.get("extent", {})),
    )  # fmt: skip
    pieces = exposition.write(
        leads=more.get("leads", True),
        lag=1.5,
        alive=1,
        intervals=rig.watching.admission.intervals(),
        encoder=negotiated(accept)[0],
    )
    return b"".join([piece async for piece in pieces]).decode()


async def test_the_metrics_are_the_contracts_and_promtool_takes_them(rig):
    await rig.add("acme", "bolt", scopes=("contacts",))
    await rig.look()
    rig.sandbox.do(rig.grants["bolt"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("bolt")
    page = await _metrics(rig)
    where = 'connection="acme",app="clio",provider="clio"'
    assert f'token_health_connection_up{{{where},client="Firm acme"}} 1' in page
    assert (
        'token_health_connection_up{connection="bolt",app="clio",provider="clio",client="Firm bolt"} 0'
        in page
    )
    assert 'client="Firm bolt",cause="revoked",owner="client"} 1' in page
    assert 'token_health_connections{provider="clio",app="clio",state="broken"} 1' in page
    assert f"token_health_last_success_timestamp_seconds{{{where}}} {int(START.timestamp())}" not in page
    assert 'token_health_probes_total{app="clio",cause="revoked",provider="clio"}' in page
    assert 'token_health_refreshes_total{app="clio",provider="clio",result="refused"}' in page
    assert "token_health_schedule_lag_seconds 1.5" in page
    for metric in (*FLEET, *OWN):
        assert f"# HELP {metric.name}" in page, metric.name
    sealed = (await rig.known("acme")).sealed
    assert (
        rig.parts.vault.open(sealed.access, access_cell("acme", rig.parts.apps["clio"].place)).reveal()
        not in page
    )
    promtool = shutil.which("promtool") or missing("promtool is not installed (Debian: prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_the_fleet_is_left_to_the_process_that_leads_and_names_may_be_left_out(rig):
    await rig.add("acme")
    await rig.look()
    assert "token_health_connection_up{" not in await _metrics(rig, leads=False)
    assert "Firm acme" not in await _metrics(rig, extent={"client_names": False})
    assert (await _metrics(rig, OPENMETRICS)).endswith("# EOF\n")


PLAIN = "text/plain; version=0.0.4; charset=utf-8"
ACCEPTS = [
    ("", PLAIN),
    ("*/*", PLAIN),
    # Whoever knows only a draft of OpenMetrics is not given the standard.
    ("application/openmetrics-text; version=0.0.1", PLAIN),
    ("application/openmetrics-text; version=abc", PLAIN),
    (
        "text/plain; version=1.0.0; escaping=allow-utf-8",
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    ),
    ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    # What Prometheus 3 sends.
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    ),
]


@pytest.mark.parametrize(("accept", "content_type"), ACCEPTS)
async def test_a_scraper_gets_the_format_that_it_asked_for(rig, accept, content_type):
    await rig.add("acme")
    await rig.look()
    exposition = Exposition(
        rig.parts.database, rig.meters, rig.parts.apps, rig.clock, interval=timedelta(minutes=5),
        extent=rig.parts.loaded.settings.extent,
    )  # fmt: skip
    ops = Ops(exposition, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
    transport = httpx.ASGITransport(Starlette(routes=ops.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://th.example") as scraper:
        answer = await scraper.get("/metrics", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert 'token_health_connection_up{connection="acme"' in answer.text
    assert answer.text.endswith("# EOF\n") is content_type.startswith("application/openmetrics-text")


async def test_the_fleet_is_as_large_as_the_configuration_allows(rig):
    await rig.add("acme", "bolt")
    await rig.look()
    rig.sandbox.do(rig.grants["bolt"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("bolt")
    broken = await _metrics(rig, extent={"connections": "broken"})
    assert "token_health_connection_up{" not in broken
    assert 'token_health_connection_problem{connection="bolt"' in broken
    assert 'cause="revoked",owner="client",tier="default"}' in broken
    none = await _metrics(rig, extent={"connections": "none"})
    assert 'connection="' not in none
    assert 'token_health_connections{provider="clio",app="clio",state="broken"} 1' in none


async def test_without_its_database_it_still_says_so(rig):
    gone = Database("sqlite:////nowhere/at/all.db")
    page = await _metrics(rig, database=gone)
    assert "token_health_database_up 0" in page
    assert "token_health_probes_in_flight" in page
    await gone.close()


async def test_a_spike_leads_to_a_connection(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert '# {connection="acme"}' in await _metrics(rig, OPENMETRICS)


async def test_a_label_cannot_break_out(rig):
    from monitor.metrics.exposition import escape

    assert escape('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


async def test_promise_4_no_token_gets_into_logs_database_or_errors(tmp_path, sqlite_url, sandbox):
    """A canary in every secret; then everything that is written is searched for it."""
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    try:
        async with rigged(tmp_path, sandbox, sqlite_url) as rig:
            await rig.add("acme", scopes=("contacts",))
            await rig.look()
            secrets = list(tokens_of(rig.parts, await rig.known("acme")).values())[:2]
            sandbox.do(rig.grants["acme"], "expire_access")
            await rig.after(minutes=8)
            secrets += list(tokens_of(rig.parts, await rig.known("acme")).values())[:2]
            sandbox.do(rig.grants["acme"], "revoke")
            await rig.after(minutes=8)
            await rig.settle("acme")
            try:
                canary = Secret("c4n4ry" * 6)
                raise ValueError(f"refused {canary}")
            except ValueError:
                structlog.get_logger("t").exception(
                    "event", token="c4n4ryc4n4ry", note=f"Bearer {'c4n4ry' * 6}"
                )
            logging.getLogger("httpx").info("GET https://x/?code=c4n4ry")
        written = stream.getvalue() + "".join(
            path.read_bytes().decode("latin-1") for path in tmp_path.glob("th.db*")
        )
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers[:] = []
    assert len(set(secrets)) >= 3
    for secret in [*secrets, "c4n4ry", "s3cret"]:
        assert secret not in written
    assert '"connection": "acme"' in written and json.loads(stream.getvalue().splitlines()[0])["timestamp"]


async def test_a_moved_ciphertext_is_found_out_and_costs_no_request(rig):
    await rig.add("acme", "bolt")
    await rig.look()
    from sqlalchemy import text

    asked = rig.sandbox.seen()["requests"]["us whoami"]
    async with rig.parts.database.write() as conn:
        await conn.execute(
            text("UPDATE credential SET access = (SELECT access FROM credential WHERE connection = 'bolt') "
                 "WHERE connection = 'acme'")
        )  # fmt: skip
        await conn.execute(text("UPDATE watch SET next_probe_at = NULL WHERE connection = 'bolt'"))
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "app_misconfigured")
    assert rig.sandbox.seen()["requests"]["us whoami"] == asked


async def test_a_large_backlog_is_worked_off_without_a_thundering_herd(tmp_path, sqlite_url, sandbox):
    async with rigged(tmp_path, sandbox, sqlite_url, schedule="concurrency = 10") as rig:
        await rig.watching.ticks.prepare()
        admission = rig.watching.admission
        assert admission.allowance(rig.clock.now()) == 10, "concurrency a second"
        admission.fit({"clio": 30_000})
        rig.clock.tick(seconds=1)
        assert admission.allowance(rig.clock.now()) == 310, "three times the steady hundred a second"


@pytest.mark.parametrize("trouble", ["stopped", "late", "skew"])
async def test_readiness_says_what_is_wrong(rig, trouble):
    ticks, presence, now = rig.watching.ticks, rig.watching.presence, rig.clock.now()
    assert ticks.trouble(now) == "the loop has not started"
    ticks.ticked_at = now
    assert ticks.trouble(now) is None
    match trouble:
        case "stopped":
            assert "stopped ticking" in ticks.trouble(now + timedelta(seconds=31))
        case "late":
            presence.lag = 700
            assert "12 minutes late" in ticks.trouble(now)
        case "skew":
            presence.skew = timedelta(seconds=9)
            assert "9 seconds off the database's" in ticks.trouble(now)


async def test_a_doubt_that_could_not_be_looked_at_is_no_recovery(rig):
    """The limit ends before the scope that is in doubt: neither refused nor read."""
    await rig.add("acme", scopes=("contacts", "matters"), permissions=["contacts"])
    await rig.look()
    assert await rig.settle("acme") == ("broken", "insufficient_scope")
    rig.sandbox.do(rig.grants["acme"], "restore", resources=["contacts", "matters"])
    rig.sandbox.limits(per_minute=rig.sandbox.seen()["requests"]["us whoami"] + 5)  # one is left
    await rig.after(minutes=30)
    rig.sandbox.limits(per_minute=1000)
    assert await rig.state("acme") == ("broken", "insufficient_scope")
    await rig.after(hours=2)
    assert await rig.state("acme") == ("healthy", "ok")


async def test_a_row_that_the_database_refuses_holds_up_no_other(tmp_path, sandbox, postgres_server):
    async with rigged(tmp_path, sandbox, postgres_url(postgres_server)) as rig:
        await rig.add("acme", "bolt", "coda")
        loop = rig.watching.loop
        leases = await due.claim_named(
            rig.parts.database,
            "p",
            ["acme", "bolt", "coda"],
            rig.clock.now(),
            timedelta(minutes=1),
            apps=["clio"],
        )
        acme, bolt, coda = [await loop.look(one) for one in sorted(leases, key=lambda lease: lease.id)]
        finding = replace(bolt.ruling.finding, rule="nul\x00", reasons=("nul\x00",))
        poisoned = bolt._replace(ruling=bolt.ruling._replace(finding=finding))
        await loop.write([acme, poisoned, coda])
        assert await rig.state("acme") == await rig.state("coda") == ("healthy", "ok")
        assert await rig.state("bolt") == ("pending", "ok")


async def test_names_from_outside_are_one_plain_line(rig):
    from monitor.health.evidence import redact
    from monitor.text.names import one_line

    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(
        rig.grants["acme"], "move", account_id=9, account_name="Evil\x1b[2J\n\u202eFirm\ud800".encode(
            "utf-16", "surrogatepass").decode("utf-16", "replace"),
    )  # fmt: skip
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "wrong_account")
    from monitor.store import history

    said = (await history.timeline(rig.parts.database, "acme"))[0].reasons[0]
    assert "\x1b" not in said and "\n" not in said and "\u202e" not in said
    assert one_line("a\ud800b") == "ab" and "\ud800" not in redact("x\ud800")


async def test_a_key_that_was_just_rotated_is_fetched_when_a_cell_names_it(rig):
    from monitor.operations import keys
    from monitor.settings.parts import opened

    await rig.add("acme")
    async with opened(rig.parts.loaded, rig.clock) as other:
        done = await keys.rotate(other, ME)
    assert done.current not in rig.parts.vault.key_ids
    await rig.look()
    assert await rig.state("acme") == ("healthy", "ok"), "not for a moment in doubt"
    assert rig.parts.vault.current == done.current
