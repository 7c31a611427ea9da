"""Structured logs: one line an event, for people or as JSON, and never a secret."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor

from monitor.health.evidence import redact
from monitor.secret import Secret

_SECRET_KEYS = frozenset(
    {"access_token", "refresh_token", "client_secret", "authorization", "token", "code", "password", "cookie"}
)
# Our own words and names; rules such as rfc6749.invalid_grant+access_refused_early look like tokens.
_OUR_OWN = frozenset(
    {"timestamp", "level", "event", "connection", "app", "rule", "was", "cause", "owner", "tick"}
)
# Libraries that would print URLs with queries, or a line a second.
_QUIET = ("httpx", "httpcore", "apscheduler", "aiohttp", "aiosqlite", "alembic", "uvicorn", "asyncio")


def scrub(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of an event: by the key's name, by type, and by how a text looks."""
    for key, value in event.items():
        if key in _SECRET_KEYS or isinstance(value, Secret):
            event[key] = "[removed]"
        elif isinstance(value, str) and key not in _OUR_OWN:
            event[key] = redact(value, 2000)
    return event


def configure(style: str, level: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process. `style` is console, json, or auto: console on a terminal."""
    stream = stream or sys.stderr
    json = style == "json" or (style == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Tracebacks without local variables: a token in a local would be printed with them.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        if json
        else structlog.processors.format_exc_info,
        scrub,
    ]
    final: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty() and not _no_color(),
            exception_formatter=structlog.dev.plain_traceback,
        )
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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _no_color() -> bool:
    return bool(os.environ.get("NO_COLOR"))
