"""What no honest server or client sends: texts, numbers, documents and bytes at the edges of every parser."""

from __future__ import annotations

import json

from hypothesis import strategies as st

EDGES = [
    "", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", "\U0001f600", "null", "NaN", "1e999",
    "-1", "0x10", "9" * 400, "9" * 5000, "../../etc/passwd", "%00", "%ff", "%u2028", "<!channel>", "=1+1", "{{ 7 * 7 }}",
    "${7*7}", "\r\nSet-Cookie: a=b", "http://[bad", "//evil.example", "javascript:alert(1)", "a" * 70_000,
]  # fmt: skip

texts = st.sampled_from(EDGES) | st.text(max_size=60)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(10**400), 2**63, -(2**63) - 1, 1e308, float("nan"), float("inf")])
)
scalars = st.none() | st.booleans() | numbers | texts


def documents(*names: str) -> st.SearchStrategy[object]:
    """JSON-like values in which these names turn up, at any depth and with anything behind them."""
    keys = st.sampled_from(names) | texts
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=12,
    )
    return st.dictionaries(keys, values, max_size=8) | values


def deep(levels: int = 60_000) -> list[bytes]:
    """Documents nested deeper than a parser may follow."""
    return [
        b"[" * levels,
        b'{"a":' * levels,
        b'{"a":' * levels + b"1" + b"}" * levels,
        b"[" * levels + b"]" * levels,
    ]


def encoded(document: object) -> bytes:
    """Write a document as JSON, as Python's own lenient writer does it: NaN and lone surrogates too."""
    return json.dumps(document).encode()


def bodies(*names: str) -> st.SearchStrategy[bytes]:
    """Bodies: JSON with these names, JSON that was cut or has a byte changed, and plain noise."""
    whole = documents(*names).map(encoded)
    return (
        whole
        | st.tuples(whole, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
        | st.tuples(whole, st.integers(0, 200), st.binary(max_size=3)).map(
            lambda three: three[0][: three[1]] + three[2] + three[0][three[1] + 1 :]
        )
        | st.binary(max_size=200)
        | st.sampled_from(deep(2_000) + deep())
    )
