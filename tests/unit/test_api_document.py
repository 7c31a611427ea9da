"""docs/openapi.json and docs/api.md are what the code declares."""

from __future__ import annotations

from openapi_spec_validator import validate

from monitor.web.api import reference
from monitor.web.api.app import declared, schema


def test_the_committed_documents_are_current():
    for path, text in reference.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make generate`"


def test_the_document_is_openapi():
    validate(schema())


def test_every_operation_is_in_the_reference():
    text = reference.text()
    for one in declared():
        assert f"### {one.method} {one.path}\n" in text
        if one.needs is not None:
            assert f"`{one.needs.value}`" in text
