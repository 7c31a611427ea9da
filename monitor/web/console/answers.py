"""What comes of a request: a page, a question before something is done, or that it was done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Shown:
    """A page: its template, title, and the values that it shows. `here` is its place in the navigation."""

    def __init__(
        self, template: str, title: str, here: str = "", *, status: int = 200, **values: Any
    ) -> None:
        self.template, self.title, self.here, self.status = template, title, here, status
        self.values = values


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a question; `kind` is textarea, select, radio, checkbox, or what an `input` is.

    `options` are values and words of a select or of radio buttons; `trouble` says what is wrong with it.
    """

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    required: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Some of what was chosen that will not be done, and why."""

    count: int
    why: str
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is shown before something is done: what it will do, to how many, and how it is taken back.

    `button` names what is done and to how many; `back` is the page that one came from. Above twenty, what
    cannot be undone has its number typed (`typed`). `aside` is a template of what one should see beside it.
    """

    heading: str
    says: Sequence[str]
    button: str
    back: str
    fields: Sequence[Field] = ()
    hidden: Sequence[tuple[str, str]] = ()
    left_out: Sequence[LeftOut] = ()
    typed: int | None = None
    danger: bool = False
    note: str = ""  # in small print: whether it can be taken back
    trouble: str = ""
    to: str = ""  # where it is posted to, if not to where it was asked
    here: str = ""
    aside: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    multipart: bool = False  # with a file


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes an action back: posted to `path`, with `fields`."""

    path: str
    fields: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """That something was done: the page to go to, and the sentence that stands on it, once."""

    to: str
    said: str
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A file to be saved, or a document of its own; what may be large comes in pieces."""

    content: str | bytes | AsyncIterator[str]
    media: str
    name: str = ""  # of the file; empty: it is shown
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Shown | Ask | Done | Sent
