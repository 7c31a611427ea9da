"""E-mail addresses: read as people write them, written as mail servers take them, compared as mailboxes.

A domain with letters beyond ASCII goes over the wire in its ASCII form (IDNA 2008 with the mapping of
UTS 46, RFC 5891), which every server takes. Letters beyond ASCII before the @ have no such form: they need
a mail server that offers SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

from collections.abc import Iterable

from email_validator import EmailNotValidError, validate_email


def read(text: str) -> str:
    """Return an address as people read it, its domain in its own script. Raises ValueError."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"is no e-mail address: {error}") from None


def wire(address: str) -> str:
    """Return an address as it goes over the wire. Raises ValueError."""
    if address.isascii():
        return address
    try:
        known = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(f"is no e-mail address: {error}") from None
    return f"{known.local_part}@{known.ascii_domain}"


def needs_utf8(address: str) -> bool:
    """Whether only a mail server that offers SMTPUTF8 can take it."""
    return not address.rpartition("@")[0].isascii()


def mailbox(address: str) -> str:
    """Return what is the same for all spellings of an address.

    Servers may tell upper from lower case before the @ (RFC 5321 2.4), and none that is used does.
    """
    try:
        return wire(address).casefold()
    except ValueError:
        return address.casefold()


def once(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return each mailbox once, in the first spelling."""
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(mailbox(address), address)
    return tuple(found.values())
