"""What goes in comes out again: an export is an import of the same fleet."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from monitor.errors import Conflict
from monitor.operations import exports, imports, intake
from tests.conftest import ME, rigged

WHOLE = {
    "id": "acme",
    "app": "clio",
    "client": {
        "name": "Acme LLP",
        "contacts": ["it@acme.example", "boss@acme.example"],
        "locale": "de",
        "timezone": "Europe/Berlin",
    },
    "scopes": ["contacts", "matters"],
    "account_id": "1234",
    "tokens": {
        "access_token": "an-access-token",
        "refresh_token": "a-refresh-token",
        "expires_at": "2026-12-01T00:00:00+00:00",
    },
    "labels": {"tier": "gold"},
    "values": {"realm": "9130-A"},
}


@pytest.fixture
async def rig(tmp_path, sandbox, sqlite_url):
    """Clio, with a value that differs from connection to connection."""
    text = resources.files("monitor.providers").joinpath("clio.toml").read_text()
    (tmp_path / "provider.toml").write_text(f"{text}\n[values.realm]\n")
    extra = f'provider_file = "{tmp_path / "provider.toml"}"'
    async with rigged(tmp_path, sandbox, sqlite_url, apps={"clio": {"extra": extra}}) as found:
        yield found


async def test_whatever_can_be_imported_comes_out_of_the_export_again(rig, tmp_path):
    """A field that is new in a record is missing here, and then in one of the five places that carry it."""
    for model, given in (
        (intake.Record, WHOLE),
        (intake.Client, WHOLE["client"]),
        (intake.Tokens, WHOLE["tokens"]),
    ):
        assert set(given) == set(model.model_fields)
    path = tmp_path / "fleet.jsonl"
    path.write_text(json.dumps(WHOLE))
    await imports.take_in(rig.parts, ME, intake.read(path, rig.parts.apps))
    found = [json.loads(json.dumps(one)) async for one in exports.records(rig.parts, ME, with_secrets=True)]
    assert found == [WHOLE]
    again = await imports.take_in(rig.parts, ME, intake.read(path, rig.parts.apps))
    assert (again.added, again.changed) == ((), ())


async def test_an_export_into_a_file_is_its_owners_alone_and_overwrites_nothing(rig, tmp_path):
    await rig.add("acme")
    path = tmp_path / "out.jsonl"
    assert await exports.write(exports.records(rig.parts, ME, with_secrets=True), path) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(Conflict, match="is there already"):
        await exports.write(exports.records(rig.parts, ME), path)
    assert path.read_bytes() == before
