"""Mails as they are written: every kind in every language, and names that try to break out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import alerts
from alerts.channels.smtp import Sender
from alerts.mails.compose import PARTS, SHORT, Brand, Composer
from alerts.mails.language import FOLDER, accepted, languages, tongue
from alerts.mails.message import build
from alerts.mails.samples import sample
from alerts.mails.standing import KINDS, Kind
from monitor.errors import ConfigurationError
from monitor.health.causes import TABLE
from monitor.text.names import one_line
from tests.conftest import START

ROOT = Path(alerts.__file__).parent.parent
BRAND = Brand("Northwind Integrations", support="help@northwind.example", footer="1 High Street")
EVIL = 'A "B" <b>&amp;</b>\r\nBcc: x@evil.example \u202egnp.exe \u2066🐙 ' + "z" * 300


@cache
def sentences() -> set[str]:
    """Every sentence that templates and pages say."""
    asks = [row.asks for row in TABLE.values() if row.asks]
    found = set(SHORT.values()) | {one.why for one in asks} | {one.first for one in asks if one.first}
    for path in (ROOT / "alerts/mails").rglob("*"):
        if path.suffix in (".txt", ".mjml"):
            with path.open("rb") as file:
                found |= {
                    m[0] if isinstance(m, tuple) else m for _, _, m, _ in babel_extract(file, ("_",), [], {})
                }
    for path in (ROOT / "alerts/mails/compose.py", *(ROOT / "monitor/web/clients").glob("*.py")):
        found |= {m for _, m, _, _ in extract_from_file("python", path)}
    return found


@pytest.mark.parametrize("language", languages()[1:])
def test_no_sentence_lacks_its_translation(language):
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    missing = [text for text in sentences() if not (found := catalogue.get(text)) or not found.string]
    left_over = [m.id for m in catalogue if m.id and m.id not in sentences()]
    broken = [
        m.id
        for m in catalogue
        if m.id and set(re.findall(r"%\(\w+\)s", m.id)) != set(re.findall(r"%\(\w+\)s", m.string))
    ]
    assert (missing, left_over, broken, [m.id for m in catalogue if m.fuzzy and m.id]) == ([], [], [], [])


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_in_every_language(kind, language):
    mail = sample(Composer(BRAND), kind, language, START)
    assert mail.subject and "%(" not in mail.subject + mail.text + mail.html
    assert "{{" not in mail.html and "{%" not in mail.html
    if kind not in (Kind.RESOLVED, Kind.HANDOVER, Kind.FUSE, Kind.ACCESS):
        link = "https://integrations.example.com/r/not-a-real-link"
        assert f'href="{link}"' in mail.html and link in mail.text
        assert f'lang="{language}"' in mail.html


def test_every_cause_that_the_client_mends_has_its_folder_of_three():
    for row in TABLE.values():
        if row.asks is not None:
            folder = ROOT / "alerts/mails/kinds" / row.asks.mail
            assert {path.name for path in folder.iterdir()} == set(PARTS)


@pytest.mark.parametrize("kind", ["revoked", Kind.DIGEST, Kind.HANDOVER, Kind.RESOLVED])
def test_a_name_cannot_break_out_of_its_place(kind):
    mail = sample(Composer(BRAND), kind, "en", START, client=EVIL)
    assert "\n" not in mail.subject and "\u202e" not in mail.subject + mail.text + mail.html
    assert "<b>&amp;" not in mail.html
    message = build(mail, Sender.parse("N <n@northwind.example>"), "it@firm.example", "<1@x>", START)
    head = message.as_bytes().partition(b"\r\n\r\n")[0]
    assert b"\nBcc:" not in head and message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Müller & Söhne 🐙", "Müller & Söhne 🐙"),
        ("a\r\nb\tc", "a b c"),
        ("x\u202ey\u200fz\u2069", "xyz"),
        ("محامون", "محامون"),
        ("👩‍⚖️ law", "👩‍⚖️ law"),
    ],
)
def test_cleaning_keeps_names_and_drops_what_plays_tricks(given, kept):
    assert one_line(given) == kept


def test_an_override_comes_first_and_a_bad_one_is_named(tmp_path):
    folder = tmp_path / "kinds" / "revoked"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Ours, {{ client }}")
    assert sample(Composer(BRAND, tmp_path), "revoked", "en", START).subject == "Ours, Whitfield & Moreau LLP"
    (folder / "subject.txt").write_text("{{ nothing_like_it }}")
    with pytest.raises(ConfigurationError, match=r"kinds/revoked/subject\.txt.*nothing_like_it"):
        sample(Composer(BRAND, tmp_path), "revoked", "en", START)
    (folder / "subject.txt").write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(ConfigurationError, match="unsafe"):
        sample(Composer(BRAND, tmp_path), "revoked", "en", START)
    (folder / "subject.txt").unlink()
    (folder / "body.mjml").write_text("<mj-section><mj-column>")
    with pytest.raises(ConfigurationError, match=r"kinds/revoked/body\.mjml.*: this MJML does not compile"):
        Composer(BRAND, tmp_path).check()


# What an override may hold, in which file, and what is said of it.
FAULTS = [
    ("body.txt", "Hello\n{{ nothing_like_it }}", r"kinds/revoked/body\.txt, line 2: .*'nothing_like_it' is undefined"),
    ("body.txt", "\n\n{{ 1 / 0 }}", r"kinds/revoked/body\.txt, line 3: .*ZeroDivisionError: division by zero"),
    ("body.txt", "{{ item.link + 1 }}", r"kinds/revoked/body\.txt, line 1: .*TypeError"),
    ("body.txt", "{% if %}", r"kinds/revoked/body\.txt, line 1: .*Expected an expression"),
    ("body.txt", "{{ item.link | wordwrap('x') }}", r"kinds/revoked/body\.txt, line 1: .*TypeError"),
    ("body.txt", "\n{% include 'kinds/revoked/body.txt' %}", r"kinds/revoked/body\.txt, line 2: .*(RecursionError|it loops)"),
    ("body.txt", "{% include 'parts/none.txt' %}", r"kinds/revoked/body\.txt, line 1: .*there is no parts/none\.txt"),
    ("body.mjml", "<mj-section><mj-column>\n<mj-text>{{ 1 / 0 }}</mj-text></mj-column></mj-section>",
     r"kinds/revoked/body\.mjml, line 2: .*ZeroDivisionError"),
    ("body.mjml", '{% set action = 1 %}\n<!--% include "parts/own.mjml" %-->', r"parts/own\.mjml, line 3: .*ZeroDivisionError"),
    ("body.mjml", '<!--% include "kinds/revoked/body.mjml" %-->', r"kinds/revoked/body\.mjml, line 1: .*(RecursionError|it loops)"),
    ("body.mjml", "\n<mj-social><p /></mj-social>", r"kinds/revoked/body\.mjml, line 2: this MJML does not compile"),
    # A panic of the Rust library, which is no Exception.
    ("body.mjml", '<mj-section>é">', r"kinds/revoked/body\.mjml.*: this MJML does not compile"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "says"), FAULTS)
def test_whatever_an_override_raises_names_its_file_and_line(tmp_path, name, text, says):
    folder = tmp_path / "kinds" / "revoked"
    folder.mkdir(parents=True)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/own.mjml").write_text(
        "<mj-section><mj-column>\n<mj-text>\n{{ action / 0 }}</mj-text></mj-column></mj-section>\n"
    )
    (folder / name).write_text(text)
    with pytest.raises(ConfigurationError, match=f"^{says}"):
        sample(Composer(BRAND, tmp_path), "revoked", "en", START)


def test_what_is_said_of_a_fault_does_not_hold_the_link(tmp_path):
    (tmp_path / "kinds/revoked").mkdir(parents=True)
    (tmp_path / "kinds/revoked/body.txt").write_text("{{ {}[item.link] }}")
    with pytest.raises(ConfigurationError) as caught:
        sample(Composer(BRAND, tmp_path), "revoked", "en", START)
    assert "not-a-real-link" not in str(caught.value) and caught.value.__suppress_context__


def test_a_corrected_template_is_taken_up_without_a_restart(tmp_path):
    composer = Composer(BRAND, tmp_path)
    folder = tmp_path / "kinds" / "revoked"
    folder.mkdir(parents=True)
    (folder / "body.mjml").write_text(
        "<mj-section><mj-column><mj-text>{{ 1 / 0 }}</mj-text></mj-column></mj-section>"
    )
    with pytest.raises(ConfigurationError):
        sample(composer, "revoked", "en", START)
    (folder / "body.mjml").write_text(
        "<mj-section><mj-column><mj-text>Corrected</mj-text></mj-column></mj-section>"
    )
    assert "Corrected" in sample(composer, "revoked", "en", START).html


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_joined_keeps_the_width_of_the_mail(kind):
    """mjml's own include would lose it."""
    html = sample(Composer(BRAND), kind, "en", START).html
    outlook = re.findall(r'<!--\[if mso \| IE\]><table [^>]*bgcolor="#ffffff"[^>]*>', html)
    assert outlook and all('width="600"' in table for table in outlook)


def test_dates_are_the_clients_own():
    assert tongue("en", "America/New_York").moment(START) == "November 23, 2026, 4:00\u00a0AM EST"
    assert tongue("de", "Europe/Berlin").moment(START) == "23. November 2026, 10:00 MEZ"
    assert tongue("fr", "Europe/Paris").moment(START) == "23 novembre 2026, 10:00 UTC+1"
    assert tongue("pt-BR").language == "en", "a language we lack is written in English"


def test_the_first_language_that_we_have_is_taken():
    assert accepted("nl, fr;q=0.8, de;q=0.9") == "de"
    assert accepted("") == accepted("nl") == accepted(";;q=x") == "en"
