"""What decides whether a grant that came is kept: tables, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.lifecycle import State
from monitor.providers.schema import OAuth
from monitor.tokens.arrival import born_dead, lost_by, not_granted
from monitor.tokens.messages import answer_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def file(defaults=("openid",), **also):
    scopes = {name: SimpleNamespace(also=names) for name, names in also.items()}
    return SimpleNamespace(oauth=SimpleNamespace(default_scopes=defaults), scopes=scopes)


def connection(*needs, before=None, reads=(), state=State.HEALTHY):
    sealed = SimpleNamespace(granted=None if before is None else frozenset(before))
    return SimpleNamespace(
        scopes=needs, sealed=sealed, reads=dict.fromkeys(reads, NOW), health=SimpleNamespace(state=state)
    )


@pytest.mark.parametrize(
    ("why", "granted", "known", "missing"),
    [
        ("said", ("openid", "a"), connection("a", "b"), ("b",)),
        ("all of it", ("a", "b"), connection("a", "b"), ()),
        ("no scope: as asked", None, connection("a"), ()),
        ("nothing is needed", ("openid",), connection(), ()),
        ("other words altogether", ("READ", "WRITE"), connection("a"), ()),
        ("none of it but the default", ("openid",), connection("a", "b"), ("a", "b")),
        ("another name of it", ("openid", "https://x/mail"), connection("mail"), ()),
        ("read before, and not in that list either", ("openid",), connection("a", before=("openid",), reads=("a",)), ()),
        ("in the list before", ("openid",), connection("a", before=("openid", "a"), reads=("a",)), ("a",)),
    ],
)  # fmt: skip
def test_what_an_answers_scope_lacks(why, granted, known, missing):
    assert not_granted(file(mail=("https://x/mail",)), known, granted) == missing, why


@pytest.mark.parametrize(
    ("why", "known", "lost"),
    [
        ("it was in the list", connection("a", before=("a",)), ("a",)),
        ("there was no list, and it was read", connection("a", reads=("a",)), ("a",)),
        ("there was no list, and it never was", connection("a"), ()),
        ("it was not in the list", connection("a", before=("openid",)), ()),
        ("what is broken has nothing to lose", connection("a", before=("a",), state=State.BROKEN), ()),
        ("nor what is in doubt", connection("a", before=("a",), state=State.SUSPECT), ()),
    ],
)
def test_what_a_connection_would_lose(why, known, lost):
    assert lost_by(file(), known, ("a",)) == lost, why


@given(
    st.sets(st.sampled_from("abcd")),
    st.sets(st.sampled_from("abcd")),
    st.none() | st.sets(st.sampled_from("abcd")),
)
def test_nothing_is_lost_that_was_not_needed_and_missing(needs, granted, before):
    known = connection(*sorted(needs), before=before)
    missing = not_granted(file(()), known, granted)
    assert set(missing) <= needs - granted
    assert set(lost_by(file(()), known, missing)) <= set(missing)


PAIR = {"access_token": "a", "refresh_token": "r", "expires_in": 60}


@pytest.mark.parametrize(
    ("oauth", "answer", "dead"),
    [
        ({}, PAIR, False),
        ({}, {"access_token": "a", "expires_in": 60}, True),
        ({}, {"access_token": "a", "expires_in": 60, "refresh_token": ""}, True),
        ({}, {"access_token": "a"}, False),
        ({"access_lifetime": "1h"}, {"access_token": "a"}, True),
        ({"gives_refresh_token": False}, {"access_token": "a", "expires_in": 60}, False),
    ],
)
def test_a_grant_that_ends_and_cannot_be_renewed_is_born_dead(oauth, answer, dead):
    made = OAuth(**oauth)
    assert born_dead(made, answer_of(made, answer, NOW)) is dead


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        ("86400", NOW + DAY), (86400, NOW + DAY), (86400.0, NOW + DAY), (0, None), (-1, None), (None, None),
        ("soon", None), (True, None), (10**12, None), ([1], None), (float("inf"), None),
    ],
)  # fmt: skip
def test_a_told_lifetime_that_cannot_be_one_is_as_none(told, ends):
    oauth = OAuth(refresh_expires_in="idle.s", grant_expires_in="hard")
    found = answer_of(oauth, PAIR | {"idle": {"s": told}, "hard": told}, NOW)
    assert (found.refresh_ends_at, found.grant_ends_at) == (ends, ends)


def test_nested_tokens_are_those_of_an_exchange_and_nothing_stands_in_for_them():
    oauth = OAuth(nested="of_user", scope_separator=",", granted_separator=";")
    answer = {"access_token": "bot", "of_user": PAIR | {"scope": "a;b"}}
    assert answer_of(oauth, answer, NOW, exchange=True).access.reveal() == "a"
    assert answer_of(oauth, answer, NOW, exchange=True).granted == ("a", "b")
    assert answer_of(oauth, answer, NOW).access.reveal() == "bot"
    for without in ({"access_token": "bot"}, {"access_token": "bot", "of_user": "x"}, [1], None):
        assert answer_of(oauth, without, NOW, exchange=True) is None
