"""A small fleet in the middle of everything: at least one row of every table, as a service leaves them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.conftest import START as NOW

DAY = timedelta(days=1)
_FIRM = {"app": "clio-us", "provider": "clio", "region": "us"}
_ASK = {
    "client": "Müller & Söhne", "audience": "4f2a", "locale": "de", "timezone": "Europe/Berlin",
    "recipients": ["it@mueller.example"], "number": 0, "reason": "confirmed broken, and the client can mend it",
    "planned_at": NOW - DAY,
}  # fmt: skip
# In the order in which rows refer to each other.
ROWS: dict[str, list[dict[str, Any]]] = {
    "connection": [
        _FIRM | {
            "id": name, "client_name": client, "contacts": ["it@mueller.example"], "locale": "de",
            "timezone": "Europe/Berlin", "scopes": ["contacts", "matters"], "account_id": account,
            "account_name": client, "labels": {"tier": "gold"}, "created_at": NOW - 9 * DAY, "updated_at": NOW,
        }
        for name, client, account in (
            ("acme", "Acme 'LLP'", "1"), ("bolt", "Müller & Söhne", "2"), ("coda", "Coda", None), ("dent", "Dent", "4"),
        )
    ],
    "watch": [
        _FIRM | {
            "connection": name, "state": state, "since": NOW - DAY, "cause": cause, "owner": owner,
            "confidence": 0.9, "rule": rule, "candidate": cause, "streak": streak,
            "streak_since": NOW - DAY if streak else None, "bad_since": NOW - DAY if streak else None,
            "good_streak": 0, "flaps": 0.5, "flaps_at": NOW - DAY, "last_probe_at": NOW, "last_success_at": NOW - DAY,
            "last_seconds": 0.25, "next_probe_at": due, "lease_by": "host-1-abc" if due else None,
            "lease_until": due, "lease_epoch": 7, "scope_cursor": 1, "scope_checked_at": NOW, "scopes_all": False,
            "reads": {"contacts": (NOW - DAY).isoformat()}, "rests": rests,
        }
        for name, state, cause, owner, rule, streak, due, rests in (
            ("acme", "healthy", "ok", "nobody", "ok", 0, NOW, None),
            ("bolt", "broken", "revoked", "client", "clio.revoked", 3, NOW + DAY, None),
            ("coda", "pending", "ok", "nobody", "", 0, None, None),
            ("dent", "paused", "ok", "nobody", "ok", 0, None, "provider clio"),
        )
    ],
    "credential": [
        {
            "connection": name, "access": access, "refresh": access and "v1.k1.bm9uY2U.cmVmcmVzaA", "version": 3,
            "issued_at": NOW - DAY, "access_expires_at": NOW + DAY, "authorized_at": NOW - 9 * DAY,
            "refresh_used_at": NOW - DAY, "granted": ["contacts"] if access else None, "lost": False,
            "imported": "5d41" if access else None,
        }
        for name, access in (
            ("acme", "v1.k1.bm9uY2U.YWNjZXNz"), ("bolt", "v1.k1.bm9uY2U.YWNjZXN0"), ("coda", None),
            ("dent", "v1.k1.bm9uY2U.YWNjZXN1"),
        )
    ],
    "refresh_journal": [
        {"connection": "acme", "process": "host-1-abc", "version": 2, "begun_at": NOW - DAY, "ended_at": NOW - DAY, "outcome": "stored"},
        {"connection": "acme", "process": "host-1-abc", "version": 3, "begun_at": NOW, "ended_at": None, "outcome": "open"},
    ],
    "incident": [
        {
            "kind": kind, "name": name, "cause": "revoked", "owner": "client", "guard": guard, "reasons": ["It was so."],
            "opened_at": NOW - DAY, "updated_at": NOW, "closed_at": None, "parent_id": parent, "mails": "",
        }
        for kind, name, guard, parent in (("provider", "clio", True, None), ("connection", "bolt", False, 1))
    ],
    "link": [
        {
            "hash": f"hash of {name}", "connection": name, "incident": 2, "locale": "de", "cause": "revoked",
            "always": False, "made_at": NOW - DAY, "expires_at": NOW + DAY, "opened_at": NOW, "started_at": NOW,
            "used_at": None,
        }
        for name in ("bolt", "dent")
    ],
    "consent": [
        {
            "state_hash": "hash of a state", "browser_hash": "hash of a browser", "link": 1, "connection": "bolt",
            "app": "clio-us", "redirect_uri": "https://x.example/oauth/callback", "verifier": "v1.k1.bm9uY2U.dg",
            "begun_at": NOW, "expires_at": NOW + DAY, "spent_at": NOW, "outcome": "wrong_account",
            "account_id": "9", "account_name": "Other", "leftover": "v1.k1.bm9uY2U.bGVmdA",
        }
    ],
    "history": [
        {
            "connection": "bolt", "at": NOW - DAY, "state": "broken", "cause": "revoked", "owner": "client",
            "confidence": 0.9, "rule": "clio.revoked", "scope": None, "reasons": ["It was so."],
            "evidence": [{"step": "whoami", "status": 401, "seconds": 0.1}],
        }
    ],
    "probe_count": [{"connection": "acme", "bucket": 1795392000, "cause": "ok", "probes": 288, "seconds": 28.8}],
    "audit": [{"at": NOW, "actor": "cli:ann", "action": "connection.pause", "subject": "dent", "detail": {"why": "ü"}}],
    "process": [{"id": "host-1-abc", "role": "all", "version": "0.1.0", "started_at": NOW - DAY, "beat_at": NOW}],
    "duty": [{"name": "fleet", "holder": "host-1-abc", "until": NOW}],
    "budget": [{"app": "clio-us", "free_at": NOW}],
    "key_check": [{"key_id": "k1", "sealed": "v1.k1.bm9uY2U.Y2hlY2s"}],
    "notice": [
        _ASK | {
            "slot": "ask", "kind": "revoked", "requested_by": None, "state": "sent", "outcome": "",
            "due_at": NOW - DAY, "look_at": None, "settled_at": NOW - DAY, "matter": None,
        },
        _ASK | {
            "slot": "reminder", "kind": "reminder", "requested_by": "cli:ann", "state": "waiting", "outcome": "",
            "due_at": NOW + DAY, "look_at": NOW, "settled_at": None, "matter": {"summary": "clio is down"},
        },
    ],
    "notice_item": [
        {"notice": number, "connection": "bolt", "incident": 2, "cause": "revoked", "since": NOW - DAY} for number in (1, 2)
    ],
    "delivery": [
        {
            "notice": number, "channel": "email", "address": "it@mueller.example", "message_id": f"<th.{number}@x.example>",
            "state": state, "attempts": 1, "next_at": NOW, "lease_by": None, "lease_until": None, "answer": "250 OK",
            "settled_at": NOW,
        }
        for number, state in ((1, "sent"), (2, "waiting"))
    ],
    "address": [{"address": "gone@mueller.example", "refused_at": NOW, "answer": "550 no such user"}],
    "silence": [
        {
            "kind": "provider", "name": "clio", "reason": "a move", "by": "cli:ann", "begun_at": NOW, "until": NOW + DAY,
            "ended_at": None, "pauses": True,
        }
    ],
    "mail_server": [{"name": "mail.x.example:25", "down_since": NOW, "answer": "421 busy", "utf8": True}],
    "fuse": [{"name": "first mails", "blown_at": NOW, "wanted": 40, "released_until": None}],
    "held_grant": [
        {
            "connection": "coda", "why": "asked", "account_id": "3", "account_name": "Coda", "user": "k@coda.example",
            "consent": None, "held_at": NOW, "access": "v2.k1.bm9uY2U.Y2VsbA", "refresh": None, "issued_at": NOW,
            "access_expires_at": NOW + DAY, "granted": ["contacts"],
        }
    ],
    "own_secret": [{"name": "imports", "sealed": "v1.k1.bm9uY2U.Y2VsbA"}],
    # -- the door for programs (0006) ----------------------------------------------------------------------
    "api_key": [
        {
            "id": "key_1", "handle": "abc", "name": "middleware", "hash": "hash of a key", "old_hash": None, "old_until": None,
            "scopes": ["tokens:read"], "only": {"apps": ["clio-us"]}, "made_by": "cli:ann", "created_at": NOW - DAY,
            "expires_at": NOW + 90 * DAY, "last_used_at": NOW, "revoked_at": None, "exposed_at": None, "told_days": 30,
            "networks": ["10.0.0.0/24"], "revision": 2,
        }
    ],
    "person": [
        {
            "id": "usr_1", "name": "ann", "role": "admin", "password": "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "issuer": None,
            "subject": None, "created_at": NOW - DAY, "signed_in_at": NOW, "revision": 1,
        }
    ],
    "session": [
        {
            "hash": "hash of a session", "person": "usr_1", "role": "admin", "created_at": NOW, "seen_at": NOW,
            "expires_at": NOW + DAY,
        }
    ],
    "sign_in_attempt": [{"at": NOW, "name": "ann", "address": "192.0.2.7"}],
    "sign_in_trip": [{"state": "hash of a state", "browser": "hash of a browser", "target": "/?q=ü", "expires_at": NOW + DAY}],
    "event": [
        {
            "id": "evt_1", "number": 1, "at": NOW, "type": "connection.broken", "connection": "bolt", "app": "clio-us",
            "labels": {"tier": "gold"}, "sequence": 1, "data": {"connection": "bolt", "says": "ü"},
        }
    ],
    "webhook": [
        {
            "id": "wh_1", "url": "https://mw.example/hooks", "events": ["*"], "only": None, "secret": "v1.k1.bm9uY2U.c2VjcmV0",
            "old_secret": None, "old_until": None, "state": "active", "failing_since": None, "made_by": "cli:ann",
            "created_at": NOW - DAY, "revision": 1,
        }
    ],
    "idempotency": [
        {"id": "hash of a key", "request": "hash of a request", "at": NOW, "running_until": None, "status": 200, "answer": "v1.k1.bm9uY2U.e30"}
    ],
    "job": [
        {
            "id": "job_1", "principal": "key:key_1", "actor": {"name": "key:key_1"}, "action": "pause", "options": {},
            "ids": ["acme", "bolt"], "done": 1, "failed": {}, "state": "done", "created_at": NOW - DAY, "ended_at": NOW,
            "lease_by": None, "lease_until": None,
        }
    ],
    "plan": [
        {
            "id": "plan_1", "principal": "cli:ann", "created_at": NOW, "expires_at": NOW + DAY, "applied_at": None,
            "within": "", "rests_on": {"acme": 1}, "said": {"added": 0}, "records": "v1.k1.bm9uY2U.W10",
        }
    ],
    "signal": [
        {
            "id": "sig_1", "connection": "bolt", "received_at": NOW, "at": NOW - DAY, "key": "key_1", "kind": "unauthorized",
            "generation": 1, "asked": "/api/v4/matters.json", "scope": "matters", "status": 401, "headers": {}, "says": "",
            "effect": "probe_now", "why": "", "times": 2,
        }
    ],
    "token_use": [
        {"key": "key_1", "connection": "acme", "hour": 1795392000, "count": 9, "first_at": NOW - DAY, "last_at": NOW, "generation": 3}
    ],
    # -- what providers need, campaigns (0007) --------------------------------------------------------------
    "app_check": [
        {
            "app": "clio-us", "door": "authorize", "at": NOW, "outcome": "refused", "says": "redirect_uri", "rule": "clio.redirect",
            "refusals": 2, "since": NOW - DAY, "well_at": NOW - DAY, "next_at": NOW + DAY,
        }
    ],
    "campaign": [
        {
            "id": "cmp_1", "reason": "one more scope", "chosen": {"apps": ["clio-us"]}, "pace": 10, "until": (NOW + 9 * DAY).date(),
            "phase": "running", "why": "", "halted": False, "created_at": NOW - DAY, "created_by": "cli:ann",
            "changed_at": NOW, "changed_by": "cli:ann", "resumed_at": None,
        }
    ],
    "campaign_member": [
        {
            "campaign": "cmp_1", "connection": "acme", "standing": True, "wave": 1, "chosen_at": NOW - DAY, "invited_at": NOW,
            "opened_at": None, "approved_at": None, "mishap": "", "mishap_at": None, "left_at": None,
        }
    ],
}  # fmt: skip
