"""Each alert in a real promtool: it fires, it does not fire for the next best thing, it resolves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from alerts.rules import build, catalogue, fleet, recording
from alerts.rules.alert import Alert, Severity
from alerts.rules.catalogue import BY_NAME
from monitor.health.causes import TABLE, Call, Cause, Owner
from monitor.metrics.catalogue import FLEET, OWN
from tests.conftest import missing

RULES = Path(build.FOLDER) / "token-health.rules.yml"
APP = 'token_health_app_info{provider="clio",app="us",region="us",team="legal"}'
INCIDENT = (
    'token_health_incident_connections{{kind="{kind}",name="{name}",provider="{provider}",app="{app}",'
    'team="{team}",cause="{cause}",owner="x"}}'
)


def incident(cause: str, kind="provider", name="clio", provider="clio", app="", team="integrations") -> str:
    return INCIDENT.format(kind=kind, name=name, provider=provider, app=app, team=team, cause=cause)


def problem(connection: str, cause: str, owner: str) -> str:
    return (
        f'token_health_connection_problem{{connection="{connection}",app="us",provider="clio",client="Firm",'
        f'cause="{cause}",owner="{owner}"}}'
    )


def ends(kind: str, app: str = "us") -> str:
    return f'token_health_next_end_timestamp_seconds{{kind="{kind}",provider="clio",app="{app}"}}'


def door(which: str) -> str:
    return f'token_health_door_up{{provider="clio",app="us",door="{which}"}}'


@dataclass
class Case:
    """Minutes: nothing before `fires`, firing then with these labels, quiet again at `over`.

    `near` are series that look alike and must not fire it: they are all there is in a test of their own.
    """

    series: dict[str, str]
    fires: int
    over: int
    labels: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    near: dict[str, str] = field(default_factory=dict)
    quiet: int = 0


UP = "1x400"
CASES = {
    "TokenHealthProviderOutage": Case(
        {incident("provider_outage"): "_x4 200x20 _x60"}, 6, 40, {"provider": "clio", "cause": "provider_outage"},
        "clio is down: 200 connections broken",
        near={incident("unexpected"): "200x60", incident("revoked"): "50x60"}, quiet=3,
    ),
    "TokenHealthAppMisconfigured": Case(
        {incident("app_misconfigured", "app", "us", app="us", team="legal"): "_x4 40x20 _x60", APP: UP}, 6, 40,
        {"provider": "clio", "app": "us", "team": "legal", "cause": "app_misconfigured"},
        "clio refuses our app us: 40 connections broken or about to break",
        near={problem("a", "insufficient_scope", "client"): "1x60", APP: UP}, quiet=3,
    ),
    "TokenHealthNetworkLost": Case(
        {incident("network", "network", "egress", provider=""): "_x4 9x20 _x60"}, 6, 40, {"cause": "network"},
        "Token Health reaches no provider: our own network or DNS, 9 connections unseen",
        near={incident("provider_outage"): "9x60"}, quiet=3,
    ),
    "TokenHealthEgressBlocked": Case(
        {incident("egress_blocked"): "_x4 3x20 _x60"}, 6, 40, {"provider": "clio", "cause": "egress_blocked"},
        "clio refuses the address that we come from, or one replica of ours",
        near={incident("unexpected"): "9x60", incident("policy_blocked"): "9x60",
              'token_health_egress_blocked{provider="clio"}': "0x60"}, quiet=3,
    ),
    "TokenHealthUnexpectedAnswers": Case(
        {incident("unexpected"): "_x4 3x20 _x60"}, 8, 40, {"provider": "clio", "cause": "unexpected"},
        "clio answers in a way that no rule knows: 3 connections",
        near={incident("provider_outage"): "9x60"}, quiet=5,
    ),
    "TokenHealthRateLimited": Case(
        {incident("rate_limited", "app", "us", app="us", team="legal"): "_x4 3x40 _x60"}, 25, 60,
        {"provider": "clio", "app": "us", "team": "legal", "cause": "rate_limited"},
        "clio has been slowing us down for long: 3 connections are not seen",
        near={incident("rate_limited", "app", "us", app="us"): "3x10 _x50"}, quiet=10,
    ),
    "TokenHealthRefreshLost": Case(
        {problem("a", "refresh_lost", "client"): "_x4 1x20 _x60", problem("b", "refresh_lost", "client"): "_x4 1x20 _x60",
         APP: UP}, 10, 40, {"provider": "clio", "app": "us", "team": "legal", "cause": "refresh_lost"},
        "2 connections of us may have lost their refresh token on our side",
        near={problem("a", "revoked", "client"): "1x60", APP: UP}, quiet=0,
    ),
    "TokenHealthGuardHolding": Case(
        {'token_health_notifications_held{kind="app",name="us",provider="clio",cause="revoked",owner="client"}': "_x4 40x20 _x60"}, 8, 40,
        {"provider": "clio"}, "40 connections of clio broke together; the mails to their clients are held",
        near={'token_health_notifications_held{kind="app",name="us",provider="clio",cause="provider_outage",owner="provider"}': "2x60"}, quiet=5,
    ),
    "TokenHealthMailFuseBlown": Case(
        {"token_health_mail_fuse_blown": "0x4 1x20 0x60"}, 8, 40, {},
        "More first mails want out than email.max_per_hour allows; none goes",
        near={"token_health_mail_fuse_blown": "0x60"}, quiet=4,
    ),
    "TokenHealthMassExpiryAhead": Case(
        {
            f'token_health_refresh_token_expiry_timestamp_seconds{{connection="{i}",app="us",provider="clio"}}':
            "86400x200 99999999x300" for i in range(6)
        } | {'token_health_connections{provider="clio",app="us",state="healthy"}': "100x500", APP: "1x500"},
        120, 300, {"provider": "clio", "app": "us", "team": "legal"}, "6 refresh tokens of us run out within a week",
        near={
            f'token_health_refresh_token_expiry_timestamp_seconds{{connection="{i}",app="us",provider="clio"}}':
            "86400x200" for i in range(6)
        } | {'token_health_connections{provider="clio",app="us",state="healthy"}': "1000x200", APP: UP},
        quiet=30,
    ),
    "TokenHealthFunnelStuck": Case(
        {'token_health_reauthorization_steps_total{provider="clio",step="mailed"}': "0x10 0+1x8 8x400",
         'token_health_reauthorization_steps_total{provider="clio",step="completed"}': "0x150 1x400"},
        120, 200, {"provider": "clio"}, "8 clients of clio were mailed within three days, and none has completed",
        near={'token_health_reauthorization_steps_total{provider="clio",step="mailed"}': "0x10 4x200"}, quiet=30,
    ),
    "TokenHealthGrantsBornDead": Case(
        {'token_health_reauthorization_steps_total{provider="clio",step="born_dead"}': "0x10 1x200"},
        20, 100, {"provider": "clio"},
        "Clients of clio approved, and what came could not be renewed: nothing was kept",
        near={'token_health_reauthorization_steps_total{provider="clio",step="declined"}': "0x10 1x200"}, quiet=5,
    ),
    "TokenHealthClientBroken": Case(
        {'token_health_connection_broken_since_timestamp_seconds{connection="acme",app="us",provider="clio",'
         'client="Acme LLP",cause="revoked",owner="client",tier="gold"}': "0x300 _x60",
         'token_health_tier_patience_seconds{tier="gold"}': UP.replace("1x", "14400x"), APP: UP},
        250, 320,
        {"connection": "acme", "app": "us", "provider": "clio", "client": "Acme LLP", "cause": "revoked",
         "tier": "gold", "team": "legal"},
        "Acme LLP: acme has been broken for longer than tier 'gold' allows (revoked)",
        near={'token_health_connection_broken_since_timestamp_seconds{connection="acme",app="us",provider="clio",'
              'client="Acme LLP",cause="unexpected",owner="operator",tier="gold"}': "0x300",
              'token_health_tier_patience_seconds{tier="gold"}': "14400x300", APP: UP},
        quiet=200,
    ),
    "TokenHealthDoorShut": Case(
        {door("token"): "1x4 0x20 1x60", door("authorize"): "1x90", APP: UP}, 8, 40,
        {"provider": "clio", "app": "us", "team": "legal"},
        "clio refuses our app us at the door: nobody can connect or come back",
        near={door("token"): "1x60", APP: UP}, quiet=3,
    ),
    "TokenHealthSecretEndsSoon": Case(
        {ends("client_secret"): f"{8 * 86400}x60 {7 * 86400}x60 {99 * 86400}x60", APP: UP}, 90, 150,
        {"provider": "clio", "app": "us", "team": "legal"},
        "The client secret of us ends in 6d 22h 30m 0s, and nobody has put a new one in place",
        near={ends("client_secret"): f"{8 * 86400}x60", ends("grant"): "60x60", APP: UP}, quiet=30,
    ),
    "TokenHealthSecretEnds": Case(
        {ends("client_secret"): f"{31 * 86400}x60 {30 * 86400}x60 {99 * 86400}x60", APP: UP}, 90, 150,
        {"provider": "clio", "app": "us", "team": "legal"},
        "The client secret of us ends in 29d 22h 30m 0s",
        near={ends("client_secret"): f"{31 * 86400}x60", ends("grant"): "60x60", APP: UP}, quiet=30,
    ),
    "TokenHealthProviderEndNear": Case(
        {ends("provider_end", app=""): f"{31 * 86400}x60 {30 * 86400}x60 {99 * 86400}x60"}, 90, 150, {"provider": "clio"},
        "clio ends something that our apps use within a month, in 29d 22h 30m 0s",
        near={ends("provider_end", app=""): f"{31 * 86400}x60"}, quiet=30,
    ),
    "TokenHealthProviderEndAhead": Case(
        {ends("provider_end", app=""): f"{91 * 86400}x60 {90 * 86400}x60 {199 * 86400}x60"}, 90, 150, {"provider": "clio"},
        "clio ends something that our apps use, in 89d 22h 30m 0s",
        near={ends("provider_end", app=""): f"{91 * 86400}x60"}, quiet=30,
    ),
    "TokenHealthGrantsEndAhead": Case(
        {'token_health_grants_ending{provider="clio",app="us"}': "1x10 7x100 0x60", APP: UP}, 90, 130,
        {"provider": "clio", "app": "us", "team": "legal"},
        "7 authorizations of us end within 30 days, whatever is done",
        near={'token_health_grants_ending{provider="clio",app="us"}': "4x100", APP: UP}, quiet=30,
    ),
    "TokenHealthMeteredReads": Case(
        {'token_health_metered_reads_per_month{provider="clio",app="us"}': "1000x10 9000x100 1000x60",
         'token_health_metered_reads_per_month_limit{provider="clio",app="us"}': "5000x200", APP: UP}, 90, 130,
        {"provider": "clio", "app": "us", "team": "legal"},
        "Probing us takes 9k reads a month, more than clio lets an app make",
        near={'token_health_metered_reads_per_month{provider="clio",app="us"}': "5000x100",
              'token_health_metered_reads_per_month_limit{provider="clio",app="us"}': "5000x100", APP: UP}, quiet=60,
    ),
    "TokenHealthDown": Case(
        {"token_health_build_info": "1x4 stale _x20 1x60"}, 10, 30, {}, "Token Health is down, or Prometheus does not reach it",
        near={"token_health_build_info": "1x60"}, quiet=4,
    ),
    "TokenHealthDatabaseDown": Case(
        {"token_health_database_up": "1x4 0x20 1x60"}, 8, 40, {}, "Token Health cannot reach its database",
        near={"token_health_database_up": "1x60"}, quiet=4,
    ),
    "TokenHealthLoopStalled": Case(
        {'token_health_loop_tick_timestamp_seconds{instance="a"}': "0+60x5 300x20 1560+60x60",
         "token_health_schedule_lag_seconds": UP}, 10, 40, {"instance": "a"}, "The probe loop stands still",
        near={'token_health_loop_tick_timestamp_seconds{instance="web"}': "0x60", "token_health_schedule_lag_seconds": UP},
        quiet=4,
    ),
    "TokenHealthProbesLagging": Case(
        {"token_health_schedule_lag_seconds": "1x4 900x30 1x60",
         'token_health_probe_interval_seconds{provider="clio",app="us"}': "300x100"}, 20, 50, {},
        "Probes are 15m 0s late, more than two whole rounds",
        near={"token_health_schedule_lag_seconds": "400x60",
              'token_health_probe_interval_seconds{provider="clio",app="us"}': "300x100"}, quiet=8,
    ),
    "TokenHealthAppNotConfigured": Case(
        {'token_health_connections_unwatched{app="us"}': "_x4 3x40 _x60"}, 25, 60, {"app": "us"},
        "3 connections of app us are not looked at: the app is not configured",
        near={'token_health_connections_unwatched{app="us"}': "3x10 _x50"}, quiet=10,
    ),
    "TokenHealthAccountWaits": Case(
        {'token_health_accounts_waiting{provider="clio",app="us"}': "_x4 2x40 _x60", APP: UP}, 10, 60,
        {"provider": "clio", "app": "us", "team": "legal"},
        "2 first authorizations of us wait for a person: whose account is it?",
        near={'token_health_accounts_waiting{provider="clio",app="us"}': "0x60", APP: UP}, quiet=3,
    ),
    "TokenHealthWebhookGivenUp": Case(
        {"token_health_webhooks_given_up": "0x4 2x20 0x60"}, 8, 40, {},
        "2 webhooks get no events any more", near={"token_health_webhooks_given_up": "0x60"}, quiet=3,
    ),
    "TokenHealthCampaignStopped": Case(
        {'token_health_campaign_stopped{campaign="cmp_1"}': "_x4 1x20 _x60"}, 8, 60, {},
        "1 campaigns stopped by themselves: a wave went wrong",
        near={'token_health_campaign_connections{campaign="cmp_1",state="declined"}': "3x60"}, quiet=3,
    ),
    "TokenHealthIntervalStretched": Case(
        {'token_health_probe_interval_stretched{provider="clio",app="us"}': "1x4 3x60 1x60", APP: UP}, 50, 90,
        {"provider": "clio", "app": "us", "team": "legal"},
        "us is probed 3 times more seldom than configured: its rate limit allows no more",
        near={'token_health_probe_interval_stretched{provider="clio",app="us"}': "1.4x100", APP: UP}, quiet=20,
    ),
    "TokenHealthOutboxStuck": Case(
        {'token_health_outbox_oldest_age_seconds{channel="email"}': "0x4 1200x20 0x60"}, 12, 40, {"channel": "email"},
        "The outbox (email) is stuck: its oldest message has been waiting for 20m 0s",
        near={'token_health_outbox_oldest_age_seconds{channel="email"}': "800x60"}, quiet=6,
    ),
    "TokenHealthMailsRefused": Case(
        {'token_health_notifications_total{channel="email",kind="revoked",result="refused"}': "0x4 2x200"}, 8, 90, {},
        "2 mails were refused within the hour",
        near={'token_health_notifications_total{channel="email",kind="revoked",result="later"}': "0x4 9x60"}, quiet=3,
    ),
    "TokenHealthSmtpDown": Case(
        {'token_health_smtp_up{server="mail:25"}': "1x4 0x20 1x60"}, 12, 40, {"server": "mail:25"},
        "The mail server mail:25 takes no connection from Token Health",
        near={'token_health_smtp_up{server="mail:25"}': "1x60"}, quiet=7,
    ),
    "TokenHealthOncallFailing": Case(
        {'token_health_notifications_total{channel="slack",kind="page",result="later"}': "0x4 0+1x20 20x60",
         'token_health_notifications_total{channel="slack",kind="page",result="sent"}': "3x100"}, 15, 45,
        {"channel": "slack"}, "The on-call channel slack takes no message from Token Health",
        near={'token_health_notifications_total{channel="email",kind="revoked",result="later"}': "0x4 0+1x60"}, quiet=6,
    ),
    "TokenHealthOwnErrors": Case(
        {'token_health_tick_errors_total{tick="claim"}': "0x4 0+1x20 20x60"}, 20, 60, {"tick": "claim"},
        None, near={'token_health_tick_errors_total{tick="claim"}': "0x4 1x60"}, quiet=6,  # type: ignore[arg-type]
    ),
    "TokenHealthReplicaMissing": Case(
        {"token_health_processes": "3x60 2x20 3x60"}, 70, 100, {}, "A Token Health process is missing: 2 alive",
        near={"token_health_processes": "3x40 4x5 3x60"}, quiet=62,
    ),
    "TokenHealthScrapeSlow": Case(
        {'scrape_duration_seconds{job="th",instance="a"}': "1x4 7x30 1x60",
         'token_health_build_info{job="th",instance="a"}': UP}, 20, 50, {"job": "th", "instance": "a"},
        "Scraping a takes 7s; Prometheus gives up after ten seconds by default",
        near={'scrape_duration_seconds{job="other",instance="b"}': "9x60",
              'token_health_build_info{job="th",instance="a"}': UP}, quiet=10,
    ),
}  # fmt: skip


def test_every_alert_has_its_case():
    assert CASES.keys() == BY_NAME.keys()


def _series(series: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def _count(name: str, minute: int, firing: bool) -> dict[str, object]:
    samples = [{"labels": "{}", "value": 1}] if firing else []
    return {
        "expr": f'count (ALERTS{{alertname="{name}", alertstate="firing"}})',
        "eval_time": f"{minute}m",
        "exp_samples": samples,
    }


def _expected(alert: Alert, case: Case) -> dict[str, object]:
    rule = alert.rule()
    annotations = dict(rule["annotations"])  # type: ignore[call-overload]
    for name, value in case.labels.items():
        annotations = {k: v.replace(f"{{{{ $labels.{name} }}}}", value) for k, v in annotations.items()}
    annotations["summary"] = case.summary
    return {
        "exp_labels": dict(rule["labels"]) | case.labels,  # type: ignore[call-overload]
        "exp_annotations": annotations,
    }


def _tests(name: str, case: Case) -> list[dict[str, object]]:
    alert = BY_NAME[name]
    first: dict[str, object] = {
        "interval": "1m",
        "input_series": _series(case.series),
        "promql_expr_test": [
            _count(name, case.quiet, False), _count(name, case.fires, True), _count(name, case.over, False)
        ],
    }  # fmt: skip
    if case.summary and "$value" not in json.dumps(alert.rule()["annotations"]["description"]):  # type: ignore[index]
        first["alert_rule_test"] = [
            {"alertname": name, "eval_time": f"{case.fires}m", "exp_alerts": [_expected(alert, case)]}
        ]
    near = {
        "interval": "1m",
        "input_series": _series(case.near),
        "promql_expr_test": [_count(name, minute, False) for minute in (5, 30, 55)],
    }
    return [first, near]


def _alone(name: str) -> list[dict[str, object]]:
    """The rules with one alert of all: each of them costs as much as its own, in every minute of a test.

    That the file which is loaded has these rules, is a test of its own.
    """
    return [
        group | {"rules": [rule for rule in group["rules"] if rule.get("alert", name) == name]}
        for group in build.groups()
    ]


@pytest.mark.parametrize("name", CASES)
def test_it_fires_is_quiet_and_resolves(name: str, tmp_path: Path):
    if shutil.which("promtool") is None:
        missing("promtool is not installed (Debian: prometheus)")
    (tmp_path / "rules.json").write_text(json.dumps({"groups": _alone(name)}))
    document = {"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": _tests(name, CASES[name])}
    (tmp_path / "test.json").write_text(json.dumps(document))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_are_what_the_code_says():
    for path, text in build.files().items():
        assert path.read_text() == text, "run 'make generate'"


def test_rules_and_configuration_load():
    for command in (
        ["promtool", "check", "rules", str(RULES)],
        ["amtool", "check-config", str(RULES.with_name("alertmanager.example.yml"))],
    ):
        if shutil.which(command[0]) is None:
            missing(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_expressions_name_only_metrics_that_there_are():
    known = {m.name for m in (*FLEET, *OWN)}
    for expr in [a.expr for a in catalogue.ALL] + [r.expr for r in recording.ALL]:
        for name in re.findall(r"\btoken_health_[a-z_0-9]+", expr):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in known or name in known, name


def test_the_table_of_causes_decides_which_call_and_how_loudly_and_each_of_them_has_one_alert():
    assert {cause for cause, row in TABLE.items() if row.call} == set(fleet.OF_CAUSE)
    told = [alert.labels["cause"] for alert in fleet.ALL if "cause" in alert.labels]
    assert len(told) == len(set(told))
    for cause, alert in fleet.OF_CAUSE.items():
        assert alert.severity.value == TABLE[cause].call and f'cause="{cause.value}"' in alert.expr


def test_what_a_client_mends_never_pages():
    for alert in catalogue.ALL:
        if alert.owner == Owner.CLIENT.value:
            assert alert.severity is Severity.TICKET
    for cause, row in TABLE.items():
        paged = any(
            f'cause="{cause.value}"' in alert.expr and alert.severity is Severity.PAGE
            for alert in catalogue.ALL
        )
        # Insufficient scope is paged for only while the app itself lacks it: then it is the operator's.
        assert paged == (row.call is Call.PAGE) or cause is Cause.INSUFFICIENT_SCOPE, cause


def test_how_loudly_a_cause_is_told_stands_in_its_row(monkeypatch):
    assert {Severity.of(cause) for cause in fleet.OF_CAUSE} == {Severity.PAGE}
    row = replace(TABLE[Cause.RATE_LIMITED], call=Call.TICKET)
    monkeypatch.setitem(TABLE, Cause.RATE_LIMITED, row)
    assert Severity.of(Cause.RATE_LIMITED) is Severity.TICKET
    with pytest.raises(ValueError, match="on-call is not told"):
        Severity.of(Cause.REVOKED)
