"""The message as it goes over the wire: headers, text and HTML parts, the logo inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from alerts.channels.smtp import Sender
from alerts.mails.compose import Written
from monitor.text import addresses
from monitor.text.names import one_line

# The default folds at 78 and would turn long values into encoded words.
POLICY, POLICY_UTF8 = SMTP.clone(max_line_length=998), SMTPUTF8.clone(max_line_length=998)
LOGO = "logo"


@dataclass(frozen=True, slots=True)
class Logo:
    """An image that is sent along, since mail programs do not load remote ones."""

    data: bytes
    subtype: str


def build(
    written: Written,
    sender: Sender,
    to: str,
    message_id: str,
    now: datetime,
    *,
    language: str = "en",
    thread: str | None = None,
    logo: Logo | None = None,
) -> EmailMessage:
    """Return the message. Answers by machines are told that a machine wrote it (RFC 3834 5).

    One with an address that has no ASCII form is written in UTF-8 throughout (RFC 6532).
    """
    wired = addresses.wire(to)
    message = EmailMessage(policy=POLICY if wired.isascii() and not sender.needs_utf8 else POLICY_UTF8)
    message["From"] = _header(sender.address, one_line(sender.name))
    message["To"] = _header(wired)
    if sender.reply_to:
        message["Reply-To"] = _header(sender.reply_to)
    message["Subject"] = written.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    if thread is not None:
        message["In-Reply-To"] = thread
        message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["Content-Language"] = language
    message.set_content(written.text, cte="quoted-printable")
    message.add_alternative(written.html, subtype="html", cte="quoted-printable")
    if logo is not None and f"cid:{LOGO}" in written.html:
        html = message.get_payload()[1]  # type: ignore[index]
        html.add_related(logo.data, "image", logo.subtype, cid=f"<{LOGO}>")  # type: ignore[union-attr]
    return message


def _header(address: str, name: str = "") -> Address:
    """Return an address for a header. Given whole, the library takes none with letters beyond ASCII."""
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
