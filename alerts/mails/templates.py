"""The mail templates: found (the operator's own before ours), joined, compiled and filled.

MJML is joined (`<!--% include "parts/close.mjml" %-->`, by Jinja's loader), compiled once with its other
Jinja tags inside, and filled for each mail; so a client's name is escaped where it stands in the finished
HTML. mjml's own `<mj-include>` is not used: what it includes loses its width and padding, and a file that
includes itself ends the process. Templates are sandboxed and bounded (`alerts.mail.bounds`): an override may
say what it likes, reaches nothing, and ends. Whatever one raises is a ConfigurationError that names file and
line. A file that changes is read again with the next mail.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import mjml
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.exceptions import TemplateError, TemplateNotFound, TemplateSyntaxError

from alerts.mails.bounds import LARGEST_SOURCE, Bounded, TooMuch
from alerts.mails.language import Tongue
from monitor.errors import ConfigurationError

HERE = Path(__file__).parent
LAYOUT = "layout.mjml"
_MARK = re.compile("\0([^\0]+):(\\d+)\0")
_UNNAMED = "<template>"  # what Jinja calls a template that comes from no loader


class Joined(NamedTuple):
    """MJML with its parts in it, and for each line the file and the line it comes from."""

    text: str
    origin: tuple[tuple[str, int], ...]


class Templates:
    """All templates, of `overrides` where it has them, and ours."""

    def __init__(self, overrides: Path | None = None) -> None:
        if overrides is not None and not overrides.is_dir():
            raise ConfigurationError(f"email.templates: {overrides} is no folder.")
        folders = [HERE] if overrides is None else [overrides, HERE]
        loader = ChoiceLoader([_Small(folder) for folder in folders])
        self._folders = folders
        # Text parts are plain text: HTML escapes would be read as they stand.
        self._text, self._html = _environment(loader, autoescape=False), _environment(loader, autoescape=True)
        self._joining = Bounded(
            loader=_Marked(loader),
            block_start_string="<!--%",
            block_end_string="%-->",
            variable_start_string="<!--=",
            variable_end_string="=-->",
            comment_start_string="<!--#",
            comment_end_string="#-->",
            autoescape=False,
            undefined=StrictUndefined,
        )
        self._compiled: Callable[[str], Template] = lru_cache(maxsize=64)(self._html.from_string)

    def text(self, name: str, context: Mapping[str, Any], speak: Tongue) -> str:
        """Fill a text template."""
        _speak(self._text, speak)
        try:
            return self._text.fill(self._text.get_template(name), context)
        except Exception as error:
            raise _unusable(self._place(error, name), error) from None

    def html(self, body: str, context: Mapping[str, Any], speak: Tongue) -> str:
        """Fill the layout with the MJML template `body` in it."""
        _speak(self._html, speak)
        joined = self._join(body)
        compiled = self._compile(body, joined)
        try:
            return self._html.fill(self._compiled(compiled), context)
        except Exception as error:
            raise _unusable(self._source(error, joined, context, body), error) from None

    def check(self, body: str) -> None:
        """Compile a MJML template."""
        self._compile(body, self._join(body))

    def _join(self, body: str) -> Joined:
        try:
            marked = self._joining.fill(self._joining.get_template(LAYOUT), {"body": body})
        except Exception as error:
            raise _unusable(self._place(error, body), error) from None
        lines, origin = [], [(LAYOUT, 1)]
        for line in marked.split("\n"):
            marks = _MARK.findall(line)
            origin.append((marks[-1][0], int(marks[-1][1])) if marks else origin[-1])
            lines.append(_MARK.sub("", line))
        return Joined("\n".join(lines), tuple(origin[1:]))

    def _compile(self, body: str, joined: Joined) -> str:
        try:
            return _to_html(joined.text)
        except ValueError as error:
            at = re.search(r"position (\d+)", str(error))
            line = joined.text.encode()[: int(at.group(1))].count(b"\n") if at else None
            name, number = joined.origin[line] if line is not None else (body, 0)
            where = f"{name}, line {number}" if number else name
            raise ConfigurationError(f"{where}: this MJML does not compile: {error}") from None

    def _source(self, error: Exception, joined: Joined, context: Mapping[str, Any], body: str) -> str:
        """Return where in the MJML an error of the compiled HTML comes from: fill the MJML, and see."""
        try:
            self._html.fill(self._compiled(joined.text), context)
        except Exception as again:
            line = _line(again, lambda name: name == _UNNAMED)
            if line is not None and type(again) is type(error):
                name, number = joined.origin[min(line[1], len(joined.origin)) - 1]
                return f"{name}, line {number}"
        return body

    def _place(self, error: Exception, name: str) -> str:
        """Return the file and line of a template where an error was raised."""
        found = _line(
            error,
            lambda file: (
                not file.endswith(".py") and any(Path(file).is_relative_to(f) for f in self._folders)
            ),
        )
        if found is None:
            return name
        folder = next(f for f in self._folders if Path(found[0]).is_relative_to(f))
        return f"{Path(found[0]).relative_to(folder)}, line {found[1]}"


def templates(overrides: Path | None = None) -> Templates:
    """Return the templates; ours alone never change, and are compiled once a process."""
    return Templates(overrides) if overrides is not None else _ours()


@cache
def _ours() -> Templates:
    return Templates()


def own_files(folder: Path, kind: str) -> tuple[str, ...]:
    """Return which files of a kind of mail, or of what all share, an operator's own folder has."""
    shared = [path for path in folder.glob("*") if path.is_file()] + list((folder / "parts").glob("*"))
    mine = list((folder / "kinds" / kind).glob("*"))
    return tuple(sorted(str(path.relative_to(folder)) for path in (*mine, *shared) if path.is_file()))


class _Small(FileSystemLoader):
    """Reads templates, and none that no mail is made of."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return a template as Jinja's loaders do."""
        found = super().get_source(environment, template)
        if len(found[0]) > LARGEST_SOURCE:
            raise TooMuch(f"{template} is longer than {LARGEST_SOURCE:,} characters")
        return found


class _Marked(BaseLoader):
    """Begins each line with where it comes from, for as long as it takes to join the files."""

    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return a template as Jinja's loaders do."""
        text, file, current = self._loader.get_source(environment, template)
        lines = text.removesuffix("\n").split("\n")
        return (
            "\n".join(f"\0{template}:{number}\0{line}" for number, line in enumerate(lines, 1)),
            file,
            current,
        )


def _environment(loader: BaseLoader, *, autoescape: bool) -> Bounded:
    return Bounded(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, extensions=["jinja2.ext.i18n"]
    )


def _speak(environment: Environment, speak: Tongue) -> None:
    environment.install_gettext_callables(speak.gettext, speak.ngettext, newstyle=True)  # type: ignore[attr-defined]


@lru_cache(maxsize=64)
def _to_html(text: str) -> str:
    """Compile MJML. Raises ValueError."""
    try:
        # Without fonts: for one that it knows by name, such as Roboto, it would have a mail load Google's.
        return mjml.mjml2html(text, fonts={})
    except BaseException as error:
        # The library is Rust, and what panics there passes by every `except Exception`.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(" ".join(str(error).split())) from None


def _line(error: Exception, ours: Callable[[str], bool]) -> tuple[str, int] | None:
    """Return the innermost file and line of a template in an error's traceback, which Jinja writes."""
    if isinstance(error, TemplateSyntaxError):
        return error.filename or _UNNAMED, error.lineno
    frames = [f for f in traceback.extract_tb(error.__traceback__) if ours(f.filename)]
    return (frames[-1].filename, frames[-1].lineno or 0) if frames else None


def _unusable(where: str, error: Exception) -> ConfigurationError:
    said = " ".join(str(error).split())
    if isinstance(error, TemplateNotFound):
        said = f"there is no {said}"
    elif not isinstance(error, TemplateError):
        said = f"{type(error).__name__}: {said}"
    return ConfigurationError(f"{where}: this mail template cannot be used: {said}")
