"""The client's language: catalogues, and dates and lists the way its readers write them.

English is the source. Catalogues are gettext `.po` files beside this one, compiled when they are first
needed; a sentence that one lacks falls back to English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.lists import format_list

from monitor.text import catalogues

FOLDER = Path(__file__).with_name("locales")
SOURCE = "en"


def languages() -> tuple[str, ...]:
    """Return the languages there are, the source first."""
    return (SOURCE, *sorted(path.stem for path in FOLDER.glob("*.po")))


@lru_cache(maxsize=16)
def _catalogue(language: str) -> NullTranslations:
    if language == SOURCE:
        return NullTranslations()
    return catalogues.read(FOLDER, language)


@dataclass(frozen=True, slots=True)
class Tongue:
    """A locale and a time zone to write in. `language` is the catalogue, `locale` writes dates."""

    language: str
    locale: Locale
    zone: ZoneInfo

    @property
    def gettext(self) -> Callable[[str], str]:
        """The catalogue's look-up."""
        return _catalogue(self.language).gettext

    @property
    def ngettext(self) -> Callable[[str, str, int], str]:
        """The catalogue's look-up of plurals."""
        return _catalogue(self.language).ngettext

    def moment(self, at: datetime) -> str:
        """Write a moment: `November 23, 2026 at 9:05 AM EST`, without seconds."""
        text = format_datetime(at, "long", tzinfo=self.zone, locale=self.locale)
        seconds = format_datetime(at, "ss", tzinfo=self.zone, locale=self.locale)
        if text.count(":") >= 2:
            text = text.replace(f":{seconds}", "", 1)
        # Where CLDR has no short name for a zone it writes +0100, which few readers know.
        text = re.sub(r"([+-])0?(\d{1,2}):?00$", r"UTC\1\2", text)
        # It sets a narrow space before AM, which many mail programs show as none.
        return text.replace("\u202f", "\u00a0")

    def day(self, at: datetime) -> str:
        """Write a day: `November 23, 2026`."""
        return format_date(at.astimezone(self.zone), "long", locale=self.locale)

    def date(self, day: date) -> str:
        """Write a day of the calendar, the same wherever one is."""
        return format_date(day, "long", locale=self.locale)

    def join(self, names: Sequence[str]) -> str:
        """Write a list: `contacts, matters and bills`."""
        return format_list(list(names), locale=self.locale) if names else ""


def tongue(locale: str, timezone: str = "UTC") -> Tongue:
    """Return how to write for a locale such as `de` or `fr-CA`; a language we lack is written in English."""
    try:
        parsed = Locale.parse(locale.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        parsed = Locale.parse(SOURCE)
    if parsed.language not in languages():
        parsed = Locale.parse(SOURCE)
    return Tongue(parsed.language, parsed, ZoneInfo(timezone))


def accepted(header: str) -> str:
    """Return the first language of an Accept-Language header that we have (RFC 9110 12.5.4)."""
    wishes = []
    for index, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wishes.append((-float(weight or 1), index, tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, _, tag in sorted(wishes) if tag in languages()), SOURCE)
