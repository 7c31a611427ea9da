"""Adding connections: by a file, whose changes are shown first, and one by hand."""

from __future__ import annotations

import json
import re
import tempfile

import pytest

from monitor.operations import fleet, notices
from monitor.operations.actor import on_this_host
from monitor.store import plans as kept
from monitor.web.door import body_of
from tests.conftest import ME
from tests.integration.console.conftest import words
from tests.integration.console.test_bulk import fields_of

LONG = "9d1fQ2hTzrT0eX4mB7aLw" * 3
CANARY = "canary-token-1"
HEAD = "id,app,client_name,contacts,access_token\n"


def line(name: str, **more) -> str:
    return json.dumps(
        {"id": name, "app": "clio", "client": {"name": f"Firm {name}", "contacts": [f"it@{name}.example"]}}
        | more
    )


async def send(person, text: str, name: str = "in.csv", **fields):
    """Send a file, as a browser does."""
    return await person.http.post(
        "/import",
        files={"file": (name, text.encode())},
        data=fields,
        headers={"sec-fetch-site": "same-origin"},
    )


async def ids(console) -> list[str]:
    found = await fleet.page(console.parts, on_this_host(), limit=500)
    return sorted(row.id for row in found.rows)


async def test_a_file_is_shown_before_it_is_done_and_its_tokens_are_on_no_page(console):
    person = await console.operator()
    page = await person.get("/import")
    assert 'enctype="multipart/form-data"' in page.text and "Show what would change" in words(page)
    shown = await person.follow(await send(person, f"{HEAD}a,clio,Firm a,it@a.example,{CANARY}\n"))
    assert "The file would change this: 1 added. Nothing is done yet." in words(shown)
    assert CANARY not in shown.text and await ids(console) == []
    path = re.search(r'action="(/import/[^"]+/apply)"', shown.text)[1]
    done = await person.follow(await person.post(path))
    assert "Done: 1 added." in words(done) and await ids(console) == ["a"]
    again = await person.post(path)
    assert again.status_code == 409 and "It was applied already." in words(again)
    tokens = await send(person, f"{HEAD}a,clio,Firm a,it@a.example,{CANARY}2\n")
    assert "Tokens stored others" in words(await person.follow(tokens))


async def test_changes_are_a_table_and_what_the_file_lacks_stays_unless_it_is_the_whole_fleet(console):
    await console.rig.add("a", "b")
    person = await console.operator()
    text = line("a", client={"name": "Firm a & Sons", "contacts": ["it@a.example", "office@a.example"]})
    shown = await person.follow(await send(person, text, "in.jsonl"))
    said = words(shown)
    assert "1 changed. Nothing is done yet." in said and "What the file does not name stays." in said
    assert "a Account 100 –" in said or "Client Firm a Firm a & Sons" in said
    assert "Contacts it@a.example it@a.example, office@a.example" in said
    whole = await person.follow(await send(person, line("c"), how="whole"))
    assert "1 added, 2 removed. Nothing is done yet." in words(whole)
    path = re.search(r'href="(/import/[^"]+/apply)"', whole.text)[1]
    asked = await person.get(path)
    assert "cannot be brought back" in words(asked) and ("remove", "2") in fields_of(asked)
    refused = await person.post(path)
    assert refused.status_code == 409 and await ids(console) == ["a", "b"]
    assert (await person.post(path, dict(fields_of(asked)))).status_code == 303
    assert await ids(console) == ["c"]


async def test_more_than_twenty_go_by_their_number_alone(console):
    await console.rig.add(*(f"c{number:02}" for number in range(21)))
    person = await console.operator()
    whole = await person.follow(await send(person, line("new"), how="whole"))
    path = re.search(r'href="(/import/[^"]+/apply)"', whole.text)[1]
    form = dict(fields_of(await person.get(path)))
    assert (await person.post(path, form | {"typed": "20"})).status_code == 422
    assert len(await ids(console)) == 21
    assert (await person.post(path, form | {"typed": "21"})).status_code == 303
    assert await ids(console) == ["new"]


async def test_what_was_changed_meanwhile_is_not_overwritten(console):
    await console.rig.add("a")
    person = await console.operator()
    shown = await person.follow(await send(person, line("a", labels={"team": "one"})))
    path = re.search(r'action="(/import/[^"]+/apply)"', shown.text)[1]
    other = await person.follow(await send(person, line("a", labels={"team": "two"})))
    await person.post(re.search(r'action="(/import/[^"]+/apply)"', other.text)[1])
    refused = await person.post(path)
    assert refused.status_code == 409
    assert "a was changed since the plan was made, so nothing was done." in words(refused)
    assert (await console.rig.known("a")).labels == {"team": "two"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file: is empty."),
        (HEAD, "there is no connection in it."),
        ("id;app;client_name\na;clio;Firm\n", "1 the columns are separated by semicolons"),
        ("id,app\na,clio\n", "1 column 'client_name' is missing"),
        (f"{HEAD}a,clio\n", "2 has another number of columns than the header's 5"),
        (f"{HEAD}a,clio,Firm,nobody,t\nb,zoho,Firm,,t\na b,clio,Firm,,t\n", "3 mistakes"),
        (f"{HEAD}b,zoho,Firm,,t\n", "2 app 'zoho' is not configured; configured are clio"),
        (f"{HEAD}a,clio,Firm,,t\na,clio,Firm,,t\n", "3 id 'a' stands on line 2 already"),
        (f"{line('a')}\nnonsense\n", "2 not JSON"),
        ('[\n {"id": "a"},\n {"id": "b"}\n]', "One mistake"),
        ("PK\x03\x04workbook", "is a workbook or an archive; save the sheet as CSV (UTF-8)"),
        (f"{line('a', scopes=['mails'])}", "1 scopes: Clio Manage has no 'mails'"),
    ],
)
async def test_each_mistake_of_a_file_is_one_clear_sentence(small, text, said):
    answer = await send(await small.operator(), text)
    assert answer.status_code == 422
    assert said in words(answer)
    assert await ids(small) == []


async def test_a_file_that_is_no_text_is_refused_in_a_sentence(small):
    person = await small.operator()
    answer = await person.http.post(
        "/import", files={"file": ("a.csv", b"id,\xff\xfe")}, headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 422 and "is not UTF-8 text at byte 3" in words(answer)


async def test_pasted_text_is_given_back_for_its_correction_but_never_with_a_token(small):
    person = await small.operator()
    wrong = "id,app,client_name\na,zoho,Firm <b>\n"
    answer = await person.post("/import", {"text": wrong})
    assert answer.status_code == 422 and "a,zoho,Firm &lt;b&gt;" in answer.text
    secret = await person.post("/import", {"text": f"{HEAD}a,zoho,Firm,,{CANARY}\n"})
    assert secret.status_code == 422 and CANARY not in secret.text
    good = await person.post("/import", {"text": "id,app,client_name\r\na,clio,Firm\r\n"})
    assert "1 added" in words(await person.follow(good))


@pytest.mark.parametrize(
    "text",
    [
        f"id,app,client_name,refresh\na,clio,Firm,{LONG}\n",  # a heading of somebody else's
        f"id,app,client_name,client_locale\na,clio,Firm,{LONG}\n",  # another column's place
        f"id,app,client_name,client_timezone\na,clio,Firm,{LONG}\n",
        f"id,app,client_name,scopes\na,clio,Firm,{LONG}\n",
        f"id,app,client_name\na,{LONG},Firm\n",
        f"{LONG},clio,Firm\n",  # no heading at all
        f'{{"id": "a", "app": "clio", "{LONG}": 1}}\n',
        f'{{"id": "a", "app": "{LONG}", "client": {{"name": "Firm"}}}}\n',
    ],
)
async def test_a_token_in_anothers_place_is_on_no_page_all_the_same(small, text):
    """Promise 4: also where nothing says that it is one."""
    answer = await (await small.operator()).post("/import", {"text": text})
    assert answer.status_code == 422
    assert LONG[:20] not in answer.text and LONG[-20:] not in answer.text


@pytest.mark.parametrize(
    "charset", ["punycode", "unicode_escape", '"utf-16"', "utf-8-sig", "x; charset=utf-8"]
)
async def test_a_form_is_utf_8_and_in_no_other_code_that_python_knows(small, charset):
    person = await small.operator()
    body = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\\ud800\r\n--b--\r\n'
    kinds = {f"multipart/form-data; charset={charset}; boundary=b": 415,
             "multipart/form-data; boundary=b; charset=UTF-8": 422, "multipart/form-data; boundary=b": 422}  # fmt: skip
    for kind, status in kinds.items():
        headers = {"sec-fetch-site": "same-origin", "content-type": kind}
        assert (await person.http.post("/import", content=body, headers=headers)).status_code == status, kind


async def test_a_file_has_a_size_that_is_taken(small):
    person = await small.operator()
    answer = await person.http.post(
        "/import", content=b"x", headers={"content-length": str(21 << 20), "sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 413
    assert (
        body_of("/import")[0] == 20 << 20
        and body_of("/bulk/do")[0] == 1 << 20
        and body_of("/")[0] == 64 << 10
    )


async def test_a_file_is_read_in_memory_and_never_put_on_a_disk(small, monkeypatch):
    def spilled(_file):
        raise AssertionError("tokens in clear were written to a disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", spilled)
    text = f"{HEAD}a,clio,Firm a,,{CANARY}\n" + "\n" * (3 << 20)
    answer = await send(await small.operator(), text)
    assert answer.status_code == 303, words(answer)


async def test_what_is_no_form_is_refused(small):
    person = await small.operator()
    for kind, status in (
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=x", 400),
        ("text/csv", 415),
    ):
        headers = {"content-type": kind, "sec-fetch-site": "same-origin"}
        answer = await person.http.post("/import", content=b"a,b", headers=headers)
        assert answer.status_code == status, kind


async def test_ten_thousand_lines_are_shown_as_many_as_one_reads(console):
    text = "\n".join(line(f"c{number:05}") for number in range(10_000))
    shown = await (await console.operator()).follow(await send(await console.operator(), text))
    assert "10,000 added" in words(shown) and "and 9,800 more" in words(shown)
    assert len(shown.content) < 60_000


async def test_a_plan_keeps_tokens_sealed_and_is_nobody_elses(console):
    person = await console.operator()
    answer = await send(person, f"{HEAD}a,clio,Firm a,,{CANARY}\n")
    number = answer.headers["location"].removeprefix("/import/")
    stored = await kept.show(console.parts.database, number)
    assert CANARY not in repr(stored)
    assert (await (await console.admin()).get(f"/import/{number}")).status_code == 404


async def test_who_may_only_look_adds_nothing(console):
    viewer = await console.viewer()
    for path in ("/import", "/import/one", "/import/template.csv"):
        assert (await viewer.get(path)).status_code == 403
    assert (await send(viewer, line("a"))).status_code == 403
    assert (await viewer.post("/import/one", {"id": "a"})).status_code == 403
    sent = await (await console.operator()).http.post(
        "/import", files={"file": ("a", line("a"))}, headers={"sec-fetch-site": "cross-site"}
    )
    assert sent.status_code == 403


async def test_the_template_is_a_file_that_is_taken(small):
    person = await small.operator()
    template = await person.get("/import/template.csv")
    assert "attachment" in template.headers["content-disposition"]
    columns = template.text.strip().split(",")
    row = ",".join({"id": "a", "app": "clio", "client_name": "Firm"}.get(name, "") for name in columns)
    assert "1 added" in words(await person.follow(await send(person, f"{template.text}{row}\n")))


ONE = {"id": "acme", "app": "clio", "client": "Acme LLP", "contacts": "it@acme.example, a@acme.example"}


async def test_one_is_added_by_hand_and_its_client_is_mailed_an_invitation(console):
    person = await console.operator()
    page = await person.get("/import/one")
    assert "Mail them the invitation now" in words(page)
    answer = await person.post("/import/one", ONE | {"then": "mail", "language": "de"})
    assert answer.headers["location"] == "/connections/acme"
    known = await console.rig.known("acme")
    assert (known.client_name, known.locale, len(known.contacts)) == ("Acme LLP", "de", 2)

    found = (await notices.every(console.parts, ME, 9)).notices
    (mail,) = [one for one in found if one.requested_by]
    assert (mail.kind, mail.requested_by) == ("first_authorization", "user:operator-one")


async def test_a_link_is_shown_once_to_whoever_hands_it_over(console):
    person = await console.operator()
    page = await person.post("/import/one", ONE | {"then": "show"})
    assert page.status_code == 200 and "/r/" in page.text and "shown this once" in words(page)
    again = await person.post("/import/one", ONE | {"then": "show"})
    assert again.status_code == 422 and "is taken: there is such a connection already." in words(again)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("id", "a b", "is letters and digits"),
        ("client", "", "is empty"),
        ("contacts", "nobody", "is no e-mail address"),
        ("timezone", "Mars/Olympus", "is no time zone"),
        ("scopes", "mails", "Clio Manage has no 'mails'"),
        ("app", "zoho", "is not configured"),
    ],
)
async def test_a_mistake_stands_beside_its_field(small, field, value, said):
    answer = await (await small.operator()).post("/import/one", ONE | {field: value, "then": "later"})
    assert answer.status_code == 422
    assert said in words(answer) and "class=wrong" in answer.text
    assert await ids(small) == []


async def test_without_a_contact_nobody_can_be_mailed(small):
    answer = await (await small.operator()).post("/import/one", ONE | {"contacts": "", "then": "mail"})
    assert answer.status_code == 422 and "is needed to mail the invitation" in words(answer)
    assert await ids(small) == []
