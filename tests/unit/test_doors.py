"""What programs may do over the API, people may at the command line: each route has its command, or a reason."""

from __future__ import annotations

import pytest

from monitor.cli import main
from monitor.web.api.app import declared

# What a route does is done by a command of another name, or by none, and why.
COMMANDS = {
    "connection_token": "token",
    "report_signal": "signals send",
    "show_fleet": "status",
    "show_verdict": "status",
    "save_list": "status",
    "list_connections": "status",
    "show_connection": "connections show",
    "create_connection": "connections import",
    "put_connection": "connections import",
    "change_connection": "connections import",
    "remove_connection": "connections remove",
    "list_calendar": "calendar",
    "subscribe_calendar": "calendar",
    "connection_status": "connections show",
    "explain_connection": "explain",
    "connection_history": "explain",
    "connection_timeline": "explain",
    "connection_signals": "explain",
    "pause_connection": "connections pause",
    "resume_connection": "connections resume",
    "claim_connection": "connections claim",
    "unclaim_connection": "connections unclaim",
    "accept_account": "connections accept-account",
    "refuse_account": "connections refuse-account",
    "create_link": "reauthorize",
    "preview_link": "email preview",
    "connection_notices": "notices list",
    "probe_connection": "probe",
    "begin_bulk": "connections pause",
    "import_connections": "connections import",
    "plan_fleet": "connections plan",
    "show_plan": "connections plan",
    "apply_plan": "connections apply",
    "export_connections": "connections export",
    "list_campaigns": "campaign list",
    "create_campaign": "campaign new",
    "preview_campaign": "campaign new",
    "show_campaign": "campaign show",
    "list_members": "campaign report",
    "report_campaign": "campaign report",
    "pause_campaign": "campaign pause",
    "resume_campaign": "campaign resume",
    "stop_campaign": "campaign stop",
    "list_incidents": "status",
    "show_incident": "notices list",
    "incident_connections": "explain",
    "release_incident": "notices release",
    "drop_incident": "notices drop",
    "list_notices": "notices list",
    "show_notice": "notices list",
    "preview_notice": "email preview",
    "retry_notice": "notices retry",
    "send_notice_now": "notices send",
    "show_outbox": "notices list",
    "list_mails": "email preview",
    "preview_mail": "email preview",
    "send_test_mail": "email test",
    "hold_notices": "notices hold",
    "release_notices": "notices release",
    "release_fuse": "notices release",
    "list_silences": "silence list",
    "show_silence": "silence list",
    "create_silence": "silence add",
    "end_silence": "silence end",
    "list_events": "events tail",
    "stream_events": "events tail",
    "list_webhooks": "webhooks list",
    "create_webhook": "webhooks add",
    "show_webhook": "webhooks show",
    "webhook_status": "webhooks show",
    "remove_webhook": "webhooks remove",
    "test_webhook": "webhooks test",
    "rotate_webhook": "webhooks rotate",
    "enable_webhook": "webhooks enable",
    "disable_webhook": "webhooks disable",
    "list_deliveries": "webhooks show",
    "replay_webhook": "webhooks replay",
    "list_apps": "apps list",
    "show_app": "apps show",
    "ask_app": "doctor",
    "list_providers": "providers list",
    "show_provider": "providers show",
    "list_keys": "api keys list",
    "create_key": "api keys new",
    "show_key": "api keys show",
    "rotate_key": "api keys rotate",
    "revoke_key": "api keys revoke",
    "list_users": "users list",
    "create_user": "users add",
    "show_user": "users list",
    "change_user": "users role",
    "remove_user": "users remove",
    "list_audit": "audit",
    "doctor": "doctor",
}
_ITSELF = "it tells programs about the API itself"
_NUMBERS = "a program goes on with what it began; a command waits until it is done"
_FILE = "people read it in token-health.toml, on the same machine"
REASONS = {
    "list_problems": _ITSELF,
    "show_problem": _ITSELF,
    "openapi_document": _ITSELF,
    "me": "a command is whoever has this machine",
    "report_signals": "a command sends one at a time",
    "list_jobs": _NUMBERS,
    "show_job": _NUMBERS,
    "stop_job": _NUMBERS,
    "undo_job": _NUMBERS,
    "list_links": "a link is told once; who has one more is told by 'reauthorize'",
    "acknowledge_incident": "people take an incident up where they are paged, at the channel",
    "unacknowledge_incident": "people take an incident up where they are paged, at the channel",
    "hold_incident": "a command decides for good; the console has half a minute for second thoughts",
    "put_webhook": "a command removes an endpoint and adds it anew",
    "change_webhook": "a command removes an endpoint and adds it anew",
    "replay_delivery": "'webhooks replay' sends a range again",
    "summarize_calendar": "'calendar' lists what it sums",
    "show_settings": _FILE,
    "show_origins": _FILE,
    "change_key": "a command revokes a key and makes another",
}
ROUTES = [one.endpoint.__name__ for one in declared()]


def commands(command: object, so_far: tuple[str, ...] = ()) -> set[str]:
    """Every command there is, in words."""
    below = getattr(command, "commands", {})
    if not below:
        return {" ".join(so_far)}
    return set().union(*(commands(one, (*so_far, name)) for name, one in below.items()))


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_has_its_command_or_a_reason_why_there_is_none(route):
    assert (route in COMMANDS) != (route in REASONS), "name its command, or say why there is none"


def test_each_command_that_is_named_is_there_and_no_route_is_named_that_is_not():
    assert set(COMMANDS.values()) - commands(main.command()) == set()
    assert {*COMMANDS, *REASONS} - set(ROUTES) == set()


def test_a_name_is_of_one_route():
    assert len(ROUTES) == len(set(ROUTES))
