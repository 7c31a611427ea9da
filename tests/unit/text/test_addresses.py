"""Addresses with letters beyond ASCII: in the envelope, in headers, in comparisons."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import smtp
from alerts.channels.smtp import Letter, Sender
from alerts.mails import truth
from alerts.mails.compose import Written
from alerts.mails.message import build
from alerts.mails.settings import EmailSettings
from monitor.operations.intake import Client
from monitor.text import addresses
from monitor.text.addresses import mailbox, needs_utf8, once, read, wire
from tests.conftest import START

LETTER = Written("Grüße", "Text\n", "<p>Text</p>")
SPELLINGS = ("it@müller.example", "it@xn--mller-kva.example", "IT@MÜLLER.example", "it@mu\u0308ller.example")


@pytest.mark.parametrize(
    ("text", "people", "server", "utf8"),
    [
        ("it@acme.example", "it@acme.example", "it@acme.example", False),
        ("it@müller.example", "it@müller.example", "it@xn--mller-kva.example", False),
        ("it@xn--mller-kva.example", "it@müller.example", "it@xn--mller-kva.example", False),
        ("it@faß.example", "it@faß.example", "it@xn--fa-hia.example", False),
        ("müller@acme.example", "müller@acme.example", "müller@acme.example", True),
        ("mu\u0308ller@müller.example", "müller@müller.example", "müller@xn--mller-kva.example", True),
        ("o'brien+x@acme.example", "o'brien+x@acme.example", "o'brien+x@acme.example", False),
    ],
)
def test_an_address_is_read_for_people_and_written_for_servers(text, people, server, utf8):
    assert (read(text), wire(read(text)), needs_utf8(read(text))) == (people, server, utf8)


@pytest.mark.parametrize(
    "text", ["", "nobody", "a@b", "a b@acme.example", "x@" + "ü" * 70 + ".example", "it@-.example"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="is no e-mail address"):
        read(text)


def test_the_same_address_in_several_spellings_is_one():
    assert len({mailbox(one) for one in SPELLINGS}) == 1
    assert once([*SPELLINGS, "boss@müller.example"]) == (SPELLINGS[0], "boss@müller.example")
    assert Client(name="Müller", contacts=SPELLINGS).contacts == ("it@müller.example",)
    assert truth.audience("M", SPELLINGS[:1], "de", "UTC") == truth.audience("M", SPELLINGS[2:3], "de", "UTC")


@given(
    st.text(st.characters(categories=["L", "N"], max_codepoint=0x2FFF), min_size=1, max_size=20),
    st.text(st.characters(categories=["Ll"], max_codepoint=0x250), min_size=1, max_size=20),
)
def test_whatever_is_read_can_be_written_and_read_back(local, domain):
    try:
        known = read(f"{local}@{domain}.example")
    except ValueError:
        return
    assert read(wire(known)) == known and mailbox(wire(known)) == mailbox(known)
    assert wire(known).rpartition("@")[2].isascii()


@pytest.mark.parametrize("to", ["it@müller.example", "müller@müller.example", "it@acme.example"])
@pytest.mark.parametrize(
    "sender", ["Grüße <post@grüße.example>", "Gruss <grüße@gruss.example>", "G <g@gruss.example>"]
)
def test_every_header_says_the_address_that_goes_over_the_wire(sender, to):
    message = build(
        LETTER,
        Sender.parse(sender, reply_to="hilfe@grüße.example"),
        to,
        "<1@x.example>",
        START,
        thread="<0@x.example>",
    )
    letter = Letter.of(message)
    ours = sender.partition("<")[2].rstrip(">")
    assert letter.utf8 is (needs_utf8(to) or needs_utf8(ours))
    assert letter.to == wire(to) and letter.sender == wire(ours)
    head = letter.data.partition(b"\r\n\r\n")[0]
    assert letter.utf8 or head.isascii()
    taken = email.message_from_string(letter.data.decode(), policy=email.policy.SMTPUTF8)
    assert taken["To"].addresses[0].addr_spec == letter.to
    assert taken["From"].addresses[0].addr_spec == letter.sender
    assert taken["Reply-To"].addresses[0].addr_spec == "hilfe@xn--gre-6ka8l.example"
    assert taken["Subject"] == "Grüße"


def test_our_own_addresses_are_read_as_people_write_them_and_name_our_messages_in_ascii():
    assert EmailSettings(operator="Ops@MÜLLER.example").operator == "Ops@müller.example"
    sender = Sender.parse(smtp.Settings.model_validate({"from": "Post <post@grüße.example>"}).sender)
    assert (sender.domain, sender.needs_utf8) == ("xn--gre-6ka8l.example", False)
    assert Sender.parse("p@x.example", reply_to="grüße@x.example").needs_utf8
    assert addresses.mailbox("not an address") == "not an address"
