"""Whatever programs send to the API, fitting or not: no fault of ours, and nothing that is not documented.

schemathesis makes requests of the OpenAPI document; half of them name what there is, and come further than 404.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi
from structlog.testing import capture_logs

from monitor.web.api import app
from tests.integration.api.stage import Stage, staged

LONG = os.environ.get("ATTACK") == "long"
EXAMPLES = 300 if LONG else 4
SEEDS = ("acme", "bolt", "novice", "c00", "c20")
CHECKS = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
]
# Each of these looks at servers, or waits for the sandbox: a few are as good as many.
SLOW = ("doctor", "probe_connection")


@pytest.fixture
async def stage(tmp_path, sandbox, sqlite_url, monkeypatch):
    monkeypatch.setenv("clio_SECRET", "s3cret")
    async with staged(tmp_path, sandbox, sqlite_url) as found:
        yield found


def operations() -> list[Any]:
    """Every operation of the document; what removes things comes last."""
    schema = schemathesis.openapi.from_dict(app.schema())
    # A stream has no end that a test could look at.
    found = [
        one for result in schema.get_all_operations() if not (one := result.ok()).path.endswith("/stream")
    ]
    return sorted(found, key=lambda one: one.method.upper() == "DELETE")


def cases(operation: Any, mode: GenerationMode, count: int) -> list[Any]:
    """Requests for an operation that fit the document, or do not."""
    found: list[Any] = []

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=not LONG, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable):  # what takes nothing can be given nothing odd
        collect()
    return found


def known(stage: Stage, number: int) -> dict[str, Any]:
    """What there is, by the names of path parameters."""
    return {
        "connection": SEEDS[number % len(SEEDS)], "incident": (stage.own, stage.wave)[number % 2],
        "notice": (stage.failed, stage.waiting)[number % 2], "silence": stage.silence, "provider": "clio",
        "app": "clio", "code": "invalid",
    }  # fmt: skip


def prepared(case: Any) -> Iterator[Any]:
    """Return a request as it goes over the wire; none for what no HTTP client could write."""
    try:
        yield requests.Request(**case.as_transport_kwargs("http://th.test")).prepare()
    except (ValueError, requests.RequestException):
        return


async def attacked(stage: Stage, case: Any, number: int) -> None:
    if number % 2:
        there = known(stage, number // 2)
        for name in case.path_parameters or {}:
            case.path_parameters[name] = there.get(name, case.path_parameters[name])
    key = stage.api.program(f"attack-{number}-{case.operation.label}")
    for request in prepared(case):
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("authorization", "cookie")}
        headers["Authorization"] = f"Bearer {key}"
        try:
            answer = await stage.api.http.request(
                request.method, request.url, content=request.body, headers=headers
            )
        except (UnicodeError, ValueError, httpx.InvalidURL):  # nor can ours
            return
        case.validate_response(answer, checks=CHECKS)
        stage.answers[answer.status_code] += 1


@pytest.mark.timeout(1200 if LONG else 120)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "odd"])
async def test_nothing_that_programs_send_is_answered_otherwise_than_documented(stage, mode):
    wrong: list[str] = []
    with capture_logs() as said:
        for operation in operations():
            slow = any(name in operation.definition.raw.get("operationId", "") for name in SLOW)
            for number, case in enumerate(cases(operation, mode, 3 if slow else EXAMPLES)):
                try:
                    await attacked(stage, case, number)
                except (AssertionError, BaseExceptionGroup) as error:
                    parts = getattr(error, "exceptions", (error,))
                    wrong += [f"{operation.label}: {part}" for part in parts]
    assert not wrong, "\n\n".join(dict.fromkeys(wrong))
    assert not [line for line in said if line["event"] == "api.failed"]
    assert stage.answers[200] > 20 and stage.answers[422] and stage.answers[404], stage.answers
