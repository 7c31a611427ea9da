"""The text of a key is known as one, or as mistyped, without a database."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.text import api_key
from monitor.text.ids import BASE62

HANDLE = "7QmPx0aZ19"


def test_a_key_says_its_handle_and_shows_nothing():
    secret = api_key.make(HANDLE)
    assert re.fullmatch(r"thk_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}", secret.reveal())
    assert api_key.handle_of(secret.reveal()) == HANDLE
    assert secret.reveal() not in f"{secret} {secret!r}"
    assert api_key.make(HANDLE) != secret, "256 random bits"
    assert len(api_key.digest(secret.reveal())) == 64


@given(st.integers(4, 62), st.sampled_from(BASE62))
def test_one_character_mistyped_is_found(place, instead):
    text = api_key.make(HANDLE).reveal()
    wrong = text[:place] + instead + text[place + 1 :]
    assert (api_key.handle_of(wrong) is None) is (wrong != text)


@pytest.mark.parametrize("wrong", ["", "thk_", "thk_7QmPx0aZ19_", "THK", "x" * 65, "thk_" + "é" * 61])
def test_what_is_no_key_is_none(wrong):
    assert api_key.handle_of(wrong) is None


def test_a_key_that_was_cut_or_has_more_to_it_is_none():
    text = api_key.make(HANDLE).reveal()
    assert [api_key.handle_of(one) for one in (text[:-1], text + "a", f" {text}", text + "\n")] == [None] * 4


def test_a_key_is_found_in_a_url():
    text = api_key.make(HANDLE).reveal()
    assert api_key.found_in(f"/api/v1/connections?key={text}&x=1") == [text]
    assert api_key.found_in("/api/v1/connections/thk_not-one") == []
