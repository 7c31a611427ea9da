"""Stories as the outbox knows them: whose notice is whose, and when an attempt is the last."""

from __future__ import annotations

from datetime import timedelta

from alerts.mails.standing import KINDS
from alerts.mails.story import GIVE_UP, MAIL
from alerts.outbox.envelope import Envelope
from alerts.pages.story import PAGE, STALE_CLEAR
from monitor.health.causes import TABLE
from tests.conftest import START


def envelope(slot: str, attempts: int = 1) -> Envelope:
    return Envelope(
        id=1, notice=1, slot=slot, kind="", audience="", client="", locale="en", timezone="UTC", number=0,
        reason="", channel="", address="", message_id="", attempts=attempts, planned_at=START,
        opened_at=START, content={}, items=(),
    )  # fmt: skip


def test_a_notice_belongs_to_one_story():
    assert MAIL.slots and PAGE.slots and not MAIL.slots & PAGE.slots


def test_the_last_wait_is_repeated():
    assert [MAIL.wait(n) for n in (1, 2, 99)] == [MAIL.back_off[0], MAIL.back_off[1], MAIL.back_off[-1]]


def test_a_mail_is_given_up_after_so_many_answers_however_long_that_took():
    later = START + timedelta(days=99)
    assert not MAIL.gives_up(envelope("ask", GIVE_UP - 1), later)
    assert MAIL.gives_up(envelope("ask", GIVE_UP), START)


def test_a_page_is_tried_as_long_as_it_stands_and_its_end_becomes_old_news():
    later = START + STALE_CLEAR + timedelta(seconds=1)
    assert not PAGE.gives_up(envelope("page", 9999), later)
    assert not PAGE.gives_up(envelope("clear"), START + STALE_CLEAR)
    assert PAGE.gives_up(envelope("clear"), later)


def test_every_cause_that_a_client_mends_has_a_mail_of_its_own():
    asked = [row.asks.mail for row in TABLE.values() if row.asks is not None]
    assert len(set(asked)) == len(asked) and set(asked) <= set(KINDS)
    assert len(set(KINDS)) == len(KINDS)
