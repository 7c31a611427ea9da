"""JSON as it goes out: UTF-8, no spaces."""

from __future__ import annotations

from typing import Any

import pydantic_core


def compact(document: Any) -> bytes:
    """Return a document as JSON."""
    return pydantic_core.to_json(document)
