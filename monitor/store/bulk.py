"""Many rows as one parameter: what the hot path writes with.

`executemany` builds and checks every row's parameters in Python; here the database unpacks them.
SQLite reads a JSON text with `json_each`, PostgreSQL arrays with `unnest`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Double, FromClause, Integer, Text, bindparam, cast, column, func, select
from sqlalchemy.types import TypeEngine

from monitor.store.engine import UtcDateTime

Columns = Mapping[str, type[Text | Integer | Double[Any] | UtcDateTime]]


def unpacked(columns: Columns, is_sqlite: bool, name: str = "given") -> FromClause:
    """Return the given rows as a table; execute with `packed` of the same columns."""
    if is_sqlite:
        each = func.json_each(bindparam("rows", type_=Text())).table_valued("value", name="each")
        return select(
            *(func.json_extract(each.c.value, f"$[{index}]").label(key) for index, key in enumerate(columns))
        ).subquery(name)
    arrays = (cast(bindparam(f"rows_{key}"), ARRAY(_type(kind))) for key, kind in columns.items())
    named = (column(key, _type(kind)) for key, kind in columns.items())
    return func.unnest(*arrays).table_valued(*named, name=name).render_derived()


def _type(kind: type[Any]) -> TypeEngine[Any]:
    found: TypeEngine[Any] = kind()
    return found


def packed(columns: Columns, rows: Sequence[Sequence[Any]], is_sqlite: bool) -> dict[str, Any]:
    """Return the parameters for `unpacked`: one text, or one array a column."""
    if is_sqlite:
        texts = [[_text(value) for value in row] for row in rows]
        return {"rows": json.dumps(texts, separators=(",", ":"))}
    return {f"rows_{key}": list(values) for key, values in zip(columns, zip(*rows, strict=True), strict=True)}


def _text(value: object) -> object:
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value
