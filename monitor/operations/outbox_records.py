"""What the outbox in sums, and the kinds of mail, look like as JSON; single notices: `records`."""

from __future__ import annotations

from typing import Any

from monitor.operations.documents import iso
from monitor.operations.mails import Mails
from monitor.operations.outbox import MOST, Overview


def outbox(found: Overview) -> dict[str, Any]:
    """Return the outbox in sums, and what holds something back, as programs read it."""
    counts = found.counts
    return {
        "at": iso(found.at),
        "waiting": counts.waiting,
        "sending": counts.sending,
        "held": counts.held,
        "looks": counts.looks,
        "unconfirmed": counts.unconfirmed,
        "failed": counts.failed,
        "sent_today": counts.sent_today,
        "counted_up_to": MOST,
        "holds": [
            {
                "by": one.by.value,
                "count": one.count,
                "over": one.over or None,
                "name": one.name or None,
                "since": iso(one.since),
                "until": iso(one.until),
                "incident": one.incident,
                "why": one.why,
            }
            for one in found.held
        ],
        "undeliverable": [
            {"address": one.address, "since": iso(one.since), "answer": one.answer, "notice": one.notice}
            for one in found.refusing
        ],
        "mail_server": {
            "configured": found.server.configured,
            "last_taken": iso(found.server.taken_at),
            "trouble": found.server.trouble or None,
        },
    }


def mails(found: Mails) -> dict[str, Any]:
    """Return every kind of mail."""
    return {
        "items": [
            {"kind": one.kind, "to": one.occasion.to, "when": one.occasion.when, "own": list(one.own)}
            for one in found.mails
        ],
        "languages": list(found.languages),
        "trouble": found.trouble or None,
    }
