"""Previews of mails: every kind in every language, who gets it when, and one's own templates with their trouble."""

from __future__ import annotations

import pytest

from alerts.mails.language import languages
from alerts.mails.standing import KINDS
from tests.conftest import rigged
from tests.integration.console.conftest import MORE, served, words


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_shown_in_every_language(console, kind):
    person = await console.viewer()
    subjects = set()
    for language in languages():
        page = await person.get(f"/mails?kind={kind}&language={language}")
        assert page.status_code == 200
        assert page.text.count(f'src="/mails/{kind}/{language}/html" sandbox=""') == 2, (
            "on a desk and on a phone"
        )
        said = words(page)
        assert "Goes to" in said
        assert "When" in said
        subjects.add(said.partition(" Subject ")[2].partition(" On a desk")[0])
        frame = await person.get(f"/mails/{kind}/{language}/html")
        assert frame.headers["content-security-policy"].endswith("frame-ancestors 'self'; sandbox")
        assert "<script" not in frame.text
        assert "fonts.googleapis" not in frame.text
    assert len(subjects) == len(languages()) or kind in ("handover", "fuse", "access"), (
        "each in its own words"
    )


async def test_it_says_who_gets_it_and_when(small):
    person = await small.viewer()
    said = words(await person.get("/mails"))
    assert f"{len(KINDS)} kinds of mail, in {len(languages())} languages." in said
    assert "60 minutes after it was confirmed that access was withdrawn" in said
    reminder = words(await person.get("/mails?kind=reminder"))
    assert "2 days, 5 days and 10 days after the first mail, while nobody approved" in reminder
    handover = words(await person.get("/mails?kind=handover"))
    assert "the operator whom nobody named: set operator in [email]" in handover
    assert "Send a test mail… needs the role operator" in said
    assert 'href="/outbox/test"' in (await (await small.operator()).get("/mails")).text


@pytest.mark.parametrize("query", ["kind=moon", "language=xx", "kind=../x"])
async def test_what_there_is_not_is_not_found(small, query):
    assert (await (await small.viewer()).get(f"/mails?{query}")).status_code == 404


async def test_frames_of_what_there_is_not_are_not_found(small):
    for path in ("/mails/moon/en/html", "/mails/revoked/xx/html"):
        assert (await (await small.viewer()).get(path)).status_code == 404


async def test_ones_own_templates_are_marked_and_their_trouble_is_said(tmp_path, sandbox, sqlite_url):
    folder = tmp_path / "mine"
    (folder / "kinds" / "revoked").mkdir(parents=True)
    own = folder / "kinds" / "revoked" / "subject.txt"
    own.write_text("Ours: {{ client }}\n")
    more = MORE + '[email]\ntemplates = "mine"\n'
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig, served(rig) as console:
        person = await console.viewer()
        said = words(await person.get("/mails?kind=revoked"))
        assert "Subject Ours: Whitfield & Moreau LLP" in said
        assert "your own" in said
        assert "kinds/revoked/subject.txt" in said
        own.write_text("{{ nobody }}\n")
        page = await person.get("/mails?kind=revoked")
        said = words(page)
        assert page.status_code == 200
        assert "A template of your own cannot be used." in said
        assert (
            "kinds/revoked/subject.txt, line 1: this mail template cannot be used: 'nobody' is undefined"
            in said
        )
        assert "Your templates are in" in said
        assert "On a desk" not in said
        other = words(await person.get("/mails?kind=resolved"))
        assert "On a desk" in other, "the others are there as they were"


async def test_where_nobody_is_mailed_the_settings_are_named(tmp_path, sandbox, sqlite_url):
    more = MORE.partition("[smtp]")[0]
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig, served(rig) as console:
        assert "Nobody is mailed yet. Set from in [smtp]" in words(
            await (await console.viewer()).get("/mails")
        )
