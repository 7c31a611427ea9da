"""JSON that strangers write, read without surprises: whatever is wrong with it is one ValueError."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """Read a document (RFC 8259). Raises ValueError in a few words, also for what Python's reader lets pass.

    That is NaN and Infinity, which are no JSON; nesting without end; numbers of thousands of digits.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("a number in it has thousands of digits") from None
        raise


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
