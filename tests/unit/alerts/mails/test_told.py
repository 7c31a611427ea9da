"""What became of a notice, in a sentence that a person would say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.mails.standing import Slot
from alerts.mails.told import remedies, sentence
from alerts.outbox.listing import Sent, Told
from monitor.errors import Remedy
from tests.conftest import START

IT, BOSS = "it@maple.example", "boss@maple.example"


def told(slot=Slot.ASK, kind="revoked", state="sent", *envelopes, **more) -> Told:
    sent = tuple(Sent(*e) for e in envelopes) or (Sent(IT, "sent", 1, "", START),)
    base = Told(
        7, slot, kind, "Maple", state, "", "", 0, None, START, START, START - timedelta(hours=2), ("maple",), sent
    )  # fmt: skip
    return replace(base, **more)


SENTENCES = [
    (told(Slot.RESOLVED, "resolved"), f"Thanked {IT} 2 hours ago, since it works again."),
    (told(), f"Asked {IT} 2 hours ago to authorize again (revoked)."),
    (told(kind="digest"), f"Asked {IT} 2 hours ago to authorize again (several connections)."),
    (told(kind="first_authorization"), f"Invited {IT} 2 hours ago to authorize it for the first time."),
    (told(Slot.REMINDER, "reminder", number=2), f"Reminded {IT} 2 hours ago, for the second time."),
    (told(Slot.EXPIRING, "expiring_soon"), f"Told {IT} 2 hours ago that the authorization runs out."),
    (
        told(Slot.HANDOVER, "handover", "sent", ("ops@agency.example", "sent", 1, "", START), reason="no contact is on record"),
        "Handed over to ops@agency.example 2 hours ago: no contact is on record.",
    ),
    (
        told(Slot.ASK, "revoked", "sent", (IT, "sent", 1, "", START), (BOSS, "refused", 1, "550 no such user", START)),
        f"Asked {IT} 2 hours ago to authorize again (revoked). {BOSS} did not take it (550 no such user).",
    ),
    (
        told(Slot.ASK, "revoked", "sent", (IT, "unconfirmed", 1, "handed over, then TimeoutError", START), (BOSS, "sent", 1, "", START)),
        f"Asked {IT} and {BOSS} 2 hours ago to authorize again (revoked). It may not have arrived: the mail "
        "server's answer was lost.",
    ),
    (
        told(Slot.REMINDER, "reminder", "sending", (IT, "waiting", 2, "451 try later", None), number=1),
        f"On its way for 2 hours: the first reminder ({IT} after 2 attempts: 451 try later).",
    ),
    (
        told(Slot.ASK, "revoked", "sending", (IT, "waiting", 0, "", None)),
        f"On its way for 2 hours: the request to authorize again (revoked) to {IT}.",
    ),
    (
        told(Slot.RESOLVED, "resolved", "failed", (IT, "failed", 1, "it could not be written: x, line 3", START)),
        "The thanks could not be sent, 2 hours ago: it could not be written: x, line 3.",
    ),
    (
        told(Slot.ASK, "revoked", "failed", (IT, "refused", 1, "550 no such user", START)),
        f"The request to authorize again (revoked) could not be sent, 2 hours ago: {IT}: 550 no such user.",
    ),
    (
        told(Slot.ASK, "revoked", "withdrawn", outcome="no longer true, or held"),
        "Taken back 2 hours ago: the request to authorize again (revoked) (no longer true, or held).",
    ),
    (
        told(Slot.REMINDER, "reminder", "waiting", number=3, due_at=START + timedelta(days=3), settled_at=None),
        "Waits: the third reminder, due in 3 days.",
    ),
    (
        told(Slot.ASK, "revoked", "waiting", requested_by="ops", settled_at=None),
        "Waits: the request to authorize again (revoked), due now, asked for by ops.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("notice", "says"), SENTENCES, ids=[s[:50] for _, s in SENTENCES])
def test_what_became_of_a_notice_is_a_sentence(notice, says):
    assert sentence(notice, START) == says


def test_what_failed_can_be_tried_again_and_nothing_else():
    failed = told(Slot.ASK, "revoked", "failed", (IT, "refused", 1, "550 no such user", START))
    assert remedies(failed) == (Remedy("notices.retry", "tries again", "7"),)
    assert remedies(told(Slot.ASK, "revoked", "sent", (IT, "sent", 1, "", START))) == ()
    assert remedies(told("page", "ProviderOutage", "failed", ("pager", "failed", 1, "500", START))) == ()
