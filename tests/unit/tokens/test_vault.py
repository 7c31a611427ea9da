"""Promise 4: sealed at rest, bound to its row, under keys that can be changed."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from monitor.errors import CannotDecrypt, ConfigurationError, KeyMissing
from monitor.secret import Secret
from monitor.tokens.vault import (
    Cell,
    Key,
    Vault,
    change_key_file,
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


def test_of_many_who_change_a_key_file_at_once_nobody_takes_back_what_another_added(tmp_path):
    path = tmp_path / "th.key"
    write_key_file(path, [new_key()])
    with ThreadPoolExecutor(8) as several:
        added = list(
            several.map(lambda _: change_key_file(path, lambda keys: [new_key(), *keys])[0], range(40))
        )
    assert {key.id for key in read_key_file(path)} >= {key.id for key in added}
    assert len(read_key_file(path)) == 41


def test_a_key_file_that_is_a_link_stays_one_and_nothing_is_left_beside_it(tmp_path):
    real, linked = tmp_path / "secrets" / "th.key", tmp_path / "th.key"
    real.parent.mkdir()
    write_key_file(real, [new_key()])
    linked.symlink_to(real)
    (
        real.parent / f".{real.name}.{os.getpid()}"
    ).touch()  # of a process that was killed, whose pid came again
    change_key_file(linked, lambda keys: [new_key(), *keys])
    assert linked.is_symlink() and len(read_key_file(real)) == 2
    assert {path.name for path in real.parent.iterdir()} == {
        "th.key",
        ".th.key.lock",
        f".th.key.{os.getpid()}",
    }


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
def test_a_rotation_under_sudo_does_not_lock_the_service_out_of_its_key_file(tmp_path):
    path = tmp_path / "th.key"
    write_key_file(path, [new_key()])
    os.chown(path, 12345, 12346)
    change_key_file(path, lambda keys: [new_key(), *keys])
    for file in (path, tmp_path / ".th.key.lock"):
        assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (12345, 12346, 0o600)


def test_a_key_file_that_cannot_be_written_is_one_sentence_and_stays_as_it_is(tmp_path):
    path = tmp_path / "gone" / "th.key"
    with pytest.raises(KeyMissing, match="cannot write the key file"):
        write_key_file(path, [new_key()])
    with pytest.raises(KeyMissing, match="cannot be opened"):
        change_key_file(path, lambda keys: keys)


def test_a_key_file_with_a_damaged_key_leaves_a_vault_as_it_was():
    good = new_key()
    vault = Vault([good], lambda: [Key("bad", Secret("short")), good], stamp=object)
    sealed = vault.seal(Secret("t"), ACME)
    assert vault.current == good.id and vault.open(sealed, ACME).reveal() == "t"


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
    a, b, ab, key = Secret("a"), Secret("b"), Secret("ab"), Secret("k")
    assert fingerprint(key, a, b) == fingerprint(key, a, b)
    assert len({fingerprint(key, a, b), fingerprint(key, ab, None),
                fingerprint(key, a, None), fingerprint(key, None, None), fingerprint(b, a, b)}) == 5  # fmt: skip


def test_a_token_opens_for_the_app_that_it_was_given_to_and_one_of_before_for_its_connection():
    vault = Vault([new_key()])
    here, elsewhere = (Cell("credential", "acme", "access", app) for app in ("a/clio/us", "b/clio/us"))
    sealed = vault.seal(Secret("t"), here)
    assert sealed.startswith("v2.") and vault.open(sealed, here).reveal() == "t"
    with pytest.raises(CannotDecrypt, match="another row or app"):
        vault.open(sealed, elsewhere)
    with pytest.raises(CannotDecrypt):
        vault.open("v1" + sealed[2:], here)
    old = vault.seal(Secret("t"), Cell("credential", "acme", "access"))
    assert old.startswith("v1.") and vault.open(old, here).reveal() == "t"
    with pytest.raises(CannotDecrypt):
        vault.open("v2" + old[2:], here)
