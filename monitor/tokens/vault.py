"""Seals secrets for storage: AES-256-GCM, bound to their row, under keys that can be changed.

A sealed cell reads `v1.<key id>.<nonce and ciphertext>`. Table, row and column are authenticated beside
it, so a ciphertext that is moved to another row does not open. Tokens are bound to the app that they were
given to besides (`v2.…`), so that none opens to be sent to the provider of another. Those of before that
(`v1.…`) still open; the next refresh, or `keys rotate`, binds them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from monitor.errors import CannotDecrypt, ConfigurationError, KeyMissing, Remedy
from monitor.secret import Secret

_KEY = re.compile(r"^([A-Za-z0-9-]{1,32})[.:]([A-Za-z0-9_-]{43}=?)$")
CHECK_TEXT = "token-health key check"
VERSIONS = ("v1", "v2")
KEYED = "k1."


@dataclass(frozen=True, slots=True)
class Key:
    """An encryption key and the name that cells know it by."""

    id: str
    material: Secret

    def line(self) -> str:
        """Return the key as a key file has it."""
        return f"{self.id}.{self.material.reveal()}"


class Cell(NamedTuple):
    """Where a sealed text stands."""

    table: str
    row: str
    column: str
    app: str = ""  # app, provider and region that a token was given to (`store.sealing.app_of`)

    @property
    def version(self) -> str:
        """How a ciphertext of this place begins."""
        return "v2" if self.app else "v1"

    def bound(self, version: str) -> bytes:
        """Return the associated data that binds a ciphertext of a version to this place."""
        place = f"token-health\x1f{self.table}\x1f{self.row}\x1f{self.column}"
        return (f"{place}\x1f{self.app}" if version == "v2" else place).encode()


def new_key() -> Key:
    """Make a fresh key with a random name."""
    material = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return Key(f"k{secrets.token_hex(4)}", Secret(material))


def parse_keys(text: str, where: str) -> list[Key]:
    """Read keys, one a line or separated by commas; the first seals, all of them open.

    Raises ConfigurationError with the line's number, never its text.
    """
    keys: list[Key] = []
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    entries = (entry.strip() for line in lines for entry in line.split(","))
    for number, line in enumerate(filter(None, entries), 1):
        match = _KEY.match(line)
        if match is None:
            raise ConfigurationError(
                f"{where}, entry {number}: not a key; each is NAME.BASE64.",
                Remedy("keys.new", "prints one"),
            )
        if match.group(1) in {key.id for key in keys}:
            raise ConfigurationError(f"{where}, entry {number}: a second key named {match.group(1)!r}.")
        keys.append(Key(match.group(1), Secret(match.group(2).rstrip("="))))
    if not keys:
        raise ConfigurationError(f"{where}: no key in it.", Remedy("keys.new", "prints one"))
    return keys


def read_key_file(path: Path) -> list[Key]:
    """Read a key file, which only its owner may read."""
    try:
        text, mode = path.read_text(encoding="ascii"), path.stat().st_mode
    except FileNotFoundError:
        raise KeyMissing(
            f"{path}: the key file is not there. Restore it from its backup.",
            Remedy("setting_up.begin", "makes one", when="For a first start"),
            Remedy(
                "keys.new",
                "prints a new key to put there (mode 0600): the next start says whose tokens went with the "
                "old one, and what to do",
                when="If it is gone for good",
            ),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMissing(f"{path}: cannot read the key file: {error}.") from None
    # systemd gives the service's user a right of its own (an ACL), which looks like the group's.
    if mode & (0o007 if _is_credential(path) else 0o077):
        raise ConfigurationError(f"{path}: others may read this key file; run: chmod 600 {path}")
    return parse_keys(text, str(path))


def _is_credential(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.resolve().parent == Path(folder).resolve()


def write_key_file(path: Path, keys: Sequence[Key]) -> None:
    """Write a key file in one step, so that no reader sees half of it, readable by its owner only.

    Whoever owned the file owns it still: a rotation under sudo must not lock the service out. Durable when
    this returns: a cell that is sealed with a key which the power took along never opens again.
    """
    text = (
        "# Token Health encryption keys. The first one seals, all of them open.\n"
        "# Keep a copy apart from the database: without these, stored tokens are lost.\n"
        + "".join(key.line() + "\n" for key in keys)
    )
    path = path.resolve()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                _own_alike(file.fileno(), path)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyMissing(f"{path}: cannot write the key file: {error.strerror}.") from None


def change_key_file(path: Path, change: Callable[[list[Key]], list[Key]]) -> list[Key]:
    """Change a key file as it is at this moment; return what is in it then.

    Read, changed and written while nobody else does the same, on this machine or on another that shares
    the file: a list that was read before would take back what somebody added since.
    """
    path = path.resolve()
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyMissing(f"{lock}: cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = read_key_file(path)
        _own_alike(handle, path)
        after = change(list(before))
        if after != before:
            write_key_file(path, after)
        return after
    finally:
        os.close(handle)


def _own_alike(handle: int, path: Path) -> None:
    """Give an open file the owner of another, where they differ and that one is there."""
    with contextlib.suppress(FileNotFoundError):
        owner, mine = path.stat(), os.fstat(handle)
        if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
            os.fchown(handle, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Vault:
    """Seals with the first key, opens with any.

    Where `source` is given, changed keys are taken up while the service runs: before something is sealed, if
    `stamp` says that the source is another than when it was read, so that nothing is sealed with a key
    that a rotation has replaced; and when a cell names a key that is not at hand.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        source: Callable[[], Sequence[Key]] | None = None,
        stamp: Callable[[], object] = lambda: None,
    ) -> None:
        self._source, self._stamp = source, stamp
        # Unread as yet: whoever read `keys` may have done so before the file was changed.
        self._read: object = object()
        self.use(keys)

    def use(self, keys: Sequence[Key]) -> None:
        """Take these keys from now on."""
        if not keys:
            raise KeyMissing("There is no encryption key.", Remedy("setting_up.begin", "makes one"))
        ciphers = {key.id: AESGCM(_material(key)) for key in keys}  # before anything changes: it may raise
        self._keys, self._ciphers = {key.id: key for key in keys}, ciphers
        self.current = keys[0].id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The names of all keys, the sealing one first."""
        return tuple(self._keys)

    @property
    def prefix(self) -> str:
        """How every cell begins that the current key sealed, but for tokens."""
        return prefix_of(self.current)

    def seal(self, secret: Secret, cell: Cell) -> str:
        """Return the secret as it may be stored at that place."""
        if self._source is not None and self._stamp() != self._read:
            # A file that cannot be read just now is no reason to lose what is to be sealed.
            with contextlib.suppress(KeyMissing, ConfigurationError):
                self.reread()
        nonce = os.urandom(12)
        bound = cell.bound(cell.version)
        sealed = self._ciphers[self.current].encrypt(nonce, secret.reveal().encode(), bound)
        return f"{prefix_of(self.current, cell.version)}{_b64(nonce + sealed)}"

    def open(self, text: str, cell: Cell) -> Secret:
        """Return the secret of a cell. Raises KeyMissing or CannotDecrypt, naming key and place."""
        try:
            version, key_id, sealed = text.split(".")
        except ValueError:
            raise CannotDecrypt(f"{cell.table} {cell.row!r}: {cell.column} is not a sealed text.") from None
        cipher = self._ciphers.get(key_id) or self._asked_again(key_id)
        if version not in VERSIONS or cipher is None:
            raise KeyMissing(
                f"{cell.table} {cell.row!r}: {cell.column} is sealed with key {key_id!r}, which is not "
                f"among those at hand ({', '.join(self._keys)}). Put it back into the key file."
            )
        try:
            raw = _unb64(sealed)
            return Secret(cipher.decrypt(raw[:12], raw[12:], cell.bound(version)).decode())
        except (InvalidTag, binascii.Error, ValueError):
            raise CannotDecrypt(
                f"{cell.table} {cell.row!r}: {cell.column} does not open with key {key_id!r}: it was "
                f"damaged, or moved here from another row{' or app' if version == 'v2' else ''}."
            ) from None

    def reread(self) -> None:
        """Take the keys as the source has them now. Raises KeyMissing or ConfigurationError."""
        if self._source is not None:
            stamp = self._stamp()
            self.use(self._source())
            self._read = stamp

    def _asked_again(self, key_id: str) -> AESGCM | None:
        with contextlib.suppress(KeyMissing, ConfigurationError):
            self.reread()
        return self._ciphers.get(key_id)

    def check_text(self, key_id: str) -> str:
        """Return the known text sealed with one key, to recognise it by at the next start."""
        nonce = os.urandom(12)
        bound = Cell("key_check", key_id, "sealed").bound("v1")
        sealed = self._ciphers[key_id].encrypt(nonce, CHECK_TEXT.encode(), bound)
        return f"{prefix_of(key_id)}{_b64(nonce + sealed)}"

    def missing(self, checks: Mapping[str, str]) -> list[str]:
        """Return which of the keys in use are not at hand, or are others under the same name."""
        gone = []
        for key_id, sealed in checks.items():
            try:
                self.open(sealed, Cell("key_check", key_id, "sealed"))
            except (KeyMissing, CannotDecrypt):
                gone.append(key_id)
        return gone

    def verify(self, checks: Mapping[str, str]) -> None:
        """Make sure that every key in use is at hand and is the right one.

        Raises KeyMissing with the name of the first that is not.
        """
        for key_id, sealed in checks.items():
            if key_id not in self._ciphers:
                raise KeyMissing(
                    f"The database holds secrets sealed with key {key_id!r}, which is not among the keys at "
                    f"hand ({', '.join(self._keys)}). Put it back into the key file; nothing was probed."
                )
            try:
                self.open(sealed, Cell("key_check", key_id, "sealed"))
            except CannotDecrypt:
                raise KeyMissing(
                    f"Key {key_id!r} has the right name but is another key than the one that sealed this "
                    "database. Restore the original key file; nothing was probed."
                ) from None


def fingerprint(key: Secret, *secrets_: Secret | None) -> str:
    """Return a hash that tells whether the same tokens are given again, to whoever has the key.

    Without the key a stolen database does not tell whether a token that somebody holds is in it.
    """
    digest = hashlib.sha256(b"token-health import")
    for secret in secrets_:
        digest.update(b"\x1f" + (secret.reveal().encode() if secret is not None else b"\x00"))
    return keyed(key, digest.hexdigest()[:32])


def keyed(key: Secret, fingerprint_: str) -> str:
    """Return a fingerprint under a key (HMAC, RFC 2104); those of before there was one are bare."""
    made = hmac.digest(key.reveal().encode(), fingerprint_.encode(), "sha256")
    return f"{KEYED}{made.hex()[:32]}"


def prefix_of(key_id: str, version: str = "v1") -> str:
    """Return how every cell of a version begins that a key sealed."""
    return f"{version}.{key_id}."


def prefixes_of(key_id: str) -> tuple[str, ...]:
    """Return how cells may begin that a key sealed."""
    return tuple(prefix_of(key_id, version) for version in VERSIONS)


def _material(key: Key) -> bytes:
    try:
        raw = _unb64(key.material.reveal())
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ConfigurationError(f"Encryption key {key.id!r} is not 32 bytes in base64.")
    return raw


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
