"""A metric as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, kind, help and labels, as they stand on /metrics."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
