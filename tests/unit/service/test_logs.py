"""The log tells no secret, whoever speaks and however deep it lies: in both formats."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import structlog

from monitor.secret import Secret
from monitor.service import logs

CANARY = "cAnArY7xQ2mZ9kLp4Rt6Vw8Yb3Nd5Hf1Js0"
WORD = "blue-horse"  # looks like no secret: only its name says so


@dataclass
class Holder:
    token: str = CANARY


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError(CANARY)


def _raise(text: str) -> None:
    held = text  # a local, which no traceback may print
    try:
        raise KeyError(held)
    except KeyError as error:
        error.add_note(f"note: refresh_token={held}")
        raise ValueError(f"could not use token {held}") from error


def _group() -> None:
    raise ExceptionGroup("several", [ValueError(CANARY), ExceptionGroup("inner", [OSError(2, CANARY)])])


def _logged(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except Exception:
            structlog.get_logger("monitor.x").exception("tick.failed")
            logging.getLogger("apscheduler.executors").exception("Job raised for %s", CANARY)

    return run


def _library(name: str, level: int = logging.ERROR) -> Callable[[], None]:
    return lambda: logging.getLogger(name).log(
        level, "GET https://h.example/cb?code=%s&state=1 %r", WORD, {"Authorization": f"Bearer {CANARY}"}
    )


def _ours(**values: object) -> Callable[[], None]:
    return lambda: structlog.get_logger("monitor.x").error("tick.failed", **values)


def _warns() -> None:
    warnings.warn(f"the token {CANARY} is old", stacklevel=2)


def _in_a_thread() -> None:
    thread = threading.Thread(target=_raise, args=(CANARY,))
    thread.start()
    thread.join()


def _unraisable() -> None:
    class Ends:
        def __del__(self) -> None:
            raise ValueError(CANARY)

    ends = Ends()
    del ends
    gc.collect()


def _forgotten_task() -> None:
    async def work() -> None:
        async def fails() -> None:
            raise ValueError(CANARY)

        task = asyncio.ensure_future(fails())
        await asyncio.wait([task])
        del task
        gc.collect()
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"token={WORD}", "exception": OSError(CANARY), "future": Holder()}
        )

    asyncio.run(work())


def _crash() -> None:
    try:
        _raise(CANARY)
    except ValueError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]


def _bad_arguments() -> None:
    logging.getLogger("httpx").error("%d requests", CANARY)


WAYS: dict[str, Callable[[], None]] = {
    "the event itself": lambda: structlog.get_logger("monitor.x").error(f"got {CANARY}"),
    "an event with a field": lambda: structlog.get_logger("monitor.x").error(f"client_secret={WORD}"),
    "by name": _ours(refresh_token=WORD, clientSecret=WORD, Set_Cookie=WORD, api_key=WORD),
    "nested by name": _ours(answer={"body": [{"access_token": WORD}, ({"x": {"password": WORD}},)]}),
    "nested by look": _ours(answer={"body": [{"x": (CANARY, {CANARY})}]}),
    "as a key": _ours(answer={CANARY: 1, f"code={WORD}": 2}),
    "headers as pairs": _ours(headers=[("Authorization", WORD), (b"cookie", WORD.encode())]),
    "a secret": _ours(what=Secret(WORD), more=[Secret(WORD)]),
    "an object": _ours(what=Holder(), more=[Holder()], names=SimpleNamespace(password=WORD)),
    "an object that cannot be shown": _ours(what=Hostile(), more={"x": Hostile()}),
    "bytes": _ours(body=b'{"access_token": "%s", "x": "%s"}' % (WORD.encode(), CANARY.encode())),
    "an exception as a value": _ours(error=ValueError(CANARY), errors=(OSError(1, CANARY),)),
    "under a name of ours": _ours(connection=f"x\ny {CANARY}", rule=f"\x1b[1m{CANARY}"),
    "deep": _ours(what=[[[[[[[[[[[[[[CANARY]]]]]]]]]]]]]]),
    "a traceback": _logged(lambda: _raise(CANARY)),
    "a group of exceptions": _logged(_group),
    "httpx": _library("httpx"),
    "uvicorn": _library("uvicorn.error"),
    "apscheduler": _library("apscheduler.scheduler"),
    "sqlalchemy": _library("sqlalchemy.engine", logging.WARNING),
    "nobody known": _library("somebody.else"),
    "bad arguments": _bad_arguments,
    "warnings": _warns,
    "a crash": _crash,
    "a thread": _in_a_thread,
    "a destructor": _unraisable,
    "a forgotten task": _forgotten_task,
}


@pytest.fixture
def _as_before() -> Iterator[None]:
    root, raises = logging.getLogger(), logging.raiseExceptions
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    names = (
        "httpx",
        "httpcore",
        "apscheduler",
        "aiohttp",
        "aiosqlite",
        "alembic",
        "uvicorn",
        "asyncio",
        "sqlalchemy",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:], _ = before[0], root.setLevel(before[1])
    sys.excepthook, threading.excepthook, sys.unraisablehook = before[2:]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.raiseExceptions = raises


@pytest.mark.usefixtures("_as_before")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_in_no_line(way, style, capsys):
    stream = io.StringIO()
    logs.configure(style, "debug", stream)
    WAYS[way]()
    text = stream.getvalue() + "".join(capsys.readouterr())
    assert text.strip()
    assert CANARY not in text and WORD not in text and "\x1b" not in text
    if style == "json" and way != "bad arguments":
        assert all(json.loads(line) for line in text.splitlines())


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("style", ["json", "console"])
def test_what_helps_is_still_there(style):
    stream = io.StringIO()
    logs.configure(style, "debug", stream)
    _logged(lambda: _raise(CANARY))()
    _ours(
        connection="acme:us-1", rule="rfc6749.invalid_grant+access_refused_early", leases=3, why="it is so"
    )()
    text = stream.getvalue()
    assert __file__ in text and "_raise" in text and "KeyError" in text and "could not use token" in text
    assert (
        "tick.failed" in text and "acme:us-1" in text and "rfc6749.invalid_grant+access_refused_early" in text
    )
    assert "it is so" in text


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("style", ["json", "console"])
def test_one_event_is_never_endless(style):
    stream = io.StringIO()
    logs.configure(style, "debug", stream)
    nested: list = []
    nested.append(nested)
    nested += [nested] * 100
    _ours(
        text="x " * 10**6, many=list(range(10**6)), keys={f"k{n}": n for n in range(10**5)}, blob=b"\0" * 10**7,
        nested=nested, wide=[["y " * 1000] * 50] * 50,
    )()  # fmt: skip
    logging.getLogger("x").error("z " * 10**6)
    assert len(stream.getvalue()) < 1_500_000
