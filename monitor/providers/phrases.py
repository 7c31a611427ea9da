"""What a provider's file says to people, in one language: of the provider, and of one setting of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.providers.schema import Provider, Setting
from monitor.text.names import one_line

LONGEST = 300


@dataclass(frozen=True, slots=True)
class Phrases:
    """Texts for mails and pages, each one line; empty where the file does not say.

    `setting` is what an administrator has to change, `setting_page` where, and `setting_do` what to do there.
    """

    leads_to: str = ""
    check: str = ""
    admin_page: str = ""
    setting: str = ""
    setting_page: str = ""
    setting_do: str = ""


def phrases(provider: Provider, language: str, rule: str = "") -> Phrases:
    """Return what a provider says; with the setting that the rule of this name is about, if it is of one."""
    words, setting = provider.words, setting_of(provider, rule)
    return Phrases(
        leads_to=_in(words.leads_to, language),
        check=_in(words.check, language),
        admin_page=words.admin_page or "",
        setting=_in(setting.title, language) if setting else "",
        setting_page=(setting.page or "") if setting else "",
        setting_do=_in(setting.do, language) if setting else "",
    )


def setting_of(provider: Provider, rule: str) -> Setting | None:
    """Return the setting that a rule of the provider's own is about, by the rule's name in findings."""
    for entry, compiled in zip(provider.rules, provider.compiled_rules(), strict=True):
        if compiled.name == rule and entry.setting:
            return provider.settings[entry.setting]
    return None


def setting_in_words(provider: Provider, rule: str) -> str:
    """Return one line about the setting that a rule is about, in English; empty where it is about none."""
    said = phrases(provider, "en", rule)
    title = f"{said.setting}." if said.setting else ""
    return " ".join(filter(None, (title, said.setting_do, said.setting_page)))


def _in(texts: Mapping[str, str] | None, language: str) -> str:
    if not texts:
        return ""
    return one_line(texts.get(language, texts["en"]), LONGEST)
