"""What a provider file says in vain: rules that nothing can come to, and names that nobody uses."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.health.evidence import Content, Step
from monitor.health.rules import Rule
from monitor.providers.kinds import placeholders
from monitor.providers.schema import Provider
from monitor.text.tomlfile import Place


def in_vain(provider: Provider) -> list[tuple[Place, str]]:
    """Return what could as well not stand in a provider's file, by its place."""
    return [*_rules(provider.compiled_rules()), *_names(provider)]


def _rules(rules: tuple[Rule, ...]) -> Iterable[tuple[Place, str]]:
    for index, rule in enumerate(rules):
        why = _impossible(rule)
        if why is not None:
            yield ("rules", index), f"can never match: {why}"
            continue
        wider = next((n for n, earlier in enumerate(rules[:index]) if _covers(earlier, rule)), None)
        if wider is not None:
            yield ("rules", index), f"can never match: rules.{wider} is wider and stands before it"


def _impossible(rule: Rule) -> str | None:
    spoken = rule.error is not None or bool(rule.fields)
    if spoken and _content(rule) is not Content.JSON:
        return "error and fields are read in JSON, and it is of another content"
    if rule.text is not None and rule.status is not None and rule.status == (200, 200):
        return "no text is kept of an answer with 200"
    return None


def _content(rule: Rule) -> Content:
    return rule.content or Content.JSON  # as `first_match` has it


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Whether every answer that fits the narrow rule fits the wide one, as far as it shows."""
    if _content(wide) is not _content(narrow):
        return False
    # At the callback only a rule that names it speaks (`refused_by_policy`).
    if wide.step is not narrow.step and (wide.step is not None or narrow.step is Step.CALLBACK):
        return False
    if wide.status is not None and not _within(narrow.status, wide.status):
        return False
    if wide.error is not None and not (narrow.error is not None and narrow.error <= wide.error):
        return False
    same = ("challenge", "description", "text")
    if any(getattr(wide, name) not in (None, getattr(narrow, name)) for name in same):
        return False
    fields = dict(narrow.fields)
    if not all(name in fields and fields[name] <= texts for name, texts in wide.fields):
        return False
    return set(wide.headers) <= set(narrow.headers)


def _within(inner: tuple[int, int] | None, outer: tuple[int, int]) -> bool:
    return inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1]


def _names(provider: Provider) -> Iterable[tuple[Place, str]]:
    wanted = {one for _, text in provider.templates() for one in placeholders(text)}
    values = {name for kind, name in wanted if kind == "values"} | {provider.whoami.account_value}
    for name in provider.values:
        if name not in values:
            yield ("values", name), f"nobody uses it: no URL or header has {{values.{name}}}"
    for region, there in provider.regions.items():
        for name in there.hosts:
            if ("hosts", name) not in wanted:
                yield ("regions", region, "hosts", name), "nobody uses it: no path begins with it"
    for name in provider.settings:
        if all(rule.setting != name for rule in provider.rules):
            yield ("settings", name), "nobody uses it: no rule names it as its setting"
