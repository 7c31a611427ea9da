"""Structured logs: one line an event, for people or as JSON, and never a secret.

Whatever speaks in this process speaks through here: structlog, the standard library's loggers, warnings, and
what nobody caught.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor

from monitor.service.scrubbing import scrubbed

# Libraries that would print URLs with queries, or a line a second.
_QUIET = (
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
_FRAMES = 40


def scrub(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of an event, whatever brought it."""
    # structlog's own entries begin with an underscore, and are taken out before anything is written.
    own = {key: value for key, value in event.items() if key.startswith("_")}
    return own | scrubbed({key: value for key, value in event.items() if key not in own})


def configure(style: str, level: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process. `style` is console, json, or auto: console on a terminal."""
    stream = stream or sys.stderr
    json = style == "json" or (style == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As data, so that what an exception says can be told from where it was raised; without local
        # variables: a token in a local would be printed with them.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=_FRAMES)
        ),
        scrub,
    ]
    final: list[Processor] = (
        [structlog.processors.JSONRenderer()]
        if json
        else [
            _exception_as_text,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty() and not _no_color(),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_a_thread
    sys.unraisablehook = _unraisable


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say that a line was lost. The standard library would print its arguments, whatever they are."""
        kind = sys.exc_info()[0]
        name = kind.__name__ if kind is not None else "error"
        sys.stderr.write(f"a line of {record.name} could not be logged: {name}\n")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger("monitor").critical("process.crashed", exc_info=(kind, error, trace))


def _uncaught_in_a_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        trouble = (args.exc_type, args.exc_value, args.exc_traceback)
        structlog.get_logger("monitor").error("thread.crashed", exc_info=trouble)


def _unraisable(args: Any) -> None:
    if args.exc_value is not None:
        trouble = (args.exc_type, args.exc_value, args.exc_traceback)
        structlog.get_logger("monitor").error("error.ignored", exc_info=trouble)


def _exception_as_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    found = event.get("exception")
    if isinstance(found, list):
        event["exception"] = "\n".join(_lines(found))
    return event


def _lines(stacks: Iterable[Any]) -> Iterable[str]:
    """Write scrubbed tracebacks as Python writes them, without lines of source."""
    for stack in stacks:
        if not isinstance(stack, Mapping):
            yield str(stack)
            continue
        yield "Traceback (most recent call last):"
        for frame in stack.get("frames", ()):
            if isinstance(frame, Mapping):
                yield f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
        yield f"{stack.get('exc_type')}: {stack.get('exc_value')}"
        yield from (f"  {note}" for note in stack.get("exc_notes") or ())
        for part in stack.get("exceptions") or ():
            yield from (f"  | {line}" for line in _lines(part if isinstance(part, list) else [part]))


def _no_color() -> bool:
    return bool(os.environ.get("NO_COLOR"))
