"""A sandbox for mail templates that also ends: bounds on steps, on sizes, and on what is multiplied.

An agency's own template is trusted with what a mail says, and with nothing else. Jinja's sandbox keeps it
from our objects; what it computes is bounded here, deterministically, so that a mistake in one costs its own
mail, and neither the process's time nor its memory. Each bound raises `TooMuch`: a fault of the template.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 1 << 20  # characters of a mail's part, and of anything that a template computes
STEPS = 100_000  # lines of a compiled template; our longest mails take a few hundred
LARGEST_SOURCE = 256 * 1024  # characters of a template's file
_WIDTH = re.compile(r"\d{5,}|\*")  # a width of a format that nobody prints


class TooMuch(TemplateRuntimeError):
    """A template loops, or computes more than a mail can be."""


def _size(value: object) -> int:
    if isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return abs(value)
    try:
        return len(value)  # type: ignore[arg-type]
    except TypeError:
        return 1


def _no_more_than(size: int) -> None:
    if size > LONGEST:
        raise TooMuch(f"it computes more than {LONGEST:,} characters or items")


def _product(values: Iterable[object]) -> None:
    """Refuse what could become too large when the two largest of these are multiplied."""
    sizes = sorted((_size(value) for value in values), reverse=True)[:2]
    _no_more_than(sizes[0] * max(1, sizes[1]) if len(sizes) == 2 else sum(sizes))


def _format(text: object) -> None:
    if isinstance(text, str) and _WIDTH.search(text):
        raise TooMuch("a format in it has a width that no mail has")


def _bounded(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that looks at what it is given first, and at what comes of it."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, (str, int, list, tuple, dict))]
        _product(given)
        if work.__name__ == "do_format" and given:
            _format(given[0])
        found = work(*args, **kwargs)
        if isinstance(found, (str, list, tuple)):
            _no_more_than(len(found))
        return found

    return run


class _Generator(CodeGenerator):
    """Looks at the length of what `~` joins: the one operator that Jinja's sandbox does not intercept."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write `a ~ b` with a look at its length."""
        self.write("environment.looked_at(")
        super().visit_Concat(node, frame)
        self.write(")")


class Bounded(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, with bounds."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = {name: _bounded(work) for name, work in self.filters.items()}
        self.globals.pop("lipsum", None)
        self.concat = self._concat  # type: ignore[method-assign]

    def _concat(self, pieces: Iterable[str]) -> str:
        """Join what a template writes, for as long as it may go on."""
        kept, length = [], 0
        for piece in pieces:
            length += len(piece)
            _no_more_than(length)
            kept.append(piece)
        return "".join(kept)

    def looked_at(self, text: str) -> str:
        """Return a joined text, if it is no longer than it may be."""
        _no_more_than(len(text))
        return text

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute, if what comes of it is no larger than it may be."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        match operator:
            case "*" if not numbers:
                _product((left, right))
            case "+" if not numbers:
                _no_more_than(_size(left) + _size(right))
            case "**":
                _no_more_than(_size(right) * max(1, int(left).bit_length() if numbers else 1))
            case "*":
                _no_more_than(sum(int(v).bit_length() if isinstance(v, int) else 1 for v in (left, right)))
            case "%":
                _format(left)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call, if what is given is no larger than it may be."""
        # Jinja's sandbox hands out `str.format` in a wrapping of its own.
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
        given = (*args, *kwargs.values())
        if isinstance(owner, (str, list, tuple)):
            _product((owner, *given))
            if getattr(obj, "__name__", "") in ("format", "format_map"):
                _format(owner)
        else:
            for value in given:
                if isinstance(value, int) and not isinstance(value, bool):
                    _no_more_than(abs(value))
        return super().call(context, obj, *args, **kwargs)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the steps of templates of this environment, and end what takes too many."""
        before, left = sys.gettrace(), STEPS

        def step(_frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal left
            if event == "line":
                left -= 1
                if left < 0:
                    raise TooMuch(f"it loops: more than {STEPS:,} steps")
            return step

        def begin(frame: FrameType, _event: str, _arg: Any) -> Any:
            return step if frame.f_globals.get("environment") is self else None

        sys.settrace(begin)
        try:
            yield
        finally:
            sys.settrace(before)

    def fill(self, template: Any, context: Mapping[str, Any]) -> str:
        """Fill a template of this environment, within the bounds."""
        with self.counting():
            return str(template.render(context))
