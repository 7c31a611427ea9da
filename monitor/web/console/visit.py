"""One request of a person: who asks, what for, and what is at hand to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request

from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.web.origin import is_path_of_ours

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that was let in. `form` is what was posted, empty for a page that is only looked at."""

    parts: Parts
    actor: Actor
    request: Request
    now: datetime
    form: FormData = field(default_factory=FormData)
    works: Mapping[type, Any] = field(default_factory=dict)

    @property
    def path(self) -> Mapping[str, str]:
        """Return the parts of the path that its declaration names."""
        return cast("Mapping[str, str]", self.request.path_params)

    @property
    def query(self) -> QueryParams:
        """Return the query."""
        return self.request.query_params

    @property
    def piece(self) -> bool:
        """Whether htmx asks, to put a piece of the page into one that is open."""
        return self.request.headers.get("hx-request") == "true"

    def may(self, right: Right) -> bool:
        """Whether whoever asks has a right."""
        return right in self.actor.may

    def given(self, name: str, default: str = "") -> str:
        """Return a field of the form, else of the query, without the spaces around it."""
        for values in (self.form, self.query):
            found = values.get(name)
            if isinstance(found, str):
                return found.strip()
        return default

    def several(self, name: str) -> list[str]:
        """Return all values of a field of the form or of the query that are not empty."""
        found = [*self.form.getlist(name), *self.query.getlist(name)]
        return [one.strip() for one in found if isinstance(one, str) and one.strip()]

    def back(self, otherwise: str) -> str:
        """Return the page of ours that a form names as where one came from, never another site's address."""
        path = self.given("back")
        return path if is_path_of_ours(path) else otherwise

    def work(self, kind: type[T]) -> T | None:
        """Return what runs in this process, by its type; None where nothing of it does."""
        return self.works.get(kind)
