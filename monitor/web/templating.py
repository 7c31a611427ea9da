"""The templates of the pages that clients and people who sign in see; the console has its own."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """Return a template: everything is escaped, and a name that is not there is a fault."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("monitor.web"), autoescape=True, undefined=StrictUndefined)
