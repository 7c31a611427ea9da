"""Promise 1 where many break together: what a wave holds, what it lets go, and that it ends."""

from __future__ import annotations

from monitor.operations import notices
from monitor.store import incidents
from tests.conftest import ME


async def _revoke(rig, *names):
    for name in names:
        rig.sandbox.do(rig.grants[name], "revoke")


async def _restore(rig, *names):
    for name in names:
        rig.sandbox.do(rig.grants[name], "restore")


async def _live(rig, hours: float, step: float = 1.0):
    """Let hours pass as the service does: probes, the guard's round, plans and mails."""
    rig.watching.presence.leads = True
    for _ in range(round(hours / step)):
        await rig.after(hours=step)
        await rig.watching.upkeep.guard()
        await rig.mails()


async def _settle(rig, *names):
    await rig.after(minutes=8)
    for name in names:
        assert (await rig.settle(name))[0] == "broken"


def _to(mailbox) -> list[str]:
    return sorted(str(mail["To"]).partition("@")[2].partition(".")[0] for mail in mailbox.taken)


FIRMS = [f"firm{n:02}" for n in range(40)]


async def test_an_incident_that_hits_one_firm_in_ten_mails_nobody(mailrig, mailbox):
    """401 and invalid_grant for four of forty, for three hours; then all is well again."""
    await mailrig.add(*FIRMS)
    await mailrig.look()
    await _revoke(mailrig, *FIRMS[:4])
    await _settle(mailrig, *FIRMS[:4])
    await _live(mailrig, 3, step=0.5)
    assert mailbox.taken == []
    await _restore(mailrig, *FIRMS[:4])
    await _live(mailrig, 6)
    assert mailbox.taken == []
    assert await incidents.open_now(mailrig.parts.database) == [], "nothing is left of it"


async def test_after_an_outage_no_guard_stands_over_old_breaks_and_a_new_revocation_gets_its_mail(
    mailrig, mailbox
):
    """Twenty connections, two long revoked; an outage of half an hour; twelve hours later another is revoked."""
    firms = FIRMS[:20]
    await mailrig.add(*firms)
    await mailrig.look()
    for name in firms[:2]:
        await _revoke(mailrig, name)
        await _settle(mailrig, name)
        await _live(mailrig, 26, step=13)
    assert _to(mailbox) == firms[:2]
    mailrig.sandbox.weather("down")
    for _ in range(6):
        await mailrig.after(minutes=5)
        await mailrig.mails()
    mailrig.sandbox.weather("fine")
    await _live(mailrig, 12, step=0.5)
    assert not [i for i in await incidents.open_now(mailrig.parts.database) if i.guard]
    mailbox.taken.clear()
    await _revoke(mailrig, "firm07")
    await _settle(mailrig, "firm07")
    await _live(mailrig, 2)
    assert "firm07" in _to(mailbox)


async def test_dropping_a_wave_leaves_the_reminders_of_those_who_were_told_before(mailrig, mailbox):
    firms = FIRMS[:20]
    await mailrig.add(*firms)
    await mailrig.look()
    await _revoke(mailrig, "firm00")
    await _settle(mailrig, "firm00")
    await _live(mailrig, 20, step=10)
    assert mailbox.subjects() == ["Action needed: reconnect Clio Manage for Firm firm00"]
    await _revoke(mailrig, *firms[1:9])
    await _settle(mailrig, *firms[1:9])
    assert await notices.drop(mailrig.parts, ME, "clio") == 8
    await _live(mailrig, 48, step=12)
    assert mailbox.subjects()[1:] == ["Reminder: Clio Manage for Firm firm00 still needs you"]
