"""Whose fault a lost connection is: one mail starves no other, and no outage is any mail's fault."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.mails.mailserver import Blame, Whose

ENVELOPES = st.sets(st.integers(0, 9))


def send(blame: Blame, waiting: list[int], dropped) -> tuple[list[int], list[int]]:
    """Send a batch as the pump does, each over a new connection: who was answered, and who was blamed."""
    rest = sorted(waiting, key=blame.lost.__contains__)
    answered, blamed = [], []
    while rest:
        envelope = rest[0]
        if not dropped(envelope):
            blame.answered(rest.pop(0))
            answered.append(envelope)
            continue
        whose = blame.lose(envelope, rest)
        if whose is Whose.SERVER:
            break
        rest.append(rest.pop(0))
        if whose is Whose.ENVELOPE:
            rest.remove(envelope)
            blamed.append(envelope)
    return answered, blamed


@given(st.lists(ENVELOPES, min_size=1, max_size=12))
def test_a_server_that_drops_everything_is_never_taken_for_a_mails_fault(rounds):
    blame = Blame()
    for waiting in rounds:
        assert send(blame, sorted(waiting), lambda _: True) == ([], [])


@given(ENVELOPES, ENVELOPES, st.permutations(range(10)))
def test_mails_that_the_server_drops_hold_up_no_other_and_are_found_out(poison, healthy, order):
    healthy = healthy - poison
    blame, waiting = Blame(), [n for n in order if n in healthy | poison]
    done: set[int] = set()
    for _ in range(len(poison) + 2):
        answered, blamed = send(blame, [n for n in waiting if n not in done], poison.__contains__)
        assert set(blamed) <= poison, "never one that would be taken"
        done |= set(answered)
    assert done == healthy
    # The next mail that is answered to tells that it is theirs.
    answered, blamed = send(blame, [*sorted(poison), 99], poison.__contains__)
    if poison:
        assert (answered, sorted(blamed)) == ([99], sorted(poison))


@given(ENVELOPES, st.integers(0, 5))
def test_an_outage_in_the_middle_blames_nobody(waiting, at):
    sent = iter(range(100))
    blame = Blame()
    _, blamed = send(blame, sorted(waiting), lambda _: next(sent) >= at)
    assert blamed == []
