"""Promise 4: sealed at rest, bound to its row, under keys that can be changed."""

from __future__ import annotations

import os
import pickle

import pytest

from monitor.errors import CannotDecrypt, ConfigurationError, KeyMissing
from monitor.secret import Secret
from monitor.tokens.vault import (
    Cell,
    Key,
    Vault,
    fingerprint,
    new_key,
    parse_keys,
    read_key_file,
    write_key_file,
)

ACME, BOLT = Cell("credential", "acme", "access"), Cell("credential", "bolt", "access")


def test_what_is_sealed_opens_at_its_own_place_only():
    vault = Vault([new_key()])
    sealed = vault.seal(Secret("t0ken"), ACME)
    assert "t0ken" not in sealed
    assert vault.open(sealed, ACME).reveal() == "t0ken"
    for elsewhere in (BOLT, Cell("credential", "acme", "refresh"), Cell("app", "acme", "access")):
        with pytest.raises(CannotDecrypt, match="moved here from another row"):
            vault.open(sealed, elsewhere)


def test_the_same_secret_is_sealed_differently_each_time():
    vault = Vault([new_key()])
    assert vault.seal(Secret("t"), ACME) != vault.seal(Secret("t"), ACME)


def test_an_older_key_still_opens_and_the_newest_seals():
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(Secret("t"), ACME)
    both = Vault([new, old])
    assert both.open(sealed, ACME).reveal() == "t"
    assert both.seal(Secret("t"), ACME).startswith(f"v1.{new.id}.")
    with pytest.raises(KeyMissing, match=old.id):
        Vault([new]).open(sealed, ACME)


def test_a_missing_or_wrong_key_is_named_before_anything_is_opened():
    right = new_key()
    checks = {right.id: Vault([right]).check_text(right.id)}
    Vault([right]).verify(checks)
    with pytest.raises(KeyMissing, match=right.id):
        Vault([new_key()]).verify(checks)
    with pytest.raises(KeyMissing, match="right name but is another key"):
        Vault([Key(right.id, new_key().material)]).verify(checks)


@pytest.mark.parametrize("damage", ["", "v1.k", "v1.k.!!!", "plain text", "v1.k.a.b.c"])
def test_damage_is_said_without_the_text(damage):
    vault = Vault([Key("k", new_key().material)])
    with pytest.raises((CannotDecrypt, KeyMissing)) as caught:
        vault.open(damage, ACME)
    assert "acme" in str(caught.value)


def test_a_key_file_is_the_owners_alone(tmp_path):
    path = tmp_path / "th.key"
    keys = [new_key(), new_key()]
    write_key_file(path, keys)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [key.id for key in read_key_file(path)] == [key.id for key in keys]
    os.chmod(path, 0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_key_file(path)


def test_a_mistake_in_a_key_file_is_told_by_its_place_and_never_by_its_text():
    line = new_key().line()
    with pytest.raises(ConfigurationError, match="entry 2") as caught:
        parse_keys(f"{line}\nc4n4ry", "keys")
    assert "c4n4ry" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="second key named"):
        parse_keys(f"{line},{line}", "keys")
    with pytest.raises(ConfigurationError, match="no key in it"):
        parse_keys("# nothing, really\n", "keys")


def test_a_secret_shows_itself_nowhere():
    secret = Secret("c4n4ry")
    shown = f"{secret} {secret!r} {secret:>20} {[secret]} { {'a': secret} }"
    assert "c4n4ry" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret("c4n4ry") and secret != Secret("other") and secret != "c4n4ry"


def test_a_fingerprint_tells_whether_the_same_tokens_are_given_again():
    assert fingerprint(Secret("a"), Secret("b")) == fingerprint(Secret("a"), Secret("b"))
    assert len({fingerprint(Secret("a"), Secret("b")), fingerprint(Secret("ab"), None),
                fingerprint(Secret("a"), None), fingerprint(None, None)}) == 4  # fmt: skip
